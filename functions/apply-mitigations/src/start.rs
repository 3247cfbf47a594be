//! The first step: a mitigation is admitted, claimed, started, and its follow-up sent.
//!
//! Whoever dies on the way leaves a claim of its own, which the next delivery takes again; a start that is
//! repeated names the same task. The ledger says `started` last, when a follow-up is certainly on its way.

use fleetwarden_aws::Error;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Step;
use fleetwarden_core::message::Target;

use crate::ApplyMitigations;
use crate::admission::Admission;
use crate::admission::admit;
use crate::claim::Claim;
use crate::claim::Settled;
use crate::ledger::State;
use crate::task;
use crate::task::Started;
use crate::told;

impl ApplyMitigations {
    /// Starts what a message asks for, if it may.
    pub(crate) async fn start(&self, message: MitigationMessage) -> Result<(), Error> {
        match admit(&message.request, &self.account, self.policy_mode) {
            Admission::Go => self.enforce(message).await,
            Admission::Observe => self.observe(message).await,
            Admission::Hold { reason } => self.hold(message, None, &reason).await,
            // What may be malformed is not written out: the parked record has it.
            Admission::Refuse { reason } => self.refuse(&message.request, None, reason).await,
        }
    }

    async fn enforce(&self, message: MitigationMessage) -> Result<(), Error> {
        let request = &message.request;
        let target = match self.mitigations.claim(request, State::Claimed, self.consumer.clock.now()).await? {
            Claim::Taken(target) => target,
            Claim::Nothing => {
                nothing_left(request);
                return Ok(());
            }
            Claim::Known(state) => {
                known(request, state);
                return Ok(());
            }
        };
        match task::start(&self.iot, request, &target).await? {
            Started::Yes => self.started(message, &target).await,
            Started::Full => self.hold(message, Some(&target), "ten mitigation tasks run already").await,
            Started::Refused(reason) => self.refuse(request, Some(&target), reason).await,
        }
    }

    async fn started(&self, message: MitigationMessage, target: &Target) -> Result<(), Error> {
        let follow = MitigationMessage { step: Step::Follow, waits: 0, ..message };
        self.send_first(&follow).await?;
        let request = &follow.request;
        let id = request.task_id();
        self.mitigations.started(&id, self.consumer.clock.now()).await?;
        let MitigationRequest { audit, check, rule, actions, .. } = request;
        tracing::info!(
            mitigation.task_id = id, audit.task_id = audit.task_id, %check, rule, ?actions,
            findings = target.count(), "the mitigation task is started"
        );
        Ok(())
    }

    async fn observe(&self, message: MitigationMessage) -> Result<(), Error> {
        let request = &message.request;
        let now = self.consumer.clock.now();
        let target = match self.mitigations.claim(request, State::Observed, now).await? {
            Claim::Taken(target) => target,
            Claim::Nothing => {
                nothing_left(request);
                return Ok(());
            }
            // Claimed while acting was allowed: it may have been started by somebody who died right after.
            Claim::Known(State::Claimed) => {
                if task::describe(&self.iot, &request.task_id()).await?.is_some() {
                    let target = request.target.clone();
                    return self.started(message, &target).await;
                }
                let target = Some(&request.target);
                let observed = Settled { target, state: State::Observed, reason: None };
                self.mitigations.settle(request, &observed, now).await?;
                request.target.clone()
            }
            Claim::Known(state) => {
                known(request, state);
                return Ok(());
            }
        };
        let MitigationRequest { audit, check, rule, actions, .. } = request;
        tracing::info!(
            mitigation.task_id = request.task_id(), audit.task_id = audit.task_id, %check, rule, ?actions,
            findings = target.count(), "would mitigate"
        );
        Ok(())
    }

    /// Waits for a better time, but not for ever.
    async fn hold(
        &self,
        message: MitigationMessage,
        target: Option<&Target>,
        reason: &str,
    ) -> Result<(), Error> {
        let id = message.request.task_id();
        if !self.has_waited_long(&message) {
            tracing::info!(mitigation.task_id = id, reason, waits = message.waits, "the mitigation waits");
            return self.put_off(message).await;
        }
        let reason = format!("not started within a day: {reason}");
        let now = self.consumer.clock.now();
        let given_up = Settled { target, state: State::GivenUp, reason: Some(&reason) };
        self.mitigations.settle(&message.request, &given_up, now).await?;
        self.alerts.raise(&told::given_up(&message.request, &reason)).await?;
        // Who sends it again from where it is parked wants it to wait anew.
        let parked = MitigationMessage { waits: 0, ..message };
        let body = serde_json::to_string(&parked).map_err(|e| Error::Input(e.to_string()))?;
        self.consumer.parking.park(&body, &reason).await?;
        tracing::error!(mitigation.task_id = id, reason, "the mitigation is parked");
        Ok(())
    }

    /// Says that a mitigation can never start. The error has the record parked.
    async fn refuse(
        &self,
        request: &MitigationRequest,
        target: Option<&Target>,
        reason: String,
    ) -> Result<(), Error> {
        let now = self.consumer.clock.now();
        let refused = Settled { target, state: State::Refused, reason: Some(&reason) };
        self.mitigations.settle(request, &refused, now).await?;
        self.alerts.raise(&told::refused(request, &reason)).await?;
        Err(Error::Input(reason))
    }
}

fn nothing_left(request: &MitigationRequest) {
    tracing::info!(
        mitigation.task_id = request.task_id(), check = %request.check, rule = request.rule,
        "nothing to mitigate: other tasks have all of the findings"
    );
}

fn known(request: &MitigationRequest, state: State) {
    tracing::info!(
        mitigation.task_id = request.task_id(),
        state = state.as_str(),
        "nothing to do: the mitigation is known"
    );
}
