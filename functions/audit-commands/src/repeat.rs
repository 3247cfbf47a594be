//! `CreateAuditSuppression`: what exists just so was made by an earlier try of the same.

use fleetwarden_commands::Command;
use fleetwarden_commands::diff::same;
use fleetwarden_core::api::input::TOKEN;
use serde_json::Value;

/// Whether a suppression is there that an earlier try of the same command made.
pub(crate) fn is_repeated(command: &Command, there: &Value) -> bool {
    let absent = |member: &str| match member {
        "suppressIndefinitely" => Value::Bool(false),
        "description" => "".into(),
        _ => Value::Null,
    };
    let is_as_asked = |member: &str| {
        let is = there.get(member).filter(|value| !value.is_null()).cloned();
        let wanted = command.input.get(member).cloned();
        same(&is.unwrap_or_else(|| absent(member)), &wanted.unwrap_or_else(|| absent(member)))
    };
    command.operation.name == "CreateAuditSuppression"
        && !command.input.contains_key(TOKEN)
        && ["expirationDate", "suppressIndefinitely", "description"].into_iter().all(is_as_asked)
}
