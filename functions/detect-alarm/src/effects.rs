//! What a decision causes: a mitigation, a verification state, an alert, a record.
//!
//! Each has an identity of its own, so that doing it again changes nothing: a mitigation by its violations, a state by
//! its violation, an alert by its id, a record by violation, event and time.

use aws_sdk_iot::types::VerificationState;
use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::queue::Queue;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::AlarmStep;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::message::alarm_record::AlarmRecord;
use fleetwarden_core::metrics::alarms;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::Verification;
use fleetwarden_core::policy::AlarmDecision;
use fleetwarden_core::policy::AlarmMitigate;
use fleetwarden_core::policy::AlarmOutcome;
use fleetwarden_core::policy::AlarmSubject;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Report;
use fleetwarden_core::policy::Verify;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;

use crate::alerts;
use crate::plan;
use crate::records::Records;

/// Carries a decision out.
pub(crate) struct Effects<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) alarms: &'a Alarms,
    /// Device Defender, for verification states.
    pub(crate) iot: &'a aws_sdk_iot::Client,
    pub(crate) mitigations: &'a Queue,
    pub(crate) records: Records<'a>,
    pub(crate) alerts: &'a Alerts,
    pub(crate) clock: &'a Clock,
    pub(crate) emit: fn(&str),
}

impl Effects<'_> {
    /// Does what was decided. Gives what there is to say about it, if it is not just what the outcome says.
    pub(crate) async fn carry_out(
        &self,
        subject: &AlarmSubject<'_>,
        decision: &AlarmDecision<'_, '_>,
        raised_at: Millis,
    ) -> Result<Option<Text>, Error> {
        let mut reason = decision.held.as_ref().map(alerts::held);
        if plan::is_too_late(decision.outcome, raised_at, subject.at) {
            reason = Some("the alarm began more than 30 days before it was heard of: nothing is done".into());
        } else {
            match decision.outcome {
                AlarmOutcome::Mitigate(mitigate) => {
                    self.mitigate(subject.life, decision, mitigate, raised_at).await?;
                }
                AlarmOutcome::Verify(verify) => {
                    reason = self.verify(subject.life, verify, decision.mode()).await?;
                }
                AlarmOutcome::Report(_) => {}
            }
        }
        self.alert(subject, decision, raised_at, reason.as_ref()).await?;
        self.records.send(&AlarmRecord::of_decision(raised_at, subject, decision), raised_at).await?;
        Ok(reason)
    }

    /// Asks for a mitigation. In `observe` too: what would be done is said where it would be done.
    async fn mitigate(
        &self,
        life: &Life,
        decision: &AlarmDecision<'_, '_>,
        mitigate: &AlarmMitigate,
        raised_at: Millis,
    ) -> Result<(), Error> {
        let alarm = &life.alarm;
        let violation = ViolationRef {
            violation_id: alarm.violation_id.clone(),
            thing: alarm.thing.clone().unwrap_or_default(),
            raised_at,
        };
        let message = AlarmMitigationMessage {
            alarms: AlarmMitigationRequest {
                account: alarm.account.clone(),
                region: alarm.region.clone(),
                profile: alarm.profile.clone(),
                behavior: alarm.behavior.clone(),
                origin: Origin::Rule(decision.rule.unwrap_or_default().to_owned()),
                mode: decision.mode(),
                policy: Some(self.policy.hash().to_owned()),
                actions: mitigate.actions.clone(),
                violations: vec![violation],
                release_after_seconds: mitigate.release_after_seconds,
            },
            step: AlarmStep::Start,
            waits: 0,
            since: None,
            round: None,
        };
        let body = serde_json::to_string(&message).map_err(|e| Error::Input(e.to_string()))?;
        self.mitigations.send(&[Outgoing::from(body)]).await
    }

    /// Sets a verification state (`PutVerificationStateOnViolation`).
    async fn verify(&self, life: &Life, verify: &Verify, mode: Mode) -> Result<Option<Text>, Error> {
        let (id, now) = (&life.alarm.violation_id, self.clock.now());
        if mode == Mode::Observe {
            return Ok(Some(text!("observed: the state would be {}", verify.state.as_str())));
        }
        let name = "PutVerificationStateOnViolation";
        let put = self.iot.put_verification_state_on_violation().violation_id(id);
        let put = put.verification_state(state(verify.state));
        let put = put.verification_state_description(&verify.description).send().await;
        match put.map_err(Error::aws(name, id)) {
            Ok(_) => {
                self.alarms.verified(id, verify.state, now).await?;
                (self.emit)(&alarms::verified_line(&life.alarm, now));
                Ok(None)
            }
            // The service no longer has the violation: there is nothing to say it of.
            Err(error)
                if error.is_code("InvalidRequestException") || error.is_code("ResourceNotFoundException") =>
            {
                tracing::warn!(violation.id = id, %error, "the verification state is not set");
                Ok(Some(text!("not set: {}", error.to_string())))
            }
            Err(error) => Err(error),
        }
    }

    /// Tells people, if there is anything to tell: once of each raise, and once of a device and behavior that flap.
    async fn alert(
        &self,
        subject: &AlarmSubject<'_>,
        decision: &AlarmDecision<'_, '_>,
        raised_at: Millis,
        reason: Option<&Text>,
    ) -> Result<(), Error> {
        let late = plan::is_too_late(decision.outcome, raised_at, subject.at);
        let is_silent = match decision.outcome {
            AlarmOutcome::Report(Report::Silent) => true,
            AlarmOutcome::Verify(_) => !late,
            AlarmOutcome::Report(Report::Alert(_)) | AlarmOutcome::Mitigate(_) => false,
        };
        if is_silent {
            return Ok(());
        }
        let Some(flaps) = plan::flaps(subject.raises, raised_at, &self.policy.alarms()) else {
            return self.alerts.raise(&alerts::raised(subject, decision, raised_at, reason)).await;
        };
        let Some(since) = flaps.since else { return Ok(()) };
        let alert = alerts::flapping(subject, decision, flaps.times, since, &self.policy.alarms());
        let ledger = self.alarms.ledger();
        let known = ledger.get(&keys::alert(&alert.id()), "claim").await?;
        if known.is_none() {
            (self.emit)(&alarms::flapping_line(&subject.life.alarm, subject.at));
        }
        self.alerts.raise(&alert).await
    }
}

fn state(of: Verification) -> VerificationState {
    VerificationState::from(of.as_str())
}
