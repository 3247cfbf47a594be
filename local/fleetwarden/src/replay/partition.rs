//! Which objects of an archive hold findings or alarms, and of which days.

use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The days whose audits and alarms count, in UTC.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Days {
    /// The first one.
    pub(crate) since: Option<Date>,
    /// The last one.
    pub(crate) until: Option<Date>,
}

impl Days {
    /// Whether a day is one of them.
    fn hold(self, day: Date) -> bool {
        self.since.is_none_or(|since| since <= day) && self.until.is_none_or(|until| day <= until)
    }

    /// The moments of these days, as a range of epoch milliseconds: from the first to before the last.
    pub(crate) fn range(self) -> std::ops::Range<i64> {
        let start = |day: Date| Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond());
        let from = self.since.and_then(start).unwrap_or(i64::MIN);
        let to = self.until.and_then(|day| day.tomorrow().ok()).and_then(start).unwrap_or(i64::MAX);
        from..to
    }

    /// Whether an object of the archive holds findings or alarms of these days. Its key is
    /// `…findings/account=…/region=…/day=…/check=…/….ndjson.gz` or `…alarms/account=…/region=…/day=…/….ndjson.gz`.
    pub(crate) fn take(self, key: &str) -> bool {
        let mut parts = key.rsplit('/').peekable();
        let file = parts.next().is_some_and(|name| name.ends_with(".ndjson.gz"));
        let check = parts.next_if(|part| part.starts_with("check=")).is_some();
        let mut value = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
        let day = value("day");
        let account = value("region").and(value("account")).is_some();
        let records = parts.next() == Some(if check { "findings" } else { "alarms" });
        // A day that is none is not passed over: whoever put it there means something by it.
        let day = day.is_some_and(|day| day.parse().map_or(true, |day| self.hold(day)));
        file && day && account && records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetwarden_core::timestamp::Millis;

    #[test]
    fn only_alarms_of_the_days_are_taken() {
        let key = |day: &str| format!("copy/alarms/account=1/region=r/day={day}/v-1-in-alarm-7.ndjson.gz");
        let some = Days { since: "2026-11-22".parse().ok(), until: None };
        assert!(some.take(&key("2026-11-23")) && !some.take(&key("2026-11-21")));
        for other in [
            "alarms/account=1/region=r/day=2026-11-23/v.json",
            "alarms/account=1/region=r/v.ndjson.gz",
            "alarms/account=1/region=r/day=2026-11-23/check=C/v.ndjson.gz",
            "findings/account=1/region=r/day=2026-11-23/v.ndjson.gz",
        ] {
            assert!(!Days::default().take(other), "{other}");
        }
    }

    #[test]
    fn only_findings_of_the_days_are_taken() {
        let key = |day: &str| format!("findings/account=1/region=r/day={day}/check=C/task-00000.ndjson.gz");
        let all = Days::default();
        assert!(all.take(&key("2026-11-23")) && all.take(&format!("below/{}", key("2026-11-23"))));
        for other in [
            "snapshots/account=1/region=r/check=C/task.keys",
            "findings/account=1/region=r/day=2026-11-23/check=C/task-00000.ndjson",
            "other/account=1/region=r/day=2026-11-23/check=C/task-00000.ndjson.gz",
            "findings/task-00000.ndjson.gz",
            "",
        ] {
            assert!(!all.take(other), "{other}");
        }
        let some = Days { since: "2026-11-22".parse().ok(), until: "2026-11-23".parse().ok() };
        let taken = |day: &str| some.take(&key(day));
        assert!(!taken("2026-11-21") && taken("2026-11-22") && taken("2026-11-23") && !taken("2026-11-24"));
        assert!(taken("today"));
    }

    #[test]
    fn a_last_day_counts_whole() {
        let day = "2026-11-23".parse().ok();
        let range = Days { since: day, until: day }.range();
        assert_eq!(range.end - range.start, 24 * 3600 * 1000);
        assert_eq!(Millis(range.start).rfc3339(), "2026-11-23T00:00:00Z");
        assert_eq!(Days::default().range(), i64::MIN..i64::MAX);
    }
}
