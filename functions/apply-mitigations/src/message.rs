//! The messages of the mitigation queue, and what the two kinds of them have in common.

use fleetwarden_aws::mitigations::Chain;
use fleetwarden_core::message::Held;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Round;
use fleetwarden_core::message::Step;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::AlarmStep;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

/// A message about a mitigation: of findings, or of alarms.
pub(crate) trait Message: Clone + Serialize {
    /// What is asked for.
    type Request;

    /// The first message of a request.
    fn start(request: Self::Request) -> Self;

    /// The message that has a started task followed.
    fn follow(request: Self::Request) -> Self;

    /// The same request, held. What waited for room waits again when nothing holds it.
    fn hold(self, held: Held) -> Self;

    /// What is asked for.
    fn request(&self) -> &Self::Request;

    /// What is asked for, without what the message says of its step.
    fn into_request(self) -> Self::Request;

    /// The mitigation task's id.
    fn task_id(&self) -> String;

    /// What the ledger says of its hold, if it is held.
    fn held(&self) -> Option<Held>;

    /// The chain that its step waits by.
    fn chain(&self) -> Chain;

    /// Which message of its chain it is.
    fn round(&self) -> Option<&Round>;

    /// How often its step has been put off, and since when.
    fn waited(&self) -> (u32, Option<Millis>);

    /// The message that comes after it in its chain.
    fn next(self, round: Round, waited: (u32, Option<Millis>)) -> Self;
}

impl Message for MitigationMessage {
    type Request = MitigationRequest;

    fn start(request: MitigationRequest) -> Self {
        Self::new(request, Step::Start)
    }

    fn follow(request: MitigationRequest) -> Self {
        Self::new(request, Step::Follow)
    }

    fn hold(self, held: Held) -> Self {
        Self { step: Step::Held(held), waits: 0, since: None, ..self }
    }

    fn request(&self) -> &MitigationRequest {
        &self.request
    }

    fn into_request(self) -> MitigationRequest {
        self.request
    }

    fn task_id(&self) -> String {
        self.request.task_id()
    }

    fn held(&self) -> Option<Held> {
        match self.step {
            Step::Held(held) => Some(held),
            Step::Start | Step::Follow | Step::Watch => None,
        }
    }

    fn chain(&self) -> Chain {
        Chain::of(&self.request, self.step)
    }

    fn round(&self) -> Option<&Round> {
        self.round.as_ref()
    }

    fn waited(&self) -> (u32, Option<Millis>) {
        (self.waits, self.since)
    }

    fn next(self, round: Round, (waits, since): (u32, Option<Millis>)) -> Self {
        Self { waits, since, round: Some(round), ..self }
    }
}

impl Message for AlarmMitigationMessage {
    type Request = AlarmMitigationRequest;

    fn start(request: AlarmMitigationRequest) -> Self {
        Self::new(request, AlarmStep::Start)
    }

    fn follow(request: AlarmMitigationRequest) -> Self {
        Self::new(request, AlarmStep::Follow)
    }

    fn hold(self, held: Held) -> Self {
        Self { step: AlarmStep::Held(held), waits: 0, since: None, ..self }
    }

    fn request(&self) -> &AlarmMitigationRequest {
        &self.alarms
    }

    fn into_request(self) -> AlarmMitigationRequest {
        self.alarms
    }

    fn task_id(&self) -> String {
        self.alarms.task_id()
    }

    fn held(&self) -> Option<Held> {
        match self.step {
            AlarmStep::Held(held) => Some(held),
            AlarmStep::Start | AlarmStep::Follow | AlarmStep::Release => None,
        }
    }

    fn chain(&self) -> Chain {
        Chain::of_alarms(&self.alarms, self.step)
    }

    fn round(&self) -> Option<&Round> {
        self.round.as_ref()
    }

    fn waited(&self) -> (u32, Option<Millis>) {
        (self.waits, self.since)
    }

    fn next(self, round: Round, (waits, since): (u32, Option<Millis>)) -> Self {
        Self { waits, since, round: Some(round), ..self }
    }
}
