//! Which audit a report is of, and what Device Defender says of it.

use fleetwarden_core::api::input::millis;
use fleetwarden_core::check::CheckName;
use fleetwarden_core::report::AuditReport;
use fleetwarden_core::report::CheckReport;
use fleetwarden_core::report::Failure as Why;
use fleetwarden_core::report::Status;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::calls::is;
use crate::command::Command;
use crate::failure::Failure;
use crate::report::count;
use crate::report::cut;
use crate::report::sources::Sources;
use crate::report::text;

/// Where audits are looked for, in days ago: the latest is mostly of today, and the service keeps them for 90 days,
/// lists them in no order that it promises, and tells when one began only of one at a time.
const WINDOWS: [(i64, i64); 8] = [(0, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 89)];
/// How many pages of audits are read.
const PAGES: u32 = 100;
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

    /// The latest audit that has ended, or the latest at all if none has.
    async fn latest(&self, schedule: Option<&str>) -> Result<Task, Failure> {
        let now = self.commands.clock.now();
        let ago = |days: i64| now.plus_seconds(-days * 86_400).seconds();
        let (mut list, mut pages) = (self.calls("ListAuditTasks")?, PAGES);
        let mut running = None;
        for (to, from) in WINDOWS {
            // Clocks differ.
            let end = if to == 0 { now.plus_seconds(60).seconds() } else { ago(to) };
            let period = match schedule {
                Some(_) => {
                    json!({"startTime": ago(from), "endTime": end, "taskType": "SCHEDULED_AUDIT_TASK"})
                }
                None => json!({"startTime": ago(from), "endTime": end}),
            };
            let (mut ended, mut under_way) = (Vec::new(), Vec::new());
            let sort = |tasks: Vec<Value>| {
                for task in tasks {
                    let Some(id) = text(&task, "taskId") else { continue };
                    let is_running = text(&task, "taskStatus") == Some("IN_PROGRESS");
                    if is_running { &mut under_way } else { &mut ended }.push(id.to_owned());
                }
            };
            list.pages(period, &mut pages, sort).await?;
            if let Some(task) = self.newest(ended, schedule).await? {
                return Ok(task);
            }
            if running.is_none() {
                running = self.newest(under_way, schedule).await?;
            }
        }
        running.ok_or_else(|| {
            let of = schedule.map(|name| format!(" of '{name}'")).unwrap_or_default();
            let what = format!("there is no audit{of} in the 90 days that Device Defender keeps them");
            Failure::Refused { name: "NoAudit", what }
        })
    }

    /// Of these audits, the one that began last.
    async fn newest(&self, ids: Vec<String>, schedule: Option<&str>) -> Result<Option<Task>, Failure> {
        let mut describe = self.calls("DescribeAuditTask")?;
        let mut newest: Option<(Option<Millis>, Task)> = None;
        for id in ids {
            let task = match describe.ask(json!({"taskId": id})).await {
                // It was kept for 90 days when it was listed.
                Err(Failure::Aws(error)) if is(&error, "ResourceNotFoundException") => continue,
                task => task?,
            };
            let at = task.get("taskStartTime").and_then(millis);
            let fits = schedule.is_none_or(|name| text(&task, "scheduledAuditName") == Some(name));
            if fits && newest.as_ref().is_none_or(|(newest, _)| at > *newest) {
                newest = Some((at, (id, task)));
            }
        }
        Ok(newest.map(|(_, task)| task))
    }

    /// The report as far as Device Defender's own account of the audit goes.
    pub(super) fn begin(&self, task_id: String, task: &Value, now: Millis) -> AuditReport {
        let details = task.get("auditDetails").and_then(Value::as_object);
        AuditReport {
            account: self.commands.account.clone(),
            region: self.commands.iot.region(),
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
            changes: None,
            oldest: None,
            examples: Vec::new(),
            failure,
        }
    }
}
