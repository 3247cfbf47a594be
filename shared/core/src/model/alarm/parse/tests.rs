//! Every shape with everything that may be missing, and what is refused.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::model::alarm::Confidence;
use crate::model::alarm::CriteriaType;
use crate::model::alarm::Source;
use crate::model::alarm::Verification;

const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-central-1";

fn parse(alarm: &Value) -> Result<AlarmEvent, String> {
    AlarmEvent::parse(&alarm.to_string(), ACCOUNT, REGION).map_err(|error| error.to_string())
}

fn violation(criteria: &Value) -> Value {
    json!({
        "violationEventTime": 1_606_780_800_000_i64, "thingName": "bulb \u{202e}😀", "violationId": "1448be98",
        "behavior": {"criteria": criteria, "name": "sent", "metric": "aws:num-messages-sent"},
        "violationEventType": "in-alarm", "metricValue": {"count": 910}, "securityProfileName": "lights",
    })
}

#[test]
fn a_violation_is_read_with_each_kind_of_criteria() {
    let ml = json!({"mlDetectionConfig": {"confidenceLevel": "HIGH"}, "consecutiveDatapointsToAlarm": 1});
    let statistical =
        json!({"comparisonOperator": "less-than", "statisticalThreshold": {"statistic": "p90"}});
    let port =
        json!({"comparisonOperator": "in-port-set", "value": {"ports": [8888]}, "durationSeconds": null});
    let kinds = [port, statistical, ml, json!({"quantum": true}), json!(null)];
    let read = kinds.map(|criteria| parse(&violation(&criteria)).unwrap());
    let types = read.each_ref().map(|event| event.alarm.criteria);
    assert_eq!(
        types.map(CriteriaType::as_str),
        ["STATIC", "STATISTICAL", "MACHINE_LEARNING", "UNKNOWN", "UNKNOWN"]
    );
    assert_eq!(read[2].alarm.confidence, Some(Confidence::High));
    insta::assert_json_snapshot!(read[0]);
}

#[test]
fn what_a_violation_may_lack_is_lacking() {
    let bare = json!({"violationId": "v", "securityProfileName": "p", "behavior": {"name": "b"},
        "violationEventTime": 1_600_780_245.29, "violationEventType": "alarm-cleared"});
    let event = parse(&bare).unwrap();
    assert_eq!((event.at, &event.alarm.thing, &event.value), (Millis(1_600_780_245_290), &None, &None));
    let nulls = json!({"violationId": "v", "securityProfileName": "p", "violationEventType": "alarm-cleared",
        "behavior": {"name": "b", "criteria": null, "metric": null, "suppressAlerts": null}, "thingName": null,
        "violationEventTime": 1_600_780_245_290_i64, "metricValue": null, "verificationState": null,
        "violationEventAdditionalInfo": null});
    assert_eq!(parse(&nulls).unwrap(), event);
    let unknown = json!({"violationId": "v", "securityProfileName": "p", "violationEventType": "alarm-snoozed",
        "behavior": {"name": "b", "metric": "aws:entanglement", "suppressAlerts": true}, "violationEventTime": 7,
        "verificationState": "MAYBE", "violationEventAdditionalInfo": {"confidenceLevel": "ABSOLUTE"}});
    let event = parse(&unknown).unwrap();
    assert_eq!(event.event, EventType::Unknown("alarm-snoozed".into()));
    assert_eq!((event.verification, event.alarm.confidence), (Some(Verification::Unknown), None));
    assert!(event.alarm.suppressed);
}

#[test]
fn an_active_violation_is_in_alarm_since_its_start() {
    let active = json!({"violationId": "v", "thingName": "t", "securityProfileName": "p",
        "behavior": {"name": "b", "metric": "m", "criteria": {"mlDetectionConfig": {"confidenceLevel": "LOW"}}},
        "violationEventAdditionalInfo": {"confidenceLevel": "MEDIUM"}, "lastViolationValue": {"count": 3},
        "lastViolationTime": 1_559_293_200.5, "violationStartTime": 1_559_279_700.5,
        "verificationState": "TRUE_POSITIVE", "verificationStateDescription": "seen"});
    let event = parse(&active).unwrap();
    assert_eq!((&event.event, event.at), (&EventType::InAlarm, Millis(1_559_279_700_500)));
    assert_eq!(event.value, Some(json!({"count": 3})));
    assert_eq!(
        (event.alarm.confidence, event.verification),
        (Some(Confidence::Medium), Some(Verification::TruePositive))
    );
}

