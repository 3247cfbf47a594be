use super::alarms::{Around, Given, read};
use super::*;
use fleetwarden_core::policy::Policy;

const POLICY: &str = r#"version: 1
mode: enforce
protect:
  groups: "safety*"
windows:
  zone: Europe/Berlin
  open: [{ days: [Sat, Sun], hours: "22:00-06:00" }]
rules:
  - name: findings
    report: {}
  - name: shadowed
    stage: shadow
    alarm: { profile: "security-*", criteria: [static, ml] }
    verify: { state: BENIGN_POSITIVE, description: The lamps are being tested }
  - name: gates
    alarm: { profile: gates, lastsLongerThan: 1h }
    report: { severity: high }
  - name: slow
    alarm: { lastsLongerThan: 1h }
    report: { severity: critical }
  - name: often
    alarm: { raisedAtLeast: { times: 3, within: 24h } }
    report: { severity: high }
  - name: compromised
    alarm: { profile: security-profile-for-smart-lights, confidence: HIGH }
    except: { thingType: gateway }
    mitigate: { actions: FleetwardenQuarantineThings, release: after 24h }
  - name: noisy
    alarm: { behavior: "MessagesPub" }
    verify: { state: FALSE_POSITIVE, description: It counts retries }
"#;

/// As `ListViolationEvents` has them: a whole alarm, and one that goes on.
const LISTED: &str = r#"{"violationEvents": [
  {"violationId": "1448be98c09c3d4ab7cb9b6f3ece65d6", "thingName": "lightbulb-1",
   "securityProfileName": "security-profile-for-smart-lights", "violationEventType": "alarm-cleared",
   "violationEventTime": 1795421400.0,
   "behavior": {"name": "num-messages-sent-ml-behavior", "metric": "aws:num-messages-sent",
     "criteria": {"mlDetectionConfig": {"confidenceLevel": "HIGH"}}, "suppressAlerts": true}},
  {"violationId": "1448be98c09c3d4ab7cb9b6f3ece65d6", "thingName": "lightbulb-1",
   "securityProfileName": "security-profile-for-smart-lights", "violationEventType": "in-alarm",
   "violationEventTime": 1795420800.0, "metricValue": {"count": 910},
   "behavior": {"name": "num-messages-sent-ml-behavior", "metric": "aws:num-messages-sent",
     "criteria": {"mlDetectionConfig": {"confidenceLevel": "HIGH"}}, "suppressAlerts": true}},
  {"violationId": "5e", "thingName": "lightbulb-2",
   "securityProfileName": "security-profile-for-smart-lights", "violationEventType": "in-alarm",
   "violationEventTime": 1795420800.0,
   "behavior": {"name": "num-messages-sent-ml-behavior", "metric": "aws:num-messages-sent",
     "criteria": {"mlDetectionConfig": {"confidenceLevel": "HIGH"}}, "suppressAlerts": false}}]}"#;

/// A Monday.
const NOW: Millis = Millis(1_795_420_800_000);

fn source() -> Source {
    Source::new("policy.yaml".into(), Policy::parse(POLICY.as_bytes()).unwrap())
}

fn found(text: &str) -> Result<Option<Vec<Given>>> {
    read(text, Around::new(NOW, None, [None, None], &source().policy))
}

fn given(text: &str) -> Vec<Given> {
    found(text).unwrap().unwrap()
}

/// What people read of each alarm, with the things of a file.
fn told(text: &str, things: Option<&str>) -> String {
    let things = things.map(|text| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        GivenThings::read(file.path()).unwrap()
    });
    let mut all = given(text);
    if let Some(things) = &things {
        for given in &mut all {
            given.complete(things);
        }
    }
    let all = all.iter().map(|given| {
        let around = (given.subject().at, &guards::Around::default());
        told_of_alarm(&source(), given, around, Layout::Columns(100)).unwrap()
    });
    all.collect::<Vec<_>>().join("\n\n")
}

fn decisions(text: &str) -> Vec<String> {
    let policy = source().policy;
    let all = given(text);
    all.iter().map(|given| policy.decide_alarm(&given.subject()).rule.unwrap_or("none").to_owned()).collect()
}

#[test]
fn the_events_of_a_violation_are_one_alarm_which_is_told_with_what_holds_the_rule() {
    let fleet = "things:\n  - { name: lightbulb-1, type: lamp, groups: [] }\n  - { name: lightbulb-2, type: lamp, groups: [safety-1] }\n";
    insta::assert_snapshot!(told(LISTED, Some(fleet)));
}

#[test]
fn a_mitigation_is_told_with_its_release_and_what_is_not_known_yet() {
    let short =
        "profile: security-profile-for-smart-lights\nbehavior: messages\nconfidence: HIGH\nthing: lamp-1\n";
    let lamp = "- { name: lamp-1, type: lamp }\n";
    insta::assert_snapshot!(
        [told(short, Some(lamp)), told(short, None), told(short, Some("[]"))].join("\n\n")
    );
}

