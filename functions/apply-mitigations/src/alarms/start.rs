//! The first step: a mitigation of alarms is admitted, claimed, started, and its follow-up sent, as one of findings is
//! in [`start`](crate::start).
//!
//! The claim says what the start will add. So a try that finds the claim of an earlier one asks the service for the task
//! after it has looked at the groups: what is not started has added nothing to them, and what is started keeps the claim
//! as it is.

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::AlarmClaim;
use fleetwarden_aws::mitigations::AlarmsSettled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Taken;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::AlarmStep;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::model::alarm::Action;
use fleetwarden_core::policy::Windows;
use fleetwarden_core::timestamp::Millis;

use super::alerts;
use super::revalidate::Asked;
use super::revalidate::Parts;
use super::revalidate::Why;
use super::task;
use crate::ApplyMitigations;
use crate::admission::Admission;
use crate::admission::admit_alarms;
use crate::admission::gate;
use crate::backoff::PATIENCE_SECONDS;
use crate::task::Started;
use crate::unable::Unable;
use crate::unable::Work;

/// Why a mitigation waits for room.
const FULL: &str = "five mitigation tasks of Detect run already";

/// What came of setting a mitigation aside.
pub(super) enum Aside {
    /// It is written.
    Yes,
    /// Nothing is written: other tasks have all of it.
    Nothing,
    /// Nothing is written: it has started, or has ended in some way.
    No,
}

impl ApplyMitigations {
    /// Starts what a message asks for, if it may.
    pub(super) async fn start_alarms(
        &self,
        message: AlarmMitigationMessage,
        deadline: Millis,
    ) -> Result<(), Error> {
        let request = &message.alarms;
        let admission = self.admission_of(request)?;
        // What may be malformed is not written out: the parked record has it.
        if let Admission::Refuse { reason } = admission {
            let alert = alerts::refused(request, &reason);
            return self.refuse_alarms(request, None, reason, &alert).await;
        }
        // What observes sends no next message: it takes no round from a true one.
        let waits = !matches!(admission, Admission::Observe { .. });
        if waits && self.take_round(&message).await? == Taken::Passed {
            return Ok(());
        }
        match admission {
            Admission::Observe { instead } => self.observe_alarms(message, instead.as_deref()).await,
            Admission::Go => Box::pin(self.enforce_alarms(message, deadline)).await,
            Admission::Hold { reason, until } => self.hold_alarms(message, &reason, until).await,
            Admission::Refuse { reason } | Admission::Shut { reason } => {
                let alert = alerts::shut(request, &reason);
                self.refuse_alarms(request, Some(&request.violations), reason, &alert).await
            }
        }
    }

    fn admission_of(&self, request: &AlarmMitigationRequest) -> Result<Admission, Error> {
        let calendar = self.policy.windows().map(Windows::calendar).transpose();
        let calendar = calendar.map_err(|unknown| Error::Later(unknown.what))?;
        let of = (self.account.as_str(), &*self.iot.region());
        Ok(admit_alarms(request, of, self.policy.mode(), calendar.as_ref(), self.consumer.clock.now()))
    }

    /// What the policy of now says of acting now, whatever was decided.
    pub(super) fn gate_now(&self, request: &AlarmMitigationRequest) -> Result<Admission, Error> {
        let calendar = self.policy.windows().map(Windows::calendar).transpose();
        let calendar = calendar.map_err(|unknown| Error::Later(unknown.what))?;
        Ok(gate(request.mode, self.policy.mode(), calendar.as_ref(), self.consumer.clock.now()))
    }

    async fn enforce_alarms(&self, message: AlarmMitigationMessage, deadline: Millis) -> Result<(), Error> {
        let request = &message.alarms;
        let waits_on = !self.has_waited(&message, PATIENCE_SECONDS);
        if waits_on && self.alarm_room.is_full(self.consumer.clock.now()) {
            tracing::info!(mitigation.task_id = request.task_id(), "{FULL}: no start is tried");
            return self.put_off(message).await;
        }
        let parts = match self.ask_again(request, deadline).await? {
            Asked::Known(parts) => parts,
            Asked::Unknown(why) => return self.wait_alarms(message, &why).await,
            Asked::Never(why) => {
                // An earlier delivery may have started it, before the action was taken away.
                if task::describe(&self.detect, &request.task_id()).await?.is_some() {
                    return self.started_alarms(message).await;
                }
                return self.unable_alarms(request, &request.violations, Unable::Action, &why).await;
            }
        };
        let reason = parts.reason(self.policy.hash());
        if parts.wanted.is_empty() {
            let reason = reason.unwrap_or_default();
            if self.supersede_alarms(&message, &reason).await? {
                self.leave_out(request, &parts, &reason).await?;
            }
            return Ok(());
        }
        let left_out: Vec<ViolationRef> = parts.left_out.iter().map(|out| out.violation.clone()).collect();
        let claimed = AlarmsSettled {
            violations: Some(&parts.wanted),
            reason: reason.as_deref(),
            left_out: &left_out,
            additions: Some(&parts.additions),
            ..AlarmsSettled::new(request, State::Claimed)
        };
        let Some(claim) = self.claim_once(request, &claimed).await? else {
            return self.started_alarms(message).await;
        };
        if let (Some(reason), AlarmClaim::Taken(_) | AlarmClaim::Nothing) = (&reason, &claim) {
            self.leave_out(request, &parts, reason).await?;
        }
        let violations = match claim {
            AlarmClaim::Taken(violations) => violations,
            AlarmClaim::Nothing => return self.no_alarms_left(&message).await,
            AlarmClaim::Known(state) => {
                known(request, state);
                return Ok(());
            }
        };
        match task::start(&self.detect, request, &violations).await? {
            Started::Yes => self.started_alarms(message).await,
            Started::Full => {
                self.alarm_room.was_full(self.consumer.clock.now());
                self.wait_alarms(message, FULL).await
            }
            Started::Refused(reason) => {
                let alert = alerts::refused(request, &reason);
                self.refuse_alarms(request, Some(&violations), reason, &alert).await
            }
            // Another delivery has the same permissions: so none is tried, and the violations do not stay claimed.
            Started::Denied(reason) => {
                self.unable_alarms(request, &violations, Unable::Denied, &reason).await
            }
        }
    }

