//! The second step, repeated: a task that was started is looked at until it has ended.
//!
//! A follow-up changes nothing in the fleet. What it writes is from the service, and only about what the ledger has: the
//! id of a rule's task is made of its request, and a command's request is compared with what the command wrote. After
//! a crash on the way the message is delivered again, and all of it is the same when it is done again.

use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Rejection;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Taken;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::message::Origin;
use fleetwarden_core::model::mitigation::approval::Standing;
use fleetwarden_core::timestamp::Millis;

use crate::alerts::Event;
use crate::approval::say_lapsed;
use crate::backoff::Backoff;
use crate::backoff::INVOCATION_SECONDS;
use crate::backoff::LONGEST_FOLLOW_SECONDS;
use crate::backoff::PATIENCE_SECONDS;
use crate::message::Message as _;
use crate::task::Task as _;
use crate::work::Asked;
use crate::work::Ended;
use crate::work::Followed;
use crate::work::Request as _;

/// Why a task is not followed any more.
const ENDLESS: &str = "the task still runs after 90 days, and is not followed any more";

/// Follows started tasks.
pub(crate) struct Follow<W> {
    pub(crate) work: W,
    pub(crate) mitigations: Mitigations,
    pub(crate) alerts: Alerts,
    pub(crate) backoff: Backoff,
    pub(crate) clock: Clock,
    pub(crate) emit: fn(&str),
}

impl<W: Followed> Follow<W> {
    /// Looks at a task once.
    pub(crate) async fn follow(&self, message: W::Message, deadline: Millis) -> Result<(), Error> {
        let request = message.request();
        let asked = self.work.verify(request).await?;
        if self.backoff.take_round(&message).await? == Taken::Passed {
            return Ok(());
        }
        let id = request.task_id();
        if asked == Asked::NotYet {
            return self.not_claimed(message).await;
        }
        if self.work.is_over(&id).await? {
            tracing::info!(
                mitigation.task_id = id,
                "nothing to follow: the task has ended, or was never known"
            );
            return Ok(());
        }
        if matches!(request.origin(), Origin::Command(_))
            && let Some(known) = self.waits(&id).await?
        {
            return self.asks(message, &known).await;
        }
        let Some(task) = Box::pin(self.work.describe(&id)).await? else { return self.lost(message).await };
        // The status is looked at, not the mere existence; and a word that is new says that it goes on.
        let state = match task.status() {
            Some(status) if status == W::COMPLETED => State::Completed,
            Some("FAILED") => State::Failed,
            Some("CANCELED") => State::Canceled,
            _ => return self.runs(message, &task).await,
        };
        match Box::pin(self.work.end(request, &task, state, deadline)).await? {
            Ended::Written => Ok(()),
            Ended::InPart => {
                tracing::info!(
                    mitigation.task_id = id,
                    "the task has ended, and its results go on in another message"
                );
                self.backoff.put_off_until(message, self.clock.now()).await
            }
        }
    }

    /// Looks again at a command's task that the ledger does not have, for as long as the invocation can last that may claim it.
    async fn not_claimed(&self, message: W::Message) -> Result<(), Error> {
        let (_, since) = message.waited();
        if since.is_some_and(|since| self.backoff.is_past(since, INVOCATION_SECONDS)) {
            tracing::info!(
                mitigation.task_id = message.request().task_id(),
                "nothing to follow: the command has claimed nothing"
            );
            return Ok(());
        }
        self.backoff.put_off(message).await
    }

    /// The approval for which a command's task is held. None: it is not held.
    async fn waits(&self, id: &str) -> Result<Option<KnownApproval>, Error> {
        let task = self.mitigations.ledger().get(&keys::mitigation(id), "task").await?;
        let is_held = task.is_some_and(|task| State::of(&task) == Some(State::Held));
        if is_held { self.mitigations.approval(id).await } else { Ok(None) }
    }

    /// Tells people that a command's task waits for a second person, and rejects it when its time is over.
    async fn asks(&self, message: W::Message, known: &KnownApproval) -> Result<(), Error> {
        let request = message.request();
        let (id, now) = (request.task_id(), self.clock.now());
        match known.standing {
            Standing::Rejected | Standing::Lapsed => return Ok(()),
            Standing::Waiting | Standing::Approved if known.is_over(now) => {
                let word = known.lapse();
                let lapsed = (Standing::Lapsed, &word);
                return match self.mitigations.reject(&id, Some(known), lapsed, now).await? {
                    Rejection::Done => {
                        say_lapsed(self.emit, &id, &word.reason, now);
                        Ok(())
                    }
                    // A person has decided at this moment, or the command has started its task.
                    Rejection::Changed | Rejection::NotHeld(_) | Rejection::Unknown => {
                        self.backoff.put_off_until(message, now).await
                    }
                };
            }
            Standing::Waiting => self.alerts.raise(&request.alert(Event::NeedsApproval(known))).await?,
            Standing::Approved => {}
        }
        self.backoff.put_off_until(message, known.until).await
    }

    async fn runs(&self, message: W::Message, task: &W::Task) -> Result<(), Error> {
        let request = message.request();
        let (waits, since) = message.waited();
        tracing::info!(
            mitigation.task_id = request.task_id(),
            status = task.status(),
            waits,
            "the task runs"
        );
        // A false message could say that the task has run for long, so the service says since when.
        let since = task.started_at().or(since);
        let runs_for = |seconds| since.is_some_and(|since| self.backoff.is_past(since, seconds));
        if runs_for(LONGEST_FOLLOW_SECONDS) {
            return self.follow_no_more(request).await;
        }
        if runs_for(PATIENCE_SECONDS) {
            self.alerts.raise(&request.alert(Event::Slow)).await?;
        }
        self.backoff.put_off(message).await
    }

    async fn lost(&self, message: W::Message) -> Result<(), Error> {
        let request = message.request();
        let id = request.task_id();
        let now = self.clock.now();
        if let Origin::Command(_) = request.origin() {
            // Its follow-up is on its way before its claim, so that it may never have been started.
            let reason =
                "the start was not done, or its answer was lost, and the service does not know the task";
            let before = now.plus_seconds(-INVOCATION_SECONDS);
            match self.mitigations.release(&id, reason, before, now).await? {
                Some(State::Claimed) => return self.backoff.put_off(message).await,
                Some(State::Started | State::Lost) => {}
                state => {
                    let state = state.map(State::as_str);
                    tracing::info!(
                        mitigation.task_id = id,
                        state,
                        "nothing to follow: the task was not started"
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
        self.alerts.raise(&request.alert(Event::Lost)).await
    }

    /// Ends the follow-ups of a task that the service says to run for longer than it keeps a task.
    async fn follow_no_more(&self, request: &W::Request) -> Result<(), Error> {
        let id = request.task_id();
        let ended_at = self.clock.now().rfc3339();
        let attributes = [(attribute::ENDED_AT, ended_at), (attribute::REASON, ENDLESS.to_owned())];
        if self.mitigations.ended(&id, State::Lost, &attributes).await? {
            self.alerts.raise(&request.alert(Event::Endless)).await?;
        }
        tracing::error!(mitigation.task_id = id, "{ENDLESS}");
        Ok(())
    }
}
