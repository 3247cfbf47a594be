//! The second step, repeated: a task that was started is looked at until it has ended.
//!
//! Results come first, page by page, then the task's state, the metrics and the alert: after a crash on the way the message
//! is delivered again, and all of it is the same when it is done again. A follow-up changes nothing in the fleet. What it writes is
//! from the service, and only about what the ledger has: the id of a rule's task is made of its request, and a command's
//! request is compared with what the command wrote.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Confirmed;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Taken;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Target;
use fleetwarden_core::metrics;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::ApplyMitigations;
use crate::alerts;
use crate::backoff::LONGEST_FOLLOW_SECONDS;
use crate::backoff::PATIENCE_SECONDS;
use crate::results::End;
use crate::results::Written;
use crate::task;
use crate::task::Task;

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
    /// Without what nobody wanted mitigated: a task of a whole check skips what is suppressed and what has other reason
    /// codes than its own.
    const fn wanted(self, target: &Target) -> Self {
        match target {
            Target::WholeCheck { .. } => {
                Self { total: self.total.saturating_sub(self.skipped), skipped: 0, ..self }
            }
            Target::Findings(_) => self,
        }
    }

    /// How many did not succeed.
    pub(crate) const fn not_succeeded(self) -> i64 {
        self.failed.saturating_add(self.skipped).saturating_add(self.canceled)
    }
}

impl ApplyMitigations {
    /// Looks at a task once.
    pub(crate) async fn follow(&self, message: MitigationMessage, deadline: Millis) -> Result<(), Error> {
        let request = &message.request;
        request.check_account(&self.account).map_err(Error::Input)?;
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
            Some("COMPLETED") => self.ended(message, &task, State::Completed, deadline).await,
            Some("FAILED") => self.ended(message, &task, State::Failed, deadline).await,
            Some("CANCELED") => self.ended(message, &task, State::Canceled, deadline).await,
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
        message: MitigationMessage,
        task: &Task,
        state: State,
        deadline: Millis,
    ) -> Result<(), Error> {
        let by_check = statistics(task);
        let is_own = |check: &str| CheckName::new(check) == message.request.check;
        let all = by_check.iter().find(|(check, _)| is_own(check)).map(|(_, all)| *all).unwrap_or_default();
        let all = all.wanted(&message.request.target);
        let elsewhere = by_check.iter().any(|(check, of)| !is_own(check) && of.not_succeeded() > 0);
        let end = End { state, elsewhere, all };
        let failures = match self.results(&message.request, task, &end, deadline).await? {
            Written::All(failures) => failures,
            Written::InPart => {
                tracing::info!(
                    mitigation.task_id = message.request.task_id(),
                    "the task has ended, and its results go on in another message"
                );
                let now = self.consumer.clock.now();
                return self.put_off_until(message, now).await;
            }
        };
        let request = &message.request;
        let id = request.task_id();
        let ended_at = task.end_time.as_ref().and_then(millis);
        let ended_at = ended_at.unwrap_or_else(|| self.consumer.clock.now());
        let attributes = [
            (attribute::ENDED_AT, ended_at.rfc3339()),
            (attribute::STATISTICS, serde_json::to_string(&by_check).unwrap_or_default()),
        ];
        if self.mitigations.ended(&id, state, &attributes).await? {
            self.confirm(request, all).await?;
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
        if end.is_clean() {
            return Ok(());
        }
        self.alerts.raise(&alerts::ended(request, state, all, &failures)).await
    }

    /// Counts what is confirmed of a check and audit: the sum over its tasks, which is the same after a repeat.
    async fn confirm(&self, request: &MitigationRequest, all: Statistics) -> Result<(), Error> {
        let count = |n: i64| u64::try_from(n).unwrap_or_default();
        let confirmed = Confirmed { succeeded: count(all.succeeded), failed: count(all.not_succeeded()) };
        let Confirmed { succeeded, failed } =
            self.mitigations.confirm(request, confirmed, self.consumer.clock.now()).await?;
        (self.emit)(&metrics::mitigation_line(&request.audit, &request.check, succeeded, failed));
        Ok(())
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