    /// Claims what is to be mitigated. None: an earlier try has claimed it, and the task runs or has run.
    async fn claim_once(
        &self,
        request: &AlarmMitigationRequest,
        claimed: &AlarmsSettled<'_>,
    ) -> Result<Option<AlarmClaim>, Error> {
        let now = self.consumer.clock.now();
        match self.mitigations.claim_alarms(request, claimed, now).await? {
            AlarmClaim::Known(State::Claimed) => {
                if task::describe(&self.detect, &request.task_id()).await?.is_some() {
                    return Ok(None);
                }
                self.mitigations.claim_alarms_again(request, claimed, now).await.map(Some)
            }
            claim => Ok(Some(claim)),
        }
    }

    async fn started_alarms(&self, message: AlarmMitigationMessage) -> Result<(), Error> {
        let follow = AlarmMitigationMessage::new(message.alarms, AlarmStep::Follow);
        self.send_first(&follow).await?;
        let request = &follow.alarms;
        let id = request.task_id();
        self.forget_unable(request.origin.rule(), &request.actions).await?;
        self.mitigations.started(&id, self.consumer.clock.now()).await?;
        let AlarmMitigationRequest { profile, behavior, origin, actions, violations, .. } = request;
        tracing::info!(
            mitigation.task_id = id,
            alarm.profile = profile,
            alarm.behavior = behavior,
            rule = origin.rule(),
            ?actions,
            violations = violations.len(),
            "the mitigation task is started"
        );
        Ok(())
    }

    /// Says of violations why they are not mitigated: in the ledger, in the log, and to people unless there is nothing
    /// to mitigate.
    async fn leave_out(
        &self,
        request: &AlarmMitigationRequest,
        parts: &Parts,
        reason: &str,
    ) -> Result<(), Error> {
        tracing::info!(mitigation.task_id = request.task_id(), reason, "violations are left out");
        for out in &parts.left_out {
            let what = if out.why == Why::AlreadyIn { ALREADY_IN } else { "not-mitigated" };
            self.note(request, &out.violation, what, Some(out.why.text())).await?;
        }
        if parts.is_aloud() {
            self.alerts.raise(&alerts::left_out(request, self.policy.hash(), reason)).await?;
        }
        Ok(())
    }

    /// Notes what was done about a violation, if the ledger knows it.
    pub(super) async fn note(
        &self,
        request: &AlarmMitigationRequest,
        violation: &ViolationRef,
        what: &str,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let action = Action {
            at: self.consumer.clock.now(),
            what: what.to_owned(),
            rule: request.origin.rule().map(ToOwned::to_owned),
            task_id: Some(request.task_id()),
            reason: reason.map(ToOwned::to_owned),
        };
        self.alarms.note(&violation.violation_id, &action).await
    }

    async fn observe_alarms(
        &self,
        message: AlarmMitigationMessage,
        instead: Option<&str>,
    ) -> Result<(), Error> {
        let request = &message.alarms;
        let observed = AlarmsSettled { reason: instead, ..AlarmsSettled::new(request, State::Observed) };
        match self.set_alarms_aside(&message, &observed).await? {
            Aside::Yes => {}
            Aside::Nothing => return self.no_alarms_left(&message).await,
            Aside::No => return Ok(()),
        }
        let AlarmMitigationRequest { profile, behavior, origin, actions, violations, .. } = request;
        tracing::info!(
            mitigation.task_id = request.task_id(),
            alarm.profile = profile,
            alarm.behavior = behavior,
            rule = origin.rule(),
            ?actions,
            violations = violations.len(),
            instead,
            "would mitigate"
        );
        for violation in violations {
            self.note(request, violation, "would-mitigate", instead).await?;
        }
        Ok(())
    }

