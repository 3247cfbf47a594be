//! The first step: a mitigation is admitted, claimed, started, and its follow-up sent.
//!
//! A crash on the way leaves a claim of its own, which the next delivery takes again; a start that is repeated names
//! the same task. The ledger says `started` last, when a follow-up is certainly on its way. What the policy's windows
//! hold goes on in [`hold`](crate::hold).

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Claim;
use fleetwarden_aws::mitigations::Latest;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Taken;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Step;
use fleetwarden_core::message::Target;
use fleetwarden_core::policy::Windows;
use fleetwarden_core::timestamp::Millis;

use crate::ApplyMitigations;
use crate::admission::Admission;
use crate::admission::admit;
use crate::alerts;
use crate::backoff::PATIENCE_SECONDS;
use crate::revalidate::Revalidated;
use crate::task;
use crate::task::Started;
use crate::unable;
use crate::unable::Unable;
use crate::unable::Work;

/// Why a mitigation waits for room.
const FULL: &str = "ten mitigation tasks run already";

/// What came of setting a mitigation aside.
#[derive(Debug, PartialEq)]
pub(crate) enum Aside {
    /// It is written, with what of it is no other task's.
    Yes(Target),
    /// Nothing is written: other tasks have all of it.
    Nothing,
    /// Nothing is written: it has started, or has ended in some way.
    No,
    /// Nothing is written: its audit is not the one that has looked at the check last.
    Overtaken(Latest),
}

impl ApplyMitigations {
    /// Starts what a message asks for, if it may.
    pub(crate) async fn start(&self, message: MitigationMessage, deadline: Millis) -> Result<(), Error> {
        let request = &message.request;
        let admission = self.admission(request)?;
        // What may be malformed is not written out: the parked record has it.
        if let Admission::Refuse { reason } = admission {
            let alert = alerts::refused(request, &reason);
            return self.refuse(request, None, reason, &alert).await;
        }
        // What observes sends no next message. Were it to take a round, a copy with a false mode would end the chain of
        // the true message.
        let waits = !matches!(admission, Admission::Observe { .. });
        let taken = if waits { self.take_round(&message).await? } else { Taken::Yes };
        match taken {
            Taken::Yes => {}
            Taken::Passed => return Ok(()),
            Taken::Overtaken(latest) => return self.supersede(message, &latest.reason()).await.map(drop),
        }
        match admission {
            Admission::Observe { instead } => self.observe(message, instead.as_deref()).await,
            Admission::Go => self.enforce(message, deadline).await,
            Admission::Hold { reason, until } => self.hold(message, &reason, until).await,
            Admission::Refuse { reason } | Admission::Shut { reason } => {
                let alert = alerts::shut(request, &reason);
                self.refuse(request, Some(&request.target), reason, &alert).await
            }
        }
    }

    fn admission(&self, request: &MitigationRequest) -> Result<Admission, Error> {
        // The zone was there when the function started. Were it not, nothing could say that a window is open.
        let calendar = self.policy.windows().map(Windows::calendar).transpose();
        let calendar = calendar.map_err(|unknown| Error::Later(unknown.what))?;
        let now = self.consumer.clock.now();
        Ok(admit(request, &self.account, self.policy.mode(), calendar.as_ref(), now))
    }

