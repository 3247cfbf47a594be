//! Rules on alarms and settings that are refused, each with what its author is told.

use proptest::prelude::*;

use super::files::rule;
use super::files::told;
use super::*;

fn alarms(settings: &str) -> String {
    format!("version: 1\nrules: []\nalarms: {{ {settings} }}\n")
}

#[test]
fn kinds_of_rules_are_not_mixed() {
    insta::assert_snapshot!(told(&[
        rule("match: { check: LOGGING_DISABLED_CHECK }\n    alarm: { profile: a }\n    report: {}"),
        rule("alarm: { profile: a }\n    suppress: { for: 90d, reason: x }"),
        rule("alarm: { profile: a }\n    suppress: { for: 90d, reason: x }\n    report: {}"),
        rule("verify: { state: FALSE_POSITIVE, description: d }"),
        rule("match: { check: LOGGING_DISABLED_CHECK }\n    mitigate: { actions: A, release: after 24h }"),
        rule("alarm: { check: LOGGING_DISABLED_CHECK }\n    report: {}"),
        rule(
            "alarm: { olderThan: 1h, seenAtLeast: 3, severity: HIGH }\n    except: { resource: a }\n    report: {}"
        ),
        rule("alarm: { colour: red }\n    report: {}"),
        rule("match: { profile: a }\n    report: {}"),
        rule("match: { thing: a }\n    except: { registered: true, lastsLongerThan: 1h }\n    report: {}"),
        rule("alram: { profile: a }\n    report: {}"),
        rule("alarm: { profile: a }"),
        rule("alarm: { profile: a }\n    report: {}\n    verify: { state: FALSE_POSITIVE, description: d }"),
        rule("alarm: { profile: a }\n    except: {}\n    report: {}"),
        rule("alarm: []\n    report: {}"),
        rule("report: {}\n  - name: r\n    alarm: {}\n    report: {}"),
    ]));
}

#[test]
fn values_of_conditions_on_alarms() {
    let matching = |keys: &str| rule(&format!("alarm: {{ {keys} }}\n    report: {{}}"));
    insta::assert_snapshot!(told(&[
        matching("criteria: [static, machine-learning, statistcal]"),
        matching("confidence: high"),
        matching("confidence: [HIGH]"),
        matching("source: devicedefender"),
        matching("registered: sometimes"),
        matching("lastsLongerThan: 10"),
        matching("lastsLongerThan: 30s"),
        matching("lastsLongerThan: 0m"),
        matching("lastsLongerThan: 15d"),
        matching("raisedAtLeast: 3"),
        matching("raisedAtLeast: { times: 3 }"),
        matching("raisedAtLeast: { times: 1, within: 24h }"),
        matching("raisedAtLeast: { times: 51, within: 8d }"),
        matching("thing: 'camera-[0-9]'"),
        matching("profile: []"),
        rule("alarm: {}\n    except: { thing: '$camera' }\n    report: {}"),
        rule("alarm: {}\n    except: { group: 'a b' }\n    report: {}"),
        rule("alarm: {}\n    except: { source: deviceDefender, behavior: 'my behavior' }\n    report: {}"),
        rule("alarm: {}\n    except: { registered: false, group: lab }\n    report: {}"),
        rule("alarm: {}\n    except: { criteria: static, confidence: LOW }\n    report: {}"),
    ]));
}

#[test]
fn values_of_outcomes_of_alarms() {
    let doing = |outcome: &str| rule(&format!("alarm: {{}}\n    {outcome}"));
    insta::assert_snapshot!(told(&[
        doing("mitigate: { actions: [a, a, 'b c'] }"),
        doing("mitigate: { actions: A, release: 24h }"),
        doing("mitigate: { actions: A, release: after a day }"),
        doing("mitigate: { actions: A, release: after 0m }"),
        doing("mitigate: { actions: A, release: after 31d }"),
        doing("mitigate: { actions: A, releas: after 1d }"),
        doing("report: { silent: true, severity: high }"),
        doing("verify: { state: FALSE, description: d }"),
        doing("verify: { state: UNKNOWN, description: d }"),
        doing("verify: { state: FALSE_POSITIVE }"),
        doing("verify: { state: FALSE_POSITIVE, description: ' ' }"),
        doing("verify: { state: FALSE_POSITIVE, description: \"two\\nlines\" }"),
        doing(&format!("verify: {{ state: FALSE_POSITIVE, description: {} }}", "ä".repeat(1001))),
    ]));
}

#[test]
fn settings_of_alarms() {
    insta::assert_snapshot!(told(&[
        alarms("settle: 0"),
        alarms("settle: 90s"),
        alarms("settle: 16m"),
        alarms("setle: 1m"),
        alarms("flaps: { after: 1 }"),
        alarms("flaps: { after: 3, quiet: 8d }"),
        alarms("flaps: { quiet: 1m }"),
        alarms("incidents: { window: 1m }"),
        alarms("incidents: { window: 25h }"),
        alarms("incidents: { devices: 0 }"),
        alarms("incidents: { share: 10 }"),
        alarms("incidents: { share: 101% }"),
        alarms("incidents: { share: -5% }"),
        alarms("incidents: { share: 1.234% }"),
        alarms("incidents: []"),
    ]));
}

#[test]
fn the_longest_description_is_taken() {
    let text = rule(&format!(
        "alarm: {{}}\n    verify: {{ state: TRUE_POSITIVE, description: {} }}",
        "ä".repeat(1000)
    ));
    assert!(Policy::parse(text.as_bytes()).is_ok());
}

proptest! {
    #[test]
    fn a_length_of_time_is_taken_exactly_within_its_limits(count in 0..100_000_i64, unit in "[mhdw]") {
        let seconds = count * match &*unit { "m" => 60, "h" => 3_600, "d" => 86_400, _ => 604_800 };
        let settings = alarms(&format!("settle: {count}{unit}"));
        let taken = Policy::parse(settings.as_bytes()).ok().map(|policy| policy.alarms().settle_seconds);
        prop_assert_eq!(taken, (seconds <= AlarmSettings::MAX_SETTLE_SECONDS).then_some(seconds));
        let text = rule(&format!("alarm: {{}}\n    mitigate: {{ actions: A, release: after {count}{unit} }}"));
        let taken = Policy::parse(text.as_bytes()).ok().map(|policy| policy.alarm_rules()[0].effect().clone());
        let within = (60..=30 * 86_400).contains(&seconds);
        let (actions, devices) = (vec!["A".into()], DeviceLimits::Default);
        let expected =
            AlarmMitigate { actions, devices, release_after_seconds: Some(seconds), approval: None, windows: None };
        prop_assert_eq!(taken, within.then_some(AlarmEffect::Mitigate(expected)));
    }

    #[test]
    fn a_share_is_zero_to_one(whole in 0..200_u32, part in proptest::option::of(0..100_u32)) {
        let text = part.map_or_else(|| format!("{whole}%"), |part| format!("{whole}.{part:02}%"));
        let hundredths = whole * 100 + part.unwrap_or_default();
        let taken = Policy::parse(alarms(&format!("incidents: {{ share: {text} }}")).as_bytes());
        match taken {
            Ok(policy) => {
                let share = policy.alarms().incident_share;
                prop_assert!((share - f64::from(hundredths) / 10_000.0).abs() < 1e-9 && share <= 1.0);
            }
            Err(_) => prop_assert!(hundredths > 10_000),
        }
    }
}
