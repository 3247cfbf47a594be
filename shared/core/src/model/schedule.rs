//! When the runs of a scheduled audit were due.
//!
//! Device Defender says on which days a scheduled audit runs ("The start time of each audit is determined by the
//! system", `CreateScheduledAudit`), and neither at what time nor in which zone; of a biweekly one not in which of
//! two weeks. Earlier runs tell: the next one is late some hours after the time of day that it is used to
//! ([`Rhythm::expected`]). Until there is one, a run is due when its day, in any zone, is surely over ([`Rhythm::due`]).

use jiff::Span;
use jiff::civil::Date;
use jiff::civil::Weekday;
use serde::Serialize;
use serde::Serializer;

use crate::timestamp::Millis;
use crate::untrusted::Piece;
use crate::untrusted::Text;

/// How long after a day began in UTC its run should have begun: the day, and half of one for zones and for a service
/// that is slow, in seconds.
const GRACE_SECONDS: i64 = 36 * 3_600;
/// How much later than ever before a run may begin: what the system has determined it may determine anew.
const TOLERANCE_SECONDS: i64 = 6 * 3_600;
const DAY_SECONDS: i64 = 86_400;

/// On which days a scheduled audit runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// Every day.
    Daily,
    /// On a day of every week.
    Weekly(Weekday),
    /// On a day of every other week.
    Biweekly(Weekday),
    /// On a day of every month, from 1. In a month that has no such day it is the last: 31 is what is written as `LAST`.
    Monthly(u8),
}

/// The latest run that should have begun by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The beginning of its day, in UTC. Of a biweekly audit it is the later of the two days that it can be.
    pub day: Millis,
    /// A run that began since then is this one, or a later one.
    pub since: Millis,
}

/// The run after those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// When it begins, if it begins as late as any did.
    pub at: Millis,
    /// From when on it is late.
    pub late: Millis,
}

impl Rhythm {
    /// From the members of a scheduled audit. None if they do not say on which days it runs.
    pub fn read(frequency: &str, day_of_week: Option<&str>, day_of_month: Option<&str>) -> Option<Self> {
        match frequency {
            "DAILY" => Some(Self::Daily),
            "WEEKLY" => day_of_week.and_then(weekday).map(Self::Weekly),
            "BIWEEKLY" => day_of_week.and_then(weekday).map(Self::Biweekly),
            "MONTHLY" => match day_of_month? {
                "LAST" => Some(Self::Monthly(31)),
                day => day.parse().ok().filter(|day| (1..=31).contains(day)).map(Self::Monthly),
            },
            _ => None,
        }
    }

    /// The latest run that should have begun by now, whatever the time of its day.
    pub fn due(self, now: Millis) -> Due {
        let over = now.plus_seconds(-GRACE_SECONDS).date();
        let day = self.latest(over);
        let before = match self {
            Self::Daily => 0,
            Self::Weekly(_) | Self::Monthly(_) => 1,
            Self::Biweekly(_) => 8,
        };
        Due {
            day: Millis::midnight(day),
            since: Millis::midnight(day.saturating_sub(Span::new().days(before))),
        }
    }

    /// The run after the latest of these. None if that did not begin on a day of this rhythm in any zone, as one that
    /// had other days: then nothing can be learned from it.
    pub fn expected(self, runs: impl Iterator<Item = Millis> + Clone) -> Option<Expected> {
        let last = runs.clone().max()?;
        let (day, offset) = self.begun(last)?;
        let later =
            runs.filter_map(|run| Some(self.wander(offset, self.begun(run)?.1))).max().unwrap_or_default();
        let next = match self {
            Self::Biweekly(_) => self.next(day.plus_seconds(7 * DAY_SECONDS)),
            _ => self.next(day),
        };
        let at = next.plus_seconds(offset + later);
        Some(Expected { at, late: at.plus_seconds(TOLERANCE_SECONDS) })
    }

