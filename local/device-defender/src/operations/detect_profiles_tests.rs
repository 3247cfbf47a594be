//! Tests of security profiles.

use serde_json::{Value, json};

use crate::harness::{Desk, ROLE, TOPIC};

const PATH: &str = "/security-profiles/p";

fn limit(name: &str, count: u32) -> Value {
    json!({
        "name": name,
        "metric": "aws:num-authorization-failures",
        "criteria": { "comparisonOperator": "less-than", "value": { "count": count }, "durationSeconds": 300 },
    })
}

fn whole() -> Value {
    json!({
        "securityProfileDescription": "Two behaviors",
        "behaviors": [limit("a", 5), limit("b", 6)],
        "alertTargets": { "SNS": { "alertTargetArn": TOPIC, "roleArn": ROLE } },
        "additionalMetricsToRetain": ["aws:all-bytes-in"],
        "additionalMetricsToRetainV2": [{ "metric": "aws:all-bytes-out", "exportMetric": true }],
        "metricsExportConfig": { "mqttTopic": "$aws/rules/export", "roleArn": ROLE },
        "tags": [{ "Key": "team", "Value": "fleet" }],
    })
}

fn describe(desk: &Desk) -> Value {
    desk.ok("GET", PATH, &Value::Null)
}

#[test]
fn a_profile_is_described_as_it_was_given() {
    let desk = Desk::new(10);
    let created = desk.ok("POST", PATH, &whole());
    let arn = "arn:aws:iot:us-east-1:123456789012:securityprofile/p";
    assert_eq!(created, json!({ "securityProfileName": "p", "securityProfileArn": arn }));
    let mut wanted = whole();
    let members = wanted.as_object_mut().unwrap();
    members.remove("tags");
    members.extend(created.as_object().unwrap().clone());
    let moment = json!(1_700_000_000.0);
    for (name, value) in
        [("version", json!(1)), ("creationDate", moment.clone()), ("lastModifiedDate", moment)]
    {
        members.insert(name.to_owned(), value);
    }
    assert_eq!(describe(&desk), wanted);
    let (status, answer) = desk.call("POST", PATH, &json!({}));
    assert_eq!((status, &answer["resourceId"], &answer["resourceArn"]), (409, &json!("p"), &json!(arn)));
    desk.ok("POST", "/security-profiles/none", &json!({}));
    let bare = desk.ok("GET", "/security-profiles/none", &Value::Null);
    let names: Vec<&String> = bare.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["creationDate", "lastModifiedDate", "securityProfileArn", "securityProfileName", "version"]
    );
}

#[test]
fn an_update_changes_what_it_names_and_counts_versions() {
    let desk = Desk::new(10);
    desk.ok("POST", PATH, &whole());
    let before = describe(&desk);
    desk.advance(2_000);
    let update =
        json!({ "behaviors": [limit("b", 7)], "additionalMetricsToRetain": ["aws:num-disconnects"] });
    let updated = desk.ok("PATCH", &format!("{PATH}?expectedVersion=1"), &update);
    let mut wanted = before;
    wanted["behaviors"] = json!([limit("b", 7)]);
    wanted["additionalMetricsToRetain"] = json!(["aws:num-disconnects"]);
    wanted["version"] = 2.into();
    wanted["lastModifiedDate"] = 1_700_000_002.0.into();
    assert_eq!(updated, wanted);
    assert_eq!(describe(&desk), wanted);
    desk.ok("PATCH", PATH, &json!({ "deleteAlertTargets": true, "deleteMetricsExportConfig": true }));
    desk.ok("PATCH", PATH, &json!({ "deleteBehaviors": true, "deleteAdditionalMetricsToRetain": true }));
    let bare = describe(&desk);
    assert_eq!(bare["version"], 4);
    for member in [
        "behaviors",
        "alertTargets",
        "additionalMetricsToRetain",
        "additionalMetricsToRetainV2",
        "metricsExportConfig",
    ] {
        assert!(bare.get(member).is_none(), "{member}");
    }
    assert_eq!(bare["securityProfileDescription"], "Two behaviors");
}

#[test]
fn a_refused_update_changes_nothing() {
    let desk = Desk::new(10);
    desk.ok("POST", PATH, &whole());
    let before = describe(&desk);
    desk.advance(2_000);
    let role = json!({ "SNS": { "alertTargetArn": TOPIC, "roleArn": "short" } });
    for (target, update, status) in [
        (PATH.to_owned(), json!({ "deleteBehaviors": true, "behaviors": [] }), 400),
        (
            PATH.to_owned(),
            json!({ "deleteAdditionalMetricsToRetain": true, "additionalMetricsToRetainV2": [] }),
            400,
        ),
        (
            PATH.to_owned(),
            json!({ "deleteAlertTargets": true, "behaviors": [limit("a", 1), limit("a", 2)] }),
            400,
        ),
        (
            PATH.to_owned(),
            json!({ "securityProfileDescription": "x", "additionalMetricsToRetain": ["battery"] }),
            400,
        ),
        (PATH.to_owned(), json!({ "alertTargets": role }), 400),
        (format!("{PATH}?expectedVersion=2"), json!({ "securityProfileDescription": "x" }), 409),
        (format!("{PATH}?expectedVersion=two"), json!({ "securityProfileDescription": "x" }), 400),
        ("/security-profiles/none".to_owned(), json!({}), 404),
    ] {
        assert_eq!(desk.call("PATCH", &target, &update).0, status, "{target} {update}");
        assert_eq!(describe(&desk), before);
    }
}