    async fn enforce(&self, message: MitigationMessage, deadline: Millis) -> Result<(), Error> {
        let request = &message.request;
        let waits_on = !self.has_waited(&message, PATIENCE_SECONDS);
        if waits_on && self.room.is_full(self.consumer.clock.now()) {
            tracing::info!(
                mitigation.task_id = request.task_id(),
                waits = message.waits,
                "{FULL}: no start is tried"
            );
            return self.put_off(message).await;
        }
        let revalidated = self.revalidate(request, deadline).await?;
        let all = Settled::new(request, State::Claimed);
        let claimed = match &revalidated {
            Revalidated::All => all,
            Revalidated::Part { target, left_out, reason } => {
                Settled { target: Some(target), left_out, reason: Some(reason), ..all }
            }
            Revalidated::Nothing { reason } => {
                let left_out = alerts::left_out(request, self.policy.hash(), reason);
                if self.supersede(message, reason).await? {
                    self.alerts.raise(&left_out).await?;
                }
                return Ok(());
            }
            Revalidated::OutOfTime => {
                let target = request.target.clone();
                return self.wait(message, &target, "no time is left to decide on it again").await;
            }
        };
        // A process may have died right after its start: then nothing is left out of it any more.
        if !claimed.left_out.is_empty() && task::describe(&self.iot, &request.task_id()).await?.is_some() {
            return self.started(message.clone(), &request.target).await;
        }
        let claim = self.mitigations.claim(request, &claimed, self.consumer.clock.now()).await?;
        if let (Revalidated::Part { reason, .. }, Claim::Taken(_) | Claim::Nothing) = (&revalidated, &claim) {
            tracing::warn!(mitigation.task_id = request.task_id(), reason, "findings are left out");
            self.alerts.raise(&alerts::left_out(request, self.policy.hash(), reason)).await?;
        }
        let target = match claim {
            Claim::Taken(target) => target,
            Claim::Nothing => return self.nothing_left(&message).await,
            Claim::Known(state) => {
                known(request, state);
                return Ok(());
            }
            Claim::Overtaken(latest) => return self.supersede(message, &latest.reason()).await.map(drop),
        };
        match task::start(&self.iot, request, &target).await? {
            Started::Yes => self.started(message, &target).await,
            Started::Full => {
                self.room.was_full(self.consumer.clock.now());
                self.wait(message, &target, FULL).await
            }
            Started::Refused(reason) => {
                if let Some(missing) = unable::missing(&self.groups, &request.actions).await? {
                    return self.unable(request, &target, Unable::Action, &missing).await;
                }
                let alert = alerts::refused(request, &reason);
                self.refuse(request, Some(&target), reason, &alert).await
            }
            // Another delivery has the same permissions: so none is tried, and the findings do not stay claimed.
            Started::Denied(reason) => self.unable(request, &target, Unable::Denied, &reason).await,
        }
    }

    async fn started(&self, message: MitigationMessage, target: &Target) -> Result<(), Error> {
        let follow = MitigationMessage::new(message.request, Step::Follow);
        self.send_first(&follow).await?;
        let request = &follow.request;
        let id = request.task_id();
        self.forget_unable(request.origin.rule(), &request.actions).await?;
        self.mitigations.started(&id, self.consumer.clock.now()).await?;
        let MitigationRequest { audit, check, origin, actions, .. } = request;
        tracing::info!(
            mitigation.task_id = id, audit.task_id = %audit.task_id, %check, rule = origin.rule(), actions = actions.join(", "),
            findings = target.count(), "the mitigation task is started"
        );
        Ok(())
    }

    async fn observe(&self, message: MitigationMessage, instead: Option<&str>) -> Result<(), Error> {
        let request = &message.request;
        let observed = Settled { reason: instead, ..Settled::new(request, State::Observed) };
        let target = match self.set_aside(&message, &observed).await? {
            Aside::Yes(target) => target,
            Aside::Nothing => {
                return self.nothing_left(&message).await;
            }
            Aside::No => return Ok(()),
            Aside::Overtaken(latest) => return self.supersede(message, &latest.reason()).await.map(drop),
        };
        let MitigationRequest { audit, check, origin, actions, .. } = request;
        tracing::info!(
            mitigation.task_id = request.task_id(), audit.task_id = %audit.task_id, %check, rule = origin.rule(), actions = actions.join(", "),
            findings = target.count(), instead, "would mitigate"
        );
        Ok(())
    }

    /// Writes that a mitigation does not start now, unless a process died right after its start: then it is followed.
    pub(crate) async fn set_aside(
        &self,
        message: &MitigationMessage,
        settled: &Settled<'_>,
    ) -> Result<Aside, Error> {
        let request = &message.request;
        let now = self.consumer.clock.now();
        match self.mitigations.set_aside(request, settled, now).await? {
            Claim::Taken(target) => Ok(Aside::Yes(target)),
            Claim::Nothing => Ok(Aside::Nothing),
            Claim::Overtaken(latest) => Ok(Aside::Overtaken(latest)),
            Claim::Known(State::Claimed) => {
                if task::describe(&self.iot, &request.task_id()).await?.is_some() {
                    self.started(message.clone(), &request.target).await?;
                    return Ok(Aside::No);
                }
                self.mitigations.settle(request, settled, now).await?;
                Ok(Aside::Yes(request.target.clone()))
            }
            Claim::Known(state) => {
                known(request, state);
                Ok(Aside::No)
            }
        }
    }

