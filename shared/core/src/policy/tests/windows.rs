//! When mitigation may happen.

use super::*;

fn next(windows: &str, at: &str) -> String {
    let policy = policy(&format!("version: 1\nwindows: {windows}\nrules: []\n"));
    let calendar = policy.calendar_of(None, &[]).unwrap().unwrap();
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
    // On 2027-03-28 the hour from 2 to 3 does not exist in Berlin: at 3 the window is open.
    let gap = "{ zone: Europe/Berlin, open: [{ days: [Sun], hours: 02:30-04:00 }] }";
    assert_eq!(next(gap, "2027-03-27T23:00:00Z"), "2027-03-28T01:00:00Z");
    let all = "{ zone: Europe/Berlin, open: [{ days: [Sun], hours: 02:15-02:45 }] }";
    assert_eq!(next(all, "2027-03-27T23:00:00Z"), "2027-04-04T00:15:00Z");
}

#[test]
fn clocks_that_are_put_back_open_a_window_twice() {
    // On 2026-10-25 the hour from 2 to 3 comes twice in Berlin, first at 00:00Z.
    let fold = "{ zone: Europe/Berlin, open: [{ days: [Sun], hours: 02:30-04:00 }] }";
    assert_eq!(next(fold, "2026-10-25T00:29:59Z"), "2026-10-25T00:30:00Z");
    assert_eq!(next(fold, "2026-10-25T01:00:00Z"), "2026-10-25T01:30:00Z");
    let ends = "{ zone: Europe/Berlin, open: [{ days: [Sun], hours: 01:00-02:30 }] }";
    assert_eq!(next(ends, "2026-10-25T00:30:00Z"), "2026-10-25T01:00:00Z");
    assert_eq!(next(ends, "2026-10-25T01:30:00Z"), "2026-11-01T00:00:00Z");
}

#[test]
fn one_from_the_last_minute_of_a_day_begins_with_the_next() {
    let late = "{ zone: UTC, open: [{ days: [Mon], hours: 24:00-06:00 }] }";
    assert_eq!(next(late, "2026-11-23T12:00:00Z"), "2026-11-24T00:00:00Z");
    assert_eq!(next(late, "2026-11-24T05:59:00Z"), "2026-11-24T05:59:00Z");
    assert_eq!(next(late, "2026-11-24T06:00:00Z"), "2026-12-01T00:00:00Z");
}

#[test]
fn a_freeze_without_a_year_comes_in_every_year() {
    let frozen =
        "{ zone: Europe/Berlin, open: [{ hours: 22:00-06:00 }], freeze: [{ from: 12-20, to: 01-06 }] }";
    for year in [2026, 2031] {
        let at = |text: &str| format!("{year}-12-{text}");
        assert_eq!(next(frozen, &at("19T22:59:59Z")), at("19T22:59:59Z"));
        let after = format!("{}-01-06T23:00:00Z", year + 1);
        assert_eq!(next(frozen, &at("19T23:00:00Z")), after);
        assert_eq!(next(frozen, &format!("{}-01-03T23:30:00Z", year + 1)), after);
    }
    let summer = "{ zone: UTC, freeze: [{ from: 07-01, to: 08-31 }] }";
    assert_eq!(next(summer, "2027-06-30T23:59:59Z"), "2027-06-30T23:59:59Z");
    assert_eq!(next(summer, "2027-07-01T00:00:00Z"), "2027-09-01T00:00:00Z");
}

#[test]
fn it_is_searched_for_four_hundred_days() {
    // From 2026-11-23 on these are 2027-12-28.
    let until = |last: &str| format!("{{ zone: UTC, freeze: [{{ from: 2026-11-01, to: {last} }}] }}");
    assert_eq!(next(&until("2027-12-27"), "2026-11-23T00:00:00Z"), "2027-12-28T00:00:00Z");
    assert_eq!(next(&until("2027-12-28"), "2026-11-23T00:00:00Z"), "never");
}

/// The windows of the file, of rule `night` and of two actions.
const ALL: &str = "\
version: 1
windows: { zone: Europe/Berlin, open: [{ days: [Tue, Wed], hours: 08:00-18:00 }] }
actions:
  Cut: { windows: { open: [{ hours: 09:00-12:00 }] } }
  Move: { windows: { zone: America/New_York, freeze: [{ from: 11-24, to: 11-26 }] } }
rules:
  - name: own
    match: { check: REVOKED_DEVICE_CERT_CHECK }
    mitigate: { actions: [Cut, Tell], windows: { open: [{ hours: 11:00-16:00 }], freeze: [{ from: 2026-12-01, to: 2026-12-01 }] } }
  - name: alarms
    alarm: { profile: cameras }
    mitigate: { actions: Move, windows: { open: [{ days: [Wed] }] } }