#[test]
fn a_deletion_may_expect_a_version() {
    let desk = Desk::new(10);
    desk.ok("POST", PATH, &json!({}));
    let (status, answer) = desk.call("DELETE", &format!("{PATH}?expectedVersion=7"), &Value::Null);
    assert_eq!(
        (status, answer["message"].as_str().unwrap()),
        (409, "expectedVersion is 7, and the version is 1")
    );
    desk.ok("DELETE", &format!("{PATH}?expectedVersion=1"), &Value::Null);
    assert_eq!(desk.call("GET", PATH, &Value::Null).0, 404);
    desk.ok("DELETE", &format!("{PATH}?expectedVersion=1"), &Value::Null);
    desk.ok("POST", PATH, &json!({}));
    assert_eq!(describe(&desk)["version"], 1);
}

#[test]
fn behaviors_are_validated_and_refused_with_the_same_words() {
    let desk = Desk::new(10);
    let mut bad = limit("Authorization", 5);
    bad["criteria"]["consecutiveDatapointsToAlarm"] = 100_000.into();
    let narrowed = json!({
        "name": "b", "metric": "aws:num-messages-sent", "metricDimension": { "dimensionName": "d" },
    });
    let validate = |behaviors: Value| {
        desk.ok("POST", "/security-profile-behaviors/validate", &json!({ "behaviors": behaviors }))
    };
    let wrong = |words: &[&str]| {
        let errors: Vec<Value> = words.iter().map(|words| json!({ "errorMessage": words })).collect();
        json!({ "valid": errors.is_empty(), "validationErrors": errors })
    };
    let words =
        "Behavior Authorization is malformed. consecutiveDatapointsToAlarm 100000 should be in range[1,10]";
    assert_eq!(validate(json!([bad.clone()])), wrong(&[words]));
    assert_eq!(validate(json!([])), wrong(&[]));
    assert_eq!(validate(json!([limit("a", 1)])), wrong(&[]));
    let unknown = "Behavior b is malformed. dimensionName d is not a dimension";
    assert_eq!(validate(json!([narrowed.clone()])), wrong(&[unknown]));
    let create = |behavior: &Value| desk.call("POST", PATH, &json!({ "behaviors": [behavior] }));
    let (status, answer) = create(&narrowed);
    assert_eq!((status, answer["message"].as_str().unwrap()), (400, unknown));
    bad["criteria"]["consecutiveDatapointsToAlarm"] = 10.into();
    bad["criteria"]["durationSeconds"] = 301.into();
    let (status, answer) = create(&bad);
    let message = answer["message"].as_str().unwrap();
    assert_eq!(status, 400);
    assert!(message.starts_with("Behavior Authorization is malformed. durationSeconds 301"), "{message}");
    assert_eq!(desk.call("POST", "/security-profile-behaviors/validate", &json!({})).0, 400);
    let dimension = json!({ "type": "TOPIC_FILTER", "stringValues": ["#"], "clientRequestToken": "t" });
    desk.ok("POST", "/dimensions/d", &dimension);
    assert_eq!(validate(json!([narrowed.clone()])), wrong(&[]));
    assert_eq!(create(&narrowed).0, 200);
}

#[test]
fn profiles_are_listed_in_the_order_of_their_creation() {
    let desk = Desk::new(10);
    let names: Vec<String> = (0..30).rev().map(|number| format!("p{number}")).collect();
    for name in &names {
        desk.ok("POST", &format!("/security-profiles/{name}"), &json!({}));
    }
    for query in ["", "maxResults=4"] {
        let listed = desk.listed("/security-profiles", query, "securityProfileIdentifiers");
        assert_eq!(listed.iter().map(|one| one["name"].as_str().unwrap()).collect::<Vec<_>>(), names);
    }
    for (query, status) in [
        ("metricName=m&dimensionName=d", 400),
        ("metricName=m", 404),
        ("metricName=aws:all-bytes-in", 404),
        ("dimensionName=d", 404),
        ("maxResults=0", 400),
        ("nextToken=x", 400),
    ] {
        assert_eq!(
            desk.call("GET", &format!("/security-profiles?{query}"), &Value::Null).0,
            status,
            "{query}"
        );
    }
}
