//! What a review found, from what it listed and the snapshot of the review before. Pure.

mod view;

use std::collections::BTreeMap;

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::debt::Debt;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::drift::Comparison;
use crate::drift::compare;
use crate::owners::Owners;
use crate::snapshot::Header;
use crate::snapshot::RETURN_ALERTED;
use crate::snapshot::Snapshot;
use crate::snapshot::seconds;
use crate::state::State;
use crate::summary::view::View;

/// For how many days after its end a suppression without a later audit stays in the snapshot.
const REMEMBERED: u32 = 40;
const DAY: u32 = 86_400;

/// What a review found.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// When the last review that raised alerts began.
    pub(crate) since: Millis,
    pub(crate) debt: Debt,
    /// By maker and owner, the most first.
    pub(crate) tallies: Vec<Tally>,
    pub(crate) ending: Vec<Ending>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) by_hand: ByHand,
    /// For the next review.
    pub(crate) snapshot: Snapshot,
}

/// The suppressions of one maker and owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tally {
    pub(crate) by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    pub(crate) suppressions: u64,
    pub(crate) indefinite: u64,
    pub(crate) idle: u64,
    /// Some that are idle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) idle_examples: Vec<String>,
}

/// Suppressions of one source that expire soon, on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ending {
    pub(crate) by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// The day of the end, as `2026-11-23`.
    pub(crate) on: String,
    /// Within how many days.
    pub(crate) within_days: u32,
    pub(crate) suppressions: u64,
    pub(crate) checks: BTreeMap<CheckName, u64>,
    pub(crate) examples: Vec<String>,
    /// How many had no such alert before.
    #[serde(skip)]
    pub(crate) without_alert: u64,
}

/// Suppressions of one source that have expired on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ended {
    pub(crate) by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    pub(crate) on: String,
    pub(crate) suppressions: u64,
    pub(crate) checks: BTreeMap<CheckName, u64>,
    /// How many of the findings that they hid are back in the audits since then; none before these audits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) back: Option<u64>,
    /// How many had no alert before.
    #[serde(skip)]
    pub(crate) without_alert: u64,
    /// Whether each of the checks has been audited since.
    #[serde(skip)]
    pub(crate) audited: bool,
    #[serde(skip)]
    pub(crate) keys: Vec<u128>,
}

/// Suppressions that were made by hand since the last review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ByHand {
    pub(crate) suppressions: u64,
    pub(crate) indefinite: u64,
    pub(crate) examples: Vec<String>,
}

/// What a summary is put together from.
pub(crate) struct Facts<'a> {
    /// Its list of suppressions is sorted by key.
    pub(crate) state: &'a State,
    pub(crate) policy: &'a Policy,
    /// When everything was listed and changed, which may be hours after the review began.
    pub(crate) now: Millis,
    /// The snapshot of the review before: an empty one at the first review.
    pub(crate) before: Snapshot,
    /// The keys of the findings that were hidden, sorted; none if they are unknown.
    pub(crate) hidden: Option<&'a [u128]>,
    /// Who answers for them, in the operator's original words.
    pub(crate) owners: &'a Owners,
}

impl Facts<'_> {
    /// Puts them together.
    pub(crate) fn summarize(self) -> Summary {
        let Self { state, policy, before, hidden, owners, .. } = self;
        let (now, since) = (seconds(self.now), before.header.alerted_at);
        let Comparison { names, mut present, mut absent, .. } = compare(state, policy, before, now);
        let shown = owners.names(&names);
        let view = View { state, names: &shown, now, hidden, first: since == Millis(0) };
        let (debt, tallies) = view.debt(&present);
        let (ending, ended) = (view.ending(&present), view.ended(&present, &absent));
        let by_hand = view.by_hand(&present);
        // The alerts are raised before the snapshot is saved.
        for entry in present.iter_mut().chain(&mut absent) {
            entry.flags |= view.alert_flags(entry);
        }
        absent.retain(|entry| !entry.is(RETURN_ALERTED) && now.saturating_sub(entry.end) < REMEMBERED * DAY);
        present.extend(absent);
        present.sort_unstable_by_key(|entry| entry.key);
        let (read_at, alerted_at, policy) = (state.read_at, state.began, state.policy.clone());
        let header = Header { read_at, alerted_at, policy, names };
        let snapshot = Snapshot { header, entries: present };
        Summary { since, debt, tallies, ending, ended, by_hand, snapshot }
    }
}
