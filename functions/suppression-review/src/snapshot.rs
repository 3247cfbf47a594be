//! The suppressions as the last review left them: an object in the archive, with one small entry for each.
//!
//! A suppression has no time of creation, and one that has expired may be missing from every list. So a review keeps
//! what it saw: since when each exists, when it expires, and who made it. The history of findings (`core::history`) has
//! neither an end nor an owner, so this is a list of its own.

use fleetwarden_aws::Error;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

/// The size of an entry, in bytes.
pub(crate) const ENTRY_BYTES: usize = 28;
/// The flag of an expired suppression with an alert on what the audit after it found.
pub(crate) const RETURN_ALERTED: u8 = 1;
/// The flag of one that this review has deleted.
pub(crate) const DELETED: u8 = 1 << 1;
/// The flag of one that a review was about to update or delete: a difference is no drift.
pub(crate) const IN_FLIGHT: u8 = 1 << 2;
/// The flag of an expired one with an alert on that.
pub(crate) const END_ALERTED: u8 = 1 << 3;
/// The flag of one made by hand with an alert on that.
pub(crate) const BY_HAND_ALERTED: u8 = 1 << 4;
/// How many days before the end an alert warns, and the flag of a suppression with that alert.
pub(crate) const WARNINGS: [(u32, u8); 3] = [(1, 1 << 5), (7, 1 << 6), (30, 1 << 7)];
/// The flags that stay with a suppression as long as its end does.
pub(crate) const END_FLAGS: u8 = RETURN_ALERTED | END_ALERTED | 1 << 5 | 1 << 6 | 1 << 7;
/// The end of what has none.
pub(crate) const NEVER: u32 = u32::MAX;

/// The maker of suppressions with too many makers to number each.
pub(crate) const OTHERS: &str = "others";

/// A suppression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// Check and resource.
    pub(crate) key: u128,
    /// When a review first saw it, in seconds since the epoch.
    pub(crate) first_seen: u32,
    /// When it ends, in seconds since the epoch, or [`NEVER`].
    pub(crate) end: u32,
    /// Whose it is: a place in [`Names::sources`].
    pub(crate) source: u16,
    /// Its check: a place in [`Names::checks`].
    pub(crate) check: u8,
    pub(crate) flags: u8,
}

/// Who made suppressions, and who answers for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Source {
    /// `rule NAME`, `standing NAME`, or `by hand`.
    pub(crate) by: String,
    pub(crate) owner: Option<String>,
}

/// What entries only have numbers for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Names {
    pub(crate) sources: Vec<Source>,
    pub(crate) checks: Vec<CheckName>,
}

impl Names {
    /// The number of a source. If there are too many, the last ones count as one.
    pub(crate) fn source(&mut self, source: &Source) -> u16 {
        const MOST: usize = 5_000;
        let others = || Source { by: OTHERS.into(), owner: None };
        number(&mut self.sources, source, MOST, others).try_into().unwrap_or_default()
    }

    /// The number of a check.
    pub(crate) fn check(&mut self, check: &CheckName) -> u8 {
        number(&mut self.checks, check, 254, || CheckName::new("OTHER_CHECKS")).try_into().unwrap_or_default()
    }

    pub(crate) fn source_of(&self, entry: &Entry) -> Option<&Source> {
        self.sources.get(usize::from(entry.source))
    }

    pub(crate) fn check_of(&self, entry: &Entry) -> Option<&CheckName> {
        self.checks.get(usize::from(entry.check))
    }
}

fn number<T: Clone + PartialEq>(all: &mut Vec<T>, one: &T, most: usize, others: impl Fn() -> T) -> usize {
    // Neighbours in a list are mostly of one rule, and sources are few: a search from the end is short.
    if let Some(at) = all.iter().rposition(|entry| entry == one) {
        return at;
    }
    if all.len() < most {
        all.push(one.clone());
        return all.len() - 1;
    }
    if all.len() == most {
        all.push(others());
    }
    most
}

