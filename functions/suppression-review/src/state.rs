//! A review under way: all that the next invocation has to know to go on.

use std::collections::BTreeMap;
use std::collections::HashMap;

use fleetwarden_aws::Error;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

use crate::compared::Drift;
use crate::memory::Known;
use crate::memory::Names;
use crate::memory::RECORD;

/// How many names of resources are kept to show some.
const SAMPLES: usize = 20_000;
/// How many of those alike.
const ALIKE: usize = 5;

/// A review.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    /// What it is once for: the time of the schedule, or the id of the request.
    pub(crate) slot: String,
    /// Which invocation of it this is, from 0.
    pub(crate) step: u32,
    pub(crate) dry_run: bool,
    pub(crate) began: Millis,
    /// When it began to list suppressions.
    pub(crate) read_at: Millis,
    /// The review that keeps the standing suppressions meanwhile, by its slot: then this one leaves them alone.
    pub(crate) kept_by: Option<String>,
    /// The hash of the policy that it goes by.
    pub(crate) policy: String,
    pub(crate) phase: Phase,
    /// How far the members are known.
    pub(crate) members: Progress,
    /// Of each standing suppression, in the policy's order.
    pub(crate) standing: Vec<Kept>,
    /// The last audit of each check.
    pub(crate) audits: BTreeMap<CheckName, LastAudit>,
    pub(crate) listing: Listing,
    pub(crate) hidden: Hidden,
    /// Of suppressions whose standing suppression is gone from the policy, how many were deleted or would be.
    pub(crate) orphans: u64,
    /// What somebody did to suppressions of ours, once it is known: before anything is changed.
    pub(crate) drift: Option<Vec<Drift>>,
    /// What somebody did to suppressions of ours after they were listed.
    pub(crate) modified: Vec<Drift>,
    /// What could not be found out.
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
    /// Count and tell.
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
    /// How many were done when the last failure put the review aside: it is given up if it gets no further.
    pub(crate) failed_at: usize,
    /// Whether an earlier invocation had no time to list them.
    pub(crate) again: bool,
}

/// What became of a standing suppression.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Kept {
    /// Suppressions that it wants.
    pub(crate) wanted: u64,
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
    pub(crate) unchanged: u64,
    /// Left alone, because people made them.
    pub(crate) by_hand: u64,
    /// Certificates that are attached to things beside its members, too.
    pub(crate) shared: u64,
    /// Changes that failed.
    pub(crate) failed: u64,
    /// Its end is past: what is there stays as it is.
    pub(crate) lapsed: bool,
    /// The first failure of a change.
    pub(crate) error: Option<String>,
    /// The checks for which its members are not known, and why: of these nothing is touched.
    pub(crate) unknown: BTreeMap<CheckName, String>,
}

impl Kept {
    /// Whether its members are not known for a check.
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
    pub(crate) seen: Vec<Known>,
    /// As this review created or updated them.
    #[serde(skip)]
    pub(crate) made: Vec<Known>,
    #[serde(skip)]
    pub(crate) wanted: HashMap<u128, Want>,
    #[serde(skip)]
    pub(crate) surplus: Vec<Surplus>,
    samples_kept: usize,
}

/// A suppression, to show it.
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
    /// Whether they could not all be listed: then none of what they say is taken.
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

/// How a wanted suppression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    Missing,
    Fine,
    /// It is there, and should be otherwise.
    Stale,
    /// People made it, and it stays.
    ByHand,
    /// It is of another standing suppression whose members are not known.
    Taken,
    /// It was created or updated, or that failed.
    Done,
}

const IS: [Is; 6] = [Is::Missing, Is::Fine, Is::Stale, Is::ByHand, Is::Taken, Is::Done];

/// A suppression of ours that nobody wants any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Surplus {
    /// None if its standing suppression is gone from the policy.
    pub(crate) standing: Option<u16>,
    pub(crate) check: CheckName,
    pub(crate) resource: fleetwarden_core::model::resource::ResourceIdentifier,
}

impl Listing {
    /// Changes what is noted of a suppression that was listed.
    pub(crate) fn mark(&mut self, key: u128, change: impl FnOnce(&mut Known)) {
        let at = self.seen.binary_search_by_key(&key, |known| known.key).ok();
        if let Some(known) = at.and_then(|at| self.seen.get_mut(at)) {
            change(known);
        }
    }

    /// Keeps a name to show it, if there are not enough yet.
    pub(crate) fn sample(&mut self, known: &Known, name: impl FnOnce() -> String) {
        let alike = self.samples.entry((known.source, crate::memory::day(known.end))).or_default();
        if alike.len() < ALIKE && self.samples_kept < SAMPLES {
            self.samples_kept += 1;
            alike.push(Sample { key: format!("{:032x}", known.key), name: name() });
        }
    }
}

