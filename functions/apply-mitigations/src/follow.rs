//! The second step, repeated: a task that was started is looked at until it has ended.
//!
//! Results come first, then the task's state, then the alert: after a crash on the way the message is delivered again,
//! and all three are the same when they are done again. A follow-up changes nothing in the fleet. What it writes is
//! from the service, and only about what the ledger has: the id of a rule's task is made of its request, and a command's
//! request is compared with what the command wrote.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Taken;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::api::input::millis;
use fleetwarden_core::check::CheckName;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Target;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::ApplyMitigations;
use crate::alerts;
use crate::backoff::LONGEST_FOLLOW_SECONDS;
use crate::backoff::PATIENCE_SECONDS;
use crate::task;
use crate::task::Task;
use crate::task::TaskTarget;

/// The longest that an invocation lasts (Lambda). What was claimed within it may be about to start.
pub(crate) const INVOCATION_SECONDS: i64 = 900;

/// How many findings of a check ended in which way (`TaskStatisticsForAuditCheck`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Statistics {
    pub(crate) total: i64,
    pub(crate) succeeded: i64,
    pub(crate) failed: i64,
    pub(crate) skipped: i64,
    pub(crate) canceled: i64,
}

impl Statistics {
    /// How many did not succeed.
    pub(crate) const fn not_succeeded(self) -> i64 {
        self.failed.saturating_add(self.skipped).saturating_add(self.canceled)
    }
}

impl ApplyMitigations {
    /// Looks at a task once.
    pub(crate) async fn follow(&self, message: MitigationMessage, deadline: Millis) -> Result<(), Error> {
        let request = &message.request;
        request.verify(&self.account).map_err(Error::Input)?;
        if matches!(request.origin, Origin::Command(_)) && !self.mitigations.is_of_command(request).await? {
            return Err(Error::Input("no command has asked for what the message is about".to_owned()));
        }
        if self.take_round(&message).await? == Taken::Passed {
            return Ok(());
        }
        let id = request.task_id();
        let Some(task) = task::describe(&self.iot, &id).await? else { return self.lost(message).await };
        // The status is looked at, not the mere existence; and a word that is new says that it goes on.
        match task.status.as_deref() {
            Some("COMPLETED") => self.ended(request, &task, State::Completed, deadline).await,
            Some("FAILED") => self.ended(request, &task, State::Failed, deadline).await,
            Some("CANCELED") => self.ended(request, &task, State::Canceled, deadline).await,
            status => {
                tracing::info!(mitigation.task_id = id, status, waits = message.waits, "the task runs");
                // A false message could say that the task has run for long, so the service says since when.
                let since = task.start_time.as_ref().and_then(millis).or(message.since);
                let runs_for = |seconds| since.is_some_and(|since| self.is_past(since, seconds));
                if runs_for(LONGEST_FOLLOW_SECONDS) {
                    return self.follow_no_more(request).await;
                }
                if runs_for(PATIENCE_SECONDS) {
                    self.alerts.raise(&alerts::slow(request)).await?;
                }
                self.put_off(message).await
            }
        }
    }

