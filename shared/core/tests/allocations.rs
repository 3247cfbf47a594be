//! A decision allocates nothing, whatever it is: a million of them leave the memory as it was.

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::alarm::{Alarm, AlarmEvent, Confidence, CriteriaType, EventType, Life, Source};
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::model::resource::{NonCompliantResource, PolicyVersionIdentifier, ResourceIdentifier};
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::model::thing::{Thing, Things};
use fleetwarden_core::policy::{AlarmSubject, Policy, Subject};
use fleetwarden_core::timestamp::Millis;

const POLICY: &str = "\
version: 1
mode: enforce
protect: { things: core-*, policies: base-* }
rules:
  - { name: exact, match: { check: IOT_POLICY_*, resource: 'device:1' }, report: {} }
  - { name: head, match: { resource: 'site-*', reason: '*PAST*' }, mitigate: { actions: A } }
  - { name: wild, match: { resource: 'd*v?ce*9' }, suppress: { for: 1d, reason: x } }
  - { name: things, match: { thing: pump-?, group: lab, attribute: { site: a } }, mitigate: { actions: A } }
  - { name: rest, match: { severity: LOW, olderThan: 3d, expiresWithin: 3d }, except: { region: us-* }, report: {} }
";

fn finding(resource_identifier: ResourceIdentifier, severity: Severity) -> Finding {
    Finding {
        finding_id: "f".into(),
        check: CheckName::new("IOT_POLICY_OVERLY_PERMISSIVE_CHECK"),
        severity,
        found_at: Millis(0),
        resource: Some(NonCompliantResource { resource_identifier, ..NonCompliantResource::default() }),
        related: vec![],
        reason_code: Some("CERTIFICATE_PAST_EXPIRATION".into()),
        reason: None,
        suppressed: false,
    }
}

#[test]
fn a_decision_allocates_nothing() {
    let policy = Policy::parse(POLICY.as_bytes()).unwrap();
    let version = |name: &str| PolicyVersionIdentifier {
        policy_name: Some(name.into()),
        policy_version_id: Some("1".into()),
    };
    let of_policy = |name: &str| ResourceIdentifier {
        policy_version_identifier: Some(version(name)),
        ..ResourceIdentifier::default()
    };
    let certificate =
        ResourceIdentifier { device_certificate_id: Some("ab".repeat(32)), ..ResourceIdentifier::default() };
    let pump = Thing { name: "pump-1".into(), described: None, groups: Some(vec!["lab".into()]) };
    let everything = [
        (finding(of_policy("device"), Severity::High), Things::NotAsked),
        (finding(of_policy("devices9"), Severity::High), Things::Known(vec![pump.clone()])),
        (finding(of_policy("base-1"), Severity::Low), Things::Unknown { unknown: "denied".into() }),
        (finding(certificate.clone(), Severity::Low), Things::Known(vec![pump])),
        (finding(certificate, Severity::Low), Things::Known(vec![])),
    ];
    for (finding, things) in &everything {
        let (account, region, at) = ("123456789012", "eu-central-1", Millis(86_400_000));
        let (first_seen, times_seen, first_suppressed) = (Millis(0), 1, None);
        let subject =
            Subject { finding, account, region, at, first_seen, times_seen, first_suppressed, things };
        let used = allocation_counter::measure(|| {
            std::hint::black_box(policy.decide(std::hint::black_box(&subject)));
        });
        assert_eq!(used.count_total, 0, "{finding:?}");
        let explained = allocation_counter::measure(|| {
            std::hint::black_box(serde_json::to_string(&policy.decide(&subject)).unwrap());
        });
        assert!(explained.count_total > 0, "nothing is counted");
    }
}

const ALARMS: &str = "\
version: 1
mode: enforce
protect: { things: core-*, groups: production }
rules:
  - { name: long, alarm: { lastsLongerThan: 1h, group: lab }, report: {} }
  - { name: often, alarm: { raisedAtLeast: { times: 3, within: 24h }, thing: 'p*m?-9' }, report: {} }
  - { name: trial, stage: shadow, alarm: { profile: '*' }, mitigate: { actions: A } }
  - { name: act, alarm: { metric: 'aws:*', confidence: HIGH }, except: { thingType: valve }, mitigate: { actions: A } }
  - { name: rest, alarm: { registered: false, criteria: ml }, verify: { state: TRUE_POSITIVE, description: d } }
";

#[test]
fn a_decision_on_an_alarm_allocates_nothing() {
    let policy = Policy::parse(ALARMS.as_bytes()).unwrap();
    let alarm = |confidence| Alarm {
        source: Source::DeviceDefender,
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        violation_id: "v".into(),
        profile: "pumps".into(),
        behavior: "messages".into(),
        metric: Some("aws:num-messages-sent".into()),
        thing: Some("pump-1".into()),
        criteria: CriteriaType::MachineLearning,
        confidence: Some(confidence),
        expected: None,
        suppressed: false,
    };
    let pump = Thing { name: "pump-1".into(), described: None, groups: Some(vec!["hall".into()]) };
    let things = [
        Things::NotAsked,
        Things::Known(vec![]),
        Things::Known(vec![pump]),
        Things::Unknown { unknown: "denied".into() },
    ];
    let raises = [Millis(0), Millis(1_000)];
    for confidence in [Confidence::Low, Confidence::High] {
        let (at, event) = (Millis(1_000), EventType::InAlarm);
        let event = AlarmEvent { alarm: alarm(confidence), event, at, value: None, verification: None };
        let life = Life::of(&event);
        for things in &things {
            let subject = AlarmSubject { life: &life, at: Millis(121_000), raises: &raises, things };
            let used = allocation_counter::measure(|| {
                std::hint::black_box(policy.decide_alarm(std::hint::black_box(&subject)));
            });
            assert_eq!(used.count_total, 0, "{confidence:?} {things:?}");
            let explained = allocation_counter::measure(|| {
                std::hint::black_box(serde_json::to_string(&policy.decide_alarm(&subject)).unwrap());
            });
            assert!(explained.count_total > 0, "nothing is counted");
        }
    }
}
