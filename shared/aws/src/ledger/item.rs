//! An item of the ledger: its attributes by name.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use fleetwarden_core::timestamp::Millis;

/// How long an item stays: 400 days, longer than Device Defender keeps a finding (90 days).
const RETENTION: Duration = Duration::from_hours(400 * 24);

/// An item, by attribute name.
#[derive(Clone, Debug, PartialEq)]
pub struct Item(pub(super) HashMap<String, AttributeValue>);

impl Item {
    /// An item with its keys that ends 400 days after `now`.
    pub fn new(pk: &str, sk: &str, now: Millis) -> Self {
        Self::lasting(pk, sk).number("expires_at", now.plus(RETENTION).seconds())
    }

    /// An item with its keys that has no end.
    pub fn lasting(pk: &str, sk: &str) -> Self {
        Self(HashMap::new()).text("pk", pk).text("sk", sk)
    }

    /// Ends at another moment than after 400 days.
    #[must_use]
    pub fn until(self, end: Millis) -> Self {
        self.number("expires_at", end.seconds())
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::S(value.into()));
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, name: &str, value: i64) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::N(value.to_string()));
        self
    }

    /// Adds a value as JSON text.
    #[must_use]
    pub fn json(self, name: &str, value: &impl serde::Serialize) -> Self {
        let text = serde_json::to_string(value).unwrap_or_default();
        self.text(name, text)
    }

    /// A text, if it is there.
    pub fn get_text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|v| v.as_s().ok()).map(String::as_str)
    }

    /// A number, if it is there.
    pub fn get_number(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(|v| v.as_n().ok()).and_then(|n| n.parse().ok())
    }

    /// A value that stands there as JSON text, if it is there and can be read.
    pub fn get_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.get_text(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// The attributes.
    pub fn into_attributes(self) -> HashMap<String, AttributeValue> {
        self.0
    }
}

impl From<HashMap<String, AttributeValue>> for Item {
    fn from(attributes: HashMap<String, AttributeValue>) -> Self {
        Self(attributes)
    }
}
