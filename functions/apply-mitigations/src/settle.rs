//! How a mitigation leaves the queue before or at its start: set aside, started, given up, or refused.
//!
//! A process may have died right after a start. So whatever would end a mitigation that is claimed asks the service for
//! its task first: a task that is there is followed.

use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::Claim;
use fleetwarden_aws::mitigations::Claimable as _;
use fleetwarden_aws::mitigations::Latest;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_aws::queue::Queue;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::message::Origin;
use fleetwarden_core::model::mitigation::view::GuardAnswer;
use fleetwarden_core::policy::DeviceLimit;
use fleetwarden_core::timestamp::Millis;

use crate::alerts::Event;
use crate::backoff::Backoff;
use crate::backoff::INVOCATION_SECONDS;
use crate::message::Message as _;
use crate::refusals::Refusals;
use crate::refusals::Unable;
use crate::work::Request as _;
use crate::work::TargetOf;
use crate::work::Work;

/// What came of setting a mitigation aside.
#[derive(Debug, PartialEq)]
pub(crate) enum Aside<T> {
    /// It is written, with what of it is no other task's.
    Yes(T),
    /// Nothing is written: other tasks have all of it.
    Nothing,
    /// Nothing is written: it has started, or has ended in some way.
    No,
    /// Nothing is written: its audit is not the one that has looked at the check last.
    Overtaken(Latest),
}

/// Who has made the claim that is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimedBy {
    /// This invocation, just now.
    Own,
    /// An earlier delivery of the message, or another one beside this.
    Another,
}

/// Settles mitigations.
pub(crate) struct Settle<W> {
    pub(crate) work: W,
    pub(crate) mitigations: Mitigations,
    pub(crate) alerts: Alerts,
    pub(crate) backoff: Backoff,
    pub(crate) refusals: Refusals,
    pub(crate) parking: Queue,
    pub(crate) clock: Clock,
}

impl<W: Work> Settle<W> {
    /// Writes that a task is started, after its follow-up is certainly on its way.
    pub(crate) async fn started(&self, message: W::Message, target: &TargetOf<W>) -> Result<(), Error> {
        let request = message.request();
        let id = request.task_id();
        // What goes first is watched whatever becomes of this process.
        if let Some(watch) = self.work.watch(request).await? {
            self.backoff.send_first(&watch).await?;
        }
        let follow = W::Message::follow(message.clone().into_request());
        self.backoff.send_first(&follow).await?;
        self.refusals.forget(request.origin().rule(), request.actions()).await?;
        self.mitigations.started(&id, self.clock.now()).await?;
        Said { count: Some(W::count(target)), ..Said::default() }
            .log::<W>(request, "the mitigation task is started");
        Ok(())
    }

    /// Writes that a mitigation does not start now, unless it has.
    ///
    /// # Errors
    /// If something does not answer, or another worker may be about to start it: then the record comes again.
    pub(crate) async fn set_aside(
        &self,
        message: &W::Message,
        settled: &Settled<'_, W::Request>,
        claim: ClaimedBy,
    ) -> Result<Aside<TargetOf<W>>, Error> {
        let request = message.request();
        let now = self.clock.now();
        match self.mitigations.set_aside(request, settled, now).await? {
            Claim::Taken(target) => Ok(Aside::Yes(target)),
            Claim::Nothing => Ok(Aside::Nothing),
            Claim::Overtaken(latest) => Ok(Aside::Overtaken(latest)),
            // Guards are asked of claims alone.
            Claim::Stopped(stop) => Err(Error::Later(stop.reason())),
            Claim::Known(State::Claimed) => {
                let target = request.target();
                if self.is_at_service(request).await? {
                    self.started(message.clone(), target).await?;
                    return Ok(Aside::No);
                }
                // What is given back now would start all the same, and beyond its budget.
                if claim == ClaimedBy::Another
                    && let Some(until) = self.may_start_until(request).await?.filter(|until| *until > now)
                {
                    let (id, until) = (request.task_id(), until.rfc3339());
                    return Err(Error::Later(format!("{id}: another worker may start it until {until}")));
                }
                match self.mitigations.settle(request, settled, now).await? {
                    Claim::Overtaken(latest) => Ok(Aside::Overtaken(latest)),
                    _ => Ok(Aside::Yes(target.clone())),
                }
            }
            // An earlier delivery may have died before it noted what it would have done.
            Claim::Known(State::Observed) if settled.state == State::Observed => {
                Ok(Aside::Yes(request.target().clone()))
            }
            Claim::Known(state) => {
                known(request, state);
                Ok(Aside::No)
            }
        }
    }

