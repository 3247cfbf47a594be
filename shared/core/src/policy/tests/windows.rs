//! When mitigation may happen.

use super::*;

fn next(windows: &str, at: &str) -> String {
    let policy = policy(&format!("version: 1\nwindows: {windows}\nrules: []\n"));
    let calendar = policy.windows().unwrap().calendar().unwrap();
    let at: jiff::Timestamp = at.parse().unwrap();
    calendar.next_opening(Millis(at.as_millisecond())).map_or("never".into(), Millis::rfc3339)
}

#[test]
fn a_window_of_the_night_ends_on_the_next_day() {
    let nights = "{ zone: Europe/Berlin, open: [{ days: [Fri], hours: 22:00-06:00 }] }";
    // Berlin is an hour ahead of UTC in November; the 27th is a Friday.
    assert_eq!(next(nights, "2026-11-27T20:59:00Z"), "2026-11-27T21:00:00Z");
    assert_eq!(next(nights, "2026-11-27T21:30:00Z"), "2026-11-27T21:30:00Z");
    assert_eq!(next(nights, "2026-11-28T04:59:59Z"), "2026-11-28T04:59:59Z");
    assert_eq!(next(nights, "2026-11-28T05:00:00Z"), "2026-12-04T21:00:00Z");
}

#[test]
fn a_freeze_wins_and_a_window_that_outlasts_it_opens_at_midnight() {
    let frozen =
        "{ zone: UTC, open: [{ hours: 22:00-06:00 }], freeze: [{ from: 2026-12-19, to: 2027-01-06 }] }";
    assert_eq!(next(frozen, "2026-12-18T23:30:00Z"), "2026-12-18T23:30:00Z");
    assert_eq!(next(frozen, "2026-12-19T00:00:00Z"), "2027-01-07T00:00:00Z");
    let only = "{ zone: America/New_York, freeze: [{ from: 2026-12-24, to: 2026-12-26 }] }";
    assert_eq!(next(only, "2026-12-24T04:59:59Z"), "2026-12-24T04:59:59Z");
    assert_eq!(next(only, "2026-12-24T05:00:00Z"), "2026-12-27T05:00:00Z");
}

#[test]
fn clocks_that_are_put_forward_skip_no_window() {
    // On 2027-03-28 the hour from 2 to 3 does not exist in Berlin.
    let gap = "{ zone: Europe/Berlin, open: [{ days: [Sun], hours: 02:30-04:00 }] }";
    assert_eq!(next(gap, "2027-03-27T23:00:00Z"), "2027-03-28T01:30:00Z");
}

#[test]
fn what_never_opens_says_so() {
    let never = "{ zone: UTC, open: [{}], freeze: [{ from: 2026-01-01, to: 2099-12-31 }] }";
    assert_eq!(next(never, "2026-11-23T00:00:00Z"), "never");
}

#[test]
fn a_zone_that_does_not_exist_is_told_with_its_place() {
    let policy = policy("version: 1\nwindows: { zone: Europe/Berln }\nrules: []\n");
    let error = policy.windows().unwrap().calendar().unwrap_err();
    insta::assert_snapshot!(error.render("policy.yaml", "version: 1\nwindows: { zone: Europe/Berln }"));
}

#[test]
fn a_moment_is_told_in_the_zone() {
    let policy = policy("version: 1\nwindows: { zone: Europe/Berlin }\nrules: []\n");
    let calendar = policy.windows().unwrap().calendar().unwrap();
    assert_eq!(calendar.local(Millis(1_795_392_000_000)), "2026-11-23T01:00:00+01:00 (Europe/Berlin)");
    assert_eq!(calendar.local(Millis(i64::MAX)), Millis(i64::MAX).rfc3339());
}

/// What lint says of a zone, as one text.
fn doubts(zone: &str) -> String {
    let policy = policy(&format!("version: 1\nwindows: {{ zone: '{zone}' }}\nrules: []\n"));
    let found = policy.lint(&Known {
        at: Millis(1_795_392_000_000),
        actions: None,
        inventory: None,
        deployment: None,
    });
    let said = found.iter().map(|found| format!("{:?}: {}", found.level, found.what));
    said.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_zone_whose_clocks_never_change_is_doubted_and_what_was_meant_is_named() {
    let said = ["EST", "mst", "Etc/GMT+2", "Etc/GMT-11"].map(doubts);
    insta::assert_snapshot!(said.join("\n"));
    for meant in ["UTC", "Etc/UTC", "GMT", "Etc/GMT0", "HST", "EST5EDT", "America/Phoenix", "Asia/Kolkata"] {
        assert_eq!(doubts(meant), "", "{meant}");
    }
}

#[test]
fn the_place_behind_an_abbreviation_is_named() {
    let zones =
        ["PST", "pdt", "BST", "IST", "ET", "Berlin", "los angeles", "Etc/GMT+15", "UTC+2", "+02:00", "Berln"];
    insta::assert_snapshot!(zones.map(doubts).join("\n"));
}

#[test]
fn each_zone_that_is_suggested_exists() {
    for (short, zone) in crate::policy::windows::ABBREVIATIONS {
        assert!(jiff::tz::TimeZone::get(zone).is_ok(), "{short}: {zone}");
        assert!(short.bytes().all(|b| b.is_ascii_uppercase()), "{short}");
    }
}
