//! A dry run: what a change would change, from what is there now to what would be.

use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_commands::diff::change;
use fleetwarden_commands::dry_run::described;
use fleetwarden_commands::target::Target;
use fleetwarden_commands::target::Verb;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::preconditions::Preconditions;
use crate::preconditions::target_checks;
use crate::repeat::is_repeated;

/// Describes what a command would change. `loses` is what it would destroy.
pub(crate) async fn dry_run(
    service: &Service,
    command: &Command,
    loses: Option<String>,
) -> Result<Box<RawValue>, Failure> {
    described(command, changes(service, command).await?, loses)
}

async fn changes(service: &Service, command: &Command) -> Result<Vec<Value>, Failure> {
    let Some(target) = Target::of(service.family, command)? else {
        let starts = json!({"taskType": "ON_DEMAND_AUDIT_TASK", "targetCheckNames": target_checks(command)});
        return Ok(vec![change("$", &Value::Null, &starts)]);
    };
    let there = service.there(&target).await?;
    if target.verb == Verb::Create && there.as_ref().is_some_and(|there| is_repeated(command, there)) {
        return Ok(Vec::new());
    }
    let mut changes = service.changes(command, &target, there.as_ref())?;
    if target.verb == Verb::Delete && command.flag("deleteScheduledAudits") {
        for name in Preconditions(service).schedules().await? {
            let schedule = json!({"scheduledAuditName": name});
            let schedule = service.ask_if_there("DescribeScheduledAudit", schedule).await?;
            let path = format!("$.scheduledAudits.{name}");
            changes.extend(schedule.map(|schedule| change(&path, &schedule, &Value::Null)));
        }
    }
    Ok(changes)
}
