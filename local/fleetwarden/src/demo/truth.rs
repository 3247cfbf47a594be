//! What has really happened, from the Device Defender endpoint's own controls.

use crate::defender::Defender;
use anyhow::{Context as _, Result};
use hyper::Method;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What an audit found, by check.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    /// The audit's status, such as `IN_PROGRESS`.
    pub(crate) task_status: String,
    /// Findings by check.
    pub(crate) checks: BTreeMap<String, FoundByCheck>,
}

/// What an audit found for one check.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct FoundByCheck {
    /// Findings that nothing suppressed.
    pub(crate) unsuppressed: u64,
    /// Findings that a suppression covered when the audit ran.
    pub(crate) suppressed: u64,
}

impl FoundByCheck {
    /// All findings.
    pub(crate) fn all(self) -> u64 {
        self.unsuppressed + self.suppressed
    }
}

impl Found {
    /// All findings of all checks.
    pub(crate) fn all(&self) -> u64 {
        self.checks.values().map(|check| check.all()).sum()
    }
}

/// What was done to the fleet up to a moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done {
    /// Changes of the fleet by mitigation.
    pub(crate) changes: u64,
    /// Suppressions that stand.
    pub(crate) suppressions: u64,
    /// Findings in mitigation tasks.
    pub(crate) mitigated: u64,
    /// Findings on which every action succeeded, by check.
    pub(crate) confirmed: BTreeMap<String, u64>,
    /// Mitigation tasks, by status.
    pub(crate) tasks: BTreeMap<String, u64>,
    /// For each action on a resource for a check that was applied more than once: how often.
    pub(crate) repeats: Vec<u64>,
    /// Calls by operation, all outcomes.
    pub(crate) calls: BTreeMap<String, u64>,
    /// Calls that the endpoint throttled.
    pub(crate) throttled: u64,
}

impl Defender {
    /// What an audit found. Asked of the controls, so that the log of calls holds no polling of ours.
    pub(crate) async fn found(&self, task: &str) -> Result<Found> {
        let path = format!("/_control/findings-count?taskId={task}");
        let answer = self.call(Method::GET, &path, &Value::Null).await?;
        serde_json::from_value(answer).context("the endpoint's count of findings has another shape")
    }

    /// What was done to the fleet up to now.
    pub(crate) async fn done(&self) -> Result<Done> {
        let state = self.call(Method::GET, "/_control/state", &Value::Null).await?;
        let calls = self.call(Method::GET, "/_control/calls", &Value::Null).await?;
        read(&state, &calls).context("the endpoint's state has another shape")
    }

    /// Whether an audit, a mitigation or a message is still under way at the endpoint.
    pub(crate) async fn busy(&self) -> Result<bool> {
        let state = self.call(Method::GET, "/_control/state", &Value::Null).await?;
        let queued = state.pointer("/publications/queued").and_then(Value::as_u64).unwrap_or_default();
        let settled = |name| state.pointer(&format!("/publications/{name}")).and_then(Value::as_u64);
        let settled = settled("sent").unwrap_or_default() + settled("failed").unwrap_or_default();
        Ok(state.get("busy").and_then(Value::as_bool).unwrap_or_default() || queued > settled)
    }
}

/// Of all tasks together, on how many findings of each check every action succeeded.
fn confirmed(tasks: &[Value]) -> BTreeMap<String, u64> {
    let mut confirmed = BTreeMap::new();
    let statistics = tasks.iter().filter_map(|task| task.get("statistics")?.as_object());
    for (check, counts) in statistics.flatten() {
        let succeeded = counts.get("succeededFindingsCount").and_then(Value::as_u64).unwrap_or_default();
        *confirmed.entry(check.clone()).or_default() += succeeded;
    }
    confirmed
}

fn read(state: &Value, calls: &Value) -> Option<Done> {
    let tasks = calls.get("mitigationTasks")?.as_array()?;
    let repeated = calls.pointer("/effects/repeated")?.as_array()?;
    let by_operation = calls.get("byOperation")?.as_object()?;
    let times = |outcomes: &Value, of: &dyn Fn(&str) -> bool| {
        let outcomes = outcomes.as_object().into_iter().flatten();
        outcomes.filter(|(outcome, _)| of(outcome)).filter_map(|(_, times)| times.as_u64()).sum::<u64>()
    };
    let throttle = |outcome: &str| outcome == "ThrottlingException";
    Some(Done {
        changes: state.pointer("/fleet/changes")?.as_u64()?,
        suppressions: state.get("suppressions")?.as_u64()?,
        mitigated: tasks.iter().filter_map(|task| task.get("findings")?.as_u64()).sum(),
        confirmed: confirmed(tasks),
        tasks: serde_json::from_value(state.get("mitigationTasks")?.clone()).ok()?,
        repeats: repeated.iter().filter_map(|effect| effect.get("times")?.as_u64()).collect(),
        calls: by_operation.iter().map(|(name, by)| (name.clone(), times(by, &|_| true))).collect(),
        throttled: by_operation.values().map(|by| times(by, &throttle)).sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_the_endpoints_state_and_calls() {
        let state =
            json!({ "fleet": { "changes": 3 }, "suppressions": 2, "mitigationTasks": { "COMPLETED": 1 } });
        let calls = json!({
            "byOperation": { "ListAuditFindings": { "ok": 4, "ThrottlingException": 1 } },
            "mitigationTasks": [
                { "findings": 20, "statistics": { "C": { "succeededFindingsCount": 18 } } },
                { "findings": 5, "statistics": { "C": { "succeededFindingsCount": 5 } } },
            ],
            "effects": { "total": 9, "distinct": 8, "repeated": [{ "times": 2 }] },
        });
        let done = read(&state, &calls).unwrap();
        assert_eq!((done.changes, done.suppressions, done.mitigated, done.throttled), (3, 2, 25, 1));
        assert_eq!(done.confirmed, BTreeMap::from([("C".to_owned(), 23)]));
        assert_eq!(done.repeats, [2]);
        assert_eq!(done.calls["ListAuditFindings"], 5);
    }
}
