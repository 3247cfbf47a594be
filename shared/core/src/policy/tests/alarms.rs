//! Decisions on alarms: each condition, what holds a rule back, and when to decide again.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::alarm::Alarm;
use crate::model::alarm::AlarmEvent;
use crate::model::alarm::Confidence;
use crate::model::alarm::CriteriaType;
use crate::model::alarm::EventType;
use crate::model::alarm::Life;
use crate::model::alarm::Source;
use crate::model::alarm::Verification;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

pub(super) fn alarm() -> Alarm {
    Alarm {
        source: Source::DeviceDefender,
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        violation_id: "df4537569ef23efb1c029a433ae84b52".into(),
        profile: "cameras".into(),
        behavior: "messages".into(),
        metric: Some("aws:num-messages-sent".into()),
        thing: Some("camera-7".into()),
        criteria: CriteriaType::MachineLearning,
        confidence: Some(Confidence::High),
        expected: None,
        suppressed: false,
    }
}

/// A violation that began so long before now, and goes on.
pub(super) fn raised(alarm: Alarm, ago: i64) -> Life {
    let at = Millis(NOW.0 - ago);
    Life::of(&AlarmEvent { alarm, event: EventType::InAlarm, at, value: None, verification: None })
}

fn life() -> Life {
    raised(alarm(), 2 * MINUTE)
}

fn registered(groups: &[&str]) -> Things {
    Things::Known(vec![thing("camera-7", groups)])
}

fn unregistered() -> Things {
    Things::Known(vec![])
}

const fn about<'s>(life: &'s Life, things: &'s Things) -> AlarmSubject<'s> {
    AlarmSubject { life, at: NOW, raises: &[], things }
}

/// The explanation of a decision, without the hash.
fn explain(policy: &Policy, subject: &AlarmSubject<'_>) -> String {
    serde_json::to_string(&policy.decide_alarm(subject)).unwrap().replace(policy.hash(), "…")
}

/// What comes out, in one line: outcome, rule, what holds it.
fn outcome(policy: &Policy, life: &Life, things: &Things) -> String {
    let subject = about(life, things);
    let decision = policy.decide_alarm(&subject);
    let held = serde_json::to_string(&decision.held).unwrap();
    format!("{} by {}, held: {held}", decision.outcome.word(), decision.rule.unwrap_or("none"))
}

/// A policy in `enforce` of one rule.
fn one(body: &str) -> Policy {
    policy(&format!("version: 1\nmode: enforce\nrules:\n  - name: r\n    {body}\n"))
}

const POLICY: &str = "\
version: 1
mode: enforce
rules:
  - name: findings-only
    match: {}
    report: { severity: low }
  - name: noisy
    alarm: { behavior: 'disconnects*' }
    verify: { state: FALSE_POSITIVE, description: The gateways restart at night }
  - name: compromised
    alarm: { profile: cameras, confidence: HIGH }
    except: { group: lobby }
    mitigate: { actions: FleetwardenQuarantineThings, release: after 24h }
  - name: backend
    alarm: { behavior: backend-* }
    report: { silent: true }
";

