//! Times on the wire.
//!
//! Device Defender's SNS messages carry epoch milliseconds, its API epoch seconds with fractions. Inside,
//! time is epoch milliseconds; where people read it, RFC 3339 in UTC.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use time::Date;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

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
        self.date_time().format(format_description!("[year]-[month]-[day]")).unwrap_or_default()
    }

    /// RFC 3339 in UTC to the second, as `2026-11-23T08:00:00Z`.
    pub fn rfc3339(self) -> String {
        self.date_time().replace_nanosecond(0).ok().and_then(|t| t.format(&Rfc3339).ok()).unwrap_or_default()
    }

    /// From RFC 3339 in any zone, as `2026-11-23T08:00:00Z` or `2026-11-23T09:00:00.5+01:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Self(i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()?))
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
    fn date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// Whole milliseconds of a duration; the most that there can be of one that is longer.
#[expect(clippy::cast_possible_truncation, reason = "what is longer than an i64 holds is its maximum")]
const fn millis(duration: Duration) -> i64 {
    let millis = duration.as_millis();
    if millis > i64::MAX as u128 { i64::MAX } else { millis as i64 }
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
        assert_eq!(Millis::parse("2026-11-23"), None);
    }

    #[test]
    fn a_hostile_time_is_no_panic() {
        assert_eq!(Millis(i64::MAX).day(), "1970-01-01");
        assert_eq!(Millis(i64::MIN).plus_seconds(-1).day(), "1970-01-01");
    }
}
