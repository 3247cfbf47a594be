//! Commands that a repeat does not do twice. Where AWS takes a token, it is made from what they ask for; where it takes
//! none, what became of a try without an answer is looked up before the next.

use fleetwarden_aws::Error;
use fleetwarden_core::api::input::TOKEN;
use fleetwarden_core::digest::Digest;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::AuditCommands;
use crate::calls::answer;
use crate::calls::is;
use crate::calls::members;
use crate::command::Command;
use crate::diff::same;
use crate::failure::Failure;
use crate::subject::Subject;
use crate::subject::Verb;

/// How often a change without an answer is made, at most.
const TRIES: u32 = 3;
/// What the service refuses when it is done already.
const REFUSED_TWICE: [&str; 6] = [
    "DeleteAccountAuditConfiguration",
    "CreateScheduledAudit",
    "DeleteScheduledAudit",
    "CancelAuditTask",
    "CreateMitigationAction",
    "CancelAuditMitigationActionsTask",
];

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
    /// A change without a token. Of some a second try is refused if the first was done and only its answer was lost.
    pub(crate) async fn change(&self, command: &Command) -> Result<Box<RawValue>, Failure> {
        let Command { operation, input, .. } = command;
        let Some(subject) = Subject::of(command)?.filter(|_| REFUSED_TWICE.contains(&operation.name)) else {
            return Ok(self.iot.call(operation, input).await?);
        };
        let mut tries = 1;
        let there = loop {
            let error = match self.iot.call_once(operation, input).await {
                Err(error) if !is_refusal(&error) => error,
                answered => return Ok(answered?),
            };
            tracing::warn!(%error, "nobody knows whether the change was made");
            match self.there(&subject).await {
                Ok(there) if subject.is_done(there.as_ref()) => break there,
                Ok(_) if tries < TRIES => tries += 1,
                // The look-up's own failure would be taken for the change's.
                _ => return Err(error.into()),
            }
        };
        let answers = ["scheduledAuditArn", "actionArn", "actionId"];
        let mut made = members(there.filter(|_| subject.verb == Verb::Create).unwrap_or_default());
        made.retain(|name, _| answers.contains(&name.as_str()));
        answer(&Value::Object(made))
    }

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
            Some(there) if is_repeated(command, &there) => answer(&json!({})),
            Some(_) => Err(error.into()),
            // It was deleted since, and only its token is spent.
            None => Ok(self.iot.call(operation, &tokened(command, "again").unwrap_or(input)).await?),
        }
    }
}

/// Whether the service itself has said no: then nothing was done.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Aws { code, .. } if code.ends_with("Exception") && code != "InternalFailureException")
}

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
