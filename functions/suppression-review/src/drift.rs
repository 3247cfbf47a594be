//! What became of each suppression since the snapshot of the review before. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Standing;
use serde::Deserialize;
use serde::Serialize;

use crate::plan::BY_HAND;
use crate::plan::standing_of;
use crate::snapshot::BY_HAND_ALERTED;
use crate::snapshot::DELETED;
use crate::snapshot::END_FLAGS;
use crate::snapshot::Entry;
use crate::snapshot::IN_FLIGHT;
use crate::snapshot::Names;
use crate::snapshot::Snapshot;
use crate::snapshot::Source;
use crate::state::State;

/// By how many seconds the service's clock may be ahead: what it no longer lists may have expired there and not here.
const SKEW: u32 = 300;

/// Managed suppressions that were modified outside Fleetwarden.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Drift {
    pub(crate) by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    pub(crate) what: Modification,
    pub(crate) suppressions: u64,
}

/// How a suppression can be modified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Modification {
    Changed,
    Deleted,
}

impl Modification {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }
}

/// Everything that is known of each suppression, sorted by key.
#[derive(Default)]
pub(crate) struct Comparison {
    /// What sources and checks are called.
    pub(crate) names: Names,
    /// Those that exist now.
    pub(crate) present: Vec<Entry>,
    /// Those that have expired and are no longer listed.
    pub(crate) absent: Vec<Entry>,
    /// What was modified outside Fleetwarden. Once a review changes suppressions, this may be its own changes.
    pub(crate) drift: Vec<Drift>,
}

/// Gives sources and checks of a snapshot the numbers that they have in other names.
fn renumber(snapshot: &mut Snapshot, names: &mut Names) {
    let Names { sources, checks } = &snapshot.header.names;
    let sources: Vec<u16> = sources.iter().map(|source| names.source(source)).collect();
    let checks: Vec<u8> = checks.iter().map(|check| names.check(check)).collect();
    for entry in &mut snapshot.entries {
        entry.source = sources.get(usize::from(entry.source)).copied().unwrap_or_default();
        entry.check = checks.get(usize::from(entry.check)).copied().unwrap_or_default();
    }
}

/// Goes through the snapshot and the list side by side, both sorted by key.
pub(crate) fn compare(state: &State, policy: &Policy, mut before: Snapshot, now: u32) -> Comparison {
    let mut names = state.listing.names.clone();
    renumber(&mut before, &mut names);
    let standing = policy.standing().iter().map(Standing::name).collect();
    let same_policy = before.header.policy == state.policy;
    let ours = Ours { names: &names, standing, same_policy };
    let seen = &state.listing.seen;
    let mut made: Vec<Entry> = state.listing.made.clone();
    made.sort_unstable_by_key(|entry| entry.key);
    let made_of =
        |key| made.binary_search_by_key(&key, |entry: &Entry| entry.key).ok().and_then(|at| made.get(at));
    let (mut present, mut absent) = (Vec::with_capacity(seen.len() + made.len()), Vec::new());
    let mut keep = |entry: &Entry, old: Option<&Entry>| {
        if entry.is(DELETED) {
            return;
        }
        let now = made_of(entry.key).unwrap_or(entry);
        let first_seen = old.map_or(entry.first_seen, |old| old.first_seen);
        let flags = old.map_or(0, |old| {
            let mut flags = BY_HAND_ALERTED;
            if old.end == now.end {
                flags |= END_FLAGS;
            }
            // A review that reads only does not know what the one that reconciles has done.
            if state.reconciler.is_some() {
                flags |= IN_FLIGHT;
            }
            old.flags & flags
        });
        present.push(Entry { first_seen, flags: entry.flags | flags, ..*now });
    };
    let mut drift: BTreeMap<(u16, Modification), u64> = BTreeMap::new();
    let mut listed = seen.iter().peekable();
    for old in &before.entries {
        while let Some(entry) = listed.next_if(|entry| entry.key < old.key) {
            keep(entry, None);
        }
        let Some(entry) = listed.next_if(|entry| entry.key == old.key) else {
            if old.has_lapsed(now.saturating_add(SKEW)) {
                absent.push(*old);
            } else if ours.was_deleted(old) {
                *drift.entry((old.source, Modification::Deleted)).or_default() += 1;
            }
            continue;
        };
        if ours.was_changed(old, entry) {
            *drift.entry((old.source, Modification::Changed)).or_default() += 1;
        }
        keep(entry, Some(old));
    }
    listed.for_each(|entry| keep(entry, None));
    let is_new = |entry: &&Entry| seen.binary_search_by_key(&entry.key, |entry| entry.key).is_err();
    present.extend(made.iter().filter(is_new));
    present.sort_unstable_by_key(|entry| entry.key);
    let drift = drift.into_iter().map(|((source, what), suppressions)| {
        let Source { by, owner } = names.sources.get(usize::from(source)).cloned().unwrap_or_default();
        Drift { by, owner, what, suppressions }
    });
    let drift = drift.collect();
    Comparison { names, present, absent, drift }
}

/// Whether a suppression that had this source and end was modified outside Fleetwarden. Rules move their ends from audit
/// to audit themselves.
pub(crate) fn modified_outside((before, end_before): (&Source, u32), (now, end): (&Source, u32)) -> bool {
    let moved = || standing_of(&before.by).is_some() && before == now && end_before != end;
    before.by != BY_HAND && (now.by == BY_HAND || moved())
}

/// Which suppressions are managed, so that nobody else should modify them.
struct Ours<'a> {
    names: &'a Names,
    standing: BTreeSet<&'a str>,
    same_policy: bool,
}

impl Ours<'_> {
    /// Whether a suppression is of a rule, or of a standing suppression that is still in the policy.
    fn has(&self, entry: &Entry) -> bool {
        let Some(Source { by, .. }) = self.names.source_of(entry) else { return false };
        by.starts_with("rule ") || standing_of(by).is_some_and(|name| self.standing.contains(name))
    }

    fn was_deleted(&self, old: &Entry) -> bool {
        !old.is(IN_FLIGHT) && self.has(old)
    }

    /// Rules move their ends from audit to audit themselves.
    fn was_changed(&self, old: &Entry, entry: &Entry) -> bool {
        if old.is(IN_FLIGHT) || !self.has(old) {
            return false;
        }
        let of_hand = self.names.source_of(entry).is_some_and(|source| source.by == BY_HAND);
        let standing = self.names.source_of(old).is_some_and(|source| standing_of(&source.by).is_some());
        of_hand || (standing && self.same_policy && old.source == entry.source && old.end != entry.end)
    }
}
