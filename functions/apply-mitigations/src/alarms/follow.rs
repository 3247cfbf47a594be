//! The second step, repeated: a task of Detect that was started is looked at until it has ended, as one of findings is
//! in [`follow`](crate::follow). Its words are its own: `SUCCESSFUL` where a task of findings says `COMPLETED`, and counts
//! of actions instead of findings.
//!
//! That it has ended is written last, when its results are written, people are alerted and a release is on its way: so
//! a message that comes after that has nothing to do.

use aws_sdk_iot::types::DetectMitigationActionsTaskStatistics as Statistics;
use aws_sdk_iot::types::DetectMitigationActionsTaskStatus as TaskStatus;
use aws_sdk_iot::types::DetectMitigationActionsTaskSummary as Task;
use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::AlarmTask;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Taken;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::AlarmStep;
use fleetwarden_core::timestamp::Millis;
use serde_json::json;

use super::alerts;
use super::results::ViolationResult;
use super::results::results;
use super::start::MITIGATED;
use super::task;
use crate::ApplyMitigations;
use crate::backoff::LONGEST_FOLLOW_SECONDS;
use crate::backoff::PATIENCE_SECONDS;
use crate::follow::INVOCATION_SECONDS;

impl ApplyMitigations {
    /// Looks at a task once.
    pub(super) async fn follow_alarms(&self, message: AlarmMitigationMessage) -> Result<(), Error> {
        let request = &message.alarms;
        self.verify_alarms(request).await?;
        if self.take_round(&message).await? == Taken::Passed {
            return Ok(());
        }
        let id = request.task_id();
        let known = self.mitigations.alarm_task(&id).await?;
        let Some(known) = known.filter(|known| !known.state.is_some_and(State::has_ended)) else {
            tracing::info!(
                mitigation.task_id = id,
                "nothing to follow: the task has ended, or was never known"
            );
            return Ok(());
        };
        let Some(task) = task::describe(&self.detect, &id).await? else {
            return self.lost_alarms(message).await;
        };
        // The status is looked at, not the mere existence; and a word that is new says that it goes on.
        match task.task_status().map(TaskStatus::as_str) {
            Some("SUCCESSFUL") => self.ended_alarms(request, &known, &task, State::Completed).await,
            Some("FAILED") => self.ended_alarms(request, &known, &task, State::Failed).await,
            Some("CANCELED") => self.ended_alarms(request, &known, &task, State::Canceled).await,
            status => {
                tracing::info!(mitigation.task_id = id, status, waits = message.waits, "the task runs");
                // A false message could say that the task has run for long, so the service says since when.
                let since = task.task_start_time().and_then(|at| millis(*at)).or(message.since);
                let runs_for = |seconds| since.is_some_and(|since| self.is_past(since, seconds));
                if runs_for(LONGEST_FOLLOW_SECONDS) {
                    return self.follow_alarms_no_more(request).await;
                }
                if runs_for(PATIENCE_SECONDS) {
                    self.alerts.raise(&alerts::slow(request)).await?;
                }
                self.put_off(message).await
            }
        }
    }

    /// Refuses what is of another account, or says of a command what no command has asked for.
    pub(super) async fn verify_alarms(&self, request: &AlarmMitigationRequest) -> Result<(), Error> {
        request.check_place(&self.account, &self.iot.region()).map_err(Error::Input)?;
        if matches!(request.origin, Origin::Command(_))
            && !self.mitigations.is_of_alarm_command(request).await?
        {
            return Err(Error::Input("no command has asked for what the message is about".to_owned()));
        }
        Ok(())
    }

