//! Dimensions: topic filters that narrow a metric.

use serde_json::{Value, json};

use crate::clock::seconds;

/// Device Defender quotas: metric dimensions.
pub(crate) const MOST_DIMENSIONS: usize = 10;

/// A dimension. `TOPIC_FILTER` is the only type.
#[derive(Debug, Clone)]
pub(crate) struct Dimension {
    /// Its place in the order of creation.
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) arn: String,
    /// The topic filters: MQTT wildcards, and `${iot:ClientId}`.
    pub(crate) values: Vec<String>,
    /// The `clientRequestToken` that it was created with.
    pub(crate) token: String,
    /// Epoch milliseconds.
    pub(crate) created: i64,
    /// Epoch milliseconds.
    pub(crate) modified: i64,
}

impl Dimension {
    /// The answer of `DescribeDimension`.
    pub(crate) fn describe(&self) -> Value {
        json!({
            "name": self.name,
            "arn": self.arn,
            "type": "TOPIC_FILTER",
            "stringValues": self.values,
            "creationDate": seconds(self.created),
            "lastModifiedDate": seconds(self.modified),
        })
    }
}