";

fn of(text: &str, rule: Option<&str>, actions: &[&str], at: &str) -> (String, String) {
    let policy = policy(text);
    let actions: Vec<String> = actions.iter().map(|action| (*action).to_owned()).collect();
    let calendar = policy.calendar_of(rule, &actions).unwrap().unwrap();
    let at: jiff::Timestamp = at.parse().unwrap();
    let at = Millis(at.as_millisecond());
    match calendar.closed(at) {
        None => ("open".into(), String::new()),
        Some(Closed { reason, opens }) => {
            assert_eq!(calendar.next_opening(at), opens);
            (opens.map_or("never".into(), Millis::rfc3339), reason)
        }
    }
}

#[test]
fn a_mitigation_keeps_the_windows_of_the_file_of_its_rule_and_of_each_of_its_actions() {
    let opens = |rule, actions: &[&str], at| of(ALL, rule, actions, at).0;
    // 2026-11-24 is a Tuesday; Berlin is an hour ahead of UTC.
    let tuesday = "2026-11-24T00:00:00Z";
    assert_eq!(opens(None, &[], tuesday), "2026-11-24T07:00:00Z");
    assert_eq!(opens(Some("other"), &["Tell"], tuesday), "2026-11-24T07:00:00Z");
    assert_eq!(opens(None, &["Tell", "Cut"], tuesday), "2026-11-24T08:00:00Z");
    assert_eq!(opens(Some("own"), &["Tell"], tuesday), "2026-11-24T10:00:00Z");
    assert_eq!(opens(Some("own"), &["Cut", "Tell"], "2026-11-24T10:59:59Z"), "open");
    // At noon Cut closes, and the Tuesday after is frozen for the rule.
    assert_eq!(opens(Some("own"), &["Cut"], "2026-11-24T11:00:00Z"), "2026-11-25T10:00:00Z");
    assert_eq!(opens(Some("own"), &["Cut"], "2026-11-25T11:00:00Z"), "2026-12-02T10:00:00Z");
    // The freeze of Move ends with the 26th in New York, a Thursday.
    assert_eq!(opens(Some("alarms"), &["Move"], "2026-11-25T09:00:00Z"), "2026-12-02T07:00:00Z");
    assert!(
        policy(&POLICY.replace(
            "version: 1\n",
            "version: 1\nactions: { Cut: { windows: { zone: UTC, open: [{}] } } }\n"
        ))
        .calendar_of(Some("revoked"), &["Quarantine".to_owned()])
        .unwrap()
        .is_none()
    );
}

#[test]
fn who_is_closed_says_so_and_when_all_are_open() {
    let never = ALL.replace("hours: 11:00-16:00", "hours: 18:00-19:00");
    let said = [
        of(ALL, None, &[], "2026-11-24T00:00:00Z"),
        of(ALL, Some("own"), &["Cut"], "2026-11-23T10:30:00Z"),
        of(ALL, Some("own"), &["Cut"], "2026-11-24T00:00:00Z"),
        of(ALL, Some("own"), &["Cut"], "2026-11-24T11:30:00Z"),
        of(ALL, Some("alarms"), &["Move"], "2026-11-25T09:00:00Z"),
        of(&never, Some("own"), &["Tell"], "2026-11-24T00:00:00Z"),
        of(
            &never.replace("from: 2026-12-01, to: 2026-12-01", "from: 2026-11-01, to: 2030-12-01"),
            Some("own"),
            &[],
            "2026-11-24T00:00:00Z",
        ),
    ];
    insta::assert_snapshot!(said.map(|(opens, reason)| format!("{opens}: {reason}")).join("\n"));
}

#[test]
fn a_decision_says_whether_it_waits_for_windows() {
    let rule = |own: &str| {
        format!(
            "rules:\n  - {{ name: r, match: {{ check: REVOKED_DEVICE_CERT_CHECK }}, mitigate: {{ actions: Cut{own} }} }}\n"
        )
    };
    let windows = "{ windows: { zone: UTC, open: [{ hours: 01:00-02:00 }] } }";
    for (head, own, waits) in [
        (String::new(), "", false),
        (String::new(), ", windows: { zone: UTC, open: [{ hours: 01:00-02:00 }] }", true),
        (format!("actions: {{ Cut: {windows} }}\n"), "", true),
        (format!("actions: {{ Move: {windows} }}\n"), "", false),
    ] {
        for stage in ["", "stage: shadow, "] {
            let rule = rule(own).replace("name: r, ", &format!("name: r, {stage}"));
            let policy = policy(&format!("version: 1\n{head}{rule}"));
            let said = decide(&policy, &certificate("REVOKED_DEVICE_CERT_CHECK", "x"));
            assert_eq!(said.contains("in a window"), waits, "{said}");
            assert_eq!(said.contains("at once"), !waits, "{said}");
        }
    }
}

