//! The suppressions that the last review knew: an object in the archive, one small record each.
//!
//! A suppression has no time of creation, and one that has ended may be gone from every list. So a review remembers
//! what it saw: since when each has been there, when it was to end, and whose it was. The history of findings
//! (`core::history`) has neither an end nor an owner, so this is a list of its own.

use fleetwarden_aws::Error;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

/// The size of a record, in bytes.
pub(crate) const RECORD: usize = 28;
/// The flag of a suppression whose end was told together with what the audit after it found.
pub(crate) const TOLD: u8 = 1;
/// Of one that this review has deleted.
pub(crate) const DELETED: u8 = 1 << 1;
/// Of one that a review was about to change or delete: that it is otherwise now is no drift.
pub(crate) const IN_HAND: u8 = 1 << 2;
/// Of one whose end was told.
pub(crate) const ENDED: u8 = 1 << 3;
/// Of one that people made by hand, and that was told.
pub(crate) const NOTED: u8 = 1 << 4;
/// How many days before the end people are warned, and the flags of those of which they were.
pub(crate) const WARNINGS: [(u32, u8); 3] = [(1, 1 << 5), (7, 1 << 6), (30, 1 << 7)];
/// The flags that stay with a suppression as long as its end does.
pub(crate) const KEPT_WITH_ITS_END: u8 = TOLD | ENDED | 1 << 5 | 1 << 6 | 1 << 7;
/// The end of what has none.
pub(crate) const NEVER: u32 = u32::MAX;

/// The maker of those whose makers are too many to be told apart.
pub(crate) const OTHERS: &str = "others";

/// A suppression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Known {
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

/// What records only have numbers for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Names {
    pub(crate) sources: Vec<Source>,
    pub(crate) checks: Vec<CheckName>,
}

impl Names {
    /// The number of a source. Of more than can be told apart, the last ones count as one.
    pub(crate) fn source(&mut self, source: &Source) -> u16 {
        const MOST: usize = 5_000;
        let others = || Source { by: OTHERS.into(), owner: None };
        number(&mut self.sources, source, MOST, others).try_into().unwrap_or_default()
    }

    /// The number of a check.
    pub(crate) fn check(&mut self, check: &CheckName) -> u8 {
        number(&mut self.checks, check, 254, || CheckName::new("OTHER_CHECKS")).try_into().unwrap_or_default()
    }

    pub(crate) fn source_of(&self, known: &Known) -> Option<&Source> {
        self.sources.get(usize::from(known.source))
    }

    pub(crate) fn check_of(&self, known: &Known) -> Option<&CheckName> {
        self.checks.get(usize::from(known.check))
    }
}

fn number<T: Clone + PartialEq>(all: &mut Vec<T>, one: &T, most: usize, others: impl Fn() -> T) -> usize {
    // Neighbours in a list are mostly of one rule, and sources are few: a search from the end is short.
    if let Some(at) = all.iter().rposition(|known| known == one) {
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

impl Known {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.key.to_be_bytes());
        out.extend(self.first_seen.to_be_bytes());
        out.extend(self.end.to_be_bytes());
        out.extend(self.source.to_be_bytes());
        out.extend([self.check, self.flags]);
    }

    pub(crate) fn decode_all(bytes: &[u8]) -> Vec<Self> {
        let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
        let (records, _) = bytes.as_chunks::<RECORD>();
        let decode = |record: &[u8; RECORD]| {
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

/// A moment in seconds, as records have it.
pub(crate) fn seconds(at: Millis) -> u32 {
    u32::try_from(at.seconds().max(0)).unwrap_or(NEVER - 1)
}

/// The number of a second's day.
pub(crate) const fn day(second: u32) -> u32 {
    second / 86_400
}

/// What a review leaves to the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) header: Header,
    /// Sorted by key.
    pub(crate) known: Vec<Known>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    /// When that review began to list.
    pub(crate) read_at: Millis,
    /// When the last review began that came to its end and told people. None did if it is 0.
    pub(crate) told: Millis,
    /// The hash of the policy at that review.
    pub(crate) policy: String,
    pub(crate) names: Names,
}

impl Memory {
    /// A line of JSON, and the records.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = serde_json::to_vec(&self.header).unwrap_or_default();
        out.push(b'\n');
        out.reserve(self.known.len() * RECORD);
        self.known.iter().for_each(|known| known.encode(&mut out));
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8], key: &str) -> Result<Self, Error> {
        let wrong = |what: String| Error::Later(format!("{key}: {what}; delete the object to start anew"));
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (header, records) =
            end.and_then(|end| bytes.split_at_checked(end)).ok_or_else(|| wrong("it is no memory".into()))?;
        let header = serde_json::from_slice(header).map_err(|e| wrong(e.to_string()))?;
        Ok(Self { header, known: Known::decode_all(records.get(1..).unwrap_or_default()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_again() {
        let known = |key, end| Known { key, first_seen: 7, end, source: 1, check: 2, flags: TOLD };
        let source = |by: &str| Source { by: by.into(), owner: Some("lab".into()) };
        let mut names = Names::default();
        assert_eq!((names.source(&source("rule a")), names.source(&source("rule b"))), (0, 1));
        assert_eq!(names.source(&source("rule a")), 0);
        assert_eq!(names.check(&CheckName::new("LOGGING_DISABLED_CHECK")), 0);
        let header = Header { read_at: Millis(7), told: Millis(6), policy: "hash".into(), names };
        let memory = Memory { header, known: vec![known(1, NEVER), known(u128::MAX, 99)] };
        assert_eq!(Memory::decode(&memory.encode(), "k").unwrap(), memory);
        let error = Memory::decode(b"x", "k").unwrap_err();
        assert_eq!(error.to_string(), "k: it is no memory; delete the object to start anew");
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
