//! Which audit a report is of, and what Device Defender says of it.

use fleetwarden_core::api::time::millis;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::report::AuditReport;
use fleetwarden_core::report::CheckReport;
use fleetwarden_core::report::Failure as Why;
use fleetwarden_core::report::Status;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::report::count;
use crate::report::sources::Sources;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::sources::cut;
use fleetwarden_commands::sources::text;

/// The longest message of a check that failed, in characters.
const MESSAGE: usize = 500;

/// An audit by its id, with what `DescribeAuditTask` says of it.
pub(super) type Task = (String, Value);

impl Sources<'_> {
    /// The audit that a command names.
    pub(super) async fn audit(&self, command: &Command) -> Result<Task, Failure> {
        let id = command.text("taskId");
        if !id.is_empty() {
            return Ok((id.to_owned(), self.calls("DescribeAuditTask")?.ask(json!({"taskId": id})).await?));
        }
        self.latest(Some(command.text("scheduledAuditName")).filter(|name| !name.is_empty())).await
    }

    /// The report as far as Device Defender's own account of the audit goes.
    pub(super) fn begin(&self, task_id: String, task: &Value, now: Millis) -> AuditReport {
        let details = task.get("auditDetails").and_then(Value::as_object);
        AuditReport {
            account: self.service.account.clone(),
            region: self.service.iot.region(),
            task_id,
            task_status: text(task, "taskStatus").unwrap_or("UNKNOWN").to_owned(),
            schedule: text(task, "scheduledAuditName").map(ToOwned::to_owned),
            started_at: task.get("taskStartTime").and_then(millis).unwrap_or_default(),
            made_at: now,
            checks: details.into_iter().flatten().map(|(name, details)| self.check(name, details)).collect(),
            ..AuditReport::default()
        }
    }

    fn check(&self, name: &str, details: &Value) -> CheckReport {
        let non_compliant = count(details, "nonCompliantResourcesCount").unwrap_or_default();
        let code = text(details, "errorCode");
        let word = text(details, "checkRunStatus").unwrap_or("without a status");
        let status = match word {
            "FAILED" => Status::Failed,
            "CANCELED" => Status::Canceled,
            "IN_PROGRESS" => Status::InProgress,
            "WAITING_FOR_DATA_COLLECTION" => Status::WaitingForDataCollection,
            // Whatever word it ended with: what was found counts.
            _ if word == "COMPLETED_NON_COMPLIANT" || non_compliant > 0 => Status::NonCompliant,
            _ if code.is_some() => Status::Failed,
            "COMPLETED_COMPLIANT" => Status::Compliant,
            _ => {
                self.gap(name, format!("it ended in a way that is not known here: {}", cut(word, 64)));
                Status::Failed
            }
        };
        let message = text(details, "message");
        let failure = (code.is_some() || message.is_some()).then(|| Why {
            code: code.unwrap_or_default().to_owned(),
            message: cut(message.unwrap_or_default(), MESSAGE),
        });
        CheckReport {
            check: CheckName::new(name),
            status,
            resources: count(details, "totalResourcesCount"),
            non_compliant,
            suppressed: count(details, "suppressedNonCompliantResourcesCount").unwrap_or_default(),
            severities: [].into(),
            reasons: [].into(),
            decisions: Vec::new(),
            changes: None,
            oldest: None,
            examples: Vec::new(),
            failure,
        }
    }
}
