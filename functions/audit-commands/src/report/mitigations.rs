//! The mitigation tasks on an audit's findings.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::api::time::millis;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::model::mitigation::Outcomes;
use fleetwarden_core::report::MitigationReport;
use fleetwarden_core::report::NotStartedReport;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::report::count;
use crate::report::sources::Sources;
use fleetwarden_commands::Failure;
use fleetwarden_commands::sources::Calls;
use fleetwarden_commands::sources::text;

/// How many pages of tasks are listed, and how many tasks are in the report.
const PAGES: u32 = 8;
const TASKS: usize = 50;
/// How long the service keeps an audit, in seconds, with a day to spare.
const KEPT_SECONDS: i64 = 89 * 86_400;

impl Sources<'_> {
    /// Fills in the mitigation tasks, newest first, what was decided and not started, and how much is confirmed. Says
    /// whether it is unknown which tasks there are.
    pub(super) async fn mitigations(
        &self,
        audit: &Audit,
        now: Millis,
        tasks: &mut Vec<MitigationReport>,
        not_started: &mut NotStartedReport,
        confirmed: &mut Option<Outcomes>,
    ) -> bool {
        let mut all = BTreeSet::new();
        let mut unknown = true;
        self.tell("mitigations", async {
            all = self.list_tasks(audit, now, tasks).await?;
            unknown = false;
            Ok(())
        })
        .await;
        if let Ok(mut describe) = self.calls("DescribeAuditMitigationActionsTask") {
            for task in &mut *tasks {
                self.tell(format!("mitigation {}", task.task_id), fill(task, &mut describe)).await;
            }
        }
        let of_ledger = self.not_started(audit, &all, tasks, not_started, confirmed);
        self.tell("who asked for mitigations, and which were not started", of_ledger).await;
        unknown
    }

    /// A task on an audit begins after it. Gives the ids of all, of which the newest are kept.
    async fn list_tasks(
        &self,
        audit: &Audit,
        now: Millis,
        tasks: &mut Vec<MitigationReport>,
    ) -> Result<BTreeSet<String>, Failure> {
        let since = audit.started_at.max(now.plus_seconds(-KEPT_SECONDS));
        let input = json!({
            "auditTaskId": audit.task_id,
            "startTime": since.seconds(),
            "endTime": now.plus_seconds(60).seconds(),
        });
        let take = |page: Vec<Value>| {
            tasks.extend(page.iter().filter_map(listed));
            true
        };
        let outcome = self.calls("ListAuditMitigationActionsTasks")?.pages(input, &mut { PAGES }, take).await;
        tasks.sort_by_key(|task| Reverse(task.started_at));
        if tasks.len() > TASKS || matches!(outcome, Ok(false)) {
            self.gap(
                "mitigations",
                format!("only the newest {TASKS} are told; ListAuditMitigationActionsTasks has them all"),
            );
        }
        let all = tasks.iter().map(|task| task.task_id.clone()).collect();
        tasks.truncate(TASKS);
        outcome.map(|_| all)
    }
}

fn listed(task: &Value) -> Option<MitigationReport> {
    Some(MitigationReport {
        task_id: text(task, "taskId")?.to_owned(),
        task_status: text(task, "taskStatus").unwrap_or("UNKNOWN").to_owned(),
        started_at: task.get("startTime").and_then(millis).unwrap_or_default(),
        ended_at: None,
        by: None,
        actions: BTreeMap::new(),
        findings: Outcomes::default(),
    })
}

/// What the service says of a task.
async fn fill(task: &mut MitigationReport, describe: &mut Calls<'_>) -> Result<(), Failure> {
    let described = describe.ask(json!({"taskId": task.task_id})).await?;
    if let Some(status) = text(&described, "taskStatus") {
        status.clone_into(&mut task.task_status);
    }
    task.ended_at = described.get("endTime").and_then(millis);
    let mapping = described.get("auditCheckToActionsMapping").and_then(Value::as_object);
    let names = |actions: &Value| {
        let actions = actions.as_array().into_iter().flatten();
        actions.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    };
    let mapping = mapping.into_iter().flatten();
    task.actions = mapping.map(|(check, actions)| (CheckName::new(check), names(actions))).collect();
    let statistics = described.get("taskStatistics").and_then(Value::as_object);
    for (_, of_check) in statistics.into_iter().flatten() {
        let count = |name: &str| count(of_check, name).unwrap_or_default();
        let Outcomes { total, succeeded, failed, skipped, canceled } = &mut task.findings;
        *total += count("totalFindingsCount");
        *succeeded += count("succeededFindingsCount");
        *failed += count("failedFindingsCount");
        *skipped += count("skippedFindingsCount");
        *canceled += count("canceledFindingsCount");
    }
    Ok(())
}