fn cloudwatch(state: &str, trigger: &Value) -> Value {
    json!({
        "AlarmName": "pump pressure", "AlarmDescription": null, "AWSAccountId": ACCOUNT, "NewStateValue": state,
        "NewStateReason": "Threshold Crossed", "StateChangeTime": "2026-11-23T08:00:00.123+0000",
        "Region": "EU (Frankfurt)", "OldStateValue": "OK", "OKActions": [], "Trigger": trigger,
        "AlarmArn": format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:pump pressure"),
    })
}

#[test]
fn a_cloudwatch_alarm_is_read_in_each_of_its_forms() {
    let dimension = |name: &str, value: &str| json!([{"value": value, "name": name}]);
    let of_metric = json!({"MetricName": "Pressure", "Namespace": "Pumps", "Dimensions": dimension("ThingName", "pump-7"),
        "Threshold": 4.5, "ComparisonOperator": "GreaterThanThreshold", "Unit": null, "Period": 300});
    let stat = |value| json!({"MetricStat": {"Metric": {"MetricName": "Connect", "Dimensions": dimension("ClientId", value)}}});
    let math = json!({"Metrics": [{"Expression": "m1/m2", "Id": "e1"}, stat("cam-1"), stat("cam-1")], "Threshold": 0.5});
    let of_two = json!({"Metrics": [stat("cam-1"), stat("cam-2")], "ThresholdMetricId": "ad1"});
    let mut composite = cloudwatch("OK", &Value::Null);
    composite["AlarmRule"] = "ALARM(a) AND ALARM(b)".into();
    let alarms = [
        cloudwatch("ALARM", &of_metric),
        cloudwatch("OK", &math),
        cloudwatch("INSUFFICIENT_DATA", &of_two),
        composite,
        cloudwatch("SLEEPING", &json!({})),
    ];
    let read = alarms.map(|alarm| parse(&alarm).unwrap());
    assert!(read.iter().all(|event| event.alarm.source == Source::CloudWatch));
    let ids: std::collections::BTreeSet<_> = read.iter().map(|event| &event.alarm.violation_id).collect();
    assert_eq!(ids.len(), 1, "begin and end are of one life");
    insta::assert_json_snapshot!(read);
}

#[test]
fn an_alarm_of_ones_own_is_read() {
    let alarm = json!({"schema": SCHEMA, "profile": "vibration", "behavior": "bearing-wear", "thing": "pump-7",
        "event": "in-alarm", "at": "2026-11-23T08:00:00Z", "value": 7.1, "expected": {"below": 4},
        "criteria": "MACHINE_LEARNING", "confidence": "MEDIUM", "account": ACCOUNT, "region": REGION});
    let begin = parse(&alarm).unwrap();
    insta::assert_json_snapshot!(begin);
    let end = json!({"schema": SCHEMA, "profile": "vibration", "behavior": "bearing-wear", "thing": "pump-7",
        "event": "alarm-cleared", "at": 1_795_420_800});
    assert_eq!(parse(&end).unwrap().alarm.violation_id, begin.alarm.violation_id);
    let mut other = end.clone();
    other["id"] = "second".into();
    assert_ne!(parse(&other).unwrap().alarm.violation_id, begin.alarm.violation_id);
}

