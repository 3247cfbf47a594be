//! The end of a task of Detect. Its words are its own: `SUCCESSFUL` where a task of findings says `COMPLETED`, and counts
//! of actions instead of findings.
//!
//! That it has ended is written last, when its results are written, people are alerted and a release is on its way: so
//! a message that comes after that has nothing to do.

use aws_sdk_iot::types::DetectMitigationActionsTaskStatistics as Statistics;
use aws_sdk_iot::types::DetectMitigationActionsTaskSummary as DetectTask;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::millis;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::AlarmStep;
use fleetwarden_core::model::mitigation::before::additions;
use serde_json::json;

use super::Violations;
use super::notes::MITIGATED;
use super::notes::Notes;
use super::results;
use super::results::ViolationResult;
use super::task;
use crate::alerts;

/// Writes how a task has ended.
pub(super) async fn end(
    violations: &Violations,
    request: &AlarmMitigationRequest,
    task: &DetectTask,
    state: State,
) -> Result<(), Error> {
    let Violations { mitigations, clock, .. } = violations;
    let id = request.task_id();
    let known = mitigations.alarm_task(&id).await?;
    let Some(known) = known.filter(|known| known.state != Some(State::Lost)) else {
        tracing::warn!(mitigation.task_id = id, "the task was taken for lost: how it ended is not recorded");
        return Ok(());
    };
    let counts = task.task_statistics().map(counts).unwrap_or_default();
    // A task over nothing succeeds, and has nothing to list.
    let executions = match (state, counts) {
        (State::Completed, (0, 0, 0)) => Vec::new(),
        _ => task::executions(&violations.iot, &id).await?,
    };
    let added = additions(&mitigations.befores(&id).await?);
    let results = results::of(&known, &added, &executions);
    results::write(mitigations.ledger(), &id, &results, clock.now()).await?;
    note_results(&violations.notes, request, &results).await?;
    let is_clean = |result: &ViolationResult| matches!(result.state(), "completed" | "not-in-alarm");
    if state != State::Completed || !results.iter().all(is_clean) {
        violations.alerts.raise(&alerts::alarms::ended(request, state, &results)).await?;
    }
    let ours = results.iter().any(|result| !result.groups.is_empty());
    if request.release_after_seconds.is_some() && ours {
        let release = AlarmMitigationMessage::new(request.clone(), AlarmStep::Release);
        violations.backoff.send_first(&release).await?;
    }
    let (executed, skipped, failed) = counts;
    let ended_at = task.task_end_time().map_or_else(|| clock.now(), millis);
    let statistics = json!({"executed": executed, "skipped": skipped, "failed": failed});
    let attributes =
        [(attribute::ENDED_AT, ended_at.rfc3339()), (attribute::STATISTICS, statistics.to_string())];
    // Its budgets have it back before its end is written: after that, nothing brings this to an end.
    if task.task_statistics().is_some() && executed == 0 && failed == 0 {
        mitigations.give_back(&id).await?;
    }
    if !mitigations.ended(&id, state, &attributes).await? {
        tracing::warn!(mitigation.task_id = id, "the ledger has another end of the task, or none of it");
    }
    let state = state.as_str();
    tracing::info!(
        mitigation.task_id = id,
        state,
        executed,
        skipped,
        failed,
        "the mitigation task has ended"
    );
    Ok(())
}

async fn note_results(
    notes: &Notes,
    request: &AlarmMitigationRequest,
    results: &[ViolationResult],
) -> Result<(), Error> {
    for result in results {
        let (what, reason) = match result.state() {
            "completed" => (MITIGATED, None),
            "not-in-alarm" => ("not-mitigated", Some("the alarm had ended when the task began")),
            _ => ("mitigation-failed", Some("an action failed, was skipped, or is not known")),
        };
        notes.note(request, &result.violation, what, reason).await?;
    }
    Ok(())
}

/// How many actions were executed, skipped, and failed.
fn counts(statistics: &Statistics) -> (i64, i64, i64) {
    let of = Option::unwrap_or_default;
    (of(statistics.actions_executed()), of(statistics.actions_skipped()), of(statistics.actions_failed()))
}