    /// Until when the one that has claimed a task may start it. None: the ledger does not say.
    async fn may_start_until(&self, request: &W::Request) -> Result<Option<Millis>, Error> {
        let task = self.mitigations.ledger().get(&keys::mitigation(&request.task_id()), "task").await?;
        let claimed_at = task.as_ref().and_then(|task| Millis::parse(task.get_text(attribute::DECIDED_AT)?));
        Ok(claimed_at.map(|at| at.plus_seconds(INVOCATION_SECONDS)))
    }

    /// Whether the service has the task of a request.
    pub(crate) async fn is_at_service(&self, request: &W::Request) -> Result<bool, Error> {
        Ok(Box::pin(self.work.describe(&request.task_id())).await?.is_some())
    }

    /// Ends a mitigation before its start, because of something later. Says whether it is so: it may have started.
    pub(crate) async fn supersede(&self, message: &W::Message, reason: &str) -> Result<bool, Error> {
        self.supersede_with(message, reason, &[]).await
    }

    /// As [`supersede`](Self::supersede), with what the guards say.
    pub(crate) async fn supersede_with(
        &self,
        message: &W::Message,
        reason: &str,
        guards: &[GuardAnswer],
    ) -> Result<bool, Error> {
        let request = message.request();
        let superseded = Settled { reason: Some(reason), guards, ..Settled::new(request, State::Superseded) };
        match self.set_aside(message, &superseded, ClaimedBy::Another).await? {
            Aside::Yes(_) => {}
            Aside::Nothing => return self.nothing_left(request).await.map(|()| false),
            Aside::No | Aside::Overtaken(_) => return Ok(false),
        }
        Said { reason: Some(reason), ..Said::default() }.log::<W>(request, "the mitigation is superseded");
        Ok(true)
    }

    /// Ends a mitigation whose findings or violations other tasks have, all of them.
    pub(crate) async fn nothing_left(&self, request: &W::Request) -> Result<(), Error> {
        // The rest would wait for what never starts.
        Box::pin(self.work.leave_turn(request)).await?;
        // A message does not know whether its task is held.
        let reason = format!("other tasks have all of its {}", W::PARTS);
        self.mitigations.held_no_more(&request.task_id(), &reason).await?;
        let what = format!("nothing to mitigate: other tasks have all of the {}", W::PARTS);
        Said::default().log::<W>(request, &what);
        Ok(())
    }

    /// Ends a wait: the findings or violations are free, people are alerted, and the message is parked.
    pub(crate) async fn give_up(
        &self,
        message: W::Message,
        target: &TargetOf<W>,
        reason: &str,
    ) -> Result<(), Error> {
        let request = message.request();
        let id = request.task_id();
        if self.is_at_service(request).await? {
            return self.started(message, target).await;
        }
        let given_up =
            Settled { target: Some(target), reason: Some(reason), ..Settled::new(request, State::GivenUp) };
        if !self.end(request, &given_up).await? {
            return Ok(());
        }
        self.alerts.raise(&request.alert(Event::GivenUp(reason))).await?;
        // When it is sent again from where it is parked, it waits from the beginning.
        let parked = W::Message::start(message.into_request());
        let body = serde_json::to_string(&parked).map_err(|e| Error::Input(e.to_string()))?;
        self.parking.park(&body, reason).await?;
        tracing::error!(mitigation.task_id = id, reason, "the mitigation is parked");
        Ok(())
    }