#[test]
fn an_error_names_the_member_by_its_path() {
    let set = |mut alarm: Value, member: &str, value: Value| {
        alarm[member] = value;
        alarm
    };
    let own = json!({"schema": SCHEMA, "profile": "p", "behavior": "b", "event": "in-alarm", "at": 1});
    let statics = violation(&json!({"comparisonOperator": "less-than"}));
    let metric = cloudwatch("ALARM", &json!({}));
    let errors = [
        set(statics.clone(), "violationId", json!("a/../b")),
        set(statics.clone(), "violationEventTime", json!("yesterday")),
        set(statics.clone(), "violationEventTime", json!(1e30)),
        set(statics.clone(), "violationEventTime", json!(null)),
        set(statics.clone(), "securityProfileName", json!(7)),
        set(statics.clone(), "behavior", json!({"metric": "m"})),
        set(statics, "behavior", json!({"name": ""})),
        set(metric.clone(), "AWSAccountId", json!("210987654321")),
        set(metric.clone(), "AlarmArn", json!("arn:aws:cloudwatch:us-east-1:123456789012:alarm:x")),
        set(metric, "StateChangeTime", json!("2026-11-23")),
        set(own.clone(), "schema", json!("fleetwarden.alarm/2")),
        set(own.clone(), "region", json!("us-east-1")),
        set(own.clone(), "devise", json!("x")),
        set(own, "at", json!({})),
        json!({"findingId": "x", "status": "ACCEPTED"}),
        json!([]),
    ];
    let errors = errors.map(|alarm| parse(&alarm).unwrap_err());
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn times_are_told_apart() {
    let at = |value: Value| time(&value).map(|at| at.0);
    assert_eq!(at(json!(1_573_786_800_000_i64)), Some(1_573_786_800_000));
    assert_eq!(at(json!(1_573_786_800)), Some(1_573_786_800_000));
    assert_eq!(at(json!(1_573_786_800.5)), Some(1_573_786_800_500));
    assert_eq!(at(json!("2026-11-23T09:00:00.000+0100")), Some(1_795_420_800_000));
    for none in [json!(-1), json!(1e300), json!("é+0000"), json!("x"), json!(true), json!(null), json!("")] {
        assert_eq!(at(none.clone()), None, "{none}");
    }
}

/// The messages in a sample, however deep: also those in a text.
fn messages(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) if members.contains_key("violationId") => found.push(value.to_string()),
        Value::Object(members) => members.values().for_each(|member| messages(member, found)),
        Value::Array(elements) => elements.iter().for_each(|element| messages(element, found)),
        Value::String(text) => {
            if let Ok(inner @ Value::Object(_)) = serde_json::from_str(text) {
                messages(&inner, found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_sample_is_read() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases");
    let Ok(files) = fs::read_dir(folder) else { return };
    let mut found = Vec::new();
    for file in files.flatten() {
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        messages(&serde_json::from_str(&text).unwrap_or_default(), &mut found);
    }
    assert!(found.len() >= 2, "{} samples", found.len());
    for text in found {
        let event =
            AlarmEvent::parse(&text, ACCOUNT, REGION).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_ne!(event.alarm.criteria, CriteriaType::Unknown, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,200}") {
        let _ = AlarmEvent::parse(&text, ACCOUNT, REGION);
        let _ = crate::message::Incoming::parse(&text, ACCOUNT, REGION);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = AlarmEvent::parse(&String::from_utf8_lossy(&bytes), ACCOUNT, REGION);
    }

    #[test]
    fn no_member_makes_it_panic(
        member in "violationEventTime|thingName|behavior|metricValue|violationEventAdditionalInfo|verificationState",
        value in "null|true|-?[0-9]{1,25}|[0-9]e[0-9]{1,3}|\"[a-z0-9:+\u{e9}-]{0,12}\"|\\[\\]|\\{\\}",
    ) {
        let mut alarm = violation(&json!({}));
        if let Ok(value) = serde_json::from_str(&value) {
            alarm[&member] = value;
        }
        let _ = parse(&alarm);
    }

    #[test]
    fn any_thing_name_is_kept(name in ".{1,128}") {
        let mut alarm = violation(&json!({}));
        alarm["thingName"] = name.clone().into();
        proptest::prop_assert_eq!(parse(&alarm).unwrap().alarm.thing, Some(name));
    }
}
