//! What a change would change, without making it: from what is there now to what would be.

use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::Service;
use crate::calls::answer;
use crate::command::Command;
use crate::diff::change;
use crate::diff::updated;
use crate::failure::Failure;
use crate::target::Target;
use crate::target::Verb;

/// The answer of a dry run. `loses` is what the command would destroy.
///
/// # Errors
/// None that a value of JSON has.
pub fn described(
    command: &Command,
    changes: Vec<Value>,
    loses: Option<String>,
) -> Result<Box<RawValue>, Failure> {
    let changes: Value = changes.into();
    let mut described = json!({"dryRun": true, "command": command.operation.name, "changes": changes});
    if let (Some(loses), Some(members)) = (loses, described.as_object_mut()) {
        members.insert("confirmationRequired".to_owned(), loses.into());
    }
    answer(&described)
}

impl Service {
    /// What a change of a target changes. `there` is the target as it is now.
    ///
    /// # Errors
    /// What the service would refuse, under the name that it has there.
    pub fn changes(
        &self,
        command: &Command,
        target: &Target,
        there: Option<&Value>,
    ) -> Result<Vec<Value>, Failure> {
        let name = command.operation.name;
        let refused = |error: &'static str, what: &str| {
            Err(Failure::Refused { name: error, what: format!("{name}: {what}") })
        };
        match (target.verb, there) {
            (Verb::Create, Some(_)) => {
                refused("ResourceAlreadyExistsException", "it exists already; update it, or delete it first")
            }
            (Verb::Create, None) => Ok(vec![change("$", &Value::Null, &target.whole())]),
            (Verb::Update, Some(there)) => Ok(updated(there, &(self.family.becomes)(target, there))),
            (Verb::Delete, Some(there)) => Ok(vec![change("$", there, &Value::Null)]),
            // The operations declare no other answer: to delete what is not there succeeds.
            (Verb::Delete, None) if self.family.deleted_quietly.contains(&target.kind) => Ok(Vec::new()),
            (Verb::Cancel, Some(there)) => {
                let status = there.get("taskStatus").and_then(Value::as_str).unwrap_or_default();
                if status != "IN_PROGRESS" {
                    let what = format!("it is {status}, and only what is IN_PROGRESS can be canceled");
                    return refused("InvalidRequestException", &what);
                }
                Ok(vec![change("$.taskStatus", &status.into(), &"CANCELED".into())])
            }
            (Verb::Update | Verb::Delete | Verb::Cancel, None) => {
                refused("ResourceNotFoundException", "there is no such thing")
            }
        }
    }
}
