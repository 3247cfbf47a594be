//! Looks at the account: what is there, as JSON.

use fleetwarden_aws::Error;
use fleetwarden_core::api::Operation;
use serde_json::Map;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Service;
use crate::failure::Failure;

/// The largest page of most lists.
pub const PAGE: u32 = 250;
/// With these the service has done nothing.
pub const NOT_STARTED: [&str; 8] = [
    "ThrottlingException",
    "InvalidRequestException",
    "LimitExceededException",
    "AccessDeniedException",
    "UnrecognizedClientException",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "ConstructionFailure",
];

/// An answer as a value.
pub fn value(answer: &RawValue) -> Value {
    serde_json::from_str(answer.get()).unwrap_or_default()
}

/// A value as an answer.
///
/// # Errors
/// None that a value of JSON has.
pub fn answer(value: &Value) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(value.to_string()).map_err(|e| Error::Input(e.to_string()).into())
}

/// An object as members.
pub fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Whether a call failed with this code.
pub fn is(error: &Error, wanted: &str) -> bool {
    matches!(error, Error::Aws { code, .. } if code == wanted)
}

/// Whether a call failed so that nothing was started for certain.
pub fn is_not_started(error: &Error) -> bool {
    matches!(error, Error::Aws { code, .. } if NOT_STARTED.contains(&code.as_str()))
}

impl Service {
    /// An operation of the family by its name.
    ///
    /// # Errors
    /// If the family has no such operation.
    pub fn operation(&self, name: &str) -> Result<&'static Operation, Failure> {
        (self.family.commands.find)(name).map_err(|what| Failure::Refused { name: "UnknownCommand", what })
    }

    /// Asks for what must be there.
    ///
    /// # Errors
    /// The service's.
    pub async fn ask(&self, name: &str, input: Value) -> Result<Value, Failure> {
        Ok(value(&self.iot.call(self.operation(name)?, &members(input)).await?))
    }

    /// Asks for what may be there.
    ///
    /// # Errors
    /// The service's, but for `ResourceNotFoundException`.
    pub async fn ask_if_there(&self, name: &str, input: Value) -> Result<Option<Value>, Failure> {
        match self.iot.call(self.operation(name)?, &members(input)).await {
            Ok(answer) => Ok(Some(value(&answer))),
            Err(error) if is(&error, "ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
