//! What became of each suppression since the review before. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Standing;
use serde::Deserialize;
use serde::Serialize;

use crate::plan::BY_HAND;
use crate::plan::standing_of;
use crate::snapshot::DELETED;
use crate::snapshot::IN_HAND;
use crate::snapshot::KEPT_WITH_ITS_END;
use crate::snapshot::Known;
use crate::snapshot::Memory;
use crate::snapshot::NOTED;
use crate::snapshot::Names;
use crate::snapshot::Source;
use crate::state::State;

/// By how many seconds the service's clock may be ahead: what it lists no longer may have ended there and not here.
const SKEW: u32 = 300;

/// What somebody did to suppressions of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Drift {
    pub(crate) by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    pub(crate) what: Deed,
    pub(crate) suppressions: u64,
}

/// What can be done to a suppression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Deed {
    Changed,
    Deleted,
}

impl Deed {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }
}

/// All that there is to know of each suppression, sorted by key.
#[derive(Default)]
pub(crate) struct Compared {
    /// What sources and checks are called.
    pub(crate) names: Names,
    /// Those that there are now.
    pub(crate) there: Vec<Known>,
    /// Those that have ended and are no longer listed.
    pub(crate) gone: Vec<Known>,
    /// What somebody did to ours. Once a review changes suppressions, it may be what the review itself did.
    pub(crate) drift: Vec<Drift>,
}

/// Gives sources and checks of a memory the numbers that they have in other names.
fn renumber(memory: &mut Memory, names: &mut Names) {
    let Names { sources, checks } = &memory.header.names;
    let sources: Vec<u16> = sources.iter().map(|source| names.source(source)).collect();
    let checks: Vec<u8> = checks.iter().map(|check| names.check(check)).collect();
    for known in &mut memory.known {
        known.source = sources.get(usize::from(known.source)).copied().unwrap_or_default();
        known.check = checks.get(usize::from(known.check)).copied().unwrap_or_default();
    }
}

/// Goes through what is remembered and what is listed side by side, both sorted by key.
pub(crate) fn compare(state: &State, policy: &Policy, mut before: Memory, now: u32) -> Compared {
    let mut names = state.listing.names.clone();
    renumber(&mut before, &mut names);
    let standing = policy.standing().iter().map(Standing::name).collect();
    let same_policy = before.header.policy == state.policy;
    let ours = Ours { names: &names, standing, same_policy };
    let seen = &state.listing.seen;
    let mut made: Vec<Known> = state.listing.made.clone();
    made.sort_unstable_by_key(|known| known.key);
    let made_of =
        |key| made.binary_search_by_key(&key, |known: &Known| known.key).ok().and_then(|at| made.get(at));
    let (mut there, mut gone) = (Vec::with_capacity(seen.len() + made.len()), Vec::new());
    let mut keep = |known: &Known, old: Option<&Known>| {
        if known.is(DELETED) {
            return;
        }
        let now = made_of(known.key).unwrap_or(known);
        let first_seen = old.map_or(known.first_seen, |old| old.first_seen);
        let kept = old.map_or(0, |old| {
            let mut kept = NOTED;
            if old.end == now.end {
                kept |= KEPT_WITH_ITS_END;
            }
            // Who only looks does not know what the one that keeps has done.
            if state.kept_by.is_some() {
                kept |= IN_HAND;
            }
            old.flags & kept
        });
        there.push(Known { first_seen, flags: known.flags | kept, ..*now });
    };
    let mut drift: BTreeMap<(u16, Deed), u64> = BTreeMap::new();
    let mut listed = seen.iter().peekable();
    for old in &before.known {
        while let Some(known) = listed.next_if(|known| known.key < old.key) {
            keep(known, None);
        }
        let Some(known) = listed.next_if(|known| known.key == old.key) else {
            if old.has_lapsed(now.saturating_add(SKEW)) {
                gone.push(*old);
            } else if ours.was_deleted(old) {
                *drift.entry((old.source, Deed::Deleted)).or_default() += 1;
            }
            continue;
        };
        if ours.was_changed(old, known) {
            *drift.entry((old.source, Deed::Changed)).or_default() += 1;
        }
        keep(known, Some(old));
    }
    listed.for_each(|known| keep(known, None));
    let is_new = |known: &&Known| seen.binary_search_by_key(&known.key, |known| known.key).is_err();
    there.extend(made.iter().filter(is_new));
    there.sort_unstable_by_key(|known| known.key);
    let drift = drift.into_iter().map(|((source, what), suppressions)| {
        let Source { by, owner } = names.sources.get(usize::from(source)).cloned().unwrap_or_default();
        Drift { by, owner, what, suppressions }
    });
    let drift = drift.collect();
    Compared { names, there, gone, drift }
}

/// Whether a suppression that a review knew so, with its end, was changed by somebody else. Rules move their ends from
/// audit to audit themselves.
pub(crate) fn changed_outside((before, end_before): (&Source, u32), (now, end): (&Source, u32)) -> bool {
    let moved = || standing_of(&before.by).is_some() && before == now && end_before != end;
    before.by != BY_HAND && (now.by == BY_HAND || moved())
}

/// Which suppressions are made here, so that nobody else should touch them.
struct Ours<'a> {
    names: &'a Names,
    standing: BTreeSet<&'a str>,
    same_policy: bool,
}

impl Ours<'_> {
    /// Whether a suppression is of a rule, or of a standing suppression that is still in the policy.
    fn has(&self, known: &Known) -> bool {
        let Some(Source { by, .. }) = self.names.source_of(known) else { return false };
        by.starts_with("rule ") || standing_of(by).is_some_and(|name| self.standing.contains(name))
    }

    fn was_deleted(&self, old: &Known) -> bool {
        !old.is(IN_HAND) && self.has(old)
    }

    /// Rules move their ends from audit to audit themselves.
    fn was_changed(&self, old: &Known, known: &Known) -> bool {
        if old.is(IN_HAND) || !self.has(old) {
            return false;
        }
        let of_hand = self.names.source_of(known).is_some_and(|source| source.by == BY_HAND);
        let standing = self.names.source_of(old).is_some_and(|source| standing_of(&source.by).is_some());
        of_hand || (standing && self.same_policy && old.source == known.source && old.end != known.end)
    }
}