    /// The beginning of the day that a run was of, in UTC, and how long after it the run began, in seconds: before it
    /// where the zone is ahead.
    fn begun(self, run: Millis) -> Option<(Millis, i64)> {
        let zones = if self == Self::Daily { 0 } else { GRACE_SECONDS - DAY_SECONDS };
        let day = Millis::midnight(self.latest(run.plus_seconds(zones).date()));
        let offset = run.seconds().saturating_sub(day.seconds());
        (offset < GRACE_SECONDS).then_some((day, offset))
    }

    /// How much later one offset is than another: of a daily run by the clock, on which midnight is no border.
    const fn wander(self, from: i64, to: i64) -> i64 {
        let half = DAY_SECONDS / 2;
        match self {
            Self::Daily => (to - from + half).rem_euclid(DAY_SECONDS) - half,
            _ => to - from,
        }
    }

    /// The beginning of the first day after a moment's on which it can run, in UTC: of a biweekly audit, whichever
    /// week it is.
    #[must_use]
    pub fn next(self, after: Millis) -> Millis {
        let mut day = after.date();
        while let Ok(next) = day.tomorrow() {
            day = next;
            if self.latest(day) == day {
                break;
            }
        }
        Millis::midnight(day)
    }

    /// The latest day that is not after a day on which it can run.
    fn latest(self, day: Date) -> Date {
        match self {
            Self::Daily => day,
            Self::Weekly(weekday) | Self::Biweekly(weekday) => latest(weekday, day),
            Self::Monthly(wanted) => monthly(wanted, day),
        }
    }
}

impl std::fmt::Display for Rhythm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Daily => f.write_str("every day"),
            Self::Weekly(day) => write!(f, "every {day:?}"),
            Self::Biweekly(day) => write!(f, "every other {day:?}"),
            Self::Monthly(31) => f.write_str("on the last day of every month"),
            Self::Monthly(day) => write!(f, "on day {day} of every month"),
        }
    }
}

/// As it is written for people.
impl Serialize for Rhythm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Piece for Rhythm {
    fn text(&self) -> Text {
        Text::made(self.to_string())
    }
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "MON" => Weekday::Monday,
        "TUE" => Weekday::Tuesday,
        "WED" => Weekday::Wednesday,
        "THU" => Weekday::Thursday,
        "FRI" => Weekday::Friday,
        "SAT" => Weekday::Saturday,
        "SUN" => Weekday::Sunday,
        _ => return None,
    })
}

/// The latest such day of a week that is not after a day.
fn latest(weekday: Weekday, day: Date) -> Date {
    day.saturating_sub(Span::new().days(weekday.until(day.weekday())))
}