#[test]
fn the_first_rule_on_alarms_that_matches_decides() {
    let policy = policy(POLICY);
    let camera = life();
    insta::assert_snapshot!(explain(&policy, &about(&camera, &registered(&["hall"]))), @r#"{"outcome":"mitigate","rule":"compromised","actions":["FleetwardenQuarantineThings"],"when":"at once","releaseAfterSeconds":86400,"thing":"camera-7","passedOver":[{"rule":"noisy","failedOn":"behavior","saw":"messages"}],"mode":"enforce","policy":"…"}"#);
    insta::assert_snapshot!(explain(&policy, &about(&camera, &registered(&["lobby"]))), @r#"{"outcome":"report","rule":null,"passedOver":[{"rule":"noisy","failedOn":"behavior","saw":"messages"},{"rule":"compromised","failedOn":"except","saw":null},{"rule":"backend","failedOn":"behavior","saw":"messages"}],"mode":"enforce","policy":"…"}"#);
    let noisy = raised(Alarm { behavior: "disconnects-night".into(), ..alarm() }, 2 * MINUTE);
    insta::assert_snapshot!(explain(&policy, &about(&noisy, &Things::NotAsked)), @r#"{"outcome":"verify","rule":"noisy","state":"FALSE_POSITIVE","description":"The gateways restart at night","thing":"camera-7","passedOver":[],"mode":"enforce","policy":"…"}"#);
    let backend = Alarm { behavior: "backend-queue".into(), profile: "servers".into(), ..alarm() };
    insta::assert_snapshot!(explain(&policy, &about(&raised(backend, MINUTE), &Things::NotAsked)), @r#"{"outcome":"report","rule":"backend","alert":"silent","passedOver":[{"rule":"noisy","failedOn":"behavior","saw":"backend-queue"},{"rule":"compromised","failedOn":"profile","saw":"servers"}],"mode":"enforce","policy":"…"}"#);
}

#[test]
fn rules_on_alarms_take_no_findings_and_rules_on_findings_no_alarms() {
    let policy = policy(
        "\
version: 1
rules:
  - { name: alarms, alarm: {}, report: { severity: high } }
  - { name: findings, report: { severity: low } }
",
    );
    let finding = certificate("REVOKED_DEVICE_CERT_CHECK", "x");
    assert_eq!(policy.decide(&subject(&finding, &Things::NotAsked)).rule, Some("findings"));
    assert_eq!(policy.decide_alarm(&about(&life(), &Things::NotAsked)).rule, Some("alarms"));
    assert_eq!((policy.rules().len(), policy.alarm_rules().len()), (1, 1));
}

#[test]
fn every_key_of_an_alarm_has_its_say() {
    let keys = [
        "source: [cloudWatch, other]",
        "account: '9*'",
        "region: us-*",
        "profile: gates",
        "behavior: '*-ports'",
        "metric: [aws:source-ip-address, temperature]",
        "criteria: [static, statistical]",
        "confidence: HIGH",
        "thing: gate-*",
        "raisedAtLeast: { times: 3, within: 1h }",
        "lastsLongerThan: 10m",
        "registered: false",
        "group: production",
        "thingType: [valve, gate]",
        "attribute: { site: 'field-*' }",
    ];
    let mut text = "version: 1\nrules:\n".to_owned();
    for (at, key) in keys.iter().enumerate() {
        let _ = writeln!(text, "  - {{ name: r{at}, alarm: {{ {key} }}, report: {{}} }}");
    }
    text += "  - { name: except, alarm: {}, except: { thing: 'camera-*', registered: true }, report: {} }\n";
    text += "  - { name: last, alarm: { profile: cameras, thing: 'camera-?', registered: true, group: lab, thingType: pump,
      attribute: { site: 'lab-*' }, criteria: ml, confidence: LOW, source: deviceDefender, metric: 'aws:*',
      raisedAtLeast: { times: 2, within: 2h }, lastsLongerThan: 5m }, report: { severity: critical } }\n";
    let policy = policy(&text);
    let medium = Alarm { confidence: Some(Confidence::Medium), ..alarm() };
    let life = raised(medium, 5 * MINUTE + 30_000);
    let raises = [NOW.0 - 90 * MINUTE, NOW.0 - 60 * MINUTE, life.raised_at.unwrap().0].map(Millis);
    let things = registered(&["fleet", "lab"]);
    let subject = AlarmSubject { raises: &raises, ..about(&life, &things) };
    let explained: serde_json::Value = serde_json::from_str(&explain(&policy, &subject)).unwrap();
    insta::assert_json_snapshot!(explained);
}

#[test]
fn a_confidence_is_that_or_higher_and_only_of_a_model() {
    let matches = |rule: &str, criteria, confidence| {
        let life = raised(Alarm { criteria, confidence, ..alarm() }, MINUTE);
        let policy = one(&format!("alarm: {{ confidence: {rule} }}\n    report: {{}}"));
        policy.decide_alarm(&about(&life, &Things::NotAsked)).rule.is_some()
    };
    let of_model = |rule, confidence| matches(rule, CriteriaType::MachineLearning, Some(confidence));
    let (low, medium, high) = (Confidence::Low, Confidence::Medium, Confidence::High);
    assert!(
        of_model("LOW", low)
            && of_model("LOW", high)
            && of_model("MEDIUM", medium)
            && of_model("MEDIUM", high)
    );
    assert!(!of_model("MEDIUM", low) && !of_model("HIGH", medium) && of_model("HIGH", high));
    assert!(!matches("LOW", CriteriaType::MachineLearning, None), "nobody says how sure it was");
    for other in [CriteriaType::Static, CriteriaType::Statistical, CriteriaType::Unknown] {
        assert!(!matches("LOW", other, None) && !matches("LOW", other, Some(high)));
    }
}

#[test]
fn a_mitigation_needs_a_registered_thing_and_an_alarm_that_lasts() {
    let policy = one("alarm: {}\n    mitigate: { actions: A }");
    let with = |change: fn(&mut Life)| {
        let mut life = life();
        change(&mut life);
        outcome(&policy, &life, &registered(&[]))
    };
    let unknown = Things::Unknown { unknown: "throttled".into() };
    let told = [
        outcome(&policy, &life(), &registered(&[])),
        outcome(&policy, &life(), &unregistered()),
        outcome(&policy, &life(), &unknown),
        outcome(&policy, &life(), &Things::NotAsked),
        with(|life| life.alarm.thing = None),
        with(|life| life.alarm.source = Source::CloudWatch),
        with(|life| life.cleared_at = Some(NOW)),
        with(|life| life.invalidated_at = life.raised_at),
        // It was raised again after the end: the end is of the raise before.
        with(|life| life.cleared_at = Some(Millis(0))),
        with(|life| life.raised_at = None),
        with(|life| life.verification = Some(Verification::FalsePositive)),
        with(|life| life.verification = Some(Verification::BenignPositive)),
        with(|life| life.verification = Some(Verification::TruePositive)),
        with(|life| life.verification = Some(Verification::Unknown)),
    ];
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(
        policy.decide_alarm(&about(&life(), &Things::NotAsked)).wanted,
        Wanted { names: true, ..Wanted::default() }
    );
}

#[test]
fn a_verification_does_not_replace_what_was_said() {
    let policy = one("alarm: {}\n    verify: { state: BENIGN_POSITIVE, description: An exercise }");
    let with = |verification, source| {
        let mut life = life();
        (life.verification, life.alarm.source) = (verification, source);
        // An alarm that has ended is verified all the same.
        life.cleared_at = Some(NOW);
        outcome(&policy, &life, &Things::NotAsked)
    };
    let own = Source::DeviceDefender;
    let told = [
        with(None, own),
        with(Some(Verification::Unknown), own),
        with(Some(Verification::BenignPositive), own),
        with(Some(Verification::TruePositive), own),
        with(None, Source::Other),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    verify by r, held: null
    verify by r, held: null
    verify by r, held: null
    report by r, held: {"verified":"TRUE_POSITIVE"}
    report by r, held: "nothingToVerify"
    "#);
}

#[test]
fn what_is_protected_is_not_put_into_quarantine() {
    let policy = policy(
        "\
version: 1
mode: enforce
protect: { things: core-*, groups: production }
rules:
  - { name: r, alarm: { profile: '*' }, mitigate: { actions: A } }
  - { name: unreached, alarm: {}, report: { silent: true } }
",
    );
    let named = |name: &str, things: Things| {
        let life = raised(Alarm { thing: Some(name.into()), ..alarm() }, MINUTE);
        outcome(&policy, &life, &things)
    };
    let core = Thing { name: "core-1".into(), ..Thing::default() };
    let told = [
        named("camera-7", registered(&["lab"])),
        named("camera-7", registered(&["lab", "production"])),
        named("core-1", Things::Known(vec![core])),
        named("camera-7", Things::Known(vec![Thing { name: "camera-7".into(), ..Thing::default() }])),
        named("camera-7", Things::NotAsked),
        named("camera-7", Things::Unknown { unknown: "denied".into() }),
        named("camera-7", unregistered()),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    mitigate by r, held: null
    report by r, held: {"protectedBy":{"group":"production"}}
    report by r, held: {"protectedBy":{"thing":"core-*"}}
    report by r, held: "protectionUnknown"
    report by r, held: "protectionUnknown"
    report by r, held: "protectionUnknown"
    report by r, held: "nothingToMitigate"
    "#);
}

#[test]
fn things_are_asked_for_only_when_a_rule_needs_them() {
    let wanted = |body: &str, things: &Things| one(body).decide_alarm(&about(&life(), things)).wanted;
    let nothing = Wanted::default();
    let names = Wanted { names: true, ..nothing };
    let bare = Things::Known(vec![Thing { name: "camera-7".into(), ..Thing::default() }]);
    assert_eq!(wanted("alarm: { thing: 'camera-*' }\n    report: {}", &Things::NotAsked), nothing);
    assert_eq!(wanted("alarm: { group: lab, profile: gates }\n    report: {}", &Things::NotAsked), nothing);
    assert_eq!(wanted("alarm: { registered: true }\n    report: {}", &Things::NotAsked), names);
    assert_eq!(wanted("alarm: { registered: true }\n    report: {}", &bare), nothing);
    assert_eq!(wanted("alarm: { group: lab }\n    report: {}", &Things::NotAsked), names);
    assert_eq!(wanted("alarm: { group: lab }\n    report: {}", &bare), Wanted { groups: true, ..nothing });
    assert_eq!(
        wanted("alarm: { thingType: lab }\n    report: {}", &bare),
        Wanted { descriptions: true, ..nothing }
    );
    assert_eq!(wanted("alarm: {}\n    mitigate: { actions: A }", &bare), nothing);
    let ended = Life { cleared_at: Some(NOW), ..life() };
    let policy = one("alarm: {}\n    mitigate: { actions: A }");
    assert_eq!(policy.decide_alarm(&about(&ended, &Things::NotAsked)).wanted, nothing, "nothing to mitigate");
}

#[test]
fn what_nobody_knows_lets_no_later_rule_act() {
    let policy = policy(
        "\
version: 1
mode: enforce
rules:
  - { name: lab, alarm: { group: lab }, report: { silent: true } }
  - { name: noisy, alarm: { behavior: messages }, verify: { state: FALSE_POSITIVE, description: d } }
",
    );
    let unknown = Things::Unknown { unknown: "DescribeThing: AccessDenied".into() };
    insta::assert_snapshot!(explain(&policy, &about(&life(), &unknown)), @r#"{"outcome":"report","rule":"noisy","held":{"ruleUnknown":"lab"},"passedOver":[{"rule":"lab","failedOn":"group","unknown":"DescribeThing: AccessDenied"}],"mode":"enforce","policy":"…"}"#);
    assert_eq!(outcome(&policy, &life(), &registered(&["lab"])), "report by lab, held: null");
    assert_eq!(outcome(&policy, &life(), &registered(&["hall"])), "verify by noisy, held: null");
    assert_eq!(outcome(&policy, &life(), &unregistered()), "verify by noisy, held: null");
    let of_nobody = raised(Alarm { thing: None, ..alarm() }, MINUTE);
    assert_eq!(outcome(&policy, &of_nobody, &Things::NotAsked), "verify by noisy, held: null");
}

#[test]
fn a_rule_in_shadow_says_what_it_would_do() {
    let policy = policy(
        "\
version: 1
mode: enforce
protect: { groups: production }
windows: { zone: UTC, open: [{ hours: 22:00-06:00 }] }
rules:
  - { name: bold, stage: shadow, alarm: { confidence: HIGH }, mitigate: { actions: A, release: after 90m } }
  - { name: later, stage: shadow, alarm: {}, verify: { state: TRUE_POSITIVE, description: d } }
  - { name: careful, alarm: { profile: cameras }, report: { severity: high } }
",
    );
    insta::assert_snapshot!(explain(&policy, &about(&life(), &registered(&["lab"]))), @r#"{"outcome":"report","rule":"careful","alert":"high","shadow":{"rule":"bold","outcome":"mitigate","actions":["A"],"when":"in a window","releaseAfterSeconds":5400},"passedOver":[],"mode":"enforce","policy":"…"}"#);
    insta::assert_snapshot!(explain(&policy, &about(&life(), &Things::NotAsked)), @r#"{"outcome":"report","rule":"careful","alert":"high","shadow":{"rule":"bold","outcome":"mitigate","actions":["A"],"when":"in a window","releaseAfterSeconds":5400,"held":"protectionUnknown"},"passedOver":[],"mode":"enforce","policy":"…"}"#);
    assert!(policy.decide_alarm(&about(&life(), &Things::NotAsked)).wanted.is_nothing());
}

#[test]
fn raises_count_back_from_the_begin_of_the_alarm() {
    let policy = one("alarm: { raisedAtLeast: { times: 3, within: 24h } }\n    report: { severity: high }");
    let decided = |ago: &[i64], at: i64| {
        let life = raised(alarm(), 2 * MINUTE);
        let begin = life.raised_at.unwrap().0;
        let mut raises: Vec<_> = ago.iter().map(|ago| Millis(begin - ago)).collect();
        raises.push(Millis(begin));
        let subject =
            AlarmSubject { raises: &raises, at: Millis(NOW.0 + at), ..about(&life, &Things::NotAsked) };
        policy.decide_alarm(&subject).rule.is_some()
    };
    assert!(decided(&[24 * HOUR, HOUR], 0), "24 hours are within 24 hours");
    assert!(!decided(&[24 * HOUR + 1, HOUR], 0));
    assert!(!decided(&[HOUR], 0));
    assert!(decided(&[24 * HOUR, HOUR], 72 * HOUR), "a later decision on the same alarm counts the same");
    assert!(!decided(&[-HOUR, -2 * HOUR], 0), "alarms after this one are not before it");
    let life = life();
    let others = [HOUR, 2 * HOUR].map(|ago| Millis(life.raised_at.unwrap().0 - ago));
    let subject = AlarmSubject { raises: &others, ..about(&life, &Things::NotAsked) };
    assert!(
        policy.decide_alarm(&subject).rule.is_some(),
        "this one counts, also if the ledger has not got it"
    );
}

#[test]
fn an_alarm_is_decided_on_again_when_a_rule_for_longer_ones_could_match() {
    let policy = policy(
        "\
version: 1
mode: enforce
rules:
  - { name: gates, alarm: { lastsLongerThan: 10m, profile: gates }, report: { severity: low } }
  - { name: except, alarm: { lastsLongerThan: 20m }, except: { thing: 'camera-*' }, report: { severity: low } }
  - { name: turned, alarm: { lastsLongerThan: 25m }, except: { lastsLongerThan: 20m }, report: { severity: low } }
  - { name: lab, alarm: { lastsLongerThan: 30m, group: lab }, report: { severity: high } }
  - { name: hour, alarm: { lastsLongerThan: 1h }, report: { severity: critical } }
  - { name: quiet, alarm: { behavior: messages }, report: { silent: true } }
  - { name: after, alarm: { lastsLongerThan: 5m }, report: { severity: low } }
",
    );
    let again = |ago: i64, things: &Things| {
        let life = raised(alarm(), ago);
        let subject = about(&life, things);
        let decision = policy.decide_alarm(&subject);
        let minutes = decision.again_at.map(|at| (at.0 - life.raised_at.unwrap().0) / MINUTE);
        (decision.rule.unwrap().to_owned(), minutes)
    };
    let (lab, other) = (registered(&["lab"]), registered(&["hall"]));
    assert_eq!(again(2 * MINUTE, &lab), ("quiet".into(), Some(30)));
    assert_eq!(again(2 * MINUTE, &Things::NotAsked), ("quiet".into(), Some(30)), "it may be in the group");
    assert_eq!(again(2 * MINUTE, &other), ("quiet".into(), Some(60)));
    assert_eq!(again(30 * MINUTE, &other), ("quiet".into(), Some(60)));
    assert_eq!(again(30 * MINUTE, &lab), ("lab".into(), None), "the rule that decides is past the hour's");
    assert_eq!(again(60 * MINUTE - 1, &other), ("quiet".into(), Some(60)));
    assert_eq!(again(60 * MINUTE, &other), ("hour".into(), None));
    let ended = Life { cleared_at: Some(NOW), ..raised(alarm(), 59 * MINUTE) };
    let subject = about(&ended, &other);
    assert_eq!(policy.decide_alarm(&subject).again_at, None, "it lasts no longer");
    let long = Life { cleared_at: Some(NOW), ..raised(alarm(), 61 * MINUTE) };
    assert_eq!(policy.decide_alarm(&about(&long, &other)).rule, Some("hour"), "it lasted that long");
}

#[test]
fn what_no_rule_takes_of_a_behavior_whose_alerts_are_suppressed_is_silent() {
    let policy = policy("version: 1\nrules: [{ name: r, alarm: { profile: gates }, report: {} }]");
    let suppressed = |profile: &str| {
        let life = raised(Alarm { suppressed: true, profile: profile.into(), ..alarm() }, MINUTE);
        policy.decide_alarm(&about(&life, &Things::NotAsked)).outcome == AlarmOutcome::Report(Report::Silent)
    };
    assert!(suppressed("cameras") && !suppressed("gates"));
}

#[test]
fn a_brief_decision_on_an_alarm_keeps_all_but_the_rules_that_were_passed_over() {
    let policy = policy(POLICY);
    let life = life();
    let subject = about(&life, &Things::NotAsked);
    let decision = policy.decide_alarm(&subject);
    let mut long = json!(decision);
    long.as_object_mut().unwrap().remove("passedOver").unwrap();
    assert_eq!(json!(decision.brief()), long);
}

#[test]
fn settings_are_those_of_the_file_or_the_usual_ones() {
    assert_eq!(policy("version: 1\nrules: []").alarms(), AlarmSettings::default());
    let text = "\
version: 1
rules: []
alarms:
  settle: 0m
  flaps: { after: 5, quiet: 2h }
  incidents: { window: 30m, devices: 7, share: 2.5% }
";
    let settings = AlarmSettings {
        settle_seconds: 0,
        flaps_after: 5,
        quiet_seconds: 7_200,
        incident_window_seconds: 1_800,
        incident_devices: 7,
        incident_share: 0.025,
    };
    assert_eq!(policy(text).alarms(), settings);
    let part = policy("version: 1\nrules: []\nalarms: { incidents: { share: 100% } }").alarms();
    assert_eq!(part, AlarmSettings { incident_share: 1.0, ..AlarmSettings::default() });
}

proptest! {
    #[test]
    fn nothing_unknown_about_a_device_is_ever_acted_on(
        key in "(group: x|thingType: x|registered: true|registered: false|attribute: \\{ a: x \\})",
        except in any::<bool>(), verify in any::<bool>(), reason in ".{0,9}",
    ) {
        let outcome = if verify { "verify: { state: TRUE_POSITIVE, description: d }" } else { "mitigate: { actions: A }" };
        let rule = if except { format!("alarm: {{}}, except: {{ {key} }}") } else { format!("alarm: {{ {key} }}") };
        let policy = policy(&format!(
            "version: 1\nrules:\n  - {{ name: a, {rule}, {outcome} }}\n  - {{ name: b, alarm: {{}}, {outcome} }}\n"
        ));
        let (life, things) = (life(), Things::Unknown { unknown: reason });
        let subject = about(&life, &things);
        let decision = policy.decide_alarm(&subject);
        prop_assert_eq!(decision.outcome, AlarmOutcome::Report(Report::Alert(None)));
        prop_assert_eq!(decision.held, Some(AlarmHold::RuleUnknown("a")));
    }

    /// Whoever comes back at `againAt` finds the rule; whoever comes before finds the same decision as now.
    #[test]
    fn the_time_to_decide_again_is_neither_too_early_nor_too_late(
        lengths in proptest::collection::vec((1..40_i64, any::<bool>()), 1..5), ago in 0..40_i64, step in 0..100_i64,
    ) {
        let mut text = "version: 1\nrules:\n".to_owned();
        for (at, (minutes, group)) in lengths.iter().enumerate() {
            let group = if *group { ", group: lab" } else { "" };
            let _ = writeln!(text, "  - {{ name: r{at}, alarm: {{ lastsLongerThan: {minutes}m{group} }}, report: {{}} }}");
        }
        let policy = policy(&text);
        let (life, things) = (raised(alarm(), ago * MINUTE), registered(&["hall"]));
        let decide = |at: Millis| {
            let subject = AlarmSubject { at, ..about(&life, &things) };
            let decision = policy.decide_alarm(&subject);
            (decision.rule.map(str::to_owned), decision.again_at)
        };
        let (now, again) = decide(NOW);
        if let Some(again) = again {
            prop_assert!(again > NOW);
            let between = NOW.0 + (again.0 - 1 - NOW.0) * step / 100;
            prop_assert_eq!(&decide(Millis(between)).0, &now);
            prop_assert_ne!(&decide(again).0, &now);
        } else {
            prop_assert_eq!(&decide(Millis(NOW.0 + step * HOUR)).0, &now);
        }
    }
}
