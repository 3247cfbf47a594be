//! What a change would change, without making it: from what is there now to what would be.

use fleetwarden_core::api::input::TOKEN;
use fleetwarden_core::api::shape::Member;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::AuditCommands;
use crate::calls::answer;
use crate::calls::operation;
use crate::command::Command;
use crate::diff::change;
use crate::diff::updated;
use crate::failure::Failure;
use crate::repeat::is_suppression;

impl AuditCommands {
    /// Tells what a command would change. `loses` is what it would destroy.
    pub(crate) async fn dry_run(
        &self,
        command: &Command,
        loses: Option<String>,
    ) -> Result<Box<RawValue>, Failure> {
        let changes = self.changes(command).await?;
        let mut told = json!({"dryRun": true, "command": command.operation.name, "changes": changes});
        if let (Some(loses), Some(told)) = (loses, told.as_object_mut()) {
            told.insert("confirmationRequired".to_owned(), loses.into());
        }
        answer(&told)
    }

    async fn changes(&self, command: &Command) -> Result<Vec<Value>, Failure> {
        let name = command.operation.name;
        let Some((verb, of)) = ["Create", "Update", "Delete", "Cancel", "Start"]
            .iter()
            .find_map(|verb| Some((*verb, name.strip_prefix(verb)?)))
        else {
            return Ok(Vec::new());
        };
        if verb == "Start" {
            let starts =
                json!({"taskType": "ON_DEMAND_AUDIT_TASK", "targetCheckNames": command.target_checks()});
            return Ok(vec![change("$", &Value::Null, &starts)]);
        }
        let describe = operation(&format!("Describe{of}"))?;
        let is_key = |name: &str| describe.members.iter().any(|member: &Member| member.name == name);
        let mut whole = command.input.clone();
        whole.remove(TOKEN);
        let (key, rest): (Map<String, Value>, Map<String, Value>) =
            whole.clone().into_iter().partition(|(name, _)| is_key(name));
        let there = self.ask_if_there(describe.name, Value::Object(key)).await?;
        match (verb, there) {
            ("Create", Some(there)) if of == "AuditSuppression" && is_suppression(&there, &rest) => {
                Ok(Vec::new())
            }
            ("Create", Some(_)) => Err(refused("ResourceAlreadyExistsException", "it exists already")),
            ("Create", None) => Ok(vec![change("$", &Value::Null, &Value::Object(whole))]),
            ("Update", Some(there)) => Ok(updated(&there, &rest)),
            ("Delete", Some(there)) => {
                let mut changes = vec![change("$", &there, &Value::Null)];
                if command.input.get("deleteScheduledAudits") == Some(&Value::Bool(true)) {
                    for name in self.schedules().await? {
                        let schedule = json!({"scheduledAuditName": name});
                        let schedule = self.ask_if_there("DescribeScheduledAudit", schedule).await?;
                        let path = format!("$.scheduledAudits.{name}");
                        changes.extend(schedule.map(|schedule| change(&path, &schedule, &Value::Null)));
                    }
                }
                Ok(changes)
            }
            // The operations declare no other answer: to delete what is not there succeeds.
            ("Delete", None) if of != "ScheduledAudit" => Ok(Vec::new()),
            ("Cancel", Some(there)) => {
                let status = there.get("taskStatus").cloned().unwrap_or_default();
                if status != "IN_PROGRESS" {
                    return Err(refused(
                        "InvalidRequestException",
                        "only what is in progress can be canceled",
                    ));
                }
                Ok(vec![change("$.taskStatus", &status, &"CANCELED".into())])
            }
            _ => Err(refused("ResourceNotFoundException", "there is no such thing to change")),
        }
    }
}

/// What the service itself would say.
fn refused(name: &'static str, what: &str) -> Failure {
    Failure::Refused { name, what: what.to_owned() }
}