#[test]
fn a_verification_and_alarms_that_come_again_are_told() {
    let short = "- { profile: p, behavior: MessagesPub }
- { profile: p, behavior: other, earlier: [2h, 30m] }
- { profile: p, behavior: other, lasts: 61m, verification: TRUE_POSITIVE }
- { profile: p, behavior: CPU, source: cloudWatch, thing: none, ended: cleared }
";
    insta::assert_snapshot!(told(short, None));
}

/// The message that the service sends, as it was captured, in each envelope.
#[test]
fn an_alarm_is_read_in_each_of_its_envelopes() {
    let message = r#"{"violationEventTime":1573786800000,"thingName":"dev-IZWB","behavior":{"criteria":{"consecutiveDatapointsToClear":1,"value":{"count":10},"durationSeconds":300,"consecutiveDatapointsToAlarm":1,"comparisonOperator":"less-than"},"name":"MessagesPub","metric":"aws:num-messages-sent"},"violationEventType":"in-alarm","metricValue":{"count":54},"violationId":"37e18651d207bbc74236c13faf146127","securityProfileName":"MySecProfile"}"#;
    let topic = "arn:aws:sns:us-east-1:123456789012:DDD_Violations";
    let envelope = serde_json::json!({ "Type": "Notification", "TopicArn": topic, "Message": message });
    let pushed = serde_json::json!({ "Records": [{ "EventSource": "aws:sns", "Sns": envelope }] });
    let queued = serde_json::json!({ "Records": [{ "messageId": "m", "body": envelope.to_string() }] });
    for text in [envelope.to_string(), pushed.to_string(), queued.to_string()] {
        assert_eq!(decisions(&text), ["noisy"]);
        let all = given(&text);
        let alarm = &all[0].subject().life.alarm;
        assert_eq!((alarm.account.as_str(), alarm.region.as_str()), ("123456789012", "us-east-1"));
        assert_eq!(all[0].subject().at, Millis(1_573_786_920_000), "it has settled");
    }
    assert_eq!(decisions(message), ["noisy"]);
    assert_eq!(
        given(message)[0].assumed(),
        "that the device has raised no such alarm before; no account (--account); no region (--region)"
    );
    assert_eq!(decisions(&format!("[{message}, {message}]")), ["noisy"], "twice is once");
}

#[test]
fn alarms_of_one_device_and_behavior_in_a_list_count_as_its_raises() {
    let event = |id: u32, minutes: i64| {
        format!(
            r#"{{"violationId": "v{id}", "thingName": "lamp", "securityProfileName": "p", "violationEventType": "in-alarm",
            "violationEventTime": {}, "behavior": {{"name": "b", "criteria": {{}}}}}}"#,
            1_795_420_800 + minutes * 60
        )
    };
    let list = format!(r#"{{"violationEvents": [{}, {}, {}]}}"#, event(1, 0), event(2, 10), event(3, 20));
    assert_eq!(decisions(&list), ["none", "none", "often"]);
}

#[test]
fn other_sources_and_records_are_alarms_too() {
    let plain = r#"{"schema": "fleetwarden.alarm/1", "profile": "vibration", "behavior": "MessagesPub", "thing": "pump-7",
        "event": "in-alarm", "at": "2026-11-23T08:00:00Z"}"#;
    assert_eq!(decisions(plain), ["noisy"]);
    let policy = source().policy;
    let given = given(plain).swap_remove(0);
    let subject = given.subject();
    let decision = policy.decide_alarm(&subject);
    let record = fleetwarden_core::message::alarm_record::AlarmRecord::of_decision(NOW, &subject, &decision);
    let record = serde_json::to_string(&record).unwrap();
    let read = super::alarm_tests::given(&record).swap_remove(0);
    assert_eq!(
        serde_json::to_string(&policy.decide_alarm(&read.subject())).unwrap(),
        serde_json::to_string(&decision).unwrap()
    );
    assert_eq!(read.recorded.unwrap().rule.as_deref(), Some("noisy"));
}

#[test]
fn what_is_no_alarm_is_left_to_findings_and_what_is_a_broken_one_is_told() {
    for finding in [
        r#"{"findings": []}"#,
        r#"{"findingId": "1", "checkName": "LOGGING_DISABLED_CHECK"}"#,
        "check: LOGGING_DISABLED_CHECK",
        "{",
        "",
        "3",
    ] {
        assert!(found(finding).unwrap().is_none(), "{finding}");
    }
    let wrong = |text: &str| format!("{:#}", found(text).unwrap_err());
    insta::assert_snapshot!(
        [
            wrong(r#"{"violationId": "v"}"#),
            wrong(r#"{"TopicArn": "nowhere", "Message": "{}"}"#),
            wrong(r#"{"violationEvents": [{"violationId": 3}]}"#),
            wrong("behavior: b"),
            wrong(
                "{ profile: p, behavior: b, lasts: 3 s, criteria: static, confidence: HIGH, ended: maybe }"
            ),
        ]
        .join("\n")
    );
}
