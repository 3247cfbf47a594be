//! The decision: by the policy of now, on what the ledger and the registry know now.

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alarms::Known;
use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::registry::Registry;
use fleetwarden_core::ids::names::is_thing_name;
use fleetwarden_core::message::alarm::Settle;
use fleetwarden_core::model::alarm::Action;
use fleetwarden_core::model::alarm::State;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::AlarmSubject;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;

use crate::effects::Effects;
use crate::settling::SettleQueue;

/// An alarm is not decided on again sooner, in seconds.
const AGAIN_SECONDS: i64 = 60;

/// Decides by the policy, and has it carried out.
pub(crate) struct Decisions<'a> {
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) policy: &'a Policy,
    /// AWS IoT, for things, as the registry asks it.
    pub(crate) registry: &'a RegistryClient,
    pub(crate) alarms: &'a Alarms,
    pub(crate) effects: Effects<'a>,
    pub(crate) settle_queue: SettleQueue<'a>,
}

impl Decisions<'_> {
    /// Decides on a violation and carries it out. The decision is noted in the ledger last, so that a repeat finds either
    /// all of it done or does it again. `over` is when the incident ended that the violation was part of: what was decided
    /// before that is decided again.
    pub(crate) async fn decide(
        &self,
        known: &Known,
        settle: &Settle,
        over: Option<Millis>,
        now: Millis,
    ) -> Result<(), Error> {
        let (life, raises) = (&known.life, known.raises.as_slice());
        let things = Box::pin(self.things(known, now)).await;
        let subject = AlarmSubject { life, at: now, raises, things: &things };
        let decision = self.policy.decide_alarm(&subject);
        let word = decision.outcome.word();
        tracing::info!(
            violation.id = settle.violation_id,
            decision = word,
            rule = decision.rule,
            "the policy has decided on the alarm"
        );
        if !life.has_since(word, None, over) {
            let reason = Box::pin(self.effects.carry_out(&subject, &decision, settle.raised_at)).await?;
            self.decide_later(settle, decision.again_at, life.state(), now).await?;
            let rule = decision.rule.map(ToOwned::to_owned);
            let action = Action {
                at: now.max(settle.raised_at).max(over.unwrap_or(now)),
                raised_at: Some(settle.raised_at),
                what: word.to_owned(),
                rule,
                task_id: None,
                reason: reason.map(|reason| reason.to_string()),
            };
            return self.alarms.note_after(&settle.violation_id, &action, over).await;
        }
        self.decide_later(settle, decision.again_at, life.state(), now).await
    }

    /// Decides again when a rule that asks for a longer alarm would match, if the alarm lasts until then.
    async fn decide_later(
        &self,
        settle: &Settle,
        again_at: Option<Millis>,
        state: Option<State>,
        now: Millis,
    ) -> Result<(), Error> {
        let Some(at) = again_at.filter(|_| state == Some(State::Raised)) else { return Ok(()) };
        self.settle_queue.send_next(settle, at.max(now.plus_seconds(AGAIN_SECONDS))).await
    }

    /// The thing of the alarm's device, as far as the policy wants to know of it.
    async fn things(&self, known: &Known, now: Millis) -> Things {
        let thing = known.life.alarm.thing.as_deref();
        // A name that no thing can have is that of a device that is not registered.
        let Some(thing) = thing.filter(|thing| is_thing_name(thing)) else {
            return Things::Known(Vec::new());
        };
        let identifier =
            ResourceIdentifier { client_id: Some(thing.to_owned()), ..ResourceIdentifier::default() };
        let registry = Registry::new(self.registry.clone(), self.account, self.region);
        let wants = |things: &Things| {
            let subject = AlarmSubject { life: &known.life, at: now, raises: &known.raises, things };
            self.policy.decide_alarm(&subject).wanted
        };
        registry.look_up(Some(&identifier), wants).await
    }
}
