//! Commands that a repeat does not do twice: their token is made from what they ask for.

use fleetwarden_core::api::input::TOKEN;
use fleetwarden_core::digest::Digest;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::AuditCommands;
use crate::calls::answer;
use crate::calls::is;
use crate::command::Command;
use crate::diff::same;
use crate::failure::Failure;

/// The input with a token: the caller's own, or one that the same input has again. `round` tells tokens of one
/// input apart. None if the caller gave one.
pub(crate) fn tokened(command: &Command, round: &str) -> Option<Map<String, Value>> {
    if command.input.contains_key(TOKEN) {
        return None;
    }
    let mut input = command.input.clone();
    // The members of a map stand in one order.
    let text = Value::Object(input.clone()).to_string();
    let token = Digest::new("audit-commands").part(command.operation.name).part(&text).part(round).hex();
    input.insert(TOKEN.to_owned(), token.into());
    Some(input)
}

impl AuditCommands {
    /// `CreateAuditSuppression`. What exists just so was made by an earlier try of the same.
    pub(crate) async fn create_suppression(&self, command: &Command) -> Result<Box<RawValue>, Failure> {
        let operation = command.operation;
        let Some(input) = tokened(command, "") else {
            return Ok(self.iot.call(operation, &command.input).await?);
        };
        let error = match self.iot.call(operation, &input).await {
            Err(error) if is(&error, "ResourceAlreadyExistsException") => error,
            done => return Ok(done?),
        };
        let of = |member: &str| command.input.get(member).cloned().unwrap_or_default();
        let key = json!({"checkName": of("checkName"), "resourceIdentifier": of("resourceIdentifier")});
        match self.ask_if_there("DescribeAuditSuppression", key).await? {
            Some(there) if is_suppression(&there, &command.input) => answer(&json!({})),
            Some(_) => Err(error.into()),
            // It was deleted since, and only its token is spent.
            None => Ok(self.iot.call(operation, &tokened(command, "again").unwrap_or(input)).await?),
        }
    }
}

/// Whether a suppression is as asked for.
pub(crate) fn is_suppression(there: &Value, wanted: &Map<String, Value>) -> bool {
    let absent = |member: &str| match member {
        "suppressIndefinitely" => Value::Bool(false),
        "description" => "".into(),
        _ => Value::Null,
    };
    ["expirationDate", "suppressIndefinitely", "description"].into_iter().all(|member| {
        let is = there.get(member).filter(|value| !value.is_null()).cloned();
        let wanted = wanted.get(member).cloned();
        same(&is.unwrap_or_else(|| absent(member)), &wanted.unwrap_or_else(|| absent(member)))
    })
}