    async fn ended(
        &self,
        request: &MitigationRequest,
        task: &Task,
        state: State,
        deadline: Millis,
    ) -> Result<(), Error> {
        let id = request.task_id();
        let by_check = statistics(task);
        let is_own = |check: &str| CheckName::new(check) == request.check;
        let all = by_check.iter().find(|(check, _)| is_own(check)).map(|(_, all)| *all).unwrap_or_default();
        // Of a command's task another check may be what failed, which has a follow-up of its own.
        let elsewhere = by_check.iter().any(|(check, of)| !is_own(check) && of.not_succeeded() > 0);
        let finding_ids = &findings(request, task);
        let clean = (state == State::Completed || elsewhere) && all.not_succeeded() == 0;
        let surely = clean && usize::try_from(all.succeeded) == Ok(finding_ids.len());
        let results = self.results(request, finding_ids, surely, deadline).await?;
        self.write_results(request, &results).await?;
        let ended_at = task.end_time.as_ref().and_then(millis);
        let ended_at = ended_at.unwrap_or_else(|| self.consumer.clock.now());
        let attributes = [
            (attribute::ENDED_AT, ended_at.rfc3339()),
            (attribute::STATISTICS, serde_json::to_string(&by_check).unwrap_or_default()),
        ];
        if !self.mitigations.ended(&id, state, &attributes).await? {
            tracing::warn!(mitigation.task_id = id, "the ledger has another end of the task, or none of it");
        }
        tracing::info!(
            mitigation.task_id = id,
            state = state.as_str(),
            succeeded = all.succeeded,
            failed = all.failed,
            skipped = all.skipped,
            canceled = all.canceled,
            "the mitigation task has ended"
        );
        if clean {
            return Ok(());
        }
        self.alerts.raise(&alerts::ended(request, state, all, &results)).await
    }

    async fn lost(&self, message: MitigationMessage) -> Result<(), Error> {
        let request = &message.request;
        let id = request.task_id();
        if let Origin::Command(_) = request.origin {
            // Its follow-up is on its way before its start, so that it may never have been started.
            let now = self.consumer.clock.now();
            let reason =
                "the start was not done, or its answer was lost, and the service does not know the task";
            match self.mitigations.release(&id, reason, now.plus_seconds(-INVOCATION_SECONDS), now).await? {
                Some(State::Claimed) => return self.put_off(message).await,
                Some(State::Started | State::Lost) => {}
                state => {
                    tracing::info!(
                        mitigation.task_id = id,
                        state = state.map(State::as_str),
                        "nothing to follow: the task was not started"
                    );
                    return Ok(());
                }
            }
        }
        let ended_at = [(attribute::ENDED_AT, self.consumer.clock.now().rfc3339())];
        if !self.mitigations.lost(&id, &ended_at).await? {
            tracing::warn!(
                mitigation.task_id = id,
                "the service does not know the task, and the ledger has none that was started"
            );
            return Ok(());
        }
        self.alerts.raise(&alerts::lost(request)).await
    }

    /// Ends the follow-ups of a task that the service says to run for longer than it keeps a task.
    async fn follow_no_more(&self, request: &MitigationRequest) -> Result<(), Error> {
        let id = request.task_id();
        let attributes = [
            (attribute::ENDED_AT, self.consumer.clock.now().rfc3339()),
            (attribute::REASON, "the task still runs after 90 days, and is not followed any more".to_owned()),
        ];
        if self.mitigations.ended(&id, State::Lost, &attributes).await? {
            self.alerts.raise(&alerts::endless(request)).await?;
        }
        tracing::error!(
            mitigation.task_id = id,
            "the task still runs after 90 days, and is not followed any more"
        );
        Ok(())
    }
}

/// Which of a request's findings the task has: what other tasks had was left out. None are known of a whole check,
/// whose findings nobody counted up by name.
fn findings(request: &MitigationRequest, task: &Task) -> Vec<String> {
    let Target::Findings(findings) = &request.target else { return Vec::new() };
    let mut asked: BTreeSet<&str> = findings.iter().map(|finding| finding.finding_id.as_str()).collect();
    let of_task = task.target.as_ref().map(TaskTarget::finding_ids).unwrap_or_default();
    // Each once, also if a command named it twice.
    of_task.iter().filter(|id| asked.remove(id.as_str())).cloned().collect()
}

/// The statistics by check.
fn statistics(task: &Task) -> BTreeMap<&str, Statistics> {
    task.statistics
        .iter()
        .flatten()
        .map(|(check, of)| {
            let statistics = Statistics {
                total: of.total.unwrap_or_default(),
                succeeded: of.succeeded.unwrap_or_default(),
                failed: of.failed.unwrap_or_default(),
                skipped: of.skipped.unwrap_or_default(),
                canceled: of.canceled.unwrap_or_default(),
            };
            (check.as_str(), statistics)
        })
        .collect()
}