impl Entry {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.key.to_be_bytes());
        out.extend(self.first_seen.to_be_bytes());
        out.extend(self.end.to_be_bytes());
        out.extend(self.source.to_be_bytes());
        out.extend([self.check, self.flags]);
    }

    pub(crate) fn decode_all(bytes: &[u8]) -> Vec<Self> {
        let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
        let (records, _) = bytes.as_chunks::<ENTRY_BYTES>();
        let decode = |record: &[u8; ENTRY_BYTES]| {
            let (key, rest) = record.split_at(16);
            let (first_seen, rest) = rest.split_at(4);
            let (end, rest) = rest.split_at(4);
            let (source, rest) = rest.split_at(2);
            Self {
                key: key.iter().fold(0, |n, byte| n << 8 | u128::from(*byte)),
                first_seen: number(first_seen),
                end: number(end),
                source: u16::try_from(number(source)).unwrap_or_default(),
                check: rest.first().copied().unwrap_or_default(),
                flags: rest.last().copied().unwrap_or_default(),
            }
        };
        records.iter().map(decode).collect()
    }

    pub(crate) const fn is_indefinite(&self) -> bool {
        self.end == NEVER
    }

    /// Whether it has ended by a second.
    pub(crate) const fn has_lapsed(&self, now: u32) -> bool {
        self.end != NEVER && self.end <= now
    }

    pub(crate) const fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A moment in seconds, as entries have it.
pub(crate) fn seconds(at: Millis) -> u32 {
    u32::try_from(at.seconds().max(0)).unwrap_or(NEVER - 1)
}

/// The number of a second's day.
pub(crate) const fn day(second: u32) -> u32 {
    second / 86_400
}

/// What a review leaves to the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) header: Header,
    /// Sorted by key.
    pub(crate) entries: Vec<Entry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    /// When that review began to list.
    pub(crate) read_at: Millis,
    /// When the last review began that ended and raised its alerts. None did if it is 0.
    #[serde(rename = "told")]
    pub(crate) alerted_at: Millis,
    /// The hash of the policy at that review.
    pub(crate) policy: String,
    pub(crate) names: Names,
}

impl Snapshot {
    /// A line of JSON, and the entries.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = serde_json::to_vec(&self.header).unwrap_or_default();
        out.push(b'\n');
        out.reserve(self.entries.len() * ENTRY_BYTES);
        self.entries.iter().for_each(|entry| entry.encode(&mut out));
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8], key: &str) -> Result<Self, Error> {
        let wrong =
            |what: String| Error::Later(format!("{key}: {what}; delete the object to start without one"));
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (header, records) = end
            .and_then(|end| bytes.split_at_checked(end))
            .ok_or_else(|| wrong("it is no snapshot".into()))?;
        let header = serde_json::from_slice(header).map_err(|e| wrong(e.to_string()))?;
        Ok(Self { header, entries: Entry::decode_all(records.get(1..).unwrap_or_default()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_read_again() {
        let entry = |key, end| Entry { key, first_seen: 7, end, source: 1, check: 2, flags: RETURN_ALERTED };
        let source = |by: &str| Source { by: by.into(), owner: Some("lab".into()) };
        let mut names = Names::default();
        assert_eq!((names.source(&source("rule a")), names.source(&source("rule b"))), (0, 1));
        assert_eq!(names.source(&source("rule a")), 0);
        assert_eq!(names.check(&CheckName::new("LOGGING_DISABLED_CHECK")), 0);
        let header = Header { read_at: Millis(7), alerted_at: Millis(6), policy: "hash".into(), names };
        let snapshot = Snapshot { header, entries: vec![entry(1, NEVER), entry(u128::MAX, 99)] };
        assert_eq!(Snapshot::decode(&snapshot.encode(), "k").unwrap(), snapshot);
        let error = Snapshot::decode(b"x", "k").unwrap_err();
        assert_eq!(error.to_string(), "k: it is no snapshot; delete the object to start without one");
    }

    #[test]
    fn sources_without_number_are_counted_as_one() {
        let mut names = Names::default();
        let of = |n: u32| Source { by: format!("rule {n}"), owner: None };
        let last = (0..6_000).map(|n| names.source(&of(n))).last();
        assert_eq!((last, names.sources.len()), (Some(5_000), 5_001));
        assert_eq!(names.source(&of(3)), 3);
    }
}