impl State {
    /// Leaves alone what a standing suppression has for one of its checks, by their places: its members are not known.
    pub(crate) fn leave_alone(&mut self, at: usize, (place, check): (usize, &CheckName), why: &str) {
        let is_of = |want: &Want| usize::from(want.standing) == at && usize::from(want.check) == place;
        self.listing.wanted.retain(|_, want| !is_of(want));
        if let Some(kept) = self.standing.get_mut(at) {
            kept.unknown.insert(check.clone(), why.to_owned());
        }
    }

    /// The state as one object: a line of JSON, then what is too much for it. It can be as large as all else in
    /// memory, so it is written once, to where it stays.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Listing { seen, made, wanted, surplus, .. } = &self.listing;
        let names: usize = wanted.values().map(|want| want.name.len() + 24).sum();
        let records = (seen.len() + made.len()) * RECORD + self.hidden.keys.len() * 16;
        let mut out = Vec::with_capacity(names + records + surplus.len() * 256 + (1 << 20));
        json_part(&mut out, self);
        for known in [seen, made] {
            part(&mut out, |out| known.iter().for_each(|known| known.encode(out)));
        }
        part(&mut out, |out| self.hidden.keys.iter().for_each(|key| out.extend(key.to_be_bytes())));
        json_part(&mut out, surplus);
        part(&mut out, |out| {
            for (key, want) in wanted {
                let is = IS.iter().position(|is| *is == want.is).unwrap_or_default();
                out.extend(key.to_be_bytes());
                out.extend(want.standing.to_be_bytes());
                out.extend([want.check, u8::try_from(is).unwrap_or_default()]);
                out.extend(u32::try_from(want.name.len()).unwrap_or_default().to_be_bytes());
                out.extend(want.name.as_bytes());
            }
        });
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8], key: &str) -> Result<Self, Error> {
        Self::read(bytes).ok_or_else(|| Error::Input(format!("{key}: it is no review under way")))
    }

    fn read(mut rest: &[u8]) -> Option<Self> {
        let mut part = || {
            let length = take(&mut rest, 8)?.iter().fold(0, |n: usize, byte| n << 8 | usize::from(*byte));
            take(&mut rest, length)
        };
        let mut state: Self = serde_json::from_slice(part()?).ok()?;
        state.listing.seen = Known::decode_all(part()?);
        state.listing.made = Known::decode_all(part()?);
        state.hidden.keys = part()?.as_chunks::<16>().0.iter().map(|key| u128::from_be_bytes(*key)).collect();
        state.listing.surplus = serde_json::from_slice(part()?).ok()?;
        let mut wanted = part()?;
        while !wanted.is_empty() {
            let key = u128::from_be_bytes(take(&mut wanted, 16)?.try_into().ok()?);
            let standing = u16::from_be_bytes(take(&mut wanted, 2)?.try_into().ok()?);
            let [check, is] = *take(&mut wanted, 2)? else { return None };
            let length = u32::from_be_bytes(take(&mut wanted, 4)?.try_into().ok()?);
            let name = std::str::from_utf8(take(&mut wanted, usize::try_from(length).ok()?)?).ok()?.into();
            let is = *IS.get(usize::from(is))?;
            state.listing.wanted.insert(key, Want { standing, check, is, name });
        }
        Some(state)
    }
}

/// A part, with its length before it.
fn part(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len() + 8;
    out.extend([0; 8]);
    write(out);
    let length = (out.len() - begin) as u64;
    if let Some(place) = out.get_mut(begin - 8..begin) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

fn json_part(out: &mut Vec<u8>, value: &impl Serialize) {
    // It fails on no value of ours, and what was cut is not read again.
    part(out, |out| serde_json::to_writer(out, value).unwrap_or_default());
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::NEVER;
    use crate::resources::Kind;

    #[test]
    fn what_is_put_aside_goes_on_as_it_was() {
        let known = Known { key: 5, first_seen: 1, end: NEVER, source: 0, check: 0, flags: 0 };
        let mut state = State { slot: "s".into(), step: 3, ..State::default() };
        state.listing.seen = vec![known; 3];
        state.listing.sample(&known, || "name".into());
        state.hidden.keys = vec![1, u128::MAX];
        let resource = Kind::ClientId.identifier("c");
        let check = CheckName::new("CONFLICTING_CLIENT_IDS_CHECK");
        state.listing.surplus = vec![Surplus { standing: None, check, resource }];
        for (key, is) in (0_u128..).zip(IS) {
            let name = format!("é{key}").into();
            state.listing.wanted.insert(key, Want { standing: 300, check: 2, is, name });
        }
        let read = State::decode(&state.encode(), "k").unwrap();
        assert_eq!(format!("{:?}", read.listing.samples), format!("{:?}", state.listing.samples));
        assert_eq!(read.listing.seen, state.listing.seen);
        assert_eq!(read.listing.wanted, state.listing.wanted);
        assert_eq!(read.listing.surplus, state.listing.surplus);
        assert_eq!((&read.hidden.keys, read.step), (&state.hidden.keys, 3));
        for cut in [0, 7, 8, 40] {
            assert!(State::decode(&state.encode()[..cut], "k").is_err());
        }
    }
}
