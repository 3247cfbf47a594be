//! The next opening of several windows is the minute that a walk finds, minute by minute and with clocks of its own.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];
/// Lord Howe's clocks change by half an hour, Havana's at midnight, Kolkata's never, and Chatham's are 45 minutes off.
const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
];
/// Days around which clocks change somewhere, or a year ends or has a 29 February.
const AROUND: [&str; 8] = [
    "2026-10-25",
    "2026-11-01",
    "2027-03-14",
    "2027-03-28",
    "2027-04-04",
    "2027-12-31",
    "2028-02-28",
    "2026-06-15",
];
/// How many days are walked.
const WALKED: i64 = 9;
const MINUTE_MS: i64 = 60_000;

/// Windows as the test has them.
#[derive(Clone, Debug)]
struct Own {
    zone: &'static str,
    /// On which days, from and to which minute of the day. None: always.
    open: Option<Vec<(Vec<usize>, u16, u16)>>,
    /// From and to which month and day.
    freezes: Vec<((i8, i8), (i8, i8))>,
}

impl Own {
    fn text(&self) -> String {
        let mut text = format!("{{ zone: {}", self.zone);
        if let Some(open) = &self.open {
            let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            let one = |(days, from, to): &(Vec<usize>, u16, u16)| {
                let days: Vec<&str> = days.iter().map(|day| DAYS[*day].0).collect();
                format!("{{ days: [{}], hours: {}-{} }}", days.join(", "), clock(*from), clock(*to))
            };
            let _ = write!(text, ", open: [{}]", open.iter().map(one).collect::<Vec<_>>().join(", "));
        }
        let day = |(month, day): (i8, i8)| format!("{month:02}-{day:02}");
        let one = |(from, to): &((i8, i8), (i8, i8))| format!("{{ from: {}, to: {} }}", day(*from), day(*to));
        let freezes: Vec<String> = self.freezes.iter().map(one).collect();
        format!("{text}, freeze: [{}] }}", freezes.join(", "))
    }

    fn is_open(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let local = at.to_zoned(zone.clone());
        let today = (local.month(), local.day());
        let frozen = self.freezes.iter().any(|(from, to)| {
            if from <= to { *from <= today && today <= *to } else { *from <= today || today <= *to }
        });
        let minute = u16::try_from(local.hour()).unwrap() * 60 + u16::try_from(local.minute()).unwrap();
        let is = |days: &[usize], day: Weekday| days.iter().any(|named| DAYS[*named].1 == day);
        let within = |(days, from, to): &(Vec<usize>, u16, u16)| {
            if from < to {
                is(days, local.weekday()) && *from <= minute && minute < *to
            } else {
                let evening = is(days, local.weekday()) && *from <= minute;
                evening || (is(days, local.weekday().previous()) && minute < *to)
            }
        };
        !frozen && self.open.as_ref().is_none_or(|open| open.iter().any(within))
    }
}

fn own() -> impl Strategy<Value = Own> {
    let minute = || prop_oneof![2 => (0..24_u16).prop_map(|hour| hour * 60), 1 => 0..1440_u16];
    let days = proptest::sample::subsequence((0..7).collect::<Vec<usize>>(), 1..=7);
    let window = (days, minute(), minute()).prop_filter("is empty", |(_, from, to)| from != to);
    let open = proptest::option::weighted(0.85, proptest::collection::vec(window, 1..4));
    let day = || (1..13_i8, 1..30_i8).prop_filter("is no day", |(m, d)| Date::new(2028, *m, *d).is_ok());
    let freezes = proptest::collection::vec((day(), day()), 0..2);
    let own = (proptest::sample::select(&ZONES), open, freezes).prop_map(|(zone, open, freezes)| Own {
        zone,
        open,
        freezes,
    });
    own.prop_filter("says nothing, or leaves no day", |own| {
        let file = format!("version: 1\nactions: {{ A: {{ windows: {} }} }}\nrules: []\n", own.text());
        Policy::parse(file.as_bytes()).is_ok()
    })
}

/// The first moment at which all are open: now, or at a full minute.
fn walk(all: &[Own], at: i64) -> Option<i64> {
    let zones: Vec<TimeZone> = all.iter().map(|own| TimeZone::get(own.zone).unwrap()).collect();
    let first = at.div_euclid(MINUTE_MS) * MINUTE_MS + MINUTE_MS;
    let minutes = (0..WALKED * 1440).map(|minute| first + minute * MINUTE_MS);
    std::iter::once(at).chain(minutes).find(|at| {
        let at = Timestamp::from_millisecond(*at).unwrap();
        all.iter().zip(&zones).all(|(own, zone)| own.is_open(at, zone))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_next_opening_is_the_one_that_a_walk_finds(
        all in proptest::collection::vec(own(), 1..4),
        around in proptest::sample::select(&AROUND),
        off in -30 * 3_600_000..30 * 3_600_000_i64,
    ) {
        let mut text = "version: 1\n".to_owned();
        let _ = writeln!(text, "windows: {}", all[0].text());
        if let Some(own) = all.get(2) {
            let _ = writeln!(text, "actions: {{ Cut: {{ windows: {} }} }}", own.text());
        }
        let rule = all.get(1).map(|own| format!(", windows: {}", own.text())).unwrap_or_default();
        let _ = writeln!(
            text,
            "rules:\n  - {{ name: r, match: {{ check: REVOKED_DEVICE_CERT_CHECK }}, mitigate: {{ actions: [Move, Cut]{rule} }} }}"
        );
        let policy = policy(&text);
        let calendar = policy.calendar_of(Some("r"), &["Move".to_owned(), "Cut".to_owned()]).unwrap().unwrap();
        let midnight: Timestamp = format!("{around}T00:00:00Z").parse().unwrap();
        let at = midnight.as_millisecond() + off;
        let opens = calendar.next_opening(Millis(at)).map(|opens| opens.0);
        match walk(&all, at) {
            Some(found) => prop_assert_eq!(opens, Some(found), "{}", text),
            None => prop_assert!(opens.is_none_or(|opens| opens > at + WALKED * 1440 * MINUTE_MS), "{opens:?} {text}"),
        }
        let is_open = calendar.closed(Millis(at)).is_none();
        prop_assert_eq!(is_open, opens == Some(at));
    }
}
