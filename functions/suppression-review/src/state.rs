//! A review that has not ended: everything that the next invocation needs to continue it.

mod encoding;

use std::collections::BTreeMap;
use std::collections::HashMap;

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Standing;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

use crate::drift::Drift;
use crate::snapshot::Entry;
use crate::snapshot::Names;

/// How many names of resources are saved as examples.
const SAMPLES: usize = 20_000;
/// How many of one source and day.
const ALIKE: usize = 5;

/// A review.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    /// Its claim: the time of the schedule, or the id of the request.
    pub(crate) slot: String,
    /// The number of checkpoints before this invocation.
    pub(crate) step: u32,
    pub(crate) dry_run: bool,
    pub(crate) began: Millis,
    /// When it began to list suppressions.
    pub(crate) read_at: Millis,
    /// The other review that reconciles the standing suppressions, by its slot: then this one leaves them alone.
    #[serde(rename = "keptBy")]
    pub(crate) reconciler: Option<String>,
    /// The hash of its policy.
    pub(crate) policy: String,
    pub(crate) phase: Phase,
    /// How far the members are known.
    pub(crate) members: Progress,
    /// Of each standing suppression, in the policy's order.
    pub(crate) standing: Vec<StandingStatus>,
    /// The last audit of each check.
    pub(crate) audits: BTreeMap<CheckName, LastAudit>,
    pub(crate) listing: Listing,
    pub(crate) hidden: Hidden,
    /// Of suppressions whose standing suppression is gone from the policy, how many were deleted or would be.
    pub(crate) orphans: u64,
    /// What was modified outside Fleetwarden, once it is known: before anything is changed.
    pub(crate) drift: Option<Vec<Drift>>,
    /// What was modified outside Fleetwarden after it was listed.
    pub(crate) modified: Vec<Drift>,
    /// What is unknown, and why.
    pub(crate) gaps: Vec<String>,
}

/// What is done next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Phase {
    /// Find the members of the standing suppressions.
    #[default]
    Members,
    /// List suppressions, and the findings that they hid.
    Read,
    /// Create, update and delete.
    Change,
    /// Count and alert.
    Tell,
}

/// How far the members of the standing suppressions are known.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The standing suppression whose members are being found.
    pub(crate) standing: usize,
    /// Its things, if they are known.
    pub(crate) things: Option<Vec<String>>,
    /// How many of these are done.
    pub(crate) position: usize,
    /// How many were done at the last failure. If a retry gets no further, the members count as unknown.
    pub(crate) failed_at: usize,
    /// Whether an earlier invocation had no time to list them.
    pub(crate) again: bool,
}

/// The status of a standing suppression.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct StandingStatus {
    /// Suppressions that it wants.
    pub(crate) wanted: u64,
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
    pub(crate) unchanged: u64,
    /// Made by hand, so they stay as they are.
    pub(crate) by_hand: u64,
    /// Certificates that are also attached to things that are not members.
    pub(crate) shared: u64,
    /// Changes that failed.
    pub(crate) failed: u64,
    /// It has expired: what exists stays as it is.
    pub(crate) lapsed: bool,
    /// The first failure of a change.
    pub(crate) error: Option<String>,
    /// The checks for which its members are unknown, and why: the suppressions of these stay as they are.
    pub(crate) unknown: BTreeMap<CheckName, String>,
}

impl StandingStatus {
    /// Whether its members are unknown for a check.
    pub(crate) fn is_unknown(&self, check: &CheckName) -> bool {
        self.unknown.contains_key(check)
    }
}

/// The last audit of a check that came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastAudit {
    pub(crate) task: String,
    pub(crate) started: Millis,
    /// Without the suppressed.
    pub(crate) non_compliant: u64,
    pub(crate) suppressed: u64,
}

/// The suppressions as they are listed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Listing {
    pub(crate) at: Pages,
    pub(crate) done: bool,
    pub(crate) pages: u64,
    pub(crate) names: Names,
    /// Names of some suppressions, by source and day of their end.
    #[serde(with = "pairs")]
    pub(crate) samples: BTreeMap<(u16, u32), Vec<Sample>>,
    #[serde(skip)]
    pub(crate) seen: Vec<Entry>,
    /// As this review created or updated them.
    #[serde(skip)]
    pub(crate) made: Vec<Entry>,
    #[serde(skip)]
    pub(crate) wanted: HashMap<u128, Want>,
    #[serde(skip)]
    pub(crate) surplus: Vec<Surplus>,
    samples_kept: usize,
}

