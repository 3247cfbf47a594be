//! What became of each violation of an ended task, and which groups its thing was put into.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use aws_sdk_iot::types::DetectMitigationActionExecution as Execution;
use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::AlarmTask;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::model::mitigation::before::Additions;
use fleetwarden_core::model::mitigation::view::ActionResult;
use fleetwarden_core::timestamp::Millis;

/// The service's word for an action that was done.
const DONE: &str = "SUCCESSFUL";

/// What became of one violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ViolationResult {
    pub(crate) violation: ViolationRef,
    /// What became of each action. None: the task did not touch it.
    pub(crate) actions: Vec<ActionResult>,
    /// The groups that its thing was put into and was not in before.
    pub(crate) groups: BTreeSet<String>,
}

impl ViolationResult {
    /// The state of the violation's mitigation. The service takes only what is in alarm when the task begins, so what it
    /// did not touch had ended.
    pub(crate) fn state(&self) -> &'static str {
        let any = |word: &str| self.actions.iter().any(|action| action.status == word);
        match () {
            () if self.actions.is_empty() => "not-in-alarm",
            () if any("FAILED") => "failed",
            () if self.actions.iter().all(|action| action.status == DONE) => "completed",
            () if any("SKIPPED") => "skipped",
            () => "unknown",
        }
    }
}

/// What became of each violation of a task, by its executions. Pure.
///
/// What an action that failed has put the thing into before it failed is not known, and so not counted as ours.
pub(super) fn of(task: &AlarmTask, added: &Additions, executions: &[Execution]) -> Vec<ViolationResult> {
    let mut by_violation: BTreeMap<&str, Vec<&Execution>> = BTreeMap::new();
    for execution in executions {
        by_violation.entry(execution.violation_id().unwrap_or_default()).or_default().push(execution);
    }
    let result = |violation: &ViolationRef| {
        let id = violation.violation_id.as_str();
        let executed = by_violation.get(id).map(Vec::as_slice).unwrap_or_default();
        let additions = added.get(id);
        let done = executed.iter().filter(|execution| status(execution) == DONE);
        let added = done.filter_map(|execution| additions?.get(execution.action_name()?));
        ViolationResult {
            violation: violation.clone(),
            groups: added.flatten().cloned().collect(),
            actions: executed.iter().map(|execution| action(execution)).collect(),
        }
    };
    task.violations.iter().map(result).collect()
}

fn status(execution: &Execution) -> &str {
    execution.status().map_or("", |status| status.as_str())
}

fn action(execution: &Execution) -> ActionResult {
    ActionResult {
        action: execution.action_name().unwrap_or_default().to_owned(),
        status: status(execution).to_owned(),
        error_code: execution.error_code().map(ToOwned::to_owned),
        message: execution.message().map(ToOwned::to_owned),
    }
}

/// Writes what became of each violation of a task. A repeat writes the same again.
pub(super) async fn write(
    ledger: &Ledger,
    task_id: &str,
    results: &[ViolationResult],
    now: Millis,
) -> Result<(), Error> {
    ledger.put_all(results.iter().map(|result| item(task_id, result, now)).collect()).await
}

/// The sort key of what became of a violation.
pub(super) fn result_key(violation_id: &str) -> String {
    format!("violation#{violation_id}")
}

/// The item of what became of a violation.
fn item(task_id: &str, result: &ViolationResult, now: Millis) -> Item {
    let ViolationRef { violation_id, thing, raised_at } = &result.violation;
    Item::new(&keys::mitigation(task_id), &result_key(violation_id), now)
        .text(attribute::TASK_ID, task_id)
        .text(attribute::VIOLATION_ID, violation_id)
        .text(attribute::THING, thing)
        .number(attribute::RAISED_AT, raised_at.0)
        .text(attribute::STATE, result.state())
        .json(attribute::ACTIONS, &result.actions)
        .json(attribute::GROUPS, &result.groups)
}
