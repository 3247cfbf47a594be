//! What a policy with rules on alarms is told about, and that a rule which is said never to match never does.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::alarms::alarm;
use super::alarms::raised;
use super::lint::rules;
use super::lint::told;
use super::*;
use crate::model::alarm::Alarm;
use crate::model::alarm::Confidence;
use crate::model::alarm::CriteriaType;
use crate::model::alarm::Source;

fn all(cases: &[&[&str]]) -> String {
    cases.iter().map(|case| told(&rules(case))).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn mitigations_of_alarms() {
    insta::assert_snapshot!(all(&[
        &["alarm: { behavior: a, confidence: HIGH }\n    mitigate: { actions: [Quarantine, Mystery] }"],
        &["alarm: { behavior: a, confidence: HIGH }\n    mitigate: { actions: [Deactivate, Quarantin] }"],
        &["alarm: { behavior: a }\n    mitigate: { actions: Quarantine }"],
        &["alarm: { behavior: a, criteria: ml }\n    mitigate: { actions: Quarantine }"],
        &["alarm: { behavior: a, confidence: LOW }\n    mitigate: { actions: Quarantine }"],
        &["alarm: { behavior: a, criteria: [static, statistical] }\n    mitigate: { actions: Quarantine }"],
        &[
            "alarm: { metric: [aws:source-ip-address, aws:listening-tcp-ports] }\n    mitigate: { actions: Quarantine }"
        ],
        &["alarm: { confidence: MEDIUM }\n    mitigate: { actions: Quarantine }"],
        &[
            "alarm: { criteria: static, profile: a, registered: false }\n    mitigate: { actions: Quarantine }"
        ],
        &[
            "alarm: { criteria: static, profile: a, source: cloudWatch }\n    mitigate: { actions: Quarantine }"
        ],
        &["alarm: { source: [cloudWatch, other] }\n    verify: { state: TRUE_POSITIVE, description: d }"],
        &[
            "alarm: { criteria: static, profile: a }\n    mitigate: { actions: Quarantine }",
            "alarm: { criteria: static, profile: b }\n    mitigate: { actions: Quarantine }",
        ],
    ]));
}

#[test]
fn protections_that_do_not_concern_alarms() {
    let with = |protect: &str| {
        let text = format!(
            "version: 1\nprotect: {{ certificates: 'fe*'{protect} }}\nrules:\n  - {{ name: r, alarm: {{ behavior: a, \
             confidence: HIGH }}, mitigate: {{ actions: A }} }}\n"
        );
        let found = policy(&text).lint(&Known { at: NOW, actions: None, inventory: None, deployment: None });
        found
            .into_iter()
            .filter(|found| found.level != Level::Note)
            .map(|found| found.what)
            .collect::<Vec<_>>()
    };
    insta::assert_snapshot!(with("").join("\n"), @"'protect' names certificates alone, and an alarm is about a thing: nothing keeps this rule from the things that have them; protect their names or groups");
    assert!(with(", groups: production").is_empty());
}

#[test]
fn conditions_on_alarms_that_never_hold() {
    insta::assert_snapshot!(all(&[
        &["alarm: { criteria: [static, statistical], confidence: HIGH }\n    report: {}"],
        &["alarm: { registered: false, thingType: pump }\n    report: {}"],
        &["alarm: { profile: 'my profile', behavior: 'CPU is high' }\n    report: {}"],
        &["alarm: { source: deviceDefender, behavior: 'my behavior' }\n    report: {}"],
        &["alarm: { source: cloudWatch, behavior: 'CPU is high' }\n    report: {}"],
        &["alarm: { metric: [aws:num-message-sent, temperature] }\n    report: {}"],
        &[
            "alarm: { thing: [camera-1, 'pump-*'], group: lab, region: eu-wset-1, account: '12' }\n    report: {}"
        ],
        &["alarm: { registered: false, thing: camera-1 }\n    report: {}"],
    ]));
}

#[test]
fn rules_on_alarms_that_are_never_reached() {
    insta::assert_snapshot!(all(&[
        &["alarm: {}\n    report: {}", "alarm: { profile: a }\n    report: { silent: true }"],
        &[
            "alarm: {}\n    stage: shadow\n    report: {}",
            "alarm: { profile: a }\n    report: { silent: true }"
        ],
        &["match: {}\n    report: {}", "alarm: { profile: a }\n    report: { silent: true }"],
        &[
            "alarm: { profile: 'a*', lastsLongerThan: 1h, raisedAtLeast: { times: 2, within: 24h } }\n    report: {}",
            "alarm: { profile: ab, lastsLongerThan: 90m, raisedAtLeast: { times: 3, within: 2h } }\n    report: {}",
            "alarm: { profile: ab, lastsLongerThan: 30m, raisedAtLeast: { times: 3, within: 2h } }\n    report: {}",
        ],
        &["alarm: { criteria: ml }\n    report: {}", "alarm: { confidence: HIGH }\n    report: {}"],
        &["alarm: { registered: true }\n    report: {}", "alarm: { group: lab }\n    report: {}"],
        &["alarm: { profile: ab }\n    except: { profile: 'a*' }\n    report: {}"],
    ]));
}

#[test]
fn a_length_that_every_alarm_has_when_it_is_decided_on() {
    let text = "\
version: 1
alarms: { settle: 10m }
rules:
  - { name: same, alarm: { lastsLongerThan: 10m }, report: { severity: low } }
  - { name: longer, alarm: { lastsLongerThan: 11m }, report: {} }
";
    insta::assert_snapshot!(told(text));
}

const NAMES: [&str; 4] = ["a", "ab", "a*", "*"];

/// The keys of a rule, drawn from so few that rules often cover one another.
fn keys() -> impl Strategy<Value = String> {
    let name = || proptest::option::of(0..NAMES.len());
    let small = || proptest::option::of(0..3_usize);
    (name(), name(), name(), small(), small(), small(), small(), proptest::option::of(any::<bool>()))
        .prop_map(|(profile, thing, group, criteria, confidence, lasts, times, registered)| {
            let mut keys = String::new();
            for (key, name) in [("profile", profile), ("thing", thing), ("group", group)] {
                let _ = name.map(|at| write!(keys, "{key}: '{}', ", NAMES[at]));
            }
            let _ = criteria.map(|at| write!(keys, "criteria: {}, ", ["static", "ml", "[static, ml]"][at]));
            let _ = confidence.map(|at| write!(keys, "confidence: {}, ", ["LOW", "MEDIUM", "HIGH"][at]));
            let _ = lasts.map(|at| write!(keys, "lastsLongerThan: {}, ", ["1m", "2m", "3m"][at]));
            let _ = times.map(|at| {
                write!(keys, "raisedAtLeast: {{ times: {}, within: {}m }}, ", [2, 2, 3][at], [3, 1, 1][at])
            });
            let _ = registered.map(|is| write!(keys, "registered: {is}, "));
            keys
        })
}

fn any_alarm() -> impl Strategy<Value = (Alarm, i64, Vec<i64>, Things)> {
    let name = || "(a|ab|b)";
    let things = prop_oneof![
        Just(Things::Known(vec![])),
        name().prop_map(|group| Things::Known(vec![thing("x", &[&group])])),
    ];
    let sure = proptest::option::of(0..3_usize);
    (
        name(),
        proptest::option::of(name()),
        0..3_usize,
        sure,
        0..5_i64,
        proptest::collection::vec(0..5_i64, 0..4),
        things,
    )
        .prop_map(|(profile, device, criteria, sure, lasts, raises, things)| {
            let criteria =
                [CriteriaType::Static, CriteriaType::MachineLearning, CriteriaType::Statistical][criteria];
            let confidence = sure.map(|at| [Confidence::Low, Confidence::Medium, Confidence::High][at]);
            let alarm = Alarm {
                profile,
                thing: device,
                criteria,
                confidence,
                source: Source::DeviceDefender,
                ..alarm()
            };
            (alarm, lasts, raises, things)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_rule_on_alarms_that_is_said_never_to_match_never_does(
        matches in proptest::collection::vec((keys(), proptest::option::of(keys())), 1..6),
        alarms in proptest::collection::vec(any_alarm(), 1..30),
    ) {
        let mut text = "version: 1\nalarms: { settle: 0m }\nrules:\n".to_owned();
        for (at, (keys, except)) in matches.iter().enumerate() {
            let except = except.as_ref().filter(|keys| !keys.is_empty());
            let except = except.map(|keys| format!(", except: {{ {keys} }}")).unwrap_or_default();
            let _ = writeln!(text, "  - {{ name: r{at}, alarm: {{ {keys} }}{except}, report: {{}} }}");
        }
        // An exception of what never holds is refused.
        let Ok(policy) = Policy::parse(text.as_bytes()) else { return Ok(()) };
        let found = policy.lint(&Known { at: NOW, actions: None, inventory: None, deployment: None });
        let never = |rule: &str| {
            let place = policy.alarm_rules().iter().find(|other| other.name() == rule).unwrap().place();
            found.iter().any(|found| found.place == place && found.what.starts_with("the rule never matches"))
        };
        for (alarm, lasts, raises, things) in alarms {
            let life = raised(alarm, lasts * 60_000);
            let begin = life.raised_at.unwrap().0;
            let raises: Vec<_> = raises.iter().map(|ago| Millis(begin - ago * 60_000)).collect();
            let subject = AlarmSubject { life: &life, at: NOW, raises: &raises, things: &things };
            if let Some(rule) = policy.decide_alarm(&subject).rule {
                prop_assert!(!never(rule), "{rule} matches\n{text}");
            }
        }
    }
}
