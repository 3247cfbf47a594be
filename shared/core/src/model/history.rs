//! What was seen of a check in the audits before: which findings are new, which are gone, which came back.
//!
//! A check's history is one sorted list of fixed-size records, one a finding key. It is an object in the
//! archive, read and replaced once an audit: a million findings cost one GET and one PUT of 36 MB, where a
//! table would cost a million writes. Memory stays flat: a key is looked up by interpolation in a few reads,
//! and the new list is made by merging the old one with the audit's sorted keys, record by record.

use std::cmp::Ordering;
use std::io;

use serde::Deserialize;
use serde::Serialize;

use crate::model::finding::FindingKey;
use crate::model::severity::Severity;
use crate::model::suppression::FirstSuppressed;
use crate::model::suppression::Terms;
use crate::timestamp::Millis;

/// The size of a record, in bytes.
pub const RECORD_BYTES: usize = 36;
/// How long a finding that is gone is remembered, so that it can be told if it returns.
const REMEMBERED_SECONDS: i64 = 400 * 86_400;

/// What is known of a finding from the audits before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Never seen.
    New,
    /// Seen at the last audit of the check.
    Known,
    /// Seen once, then gone, now back.
    Returned,
}

/// One finding key of a check's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which finding.
    pub key: FindingKey,
    /// When it was first seen (the start of that audit).
    pub first_seen: Millis,
    /// When it was last seen.
    pub last_seen: Millis,
    /// In how many audits it was seen.
    pub times_seen: u16,
    /// How bad it was.
    pub severity: Severity,
    /// Whether it was there at the last audit.
    pub open: bool,
    /// Since when a rule has suppressed it for a length of time, also if that is over.
    pub first_suppressed: Option<FirstSuppressed>,
    /// Whether Device Defender had suppressed it at the last audit: then it is not counted as new or returned.
    pub suppressed: bool,
}

/// What an audit changes of a finding, to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is in the audit, and Device Defender has not suppressed it.
    Found {
        /// What it is to the audits before.
        status: Status,
        /// How bad it is.
        severity: Severity,
        /// When it was first seen.
        first_seen: Millis,
    },
    /// It was open and is gone.
    Fixed(Severity),
}

/// The flags of a record's last byte.
const OPEN: u8 = 1;
const SUPPRESSED: u8 = 2;

impl Record {
    /// The record's bytes: key, first and last seen in seconds, when first suppressed (0 if never) and on which terms,
    /// times seen (big-endian, 32 and 16 bits), severity, flags (1: open, 2: suppressed).
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let seconds = |at: Millis| u32::try_from(at.seconds().max(0)).unwrap_or(u32::MAX).to_be_bytes();
        let severity = Severity::ALL.iter().position(|s| *s == self.severity).unwrap_or_default();
        let fields = self.key.0.into_iter().chain(seconds(self.first_seen)).chain(seconds(self.last_seen));
        let (at, terms) = self.first_suppressed.map_or((Millis(0), 0), |first| (first.at, first.terms.0));
        let fields =
            fields.chain(seconds(at)).chain(terms.to_be_bytes()).chain(self.times_seen.to_be_bytes());
        let mut bytes = [0; RECORD_BYTES];
        let flags = [(self.open, OPEN), (self.suppressed, SUPPRESSED)];
        let flags = flags.iter().filter(|(is, _)| *is).map(|(_, flag)| flag).sum();
        let last = [u8::try_from(severity).unwrap_or_default(), flags];
        bytes.iter_mut().zip(fields.chain(last)).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &[u8; RECORD_BYTES]) -> Self {
        let number = |range: std::ops::Range<usize>| {
            let digits = bytes.get(range).unwrap_or_default();
            digits.iter().fold(0_u128, |n, byte| (n << 8) + u128::from(*byte))
        };
        let seconds = |range| Millis::from_seconds(i64::try_from(number(range)).unwrap_or_default());
        let terms = Terms(u32::try_from(number(28..32)).unwrap_or_default());
        let first_suppressed = FirstSuppressed { at: seconds(24..28), terms };
        let [.., severity, flags] = *bytes;
        Self {
            key: FindingKey(number(0..16).to_be_bytes()),
            first_seen: seconds(16..20),
            last_seen: seconds(20..24),
            times_seen: u16::try_from(number(32..34)).unwrap_or_default(),
            severity: Severity::ALL.get(usize::from(severity)).copied().unwrap_or(Severity::Unknown),
            open: flags & OPEN != 0,
            first_suppressed: Some(first_suppressed).filter(|first| first.at != Millis(0)),
            suppressed: flags & SUPPRESSED != 0,
        }
    }

    /// What a finding is that has this record from the audits before.
    pub const fn status(before: Option<&Self>) -> Status {
        match before {
            None => Status::New,
            Some(Self { open: true, .. }) => Status::Known,
            Some(_) => Status::Returned,
        }
    }

    /// The record of a finding of an audit after what the audits before knew of it.
    fn after(self, before: Option<&Self>) -> Self {
        let Some(before) = before else { return self };
        let first_suppressed = match (before.first_suppressed, self.first_suppressed) {
            (Some(first), Some(now)) if first.terms != now.terms || now.at <= first.at => Some(now),
            (first, now) => first.or(now),
        };
        Self {
            first_seen: before.first_seen.min(self.first_seen),
            times_seen: before.times_seen.saturating_add(1),
            first_suppressed,
            ..self
        }
    }
}

