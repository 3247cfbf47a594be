//! Looks at the account: what is there, as JSON.

use fleetwarden_aws::Error;
use fleetwarden_core::api;
use fleetwarden_core::api::Operation;
use serde_json::Map;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::AuditCommands;
use crate::failure::Failure;

/// The largest page of a list.
pub(crate) const PAGE: u32 = 250;

/// An operation by its name.
pub(crate) fn operation(name: &str) -> Result<&'static Operation, Failure> {
    api::audit(name).map_err(|what| Failure::Refused { name: "UnknownCommand", what })
}

/// An answer as a value.
pub(crate) fn value(answer: &RawValue) -> Value {
    serde_json::from_str(answer.get()).unwrap_or_default()
}

/// A value as an answer.
pub(crate) fn answer(value: &Value) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(value.to_string()).map_err(|e| Error::Input(e.to_string()).into())
}

/// An object as members.
pub(crate) fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Whether a call failed with this code.
pub(crate) fn is(error: &Error, wanted: &str) -> bool {
    matches!(error, Error::Aws { code, .. } if code == wanted)
}

impl AuditCommands {
    /// Asks for what must be there.
    pub(crate) async fn ask(&self, name: &str, input: Value) -> Result<Value, Failure> {
        Ok(value(&self.iot.call(operation(name)?, &members(input)).await?))
    }

    /// Asks for what may be there.
    pub(crate) async fn ask_if_there(&self, name: &str, input: Value) -> Result<Option<Value>, Failure> {
        match self.iot.call(operation(name)?, &members(input)).await {
            Ok(answer) => Ok(Some(value(&answer))),
            Err(error) if is(&error, "ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
