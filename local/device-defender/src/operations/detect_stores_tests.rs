//! What holds of profiles, targets, custom metrics and dimensions after any calls in any order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::Desk;

const PREFIX: &str = "arn:aws:iot:us-east-1:123456789012";
const TARGETS: [&str; 4] = ["all/things", "all/unregistered-things", "thinggroup/fleet", "thinggroup/lab"];
const PROFILES: [&str; 7] = ["p0", "p1", "p2", "p3", "p4", "p5", "p6"];
const METRICS: [&str; 2] = ["battery", "heat"];
const DIMENSIONS: [&str; 2] = ["up", "down"];

/// A call: method, target and body.
type Call = (&'static str, String, Value);

fn behavior() -> impl Strategy<Value = Value> {
    let criteria = |member: &str, durations: Value| json!({ "comparisonOperator": "less-than", "value": { member: 5 }, "durationSeconds": durations });
    prop_oneof![
        prop::sample::select(&METRICS[..]).prop_map(
            move |name| json!({ "name": name, "metric": name, "criteria": criteria("number", json!(300)) })
        ),
        prop::sample::select(&DIMENSIONS[..]).prop_map(move |name| json!({
            "name": name,
            "metric": "aws:num-messages-sent",
            "metricDimension": { "dimensionName": name },
            "criteria": criteria("count", json!(300)),
        })),
        Just(
            json!({ "name": "bad", "metric": "aws:num-disconnects", "criteria": criteria("count", json!(301)) })
        ),
        Just(json!({ "name": "fine", "metric": "aws:num-disconnects", "suppressAlerts": true })),
    ]
}

fn content() -> impl Strategy<Value = Value> {
    let behaviors = prop::collection::vec(behavior(), 0..3);
    let retained = prop::option::of(prop::sample::select(&METRICS[..]));
    (behaviors, retained, prop::bool::weighted(0.2)).prop_map(|(behaviors, retained, deletes)| {
        let mut body = json!({ "behaviors": behaviors });
        if deletes {
            body = json!({ "deleteBehaviors": true, "deleteAdditionalMetricsToRetain": true });
        } else if let Some(metric) = retained {
            body["additionalMetricsToRetain"] = json!([metric]);
        }
        body
    })
}

fn call() -> impl Strategy<Value = Call> {
    let profile = || prop::sample::select(&PROFILES[..]);
    let target = || prop::sample::select(&TARGETS[..]);
    let metric = || prop::sample::select(&METRICS[..]);
    let dimension = || prop::sample::select(&DIMENSIONS[..]);
    let version = || prop::option::of(1_u8..3);
    let path = |name: &str, version: Option<u8>| {
        let query = version.map(|version| format!("?expectedVersion={version}")).unwrap_or_default();
        format!("/security-profiles/{name}{query}")
    };
    let targets = |(name, target): (&str, &str)| {
        format!("/security-profiles/{name}/targets?securityProfileTargetArn={PREFIX}:{target}")
    };
    let create = |kind: &str| json!({ "metricType": kind, "clientRequestToken": kind });
    let filters =
        |token: &str| json!({ "type": "TOPIC_FILTER", "stringValues": ["a/#"], "clientRequestToken": token });
    prop_oneof![
        2 => (profile(), content()).prop_map(move |(name, body)| ("POST", path(name, None), body)),
        2 => (profile(), version(), content()).prop_map(move |(name, version, body)| ("PATCH", path(name, version), body)),
        1 => (profile(), version()).prop_map(move |(name, version)| ("DELETE", path(name, version), Value::Null)),
        4 => (profile(), target()).prop_map(move |both| ("PUT", targets(both), Value::Null)),
        1 => (profile(), target()).prop_map(move |both| ("DELETE", targets(both), Value::Null)),
        1 => (metric(), prop::sample::select(vec!["number", "number-list"]))
            .prop_map(move |(name, kind)| ("POST", format!("/custom-metric/{name}"), create(kind))),
        1 => metric().prop_map(|name| ("DELETE", format!("/custom-metric/{name}"), Value::Null)),
        1 => (dimension(), "[ab]").prop_map(move |(name, token)| ("POST", format!("/dimensions/{name}"), filters(&token))),
        1 => dimension().prop_map(|name| ("DELETE", format!("/dimensions/{name}"), Value::Null)),
    ]
}

/// Everything that the account has, by path.
fn everything(desk: &Desk) -> BTreeMap<String, Value> {
    let profiles = PROFILES.iter().flat_map(|name| {
        [format!("/security-profiles/{name}"), format!("/security-profiles/{name}/targets")]
    });
    let metrics = METRICS.iter().map(|name| format!("/custom-metric/{name}"));
    let dimensions = DIMENSIONS.iter().map(|name| format!("/dimensions/{name}"));
    let paths = profiles.chain(metrics).chain(dimensions);
    let found = paths.map(|path| {
        let (status, answer) = desk.call("GET", &path, &Value::Null);
        (path, if status == 200 { answer } else { Value::Null })
    });
    found.collect()
}

/// Pairs of a profile and a target, from the profiles' side and from the targets'.
fn attachments(desk: &Desk, all: &BTreeMap<String, Value>) -> [Vec<(String, String)>; 2] {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut pairs = [Vec::new(), Vec::new()];
    for name in PROFILES {
        let targets = all[&format!("/security-profiles/{name}/targets")]["securityProfileTargets"].as_array();
        let arns = targets.into_iter().flatten().map(|target| text(&target["arn"]));
        pairs[0].extend(arns.map(|arn| (name.to_owned(), arn)));
    }
    for target in TARGETS {
        let query = format!("securityProfileTargetArn={PREFIX}:{target}");
        let mappings = desk.listed("/security-profiles-for-target", &query, "securityProfileTargetMappings");
        assert!(mappings.len() <= 5, "{target}: {mappings:?}");
        pairs[1].extend(
            mappings
                .iter()
                .map(|one| (text(&one["securityProfileIdentifier"]["name"]), text(&one["target"]["arn"]))),
        );
    }
    pairs.each_mut().map(|pairs| {
        pairs.sort();
        std::mem::take(pairs)
    })
}

/// Whatever a profile uses is there.
fn check_uses(all: &BTreeMap<String, Value>) {
    for name in PROFILES {
        let profile = &all[&format!("/security-profiles/{name}")];
        let behaviors = profile["behaviors"].as_array().cloned().unwrap_or_default();
        let retained = profile["additionalMetricsToRetain"].as_array().cloned().unwrap_or_default();
        let own = |metric: &&Value| !metric.as_str().unwrap().starts_with("aws:");
        for metric in behaviors.iter().map(|behavior| &behavior["metric"]).chain(&retained).filter(own) {
            assert!(
                !all[&format!("/custom-metric/{}", metric.as_str().unwrap())].is_null(),
                "{name} {metric}"
            );
        }
        for behavior in &behaviors {
            if let Some(dimension) = behavior["metricDimension"]["dimensionName"].as_str() {
                assert!(!all[&format!("/dimensions/{dimension}")].is_null(), "{name} {dimension}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_calls_leave_the_account_whole(calls in prop::collection::vec(call(), 1..60)) {
        let desk = Desk::new(10);
        let mut before = everything(&desk);
        for (method, target, body) in calls {
            let (status, answer) = desk.call(method, &target, &body);
            prop_assert!([200, 400, 404, 409, 410].contains(&status), "{method} {target}: {status} {answer}");
            let after = everything(&desk);
            if status == 200 {
                let version = |all: &BTreeMap<String, Value>| {
                    all.get(target.split('?').next().unwrap_or_default()).map(|profile| profile["version"].as_i64())
                };
                if method == "PATCH" {
                    prop_assert_eq!(version(&after).flatten(), version(&before).flatten().map(|version| version + 1));
                }
            } else {
                prop_assert_eq!(&after, &before, "a refused call changes nothing: {} {}", method, target);
            }
            check_uses(&after);
            let [of_profiles, of_targets] = attachments(&desk, &after);
            prop_assert_eq!(of_profiles, of_targets);
            before = after;
        }
    }
}
