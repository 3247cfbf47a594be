//! What a change would change, without making it: from what is there now to what would be.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::AuditCommands;
use crate::calls::answer;
use crate::command::Command;
use crate::diff::change;
use crate::diff::updated;
use crate::failure::Failure;
use crate::repeat::is_repeated;
use crate::subject::Subject;
use crate::subject::Verb;

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
        let Some(subject) = Subject::of(command)? else {
            let starts =
                json!({"taskType": "ON_DEMAND_AUDIT_TASK", "targetCheckNames": command.target_checks()});
            return Ok(vec![change("$", &Value::Null, &starts)]);
        };
        let name = command.operation.name;
        let refused = |error: &'static str, what: &str| {
            Err(Failure::Refused { name: error, what: format!("{name}: {what}") })
        };
        match (subject.verb, self.there(&subject).await?) {
            (Verb::Create, Some(there)) if is_repeated(command, &there) => Ok(Vec::new()),
            (Verb::Create, Some(_)) => {
                refused("ResourceAlreadyExistsException", "it exists already; update it, or delete it first")
            }
            (Verb::Create, None) => Ok(vec![change("$", &Value::Null, &subject.whole())]),
            (Verb::Update, Some(there)) => Ok(updated(&there, &with_implied(&subject, &there))),
            (Verb::Delete, Some(there)) => {
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
            (Verb::Delete, None) if ["AuditSuppression", "MitigationAction"].contains(&subject.kind) => {
                Ok(Vec::new())
            }
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

/// What an update changes beside what it names: a day goes with its frequency, and an end is either a time or never.
fn with_implied(subject: &Subject, there: &Value) -> Map<String, Value> {
    let mut wanted = subject.wanted.clone();
    let mut imply = |member: &str, value: Value| {
        if there.get(member).is_some() {
            wanted.entry(member).or_insert(value);
        }
    };
    if let Some(frequency) = subject.wanted.get("frequency").and_then(Value::as_str) {
        let stays = match frequency {
            "WEEKLY" | "BIWEEKLY" => "dayOfWeek",
            "MONTHLY" => "dayOfMonth",
            _ => "",
        };
        for gone in ["dayOfMonth", "dayOfWeek"].into_iter().filter(|day| *day != stays) {
            imply(gone, Value::Null);
        }
    }
    if subject.wanted.get("suppressIndefinitely") == Some(&Value::Bool(true)) {
        imply("expirationDate", Value::Null);
    }
    if subject.wanted.contains_key("expirationDate") {
        imply("suppressIndefinitely", false.into());
    }
    wanted
}
