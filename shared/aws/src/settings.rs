//! A function's settings: environment variables that the template sets, read once at start.

use std::env::VarError;
use std::fmt;

use crate::alerts::AlertTopic;

/// A variable that is missing or unreadable.
#[derive(thiserror::Error)]
pub enum SettingsError {
    /// It is not set, or set to nothing.
    #[error("the environment variable {0} is not set; the template sets it for every function that needs it")]
    Missing(&'static str),
    /// It does not hold what it should.
    #[error("the environment variable {name} is '{value}'; it should be {expected}")]
    Wrong {
        /// Its name.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
}

/// As people read it: a function that does not start says so with it.
impl fmt::Debug for SettingsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

/// A variable that must be set.
///
/// # Errors
/// [`SettingsError::Missing`].
pub fn required(name: &'static str) -> Result<String, SettingsError> {
    optional(name).ok_or(SettingsError::Missing(name))
}

/// A variable that may be set. One set to nothing counts as not set.
pub fn optional(name: &'static str) -> Option<String> {
    #[cfg(any(test, feature = "testing"))]
    if crate::testing::environment::is_set() {
        return crate::testing::environment::variable(name);
    }
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Some(value),
        Ok(_) | Err(VarError::NotPresent | VarError::NotUnicode(_)) => None,
    }
}

/// A variable that holds a number of whole seconds, or its default.
///
/// # Errors
/// [`SettingsError::Wrong`].
pub fn seconds(name: &'static str, default: u32) -> Result<u32, SettingsError> {
    let Some(value) = optional(name) else { return Ok(default) };
    value.parse().map_err(|_| SettingsError::Wrong { name, value, expected: "a number of whole seconds" })
}

/// What every function has.
#[derive(Clone, Debug)]
pub struct Common {
    /// `ACCOUNT_ID`: 12 digits. Notifications of another account are refused.
    pub account: String,
    /// `AWS_REGION`: Lambda sets it.
    pub region: String,
    /// `LEDGER_TABLE`: the ledger's name.
    pub ledger_table: String,
    /// Where alerts go, and where they say that they are from.
    pub alert_topic: AlertTopic,
    /// `DEAD_LETTER_QUEUE_URL`: where the function parks what can never succeed.
    pub dead_letter_queue: String,
}

impl Common {
    /// Reads them.
    ///
    /// # Errors
    /// The first variable that is missing.
    pub fn from_env() -> Result<Self, SettingsError> {
        Ok(Self {
            account: required("ACCOUNT_ID")?,
            region: required("AWS_REGION")?,
            ledger_table: required("LEDGER_TABLE")?,
            alert_topic: AlertTopic::from_env()?,
            dead_letter_queue: required("DEAD_LETTER_QUEUE_URL")?,
        })
    }
}
