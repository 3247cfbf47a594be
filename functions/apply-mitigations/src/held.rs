//! Outside of the policy's windows: a mitigation is held until one opens, or until a later audit decides anew.
//!
//! Its message comes back at least every 15 minutes, each time as a new one, so that neither the queue's retention
//! nor its redrive ends the wait, and a policy that is deployed meanwhile is obeyed soon. The message carries what
//! the ledger says, so that it is written, logged and told once and not each time. Nothing is claimed meanwhile:
//! whatever comes twice is settled by the claim when a window is open.

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Step;
use fleetwarden_core::timestamp::Millis;

use crate::ApplyMitigations;
use crate::start::Aside;
use crate::told;

/// People are told of what is held for longer, in milliseconds: a day.
const LONG_MS: i64 = 86_400_000;

impl ApplyMitigations {
    /// Holds a mitigation until a moment.
    pub(crate) async fn hold(
        &self,
        message: MitigationMessage,
        reason: &str,
        until: Millis,
    ) -> Result<(), Error> {
        let (since, known) = match message.step {
            Step::Held { since, until } => (since, Some(until)),
            Step::Start | Step::Follow => (self.consumer.clock.now(), None),
        };
        if known != Some(until) {
            let request = &message.request;
            let held =
                Settled { reason: Some(reason), until: Some(until), ..Settled::new(request, State::Held) };
            // What other tasks have is held all the same: they may yet be refused.
            if self.set_aside(&message, &held).await? == Aside::No {
                return Ok(());
            }
            let MitigationRequest { audit, check, origin, .. } = request;
            tracing::info!(
                mitigation.task_id = request.task_id(), audit.task_id = audit.task_id, %check, rule = origin.rule(),
                reason, until = until.rfc3339(), "the mitigation is held"
            );
            if until.0.saturating_sub(since.0) > LONG_MS {
                self.alerts.raise(&told::held(request, reason)).await?;
            }
        }
        let held = MitigationMessage { step: Step::Held { since, until }, ..message };
        self.send_until(&held, until).await
    }

    /// The later audit of the check that has been triaged, if the mitigation has been held and there is one.
    ///
    /// It found under new ids what is still there and decided on it, so that two tasks would meet at one
    /// resource when a window opens. What was never held is not asked about.
    pub(crate) async fn overtaken(&self, message: &MitigationMessage) -> Result<Option<String>, Error> {
        let Step::Held { .. } = message.step else { return Ok(None) };
        let MitigationRequest { audit, check, .. } = &message.request;
        self.mitigations.ledger().later_audit(audit, check).await
    }

    /// Ends a mitigation before its start, because something later decides. Says whether it is so: it may have started.
    pub(crate) async fn supersede(&self, message: MitigationMessage, reason: &str) -> Result<bool, Error> {
        let request = &message.request;
        let superseded = Settled { reason: Some(reason), ..Settled::new(request, State::Superseded) };
        match self.set_aside(&message, &superseded).await? {
            Aside::Yes(_) => {}
            Aside::Nothing => return self.nothing_left(&message).await.map(|()| false),
            Aside::No => return Ok(false),
        }
        let MitigationRequest { audit, check, origin, .. } = request;
        tracing::info!(
            mitigation.task_id = request.task_id(), audit.task_id = audit.task_id, %check, rule = origin.rule(),
            reason, "the mitigation is superseded"
        );
        Ok(true)
    }
}
