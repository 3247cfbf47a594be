//! What a change would change, without making it: from what is there now to what would be.

use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::diff::change;
use fleetwarden_commands::dry::told;
use fleetwarden_commands::subject::Subject;
use fleetwarden_commands::subject::Verb;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::AuditCommands;
use crate::account::target_checks;
use crate::repeat::is_repeated;

impl AuditCommands {
    /// Tells what a command would change. `loses` is what it would destroy.
    pub(crate) async fn dry_run(
        &self,
        command: &Command,
        loses: Option<String>,
    ) -> Result<Box<RawValue>, Failure> {
        told(command, self.changes(command).await?, loses)
    }

    async fn changes(&self, command: &Command) -> Result<Vec<Value>, Failure> {
        let Some(subject) = Subject::of(self.service.family, command)? else {
            let starts =
                json!({"taskType": "ON_DEMAND_AUDIT_TASK", "targetCheckNames": target_checks(command)});
            return Ok(vec![change("$", &Value::Null, &starts)]);
        };
        let there = self.service.there(&subject).await?;
        if subject.verb == Verb::Create && there.as_ref().is_some_and(|there| is_repeated(command, there)) {
            return Ok(Vec::new());
        }
        let mut changes = self.service.changes(command, &subject, there.as_ref())?;
        if subject.verb == Verb::Delete && command.flag("deleteScheduledAudits") {
            for name in self.schedules().await? {
                let schedule = json!({"scheduledAuditName": name});
                let schedule = self.service.ask_if_there("DescribeScheduledAudit", schedule).await?;
                let path = format!("$.scheduledAudits.{name}");
                changes.extend(schedule.map(|schedule| change(&path, &schedule, &Value::Null)));
            }
        }
        Ok(changes)
    }
}