/// Looks a key up in a sorted list of records that is read one record at a time.
///
/// Keys are hashes, so they lie evenly and a guess by proportion lands near: a few reads for a million
/// records. If a list is uneven all the same, every second guess halves what is left.
///
/// # Errors
/// Those of `read`.
pub fn find(
    key: FindingKey,
    records: u64,
    mut read: impl FnMut(u64) -> io::Result<Record>,
) -> io::Result<Option<Record>> {
    let (mut low, mut high) = (0, records);
    let (mut floor, mut ceiling) = (0_u64, u64::MAX);
    let wanted = high_half(key);
    let mut halve = false;
    while low < high {
        let span = u128::from(high - low);
        let share = u128::from(wanted.saturating_sub(floor)) * span
            / u128::from(ceiling.saturating_sub(floor).max(1));
        let guess = if halve { span / 2 } else { share.min(span - 1) };
        let at = low + u64::try_from(guess).unwrap_or_default();
        let record = read(at)?;
        match record.key.cmp(&key) {
            Ordering::Equal => return Ok(Some(record)),
            Ordering::Less => (low, floor) = (at + 1, high_half(record.key)),
            Ordering::Greater => (high, ceiling) = (at, high_half(record.key)),
        }
        halve = !halve;
    }
    Ok(None)
}

/// The upper 64 bits of a key, for its place among all keys.
fn high_half(key: FindingKey) -> u64 {
    key.0.first_chunk().map_or(0, |half| u64::from_be_bytes(*half))
}

/// Merges the history with the keys of an audit to the history after it, record by record.
///
/// Both inputs are sorted by key; `current` may repeat a key. `count` gets each change, in the order of keys. What
/// `current` knew of the audits before may be older than `before`, if another audit ended meanwhile: so statuses are
/// those of `before`, and of two times at which a finding was first seen or suppressed the earlier one stays. What has
/// been gone for long is forgotten.
///
/// # Errors
/// Those of the inputs and of `write`.
pub fn merge(
    before: impl Iterator<Item = io::Result<Record>>,
    current: impl Iterator<Item = io::Result<Record>>,
    audit_started: Millis,
    mut count: impl FnMut(Change),
    mut write: impl FnMut(&Record) -> io::Result<()>,
) -> io::Result<()> {
    let (mut before, mut current) = (before.peekable(), current.peekable());
    let mut last: Option<(FindingKey, Status, Millis)> = None;
    loop {
        let order = match (before.peek(), current.peek()) {
            (None, None) => return Ok(()),
            (Some(Ok(old)), Some(Ok(now))) => old.key.cmp(&now.key),
            (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
            (_, Some(Err(_))) | (None, Some(_)) => Ordering::Greater,
        };
        let old = if order.is_le() { before.next().transpose()? } else { None };
        let now = if order.is_ge() { current.next().transpose()? } else { None };
        if let Some(now) = now {
            let (status, first_seen) = match last {
                Some((key, status, first_seen)) if key == now.key => (status, first_seen),
                _ => {
                    let status = Record::status(old.as_ref());
                    let record = now.after(old.as_ref());
                    write(&record)?;
                    last = Some((now.key, status, record.first_seen));
                    (status, record.first_seen)
                }
            };
            if !now.suppressed {
                count(Change::Found { status, severity: now.severity, first_seen });
            }
        } else if let Some(old) = old {
            if old.open {
                count(Change::Fixed(old.severity));
            }
            if audit_started.seconds() - old.last_seen.seconds() < REMEMBERED_SECONDS {
                write(&Record { open: false, ..old })?;
            }
        }
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
