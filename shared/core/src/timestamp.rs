//! Times on the wire.
//!
//! Device Defender's SNS messages carry epoch milliseconds, its API epoch seconds with fractions. Inside,
//! time is epoch milliseconds; where people read it, RFC 3339 in UTC.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil;
use jiff::civil::Date;
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use serde::Deserialize;
use serde::Serialize;

/// Where the count begins. Not jiff's `Timestamp`, which ends a day before the last year does: people write
/// 9999-12-31T23:59:59Z for what has no end.
const EPOCH: DateTime = civil::datetime(1970, 1, 1, 0, 0, 0, 0);

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// From whole seconds since the epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The day in UTC, as `2026-11-23`.
    pub fn day(self) -> String {
        self.date().to_string()
    }

    /// RFC 3339 in UTC to the second, as `2026-11-23T08:00:00Z`.
    pub fn rfc3339(self) -> String {
        format!("{}Z", self.date_time())
    }

    /// From RFC 3339 in any zone, as `2026-11-23T08:00:00Z` or `2026-11-23T09:00:00.5+01:00`.
    pub fn parse(text: &str) -> Option<Self> {
        if !is_rfc3339(text) {
            return None;
        }
        let pieces = Pieces::parse(text).ok()?;
        let local = pieces.date().to_datetime(pieces.time()?).duration_since(EPOCH);
        let offset = SignedDuration::from_secs(pieces.to_numeric_offset()?.seconds().into());
        Some(Self(i64::try_from((local - offset).as_nanos().div_euclid(1_000_000)).ok()?))
    }

    /// The moment at which a day begins in UTC.
    pub(crate) fn midnight(day: Date) -> Self {
        Self::from_seconds(day.at(0, 0, 0, 0).duration_since(EPOCH).as_secs())
    }

    /// Moved by a number of seconds.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Moved later by a duration.
    #[must_use]
    pub const fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// Moved earlier by a duration.
    #[must_use]
    pub const fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// How long it is from an earlier moment to this one; nothing if that one is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default())
    }

    /// The day in UTC.
    pub(crate) fn date(self) -> Date {
        self.date_time().date()
    }

    /// A time outside of the years that a calendar has is taken as the epoch: it can only be hostile input.
    fn date_time(self) -> DateTime {
        EPOCH.checked_add(SignedDuration::from_secs(self.seconds())).unwrap_or(EPOCH)
    }
}

/// Whole milliseconds of a duration; the most that there can be of one that is longer.
#[expect(clippy::cast_possible_truncation, reason = "what is longer than an i64 holds is its maximum")]
const fn millis(duration: Duration) -> i64 {
    let millis = duration.as_millis();
    if millis > i64::MAX as u128 { i64::MAX } else { millis as i64 }
}

/// Whether a text has the form of RFC 3339. jiff reads more of what ISO 8601 allows, as `20261123T08Z`.
fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is = |at: usize, of: &[u8]| bytes.get(at).is_some_and(|byte| of.contains(byte));
    let ends = is(bytes.len().wrapping_sub(1), b"Zz") || is(bytes.len().wrapping_sub(3), b":");
    ends && is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_utc() {
        let at = Millis(1_795_392_000_123);
        assert_eq!(at.day(), "2026-11-23");
        assert_eq!(at.rfc3339(), "2026-11-23T00:00:00Z");
    }

    #[test]
    fn reads_any_zone() {
        assert_eq!(Millis::parse("2026-11-23T01:00:00.123000+01:00"), Some(Millis(1_795_392_000_123)));
        for other in
            ["2026-11-23", "20261123T08Z", "2026-11-23 08:00:00Z", "2026-11-23T08:00Z", "2026-11-23T08:00:00"]
        {
            assert_eq!(Millis::parse(other), None, "{other}");
        }
        assert_eq!(Millis::parse("1969-12-31T23:59:59.9999Z"), Some(Millis(-1)));
    }

    #[test]
    fn the_last_second_of_a_calendar_has_its_day() {
        let last = Millis::parse("9999-12-31T23:59:59Z").unwrap();
        assert_eq!((last.day().as_str(), last.rfc3339().as_str()), ("9999-12-31", "9999-12-31T23:59:59Z"));
        assert_eq!(last.plus_seconds(1).day(), "1970-01-01");
    }

    #[test]
    fn a_hostile_time_is_no_panic() {
        assert_eq!(Millis(i64::MAX).day(), "1970-01-01");
        assert_eq!(Millis(i64::MIN).plus_seconds(-1).day(), "1970-01-01");
    }
}