    /// Writes that a mitigation does not start now, unless a process died right after its start: then it is followed.
    pub(super) async fn set_alarms_aside(
        &self,
        message: &AlarmMitigationMessage,
        settled: &AlarmsSettled<'_>,
    ) -> Result<Aside, Error> {
        let request = &message.alarms;
        let now = self.consumer.clock.now();
        match self.mitigations.set_alarms_aside(request, settled, now).await? {
            AlarmClaim::Taken(_) => Ok(Aside::Yes),
            AlarmClaim::Nothing => Ok(Aside::Nothing),
            AlarmClaim::Known(State::Claimed) => {
                if task::describe(&self.detect, &request.task_id()).await?.is_some() {
                    self.started_alarms(message.clone()).await?;
                    return Ok(Aside::No);
                }
                self.mitigations.settle_alarms(request, settled, now).await?;
                Ok(Aside::Yes)
            }
            AlarmClaim::Known(state) => {
                known(request, state);
                Ok(Aside::No)
            }
        }
    }

    /// Ends a mitigation whose violations other tasks have, all of them.
    pub(super) async fn no_alarms_left(&self, message: &AlarmMitigationMessage) -> Result<(), Error> {
        let id = message.alarms.task_id();
        if let AlarmStep::Held { .. } = message.step {
            self.mitigations.held_no_more(&id, "other tasks have all of its violations").await?;
        }
        tracing::info!(
            mitigation.task_id = id,
            "nothing to mitigate: other tasks have all of the violations"
        );
        Ok(())
    }

    /// Waits for what a start needs, for a day.
    async fn wait_alarms(&self, message: AlarmMitigationMessage, reason: &str) -> Result<(), Error> {
        if self.has_waited(&message, PATIENCE_SECONDS) {
            return self.give_alarms_up(message, &format!("not started within a day: {reason}")).await;
        }
        let (id, waits) = (message.alarms.task_id(), message.waits);
        tracing::info!(mitigation.task_id = id, reason, waits, "the mitigation waits");
        self.put_off(message).await
    }

    /// Ends a wait: the violations are free, people are alerted, and the message is parked.
    pub(super) async fn give_alarms_up(
        &self,
        message: AlarmMitigationMessage,
        reason: &str,
    ) -> Result<(), Error> {
        let id = message.alarms.task_id();
        if task::describe(&self.detect, &id).await?.is_some() {
            return self.started_alarms(message).await;
        }
        let request = message.alarms;
        let given_up = AlarmsSettled { reason: Some(reason), ..AlarmsSettled::new(&request, State::GivenUp) };
        self.mitigations.settle_alarms(&request, &given_up, self.consumer.clock.now()).await?;
        self.alerts.raise(&alerts::given_up(&request, reason)).await?;
        // When it is sent again from where it is parked, it waits anew.
        let parked = AlarmMitigationMessage::new(request, AlarmStep::Start);
        let body = serde_json::to_string(&parked).map_err(|e| Error::Input(e.to_string()))?;
        self.consumer.parking.park(&body, reason).await?;
        tracing::error!(mitigation.task_id = id, reason, "the mitigation is parked");
        Ok(())
    }

    /// Says that a mitigation can never start. The error has the record parked.
    async fn refuse_alarms(
        &self,
        request: &AlarmMitigationRequest,
        violations: Option<&[ViolationRef]>,
        reason: String,
        alert: &Alert,
    ) -> Result<(), Error> {
        self.settle_alarms_refused(request, violations, &reason).await?;
        self.alerts.raise(alert).await?;
        Err(Error::Input(reason))
    }

    /// Says that no task of a rule can start. The error has the record parked: an alarm that lasts is decided on once.
    async fn unable_alarms(
        &self,
        request: &AlarmMitigationRequest,
        violations: &[ViolationRef],
        why: Unable,
        reason: &str,
    ) -> Result<(), Error> {
        self.settle_alarms_refused(request, Some(violations), reason).await?;
        let rule = request.origin.rule().unwrap_or_default();
        self.notify_unable(rule, &request.actions, why, Work::Alarms, reason).await?;
        Err(Error::Input(reason.to_owned()))
    }

    async fn settle_alarms_refused(
        &self,
        request: &AlarmMitigationRequest,
        violations: Option<&[ViolationRef]>,
        reason: &str,
    ) -> Result<(), Error> {
        // What a message says of a command's task is not written over what the command wrote.
        if let Origin::Rule(_) = request.origin {
            let refused = AlarmsSettled {
                violations,
                reason: Some(reason),
                ..AlarmsSettled::new(request, State::Refused)
            };
            self.mitigations.settle_alarms(request, &refused, self.consumer.clock.now()).await?;
        }
        Ok(())
    }
}

/// The note on a violation whose thing is in the groups already: by an earlier task or by hand.
pub(super) const ALREADY_IN: &str = "already-in-groups";

/// The note on a violation whose thing a task has put into groups.
pub(super) const MITIGATED: &str = "mitigated";

fn known(request: &AlarmMitigationRequest, state: State) {
    tracing::info!(
        mitigation.task_id = request.task_id(),
        state = state.as_str(),
        "nothing to do: the mitigation is known"
    );
}