    /// Ends a mitigation whose findings other tasks have, all of them.
    pub(crate) async fn nothing_left(&self, message: &MitigationMessage) -> Result<(), Error> {
        let request = &message.request;
        if let Step::Held { .. } = message.step {
            self.mitigations.held_no_more(&request.task_id(), "other tasks have all of its findings").await?;
        }
        tracing::info!(
            mitigation.task_id = request.task_id(), check = %request.check, rule = request.origin.rule(),
            "nothing to mitigate: other tasks have all of the findings"
        );
        Ok(())
    }

    /// Waits for what a start needs, for a day.
    async fn wait(&self, message: MitigationMessage, target: &Target, reason: &str) -> Result<(), Error> {
        if self.has_waited(&message, PATIENCE_SECONDS) {
            return self.give_up(message, target, &format!("not started within a day: {reason}")).await;
        }
        let (id, waits) = (message.request.task_id(), message.waits);
        tracing::info!(mitigation.task_id = id, reason, waits, "the mitigation waits");
        self.put_off(message).await
    }

    /// Ends a wait: the findings are free, people are alerted, and the message is parked.
    pub(crate) async fn give_up(
        &self,
        message: MitigationMessage,
        target: &Target,
        reason: &str,
    ) -> Result<(), Error> {
        let id = message.request.task_id();
        if task::describe(&self.iot, &id).await?.is_some() {
            return self.started(message, target).await;
        }
        let now = self.consumer.clock.now();
        let given_up = Settled {
            target: Some(target),
            reason: Some(reason),
            ..Settled::new(&message.request, State::GivenUp)
        };
        self.mitigations.settle(&message.request, &given_up, now).await?;
        self.alerts.raise(&alerts::given_up(&message.request, reason)).await?;
        // When it is sent again from where it is parked, it waits anew.
        let parked = MitigationMessage::new(message.request, Step::Start);
        let body = serde_json::to_string(&parked).map_err(|e| Error::Input(e.to_string()))?;
        self.consumer.parking.park(&body, reason).await?;
        tracing::error!(mitigation.task_id = id, reason, "the mitigation is parked");
        Ok(())
    }

    /// Says that a mitigation can never start. The error has the record parked.
    async fn refuse(
        &self,
        request: &MitigationRequest,
        target: Option<&Target>,
        reason: String,
        alert: &Alert,
    ) -> Result<(), Error> {
        self.settle_refused(request, target, &reason).await?;
        self.alerts.raise(alert).await?;
        Err(Error::Input(reason))
    }

    /// Says that no task of a rule can start. The message is done: the next audit finds again what is still there.
    async fn unable(
        &self,
        request: &MitigationRequest,
        target: &Target,
        why: Unable,
        reason: &str,
    ) -> Result<(), Error> {
        self.settle_refused(request, Some(target), reason).await?;
        self.notify_unable(
            request.origin.rule().unwrap_or_default(),
            &request.actions,
            why,
            Work::Findings,
            reason,
        )
        .await
    }

    async fn settle_refused(
        &self,
        request: &MitigationRequest,
        target: Option<&Target>,
        reason: &str,
    ) -> Result<(), Error> {
        // What a message says of a command's task is not written over what the command wrote.
        if let Origin::Rule(_) = request.origin {
            let refused = Settled { target, reason: Some(reason), ..Settled::new(request, State::Refused) };
            self.mitigations.settle(request, &refused, self.consumer.clock.now()).await?;
        }
        Ok(())
    }
}

fn known(request: &MitigationRequest, state: State) {
    tracing::info!(
        mitigation.task_id = request.task_id(),
        state = state.as_str(),
        "nothing to do: the mitigation is known"
    );
}