    /// Ends a mitigation that can never start. The error has the record parked.
    pub(crate) async fn refuse(
        &self,
        request: &W::Request,
        target: Option<&TargetOf<W>>,
        reason: String,
        alert: &Alert,
    ) -> Result<(), Error> {
        self.write_refused(request, target, &reason, &[]).await?;
        self.alerts.raise(alert).await?;
        Err(Error::Input(reason))
    }

    /// Ends a mitigation whose rule cannot start any task. What is decided on once is parked; what the next audit finds
    /// again is done.
    pub(crate) async fn unable(
        &self,
        request: &W::Request,
        target: &TargetOf<W>,
        why: Unable,
        reason: &str,
    ) -> Result<(), Error> {
        let guards: Vec<GuardAnswer> =
            (why == Unable::Devices).then(|| DeviceLimit::stopped(reason, false)).into_iter().collect();
        self.write_refused(request, Some(target), reason, &guards).await?;
        let rule = request.origin().rule().unwrap_or_default();
        self.refusals.notify(rule, request.actions(), (why, W::IS_DECIDED_ONCE), reason).await?;
        if W::IS_DECIDED_ONCE { Err(Error::Input(reason.to_owned())) } else { Ok(()) }
    }

    /// Ends a mitigation of which the first few did not pass: people are alerted of that by who has seen it.
    pub(crate) async fn stop(&self, message: W::Message, reason: &str) -> Result<(), Error> {
        let request = message.request();
        let target = request.target();
        if self.is_at_service(request).await? {
            return self.started(message.clone(), target).await;
        }
        self.write_refused(request, Some(target), reason, &[]).await?;
        Said { reason: Some(reason), ..Said::default() }.log::<W>(request, "the mitigation is refused");
        Ok(())
    }

    async fn write_refused(
        &self,
        request: &W::Request,
        target: Option<&TargetOf<W>>,
        reason: &str,
        guards: &[GuardAnswer],
    ) -> Result<(), Error> {
        // What a message says of a command's task is not written over what the command wrote.
        if let Origin::Rule(_) = request.origin() {
            let refused =
                Settled { target, reason: Some(reason), guards, ..Settled::new(request, State::Refused) };
            self.end(request, &refused).await?;
        }
        Ok(())
    }

    /// Writes how a mitigation has ended, held or not. Says whether it had anything: other tasks may have all of it.
    async fn end(&self, request: &W::Request, settled: &Settled<'_, W::Request>) -> Result<bool, Error> {
        let has_any =
            !matches!(self.mitigations.settle(request, settled, self.clock.now()).await?, Claim::Nothing);
        if !has_any {
            self.nothing_left(request).await?;
        }
        Ok(has_any)
    }
}

/// What the log says of a mitigation besides what it is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said<'s> {
    /// How many findings or violations.
    pub(crate) count: Option<u64>,
    pub(crate) reason: Option<&'s str>,
    pub(crate) until: Option<Millis>,
    /// What would have been in place of a start.
    pub(crate) instead: Option<&'s str>,
}

impl Said<'_> {
    pub(crate) fn log<W: Work>(self, request: &W::Request, what: &str) {
        let facts = request.facts();
        let count = |parts: &str| self.count.filter(|_| W::PARTS == parts);
        tracing::info!(
            mitigation.task_id = request.task_id(),
            audit.task_id = facts.audit_task_id,
            check = facts.check,
            alarm.profile = facts.profile,
            alarm.behavior = facts.behavior,
            rule = request.origin().rule(),
            actions = self.count.map(|_| request.actions().join(", ")),
            findings = count("findings"),
            violations = count("violations"),
            reason = self.reason,
            until = self.until.map(Millis::rfc3339),
            instead = self.instead,
            "{what}"
        );
    }
}

/// Logs that a message has nothing to do.
pub(crate) fn known(request: &impl crate::work::Request, state: State) {
    tracing::info!(
        mitigation.task_id = request.task_id(),
        state = state.as_str(),
        "nothing to do: the mitigation is known"
    );
}
