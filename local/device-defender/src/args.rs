//! Typed access to a validated input. A member that validation let through has its type, so there is nothing
//! left to refuse here.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::checks::Check;
use crate::clock::from_seconds;
use crate::failure::Failure;

/// The members of a good input.
#[derive(Debug, Clone, Default)]
pub(crate) struct Args(pub(crate) Map<String, Value>);

impl Args {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A required string.
    pub(crate) fn required(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    /// A timestamp in epoch milliseconds.
    pub(crate) fn time(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_f64).map(from_seconds)
    }

    /// A structure, list or map.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        self.0
            .get(name)
            .map(|value| serde_json::from_value(value.clone()))
            .transpose()
            .map_err(|_| Failure::internal())
    }

    /// The check that a member names.
    pub(crate) fn check(&self, name: &str) -> Result<Option<Check>, Failure> {
        self.text(name).map(|text| known_check(text, name)).transpose()
    }

    /// A period that ends after it starts.
    pub(crate) fn period(&self) -> Result<Option<(i64, i64)>, Failure> {
        match (self.time("startTime"), self.time("endTime")) {
            (Some(start), Some(end)) if start <= end => Ok(Some((start, end))),
            (Some(_), Some(_)) => Err(Failure::invalid("startTime must not be after endTime")),
            (None, None) => Ok(None),
            _ => Err(Failure::invalid("startTime and endTime must be given together")),
        }
    }
}

/// The check with this name, or a refusal that names the member.
pub(crate) fn known_check(name: &str, member: &str) -> Result<Check, Failure> {
    Check::named(name)
        .ok_or_else(|| Failure::invalid(format!("{member}: {name} is not a valid audit check name")))
}
