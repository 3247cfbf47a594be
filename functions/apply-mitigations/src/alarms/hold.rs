//! Outside of the policy's windows a mitigation of alarms is held until one opens, as one of findings is in
//! [`hold`](crate::hold). Whether the alarm lasts is asked when it opens.

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::AlarmsSettled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::AlarmStep;
use fleetwarden_core::timestamp::Millis;

use super::alerts;
use super::start::Aside;
use crate::ApplyMitigations;
use crate::backoff::LONGEST_HOLD_SECONDS;
use crate::hold::LONG_MS;

impl ApplyMitigations {
    /// Holds a mitigation until a moment.
    pub(super) async fn hold_alarms(
        &self,
        message: AlarmMitigationMessage,
        reason: &str,
        until: Millis,
    ) -> Result<(), Error> {
        let now = self.consumer.clock.now();
        let (since, known) = match message.step {
            AlarmStep::Held { since, until } => (since.min(now), Some(until)),
            AlarmStep::Start | AlarmStep::Follow | AlarmStep::Release => (now, None),
        };
        if self.is_past(since, LONGEST_HOLD_SECONDS) {
            return self.give_alarms_up(message, &format!("not started within 90 days: {reason}")).await;
        }
        if known != Some(until) {
            let request = &message.alarms;
            let held = AlarmsSettled {
                reason: Some(reason),
                until: Some(until),
                ..AlarmsSettled::new(request, State::Held)
            };
            match self.set_alarms_aside(&message, &held).await? {
                // What other tasks have is held all the same: they may yet be refused.
                Aside::Yes | Aside::Nothing => {}
                Aside::No => return Ok(()),
            }
            let AlarmMitigationRequest { profile, behavior, origin, .. } = request;
            tracing::info!(
                mitigation.task_id = request.task_id(),
                alarm.profile = profile,
                alarm.behavior = behavior,
                rule = origin.rule(),
                reason,
                until = until.rfc3339(),
                "the mitigation is held"
            );
            if until.0.saturating_sub(since.0) > LONG_MS {
                self.alerts.raise(&alerts::held(request, reason)).await?;
            }
        }
        // What waited for room waits anew when a window opens.
        let step = AlarmStep::Held { since, until };
        self.put_off_until(AlarmMitigationMessage { step, waits: 0, since: None, ..message }, until).await
    }

    /// Ends a mitigation before its start. Says whether it is so: it may have started.
    pub(super) async fn supersede_alarms(
        &self,
        message: &AlarmMitigationMessage,
        reason: &str,
    ) -> Result<bool, Error> {
        let request = &message.alarms;
        let superseded =
            AlarmsSettled { reason: Some(reason), ..AlarmsSettled::new(request, State::Superseded) };
        match self.set_alarms_aside(message, &superseded).await? {
            Aside::Yes => {}
            Aside::Nothing => return self.no_alarms_left(message).await.map(|()| false),
            Aside::No => return Ok(false),
        }
        tracing::info!(mitigation.task_id = request.task_id(), reason, "the mitigation is superseded");
        Ok(true)
    }
}
