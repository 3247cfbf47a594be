//! The logging options of the account: those of version 2, which `ENABLE_IOT_LOGGING` sets, and the older ones.

use serde_json::Value;

/// The level at which nothing is logged.
const DISABLED: &str = "DISABLED";

/// Options of version 2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) role: Option<String>,
    pub(crate) level: String,
    pub(crate) disabled: bool,
    pub(crate) events: Vec<Value>,
}

/// The older options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FirstOptions {
    pub(crate) role: String,
    pub(crate) level: String,
}

/// Both.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logging {
    /// None: they were never set.
    pub(crate) options: Option<Options>,
    pub(crate) first: FirstOptions,
}

impl Logging {
    /// Those of a new fleet: enabled, or never set.
    pub(crate) fn first(enabled: bool, account: &str) -> Self {
        let role = Some(format!("arn:aws:iam::{account}:role/IoTLogs"));
        let options = Options { role, level: "ERROR".to_owned(), ..Options::default() };
        Self { options: enabled.then_some(options), first: FirstOptions::default() }
    }

    /// Whether anything is logged.
    pub(crate) fn is_enabled(&self) -> bool {
        let second = self.options.as_ref().is_some_and(|options| !options.disabled && logs(&options.level));
        second || (!self.first.role.is_empty() && logs(&self.first.level))
    }

    /// Sets the options of version 2.
    pub(crate) fn set(&mut self, options: Options) {
        self.options = Some(options);
    }
}

fn logs(level: &str) -> bool {
    !level.is_empty() && level != DISABLED
}