#[test]
fn what_is_wrong_with_windows_is_told_where_it_stands() {
    let rule = |own: &str| {
        format!(
            "version: 1\nrules:\n  - name: r\n    match: {{ check: REVOKED_DEVICE_CERT_CHECK }}\n    mitigate: {{ actions: Cut, windows: {own} }}\n"
        )
    };
    let alarm = |own: &str| {
        format!(
            "version: 1\nrules:\n  - name: r\n    alarm: {{ profile: p }}\n    mitigate: {{ actions: Cut, windows: {own} }}\n"
        )
    };
    let file =
        |freeze: &str| format!("version: 1\nwindows: {{ zone: UTC, freeze: [{freeze}] }}\nrules: []\n");
    let wrong = [
        rule("{ open: [{}] }"),
        rule("{ zone: UTC }"),
        rule("{ zone: UTC, open: [], freze: [] }"),
        rule("{ zone: UTC, open: [{ days: [], hours: 6-22 }, { hours: 06:00-06:00 }] }"),
        alarm("{ freeze: [{ from: 01-01, to: 01-02 }] }"),
        alarm("nights"),
        "version: 1\nactions: { Cut: {}, Move: { windows: { zone: UTC } }, 'no name': { windows: { zone: UTC, open: [{}] } } }\nrules: []\n".into(),
        "version: 1\nactions: [Cut]\nrules: []\n".into(),
        "version: 1\nactions: { Cut: { budget: 3 } }\nrules: []\n".into(),
        file("{ from: 12-20, to: 2027-01-06 }"),
        file("{ from: 2026-12-20, to: 01-06 }"),
        file("{ from: 12-32, to: 02-30 }"),
        file("{ from: 1-6, to: 2027-1-6 }"),
        file("{ from: 06-01, to: 05-31 }"),
        file("{ from: 2027-01-06, to: 2026-12-20 }"),
        // The zone of the file is there, and cannot be read.
        rule("{ open: [{}] }").replace("rules:", "windows: { zone: [UTC] }\nrules:"),
    ];
    let told = wrong.map(|text| Policy::parse(text.as_bytes()).unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n\n"));
    for good in ["from: 02-29, to: 03-01", "from: 12-31, to: 12-31", "from: 06-02, to: 05-31"] {
        policy(&file(&format!("{{ {good} }}")));
    }
}

#[test]
fn each_zone_is_looked_for_once_where_it_stands() {
    let text = ALL.replace("Europe/Berlin", "Europe/Berln").replace("America/New_York", "America/NewYork");
    let unknown = policy(&text).check_zones().unwrap_err();
    insta::assert_snapshot!(unknown.to_string());
    policy(ALL).check_zones().unwrap();
    let error = policy(&text).calendar_of(Some("own"), &[]).unwrap_err();
    assert!(error.what.starts_with("'Europe/Berln' is not a time zone"));
}

#[test]
fn what_never_opens_says_so() {
    let never = "{ zone: UTC, open: [{}], freeze: [{ from: 2026-01-01, to: 2099-12-31 }] }";
    assert_eq!(next(never, "2026-11-23T00:00:00Z"), "never");
}

#[test]
fn a_zone_that_does_not_exist_is_told_with_its_place() {
    let policy = policy("version: 1\nwindows: { zone: Europe/Berln }\nrules: []\n");
    let error = policy.calendar_of(None, &[]).unwrap_err();
    insta::assert_snapshot!(error.render("policy.yaml", "version: 1\nwindows: { zone: Europe/Berln }"));
}

#[test]
fn a_moment_is_told_in_the_zone() {
    let frozen = "version: 1\nwindows: { zone: Europe/Berlin, freeze: [{ from: 2026-10-24, to: 2026-10-24 }] }\nrules: []\n";
    let (opens, reason) = of(frozen, None, &[], "2026-10-24T12:00:00Z");
    assert_eq!(opens, "2026-10-24T22:00:00Z");
    assert_eq!(reason, "outside of the policy's windows until 2026-10-25T00:00:00+02:00 (Europe/Berlin)");
    let policy = policy(frozen);
    let calendar = policy.calendar_of(None, &[]).unwrap().unwrap();
    let never = calendar.closed(Millis(i64::MAX)).unwrap();
    assert_eq!((never.opens, never.reason.as_str()), (None, "no window of the policy opens for over a year"));
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
