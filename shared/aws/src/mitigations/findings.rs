//! The mitigations of findings: claimed finding by finding, for the latest audit of their check.

use std::collections::BTreeSet;

use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::timestamp::Millis;

use super::Claim;
use super::Claimable;
use super::Latest;
use super::Mitigations;
use super::Settled;
use super::canary;
use super::canary::CanaryTurn;
use super::claims::CanaryWrite;
use super::claims::Part;
use super::claims::Writing;
use super::claims::Wrote;
use super::claims::latest;
use super::claims::unless_held;
use super::item;
use super::item::State;
use super::of_audit;
use crate::Error;
use crate::ledger::Condition;
use crate::ledger::Item;
use crate::ledger::keys;

impl Claimable for MitigationRequest {
    type Target = Target;
    type Part = FindingRef;

    const CLAIMED_OVER: &'static [State] = &State::BEFORE_START;
    const SETTLED_OVER: &'static [State] = &State::BEFORE_START;

    fn set_aside_over(state: State) -> &'static [State] {
        // Observing takes over only what nobody else would end, not even its own: a repeat finds what was said.
        // Who dies before telling people that a task is superseded has to find it so again.
        match state {
            State::Observed => &[State::Held],
            State::Superseded => &State::SUPERSEDABLE,
            _ => &State::WAITING,
        }
    }

    fn target(&self) -> &Target {
        &self.target
    }

    async fn write(
        &self,
        mitigations: &Mitigations,
        settled: &Settled<'_, Self>,
        over: &[State],
        now: Millis,
    ) -> Result<Claim<Target>, Error> {
        let id = self.task_id();
        // What may start, now or later, is for the latest audit only.
        let may_start = matches!(settled.state, State::Claimed | State::Held | State::Observed);
        let latest = may_start.then(|| latest(&self.audit, &self.check));
        let parts = match settled.target {
            Some(target @ Target::Findings(_)) => Some(distinct(target)),
            _ => None,
        };
        let target = |left: &[FindingRef]| match settled.target {
            Some(Target::Findings(_)) => Some(Target::Findings(left.to_vec())),
            other => other.cloned(),
        };
        let task = |left: &[FindingRef]| {
            let own = target(left).map(|target| MitigationRequest { target, ..self.clone() });
            item::task(&id, own.as_slice(), settled, now)
        };
        let left_out = settled.left_out.to_vec();
        // What may be malformed is of no audit.
        let mentions = settled.target.map(|_| of_audit::mention(self, now)).into_iter().collect();
        let state = settled.state;
        let Settled { spends, guards, grades, approved, .. } = *settled;
        let count = settled.target.filter(|_| parts.is_none()).map(Target::count);
        let of = match &settled.canary {
            Some(CanaryTurn::First { of, watched }) => (*of, watched.as_ref()),
            _ => (0, None),
        };
        let first = |ids| canary::first_of(self, of, ids, now);
        let turn = settled.canary.clone().filter(|_| canary::has_canary(self));
        let canary = turn.map(|turn| match turn {
            CanaryTurn::First { .. } => (turn, CanaryWrite::Put(&first)),
            CanaryTurn::Rest => (turn, CanaryWrite::Check(canary::has_passed(self))),
        });
        let writing = Writing {
            id: &id,
            parts,
            left_out,
            mentions,
            state,
            over,
            latest,
            spends,
            guards,
            grades,
            approved,
            canary,
            impact: settled.impact,
            count,
            now,
        };
        Ok(match mitigations.write_parts(writing, task).await? {
            Wrote::Yes(left) => target(&left).map_or(Claim::Nothing, Claim::Taken),
            Wrote::Nothing => Claim::Nothing,
            Wrote::Known(state) => Claim::Known(state),
            Wrote::Overtaken(later) => Claim::Overtaken(Latest::of(&later)),
            Wrote::Stopped(stop) => Claim::Stopped(stop),
        })
    }
}

impl Part for FindingRef {
    fn id(&self) -> &str {
        &self.finding_id
    }

    fn about(&self) -> String {
        keys::finding(&self.finding_id)
    }

    fn claim(&self, task_id: &str, state: State, now: Millis) -> Item {
        item::claim(task_id, self, state, now)
    }

    fn unless_held(&self, task_id: &str, state: State) -> Condition {
        unless_held(task_id, state)
    }
}

/// The findings of a target, each once: a transaction writes no item twice.
pub(super) fn distinct(target: &Target) -> Vec<FindingRef> {
    let Target::Findings(findings) = target else { return Vec::new() };
    let mut seen = BTreeSet::new();
    findings.iter().filter(|finding| seen.insert(finding.finding_id.as_str())).cloned().collect()
}
