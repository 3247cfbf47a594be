//! The things behind the findings of a page, as far as their decisions want them.

use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::registry::OutOfTime;
use fleetwarden_aws::registry::Registry;
use fleetwarden_core::message::Audit;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::Decision;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Subject;
use fleetwarden_core::timestamp::Millis;
use futures_util::stream;
use futures_util::stream::StreamExt as _;
use futures_util::stream::TryStreamExt as _;

/// Of how many findings the things are looked up at once.
const LOOKUPS: usize = 8;

/// What to do with a page when the time is up before all is looked up.
#[derive(Clone, Copy)]
pub(crate) enum AtTimeOut {
    /// Leave it to a new message as if it had not been begun.
    LeavePage,
    /// Decide without what is not known. For the page that an invocation begins with: another would have no
    /// more time for it, and so the check would never end.
    GiveUp,
}

/// What is looked up for one message.
pub(crate) struct Lookup<'t> {
    pub(crate) registry: Registry,
    policy: &'t Policy,
    clock: &'t Clock,
}

impl<'t> Lookup<'t> {
    /// For the findings of an audit.
    pub(crate) fn new(iot: &RegistryClient, policy: &'t Policy, clock: &'t Clock, audit: &Audit) -> Self {
        let registry = Registry::new(iot.clone(), &audit.account, &audit.region);
        Self { registry, policy, clock }
    }

    /// Looks up what each decision of a page wants, in the page's order. None of a finding that wants nothing;
    /// none at all if the time is up and the page can be left.
    pub(crate) async fn things(
        &self,
        decisions: &[Decision<'_, '_>],
        subjects: &[Subject<'_>],
        stop_at: Millis,
        at_time_out: AtTimeOut,
    ) -> Option<Vec<Option<Things>>> {
        let look_up = async |(decision, subject): (&Decision<'_, '_>, &Subject<'_>)| {
            if decision.wanted.is_nothing() {
                return Ok(None);
            }
            // On the heap: the calls behind it are large, and most findings make none.
            let wants = |things: &Things| self.policy.decide(&Subject { things, ..subject.clone() }).wanted;
            let left = stop_at.since(self.clock.now());
            let things = self.registry.look_up_within(left, subject.finding.identifier(), wants);
            match (Box::pin(things).await, at_time_out) {
                (Ok(things), _) => Ok(Some(things)),
                (Err(OutOfTime), AtTimeOut::GiveUp) => Ok(Some(self.registry.give_up("the time was up"))),
                (Err(OutOfTime), AtTimeOut::LeavePage) => Err(OutOfTime),
            }
        };
        let things = stream::iter(decisions.iter().zip(subjects)).map(look_up).buffered(LOOKUPS);
        things.try_collect().await.ok()
    }
}