    async fn ended_alarms(
        &self,
        request: &AlarmMitigationRequest,
        known: &AlarmTask,
        task: &Task,
        state: State,
    ) -> Result<(), Error> {
        let id = request.task_id();
        let counts = task.task_statistics().map(counts).unwrap_or_default();
        // A task over nothing succeeds, and has nothing to list.
        let executions = match (state, counts) {
            (State::Completed, (0, 0, 0)) => Vec::new(),
            _ => task::executions(&self.detect, &id).await?,
        };
        let results = results(known, &executions);
        self.write_alarm_results(&id, &results).await?;
        self.note_results(request, &results).await?;
        let is_clean = |result: &ViolationResult| matches!(result.state(), "completed" | "not-in-alarm");
        if state != State::Completed || !results.iter().all(is_clean) {
            self.alerts.raise(&alerts::ended(request, state, &results)).await?;
        }
        let ours = results.iter().any(|result| !result.groups.is_empty());
        if request.release_after_seconds.is_some() && ours {
            let release = AlarmMitigationMessage::new(request.clone(), AlarmStep::Release);
            self.send_first(&release).await?;
        }
        let (executed, skipped, failed) = counts;
        let ended_at = task.task_end_time().and_then(|at| millis(*at));
        let ended_at = ended_at.unwrap_or_else(|| self.consumer.clock.now());
        let statistics = json!({"executed": executed, "skipped": skipped, "failed": failed});
        let attributes =
            [(attribute::ENDED_AT, ended_at.rfc3339()), (attribute::STATISTICS, statistics.to_string())];
        if !self.mitigations.ended(&id, state, &attributes).await? {
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
        &self,
        request: &AlarmMitigationRequest,
        results: &[ViolationResult],
    ) -> Result<(), Error> {
        for result in results {
            let (what, reason) = match result.state() {
                "completed" => (MITIGATED, None),
                "not-in-alarm" => ("not-mitigated", Some("the alarm had ended when the task began")),
                _ => ("mitigation-failed", Some("an action failed, was skipped, or is not known")),
            };
            self.note(request, &result.violation, what, reason).await?;
        }
        Ok(())
    }

    async fn lost_alarms(&self, message: AlarmMitigationMessage) -> Result<(), Error> {
        let request = &message.alarms;
        let id = request.task_id();
        let now = self.consumer.clock.now();
        if let Origin::Command(_) = request.origin {
            // Its follow-up is on its way before its start, so that it may never have been started.
            let reason =
                "the start was not done, or its answer was lost, and the service does not know the task";
            let before = now.plus_seconds(-INVOCATION_SECONDS);
            match self.mitigations.release(&id, reason, before, now).await? {
                Some(State::Claimed) => return self.put_off(message).await,
                Some(State::Started | State::Lost) => {}
                state => {
                    tracing::info!(
                        mitigation.task_id = id,
                        state = state.map(State::as_str),
                        "nothing to follow: it was not started"
                    );
                    return Ok(());
                }
            }
        }
        if !self.mitigations.lost(&id, &[(attribute::ENDED_AT, now.rfc3339())]).await? {
            tracing::warn!(
                mitigation.task_id = id,
                "the service does not know the task, and the ledger has none that was started"
            );
            return Ok(());
        }
        self.alerts.raise(&alerts::lost(request)).await
    }

    /// Ends the follow-ups of a task that the service says to run for longer than it keeps a task.
    async fn follow_alarms_no_more(&self, request: &AlarmMitigationRequest) -> Result<(), Error> {
        let id = request.task_id();
        let reason = "the task still runs after 90 days, and is not followed any more";
        self.alerts.raise(&alerts::endless(request)).await?;
        let ended_at = self.consumer.clock.now().rfc3339();
        let attributes = [(attribute::ENDED_AT, ended_at), (attribute::REASON, reason.to_owned())];
        self.mitigations.ended(&id, State::Lost, &attributes).await?;
        tracing::error!(mitigation.task_id = id, reason, "a task is given up");
        Ok(())
    }
}

/// How many actions were executed, skipped, and failed.
fn counts(statistics: &Statistics) -> (i64, i64, i64) {
    let of = Option::unwrap_or_default;
    (of(statistics.actions_executed()), of(statistics.actions_skipped()), of(statistics.actions_failed()))
}

fn millis(at: aws_sdk_iot::primitives::DateTime) -> Option<Millis> {
    at.to_millis().ok().map(Millis)
}