/// The latest such day of a month that is not after a day.
fn monthly(wanted: u8, day: Date) -> Date {
    let wanted = i8::try_from(wanted).unwrap_or(i8::MAX);
    let of = |within: Date| {
        let last = within.days_in_month();
        Date::new(within.year(), within.month(), wanted.min(last)).unwrap_or(day)
    };
    let here = of(day);
    if here <= day { here } else { day.first_of_month().yesterday().map_or(day, of) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600;
    const DAY: i64 = DAY_SECONDS;

    fn at(text: &str) -> Millis {
        Millis::parse(text).unwrap()
    }

    fn due(rhythm: Rhythm, now: &str) -> (String, String) {
        let due = rhythm.due(at(now));
        (due.day.day(), due.since.day())
    }

    #[test]
    fn a_day_is_due_when_it_is_surely_over() {
        let due = |rhythm, now| {
            let (day, since) = due(rhythm, now);
            format!("{day} since {since}")
        };
        let monday = Weekday::Monday;
        assert_eq!(due(Rhythm::Daily, "2026-11-23T11:59:59Z"), "2026-11-21 since 2026-11-21");
        assert_eq!(due(Rhythm::Daily, "2026-11-23T12:00:00Z"), "2026-11-22 since 2026-11-22");
        // 2026-11-23 is a Monday.
        assert_eq!(due(Rhythm::Weekly(monday), "2026-11-24T11:59:59Z"), "2026-11-16 since 2026-11-15");
        assert_eq!(due(Rhythm::Weekly(monday), "2026-11-24T12:00:00Z"), "2026-11-23 since 2026-11-22");
        assert_eq!(due(Rhythm::Biweekly(monday), "2026-11-24T12:00:00Z"), "2026-11-23 since 2026-11-15");
    }

    #[test]
    fn a_month_without_the_day_has_it_at_its_end() {
        let due = |day, now| due(Rhythm::Monthly(day), now).0;
        assert_eq!(due(31, "2027-03-02T12:00:00Z"), "2027-02-28");
        assert_eq!(due(31, "2028-03-01T11:59:59Z"), "2028-01-31");
        assert_eq!(due(31, "2028-03-01T12:00:00Z"), "2028-02-29");
        assert_eq!(due(29, "2028-03-10T00:00:00Z"), "2028-02-29");
        assert_eq!(due(29, "2027-03-10T00:00:00Z"), "2027-02-28");
        assert_eq!(due(30, "2027-01-10T00:00:00Z"), "2026-12-30");
        assert_eq!(due(1, "2027-01-01T23:59:59Z"), "2026-12-01");
        assert_eq!(due(1, "2027-01-02T12:00:00Z"), "2027-01-01");
    }

    fn expected(rhythm: Rhythm, runs: &[&str]) -> Option<String> {
        let expected = rhythm.expected(runs.iter().map(|run| at(run)))?;
        assert_eq!(expected.late, expected.at.plus_seconds(6 * HOUR));
        Some(expected.at.rfc3339())
    }

    #[test]
    fn the_next_run_is_expected_at_the_time_of_those_before() {
        let expected = |rhythm, runs: &[&str]| expected(rhythm, runs).unwrap();
        let (monday, daily) = (Weekday::Monday, Rhythm::Daily);
        assert_eq!(
            expected(daily, &["2026-11-22T06:00:00Z", "2026-11-23T05:00:00Z"]),
            "2026-11-24T06:00:00Z"
        );
        assert_eq!(
            expected(daily, &["2026-11-23T05:00:00Z", "2026-11-22T04:00:00Z"]),
            "2026-11-24T05:00:00Z"
        );
        // Around midnight.
        assert_eq!(
            expected(daily, &["2026-11-21T00:10:00Z", "2026-11-22T23:50:00Z"]),
            "2026-11-24T00:10:00Z"
        );
        assert_eq!(
            expected(daily, &["2026-11-20T23:50:00Z", "2026-11-22T00:10:00Z"]),
            "2026-11-23T00:10:00Z"
        );
        // 2026-11-23 is a Monday: far east it begins on Sunday, far west it ends on Tuesday.
        for time in ["2026-11-22T12:00:00Z", "2026-11-23T09:00:00Z", "2026-11-24T11:59:59Z"] {
            let in_days = |days: i64| at(time).plus_seconds(days * DAY).rfc3339();
            assert_eq!(expected(Rhythm::Weekly(monday), &[time]), in_days(7));
            assert_eq!(expected(Rhythm::Biweekly(monday), &[time]), in_days(14));
        }
        let last = Rhythm::Monthly(31);
        assert_eq!(expected(last, &["2028-01-31T20:00:00Z"]), "2028-02-29T20:00:00Z");
        assert_eq!(expected(last, &["2027-02-28T20:00:00Z"]), "2027-03-31T20:00:00Z");
        assert_eq!(expected(last, &["2027-03-01T02:00:00Z"]), "2027-04-01T02:00:00Z");
        assert_eq!(expected(Rhythm::Monthly(30), &["2027-01-30T01:00:00Z"]), "2027-02-28T01:00:00Z");
        assert_eq!(expected(Rhythm::Monthly(1), &["2026-11-30T20:00:00Z"]), "2026-12-31T20:00:00Z");
    }

    #[test]
    fn nothing_is_learned_from_a_run_of_other_days() {
        let monday = Rhythm::Weekly(Weekday::Monday);
        assert_eq!(expected(monday, &[]), None);
        assert_eq!(expected(monday, &["2026-11-22T11:59:59Z"]), None);
        assert_eq!(expected(monday, &["2026-11-24T12:00:00Z"]), None);
        // Neither is the last, nor does an earlier one spoil it.
        assert_eq!(expected(monday, &["2026-11-23T09:00:00Z", "2026-11-26T09:00:00Z"]), None);
        let runs = ["2026-11-19T23:00:00Z", "2026-11-23T09:00:00Z"];
        assert_eq!(expected(monday, &runs).unwrap(), "2026-11-30T09:00:00Z");
    }

    #[test]
    fn members_are_read_as_the_service_writes_them() {
        assert_eq!(Rhythm::read("DAILY", None, None), Some(Rhythm::Daily));
        assert_eq!(Rhythm::read("WEEKLY", Some("SUN"), None), Some(Rhythm::Weekly(Weekday::Sunday)));
        assert_eq!(
            Rhythm::read("BIWEEKLY", Some("WED"), Some("3")),
            Some(Rhythm::Biweekly(Weekday::Wednesday))
        );
        assert_eq!(Rhythm::read("MONTHLY", None, Some("9")), Some(Rhythm::Monthly(9)));
        assert_eq!(Rhythm::read("MONTHLY", None, Some("LAST")), Some(Rhythm::Monthly(31)));
        for (frequency, week, month) in [
            ("WEEKLY", None, None),
            ("WEEKLY", Some("UNSET_VALUE"), None),
            ("MONTHLY", None, Some("0")),
            ("MONTHLY", None, Some("32")),
            ("MONTHLY", Some("MON"), None),
            ("YEARLY", None, None),
        ] {
            assert_eq!(Rhythm::read(frequency, week, month), None, "{frequency} {week:?} {month:?}");
        }
    }

    #[test]
    fn a_hostile_time_is_no_panic() {
        for now in
            [Millis(i64::MIN), Millis(i64::MAX), at("0000-01-01T00:00:00Z"), at("9999-12-31T23:59:59Z")]
        {
            for rhythm in [Rhythm::Daily, Rhythm::Biweekly(Weekday::Friday), Rhythm::Monthly(31)] {
                let _ = (rhythm.due(now), rhythm.next(now), rhythm.expected([now, Millis(0)].into_iter()));
            }
        }
    }

    fn rhythm() -> impl Strategy<Value = Rhythm> {
        let weekday = || (0_i8..7).prop_map(|n| Weekday::Monday.wrapping_add(n));
        prop_oneof![
            Just(Rhythm::Daily),
            weekday().prop_map(Rhythm::Weekly),
            weekday().prop_map(Rhythm::Biweekly),
            (1_u8..=31).prop_map(Rhythm::Monthly),
        ]
    }

    /// Whether a day is one of a rhythm, told another way: by asking each day by itself.
    fn is_of(rhythm: Rhythm, day: Date) -> bool {
        let last = day.day() == day.days_in_month();
        match rhythm {
            Rhythm::Daily => true,
            Rhythm::Weekly(weekday) | Rhythm::Biweekly(weekday) => day.weekday() == weekday,
            Rhythm::Monthly(wanted) => {
                let day = day.day().unsigned_abs();
                day == wanted || (last && day < wanted)
            }
        }
    }

    proptest! {
        // 2000 to 2100: leap years, and one that is none.
        #[test]
        fn the_run_that_is_due_is_the_last_whose_day_is_over(
            rhythm in rhythm(),
            now in 946_684_800_i64..4_102_444_800,
        ) {
            let now = Millis::from_seconds(now);
            let Due { day, since } = rhythm.due(now);
            let longest = match rhythm { Rhythm::Daily => 1, Rhythm::Weekly(_) | Rhythm::Biweekly(_) => 7, Rhythm::Monthly(_) => 31 };
            prop_assert!(day.plus_seconds(GRACE_SECONDS) <= now, "its grace is over");
            prop_assert!(day.plus_seconds(GRACE_SECONDS + longest * DAY) > now, "at most a period ago");
            prop_assert!(since <= day);
            prop_assert!(is_of(rhythm, day.date()));
            let mut later = day.date().tomorrow().unwrap();
            while Millis::midnight(later).plus_seconds(GRACE_SECONDS) <= now {
                prop_assert!(!is_of(rhythm, later), "{later} was due later");
                later = later.tomorrow().unwrap();
            }
        }

        #[test]
        fn the_next_run_is_on_the_first_such_day(rhythm in rhythm(), after in 946_684_800_i64..4_102_444_800) {
            let after = Millis::from_seconds(after);
            let mut day = after.date().tomorrow().unwrap();
            while !is_of(rhythm, day) {
                day = day.tomorrow().unwrap();
            }
            prop_assert_eq!(rhythm.next(after), Millis::midnight(day));
        }

        /// Who runs on the days of a rhythm is never late, whatever the hour and the zone.
        #[test]
        fn a_schedule_that_is_kept_is_never_late(
            rhythm in rhythm(),
            now in 946_684_800_i64..4_102_444_800,
            hours in proptest::collection::vec(-12_i64..36, 80),
            odd in proptest::bool::ANY,
        ) {
            let now = Millis::from_seconds(now);
            let Due { since, .. } = rhythm.due(now);
            let mut day = now.plus_seconds(-40 * DAY).date();
            let mut latest = None;
            for hour in hours {
                let week = Millis::midnight(day).seconds().div_euclid(7 * DAY) % 2 == 0;
                // The hour of a daily audit does not wander by more than half a day.
                let hour = if rhythm == Rhythm::Daily { hour.clamp(0, 12) } else { hour };
                let begins = Millis::midnight(day).plus_seconds(hour * HOUR);
                let runs = is_of(rhythm, day) && (!matches!(rhythm, Rhythm::Biweekly(_)) || week == odd);
                if runs && begins <= now {
                    latest = latest.max(Some(begins));
                }
                day = day.tomorrow().unwrap();
            }
            prop_assert!(latest.is_some_and(|latest| latest >= since), "{latest:?} {since:?}");
        }

        /// Who keeps its time, give or take the tolerance, is never late by it; who stops is, before its day is surely over.
        #[test]
        fn a_time_that_is_kept_is_never_late_and_one_that_is_not_always_is(
            rhythm in rhythm(),
            first in 946_684_800_i64..4_102_444_800,
            hour in -6_i64..30,
            moved in proptest::collection::vec(0..=TOLERANCE_SECONDS, 3..12),
            odd in proptest::bool::ANY,
        ) {
            let hour = if rhythm == Rhythm::Daily { hour.rem_euclid(24) } else { hour };
            let mut day = Millis::from_seconds(first).date();
            let mut runs: Vec<Millis> = Vec::new();
            for moved in moved {
                loop {
                    day = day.tomorrow().unwrap();
                    let week = Millis::midnight(day).seconds().div_euclid(7 * DAY) % 2 == 0;
                    if is_of(rhythm, day) && (!matches!(rhythm, Rhythm::Biweekly(_)) || week == odd) {
                        break;
                    }
                }
                let run = Millis::midnight(day).plus_seconds(hour * HOUR + moved);
                let known = rhythm.expected(runs.iter().copied());
                if let Some(Expected { at, late }) = known {
                    prop_assert!(run <= late, "{run:?} is late: {runs:?}");
                    prop_assert!((at.0 - run.0).abs() <= TOLERANCE_SECONDS * 1_000, "{at:?} is not its time: {run:?}");
                    // The day of a biweekly run is known to the week.
                    prop_assert!(late <= Millis::midnight(day).plus_seconds((hour + 12) * HOUR));
                }
                prop_assert_eq!(known.is_none(), runs.is_empty());
                runs.push(run);
            }
        }
    }
}