/// An example of a suppression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// In hexadecimal digits.
    pub(crate) key: String,
    pub(crate) name: String,
}

/// The findings that suppressions hid in the last audit of each check.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Hidden {
    /// Checks still to be listed, the next one last.
    pub(crate) left: Vec<CheckName>,
    pub(crate) at: Pages,
    pub(crate) pages: u64,
    /// Whether they could not all be listed: then none of them counts.
    pub(crate) unknown: bool,
    #[serde(skip)]
    pub(crate) keys: Vec<u128>,
}

/// A suppression that a standing one wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    /// Its place in the policy.
    pub(crate) standing: u16,
    /// The place of the check among those of the standing one.
    pub(crate) check: u8,
    pub(crate) is: Is,
    /// The resource's name.
    pub(crate) name: Box<str>,
}

/// The status of a wanted suppression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    Missing,
    Fine,
    /// It exists and has to be updated.
    Stale,
    /// It was made by hand and stays.
    ByHand,
    /// It is of another standing suppression with unknown members.
    Taken,
    /// It was created or updated, or that failed.
    Done,
}

/// A managed suppression that nobody wants any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Surplus {
    /// None if its standing suppression is gone from the policy.
    pub(crate) standing: Option<u16>,
    pub(crate) check: CheckName,
    pub(crate) resource: fleetwarden_core::model::resource::ResourceIdentifier,
}

impl Listing {
    /// Changes the entry of a listed suppression.
    pub(crate) fn mark(&mut self, key: u128, change: impl FnOnce(&mut Entry)) {
        let at = self.seen.binary_search_by_key(&key, |entry| entry.key).ok();
        if let Some(entry) = at.and_then(|at| self.seen.get_mut(at)) {
            change(entry);
        }
    }

    /// Saves a name as an example, if there are not enough yet.
    pub(crate) fn sample(&mut self, entry: &Entry, name: impl FnOnce() -> String) {
        let alike = self.samples.entry((entry.source, crate::snapshot::day(entry.end))).or_default();
        if alike.len() < ALIKE && self.samples_kept < SAMPLES {
            self.samples_kept += 1;
            alike.push(Sample { key: format!("{:032x}", entry.key), name: name() });
        }
    }
}

impl State {
    /// A review that begins now. If another review reconciles the standing suppressions, this one leaves them as they are:
    /// their members count as unknown.
    pub(crate) fn begin(
        policy: &Policy,
        slot: String,
        dry_run: bool,
        reconciler: Option<String>,
        now: Millis,
    ) -> Self {
        let reads_only = reconciler.is_some();
        let count = policy.standing().len();
        let status = |standing: &Standing| {
            let unknown = if reads_only { standing.checks() } else { &[] };
            let why = |check: &CheckName| (check.clone(), "another review reconciles it".to_owned());
            StandingStatus { unknown: unknown.iter().map(why).collect(), ..StandingStatus::default() }
        };
        Self {
            slot,
            dry_run,
            began: now,
            policy: policy.hash().to_owned(),
            standing: policy.standing().iter().map(status).collect(),
            members: Progress { standing: if reads_only { count } else { 0 }, ..Progress::default() },
            reconciler,
            ..Self::default()
        }
    }

    /// Leaves the suppressions of a standing suppression for one of its checks as they are, by their places: its members
    /// are unknown.
    pub(crate) fn leave_alone(&mut self, at: usize, (place, check): (usize, &CheckName), why: &str) {
        let is_of = |want: &Want| usize::from(want.standing) == at && usize::from(want.check) == place;
        self.listing.wanted.retain(|_, want| !is_of(want));
        if let Some(status) = self.standing.get_mut(at) {
            status.unknown.insert(check.clone(), why.to_owned());
        }
    }
}

/// A map whose keys are no text, as a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serialize;
    use serde::Serializer;

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::deserialize(from)?.into_iter().collect())
    }
}
