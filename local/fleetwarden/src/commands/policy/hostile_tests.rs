//! Names that devices choose, and texts of files that come from elsewhere, in everything that these commands print.

use super::Source;
use super::explanation::{self, Explained, Opening, Openings};
use super::guards::{Around, Used};
use crate::replay::damage::Damage;
use fleetwarden_core::model::alarm::{AlarmEvent, Life};
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::{AlarmSubject, Policy, Subject};
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::is_unseen;
use serde_json::json;

/// Begins a line only if a name could break one.
const FORGED: &str = "FORGED";

const POLICY: &str = "
version: 1
protect: { things: safe }
rules:
  - name: grouped
    match: { check: CONFLICTING_CLIENT_IDS_CHECK, group: lab }
    report: {}
  - name: attributed
    match: { check: CONFLICTING_CLIENT_IDS_CHECK, attribute: { site: hall }, reason: x }
    report: {}
  - name: named
    match: { check: CONFLICTING_CLIENT_IDS_CHECK, resource: never, account: '1*' }
    report: {}
  - name: cut
    match: { check: CONFLICTING_CLIENT_IDS_CHECK }
    mitigate: { actions: Quarantine, devices: { most: 1, connected: 0 } }
";

/// Every character that is not seen, in a name.
pub(crate) fn hostile() -> impl Iterator<Item = String> {
    let all = (0..=0x000e_007f).filter_map(char::from_u32).filter(|c| is_unseen(*c));
    all.map(|c| format!("a{c}{FORGED}")).chain(["\u{1b}]8;;https://example.com\u{7}x".to_owned()])
}

/// A name in YAML, with escapes that YAML knows for all of Unicode.
pub(crate) fn quoted(name: &str) -> String {
    let escaped = name.chars().map(|c| format!("\\U{:08x}", u32::from(c)));
    format!("\"{}\"", escaped.collect::<String>())
}

/// That a text is as it is read.
pub(crate) fn assert_plain(what: &str, printed: &str) {
    for line in printed.split('\n') {
        assert!(!line.contains(is_unseen), "{what}: {line:?}");
        assert!(!line.trim_start().starts_with(FORGED), "{what}: {line:?}");
    }
}

#[test]
fn an_explanation() {
    let source = Source::new("policy\u{202e}.yaml".into(), Policy::parse(POLICY.as_bytes()).unwrap());
    for name in hostile() {
        let used = Some(Used::By([(name.clone(), 1)].into()));
        let around = Around { connected: Some([name.clone()].into()), used };
        let finding: Finding = serde_json::from_value(json!({
            "findingId": name, "check": "CONFLICTING_CLIENT_IDS_CHECK", "severity": "HIGH", "foundAt": 0,
            "resource": { "resourceType": name, "resourceIdentifier": { "clientId": name } },
            "reasonCode": name, "reason": name, "suppressed": false,
        }))
        .unwrap();
        let known =
            json!([{ "name": name, "type": name, "attributes": { (name.clone()): name }, "groups": [name] }]);
        for things in [known, json!({ "unknown": name })] {
            let things: Things = serde_json::from_value(things).unwrap();
            let subject = Subject {
                finding: &finding,
                account: &name,
                region: &name,
                at: Millis(0),
                first_seen: Millis(0),
                times_seen: 1,
                first_suppressed: None,
                things: &things,
            };
            let recorded =
                serde_json::from_value(json!({ "outcome": name, "rule": name, "policy": name })).unwrap();
            let decision = source.policy.decide(&subject);
            let explained = Explained {
                source: &source,
                subject: &subject,
                decision: &decision,
                openings: Openings { decided: Opening::AtOnce, shadow: Opening::AtOnce },
                around: &around,
                recorded: Some(&recorded),
                assumed: "",
            };
            assert_plain("explain", &explanation::text(&explained, explanation::OF_TEST));
        }
    }
}

const ALARMS: &str = "
version: 1
rules:
  - { name: profile, alarm: { profile: never }, report: {} }
  - { name: behavior, alarm: { behavior: never }, report: {} }
  - { name: metric, alarm: { metric: never }, report: {} }
  - { name: thing, alarm: { thing: never }, report: {} }
  - { name: account, alarm: { account: '1*' }, report: {} }
  - { name: group, alarm: { group: never }, report: {} }
  - { name: type, alarm: { thingType: never }, report: {} }
  - { name: attribute, alarm: { attribute: { site: hall } }, report: {} }
";

#[test]
fn an_explanation_of_an_alarm() {
    let source = Source::new("policy\u{202e}.yaml".into(), Policy::parse(ALARMS.as_bytes()).unwrap());
    for name in hostile() {
        let around = Around::default();
        let event: AlarmEvent = serde_json::from_value(json!({
            "source": "deviceDefender", "account": name, "region": name, "violationId": name, "profile": name,
            "behavior": name, "metric": name, "thing": name, "criteria": "STATIC", "event": "in-alarm", "at": 0,
        }))
        .unwrap();
        let life = Life::of(&event);
        let known =
            json!([{ "name": name, "type": name, "attributes": { (name.clone()): name }, "groups": [name] }]);
        for things in [known, json!({ "unknown": name })] {
            let things: Things = serde_json::from_value(things).unwrap();
            let subject = AlarmSubject { life: &life, at: Millis(0), raises: &[], things: &things };
            let recorded =
                serde_json::from_value(json!({ "outcome": name, "rule": name, "policy": name })).unwrap();
            let decision = source.policy.decide_alarm(&subject);
            let explained = explanation::alarm::Explained {
                source: &source,
                subject: &subject,
                decision: &decision,
                openings: Openings { decided: Opening::AtOnce, shadow: Opening::AtOnce },
                around: &around,
                recorded: Some(&recorded),
                assumed: "",
            };
            assert_plain("explain", &explanation::alarm::text(&explained, explanation::OF_TEST));
        }
    }
}

#[test]
fn what_is_wrong_with_a_policy() {
    for name in hostile() {
        let quoted = quoted(&name);
        let text = format!(
            "version: 1\nrules:\n  - name: {quoted}\n    match: {{ check: {quoted} }}\n    {quoted}: 1\n"
        );
        let errors = Policy::parse(text.as_bytes()).unwrap_err();
        for error in errors.all() {
            assert_plain("check", &error.render(&name, &format!("{name}\n{name}\n{name}\n{name}\n{name}")));
        }
    }
}

#[test]
fn what_is_damaged_in_an_archive() {
    for name in hostile() {
        let mut damage = Damage::default();
        damage.object(&name, name.clone());
        damage.line(&name, 1, name.clone());
        assert_plain("replay", &damage.remarks().join("\n"));
    }
}
