//! The last audit of each check that came to its end.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::ids::check::KNOWN;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::iot::Budget;
use crate::iot::Iot;
use crate::iot::List;
use crate::state::LastAudit;

/// The days back in which audits are looked for, a stretch at a time: the newest come first. The service keeps 90.
const STRETCHES: [i64; 5] = [0, 2, 8, 35, 89];
/// How many audits are described to find the last one of each check.
const AUDITS: usize = 100;
const AUDIT_TASKS: List = List { operation: "ListAuditTasks", entries: "tasks", marked: false };

/// The answer of `DescribeAuditTask`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Audit {
    task_start_time: f64,
    #[serde(default)]
    audit_details: BTreeMap<CheckName, Details>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Details {
    check_run_status: String,
    non_compliant_resources_count: u64,
    suppressed_non_compliant_resources_count: u64,
}

/// Finds the last audit of each check, as far as there is time for.
pub(crate) async fn last_audits(
    iot: Iot<'_>,
    budget: &Budget<'_>,
    now: Millis,
) -> Result<BTreeMap<CheckName, LastAudit>, Error> {
    let (mut latest, mut described) = (BTreeMap::new(), 0);
    for stretch in STRETCHES.windows(2) {
        let [to, from] = *stretch else { continue };
        let input = json!({
            "startTime": now.seconds() - from * 86_400, "endTime": now.seconds() - to * 86_400,
            "taskStatus": "COMPLETED",
        });
        let Value::Object(input) = input else { continue };
        let mut tasks = Vec::new();
        let take = |task: &Value| {
            tasks.extend(task.get("taskId").and_then(Value::as_str).map(ToOwned::to_owned));
        };
        iot.list(AUDIT_TASKS, input, budget, take).await?;
        for task in tasks.into_iter().take(AUDITS.saturating_sub(described)) {
            described += 1;
            let audit: Audit = iot.ask("DescribeAuditTask", json!({"taskId": task})).await?;
            merge(&mut latest, &task, audit);
        }
        if described >= AUDITS || KNOWN.iter().all(|check| latest.contains_key(&CheckName::new(check))) {
            break;
        }
    }
    Ok(latest)
}

/// Takes the checks of an audit that have ended, unless a later audit of them is known.
fn merge(latest: &mut BTreeMap<CheckName, LastAudit>, task: &str, audit: Audit) {
    #[expect(clippy::cast_possible_truncation, reason = "a time of the service")]
    let started = Millis((audit.task_start_time * 1000.0) as i64);
    for (check, details) in audit.audit_details {
        let ended = details.check_run_status.starts_with("COMPLETED");
        if ended && latest.get(&check).is_none_or(|other| other.started < started) {
            let last = LastAudit {
                task: task.to_owned(),
                started,
                non_compliant: details.non_compliant_resources_count,
                suppressed: details.suppressed_non_compliant_resources_count,
            };
            latest.insert(check, last);
        }
    }
}
