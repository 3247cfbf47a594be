//! Outside of the policy's windows: a mitigation is held until one opens, or until a later audit has looked at its check.
//!
//! Its message comes back at least every 15 minutes, each time as a new one, so that neither the queue's retention
//! nor its redrive ends the wait, and a policy that is deployed meanwhile is obeyed soon. The message carries what
//! the ledger says, so that it is written, logged and alerted once and not each time. Nothing is claimed meanwhile:
//! whatever comes twice is settled by the claim when a window is open.

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Step;
use fleetwarden_core::timestamp::Millis;

use crate::ApplyMitigations;
use crate::alerts;
use crate::backoff::LONGEST_HOLD_SECONDS;
use crate::start::Aside;

/// People are alerted of what is held for longer, in milliseconds: a day.
pub(crate) const LONG_MS: i64 = 86_400_000;

impl ApplyMitigations {
    /// Holds a mitigation until a moment.
    pub(crate) async fn hold(
        &self,
        message: MitigationMessage,
        reason: &str,
        until: Millis,
    ) -> Result<(), Error> {
        let now = self.consumer.clock.now();
        let (since, known) = match message.step {
            Step::Held { since, until } => (since.min(now), Some(until)),
            Step::Start | Step::Follow => (now, None),
        };
        if self.is_past(since, LONGEST_HOLD_SECONDS) {
            let target = message.request.target.clone();
            return self.give_up(message, &target, &format!("not started within 90 days: {reason}")).await;
        }
        if known != Some(until) {
            let request = &message.request;
            let held =
                Settled { reason: Some(reason), until: Some(until), ..Settled::new(request, State::Held) };
            match self.set_aside(&message, &held).await? {
                // What other tasks have is held all the same: they may yet be refused.
                Aside::Yes(_) | Aside::Nothing => {}
                Aside::No => return Ok(()),
                Aside::Overtaken(latest) => {
                    return self.supersede(message, &latest.reason()).await.map(drop);
                }
            }
            let MitigationRequest { audit, check, origin, .. } = request;
            tracing::info!(
                mitigation.task_id = request.task_id(), audit.task_id = %audit.task_id, %check, rule = origin.rule(),
                reason, until = until.rfc3339(), "the mitigation is held"
            );
            if until.0.saturating_sub(since.0) > LONG_MS {
                self.alerts.raise(&alerts::held(request, reason)).await?;
            }
        }
        // What waited for room waits anew when a window opens.
        let held = MitigationMessage { step: Step::Held { since, until }, waits: 0, since: None, ..message };
        self.put_off_until(held, until).await
    }

    /// Ends a mitigation before its start, because of something later. Says whether it is so: it may have started.
    pub(crate) async fn supersede(&self, message: MitigationMessage, reason: &str) -> Result<bool, Error> {
        let request = &message.request;
        let superseded = Settled { reason: Some(reason), ..Settled::new(request, State::Superseded) };
        match self.set_aside(&message, &superseded).await? {
            Aside::Yes(_) => {}
            Aside::Nothing => return self.nothing_left(&message).await.map(|()| false),
            Aside::No | Aside::Overtaken(_) => return Ok(false),
        }
        let MitigationRequest { audit, check, origin, .. } = request;
        tracing::info!(
            mitigation.task_id = request.task_id(), audit.task_id = %audit.task_id, %check, rule = origin.rule(),
            reason, "the mitigation is superseded"
        );
        Ok(true)
    }
}
