//! The end of a task on findings. Results come first, page by page, then the task's state, the metrics and the alert.

use fleetwarden_aws::Error;
use fleetwarden_aws::clock::millis;
use fleetwarden_aws::mitigations::Confirmed;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::metrics;
use fleetwarden_core::timestamp::Millis;

use super::Findings;
use super::results::End;
use super::results::Written;
use super::statistics::Statistics;
use crate::alerts;
use crate::work::Ended;
use crate::work::Work;

/// Writes how a task has ended, for the check of a request.
pub(super) async fn end(
    findings: &Findings,
    request: &MitigationRequest,
    task: &<Findings as Work>::Task,
    state: State,
    deadline: Millis,
) -> Result<Ended, Error> {
    let Findings { mitigations, clock, .. } = findings;
    let by_check = Statistics::by_check(task);
    let is_own = |check: &str| CheckName::new(check) == request.check;
    let all = by_check.iter().find(|(check, _)| is_own(check)).map(|(_, all)| *all).unwrap_or_default();
    let all = all.wanted(&request.target);
    let elsewhere = by_check.iter().any(|(check, of)| !is_own(check) && of.not_succeeded() > 0);
    let end = End { state, elsewhere, all };
    let failures = match findings.results.write(request, task, &end, deadline).await? {
        Written::All(failures) => failures,
        Written::InPart => return Ok(Ended::InPart),
    };
    let id = request.task_id();
    let ended_at = task.end_time().map_or_else(|| clock.now(), millis);
    let attributes = [
        (attribute::ENDED_AT, ended_at.rfc3339()),
        (attribute::STATISTICS, serde_json::to_string(&by_check).unwrap_or_default()),
    ];
    // Its budgets have it back before its end is written: after that, nothing brings this to an end.
    if !by_check.is_empty() && by_check.values().all(Statistics::is_without_effect) {
        mitigations.give_back(&id).await?;
    }
    // Before its end is written: after that, nothing brings this to an end.
    if all.succeeded > 0 {
        mitigations.put_to_verify(request, ended_at, clock.now()).await?;
    }
    if mitigations.ended(&id, state, &attributes).await? {
        confirm(findings, request, all).await?;
    } else {
        tracing::warn!(mitigation.task_id = id, "the ledger has another end of the task, or none of it");
    }
    tracing::info!(
        mitigation.task_id = id,
        audit.task_id = %request.audit.task_id,
        check = %request.check,
        state = state.as_str(),
        succeeded = all.succeeded,
        failed = all.failed,
        skipped = all.skipped,
        canceled = all.canceled,
        "the mitigation task has ended"
    );
    if !end.is_clean() {
        findings.alerts.raise(&alerts::findings::ended(request, state, all, &failures)).await?;
    }
    Ok(Ended::Written)
}

/// Counts what is confirmed of a check and audit: the sum over its tasks, which is the same after a repeat.
async fn confirm(findings: &Findings, request: &MitigationRequest, all: Statistics) -> Result<(), Error> {
    let count = |n: i64| u64::try_from(n).unwrap_or_default();
    let confirmed = Confirmed { succeeded: count(all.succeeded), failed: count(all.not_succeeded()) };
    let now = findings.clock.now();
    let Confirmed { succeeded, failed } = findings.mitigations.confirm(request, confirmed, now).await?;
    (findings.emit)(
        &metrics::mitigations::Mitigations {
            audit: &request.audit,
            check: &request.check,
            succeeded,
            failed,
        }
        .line(),
    );
    Ok(())
}
