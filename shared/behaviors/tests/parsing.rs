//! What is wrong with a profile is reported by the path of the field, all at once.

#![cfg(test)]
#![expect(clippy::needless_pass_by_value, reason = "a literal is passed")]
#![expect(clippy::too_many_lines, reason = "a table of cases")]

use fleetwarden_behaviors::{Behaviors, CustomMetricType, Datapoint, Measured, Metric, MetricValue, Stream};
use fleetwarden_core::timestamp::Millis;
use serde_json::{Value, json};

fn custom(name: &str) -> Option<CustomMetricType> {
    match name {
        "battery" => Some(CustomMetricType::Number),
        "tags" => Some(CustomMetricType::StringList),
        "levels" => Some(CustomMetricType::NumberList),
        "peers" => Some(CustomMetricType::IpAddressList),
        _ => None,
    }
}

/// The paths and reasons of what is wrong with one behavior.
fn wrong(behavior: Value) -> Vec<String> {
    match Behaviors::parse(&json!([behavior]).to_string(), custom) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.iter().map(ToString::to_string).collect(),
    }
}

/// A valid behavior, with other members in its criteria; null takes one away.
fn sent(criteria: Value) -> Value {
    let mut own =
        json!({ "comparisonOperator": "less-than", "value": { "count": 50 }, "durationSeconds": 300 });
    for (key, value) in criteria.as_object().unwrap() {
        own[key] = value.clone();
    }
    json!({ "name": "sent", "metric": "aws:num-messages-sent", "criteria": own })
}

#[test]
fn a_good_one_is_taken() {
    assert_eq!(wrong(sent(json!({}))), [""; 0]);
    assert_eq!(wrong(json!({ "name": "collects", "metric": "aws:all-bytes-in" })), [""; 0]);
    assert_eq!(wrong(json!({ "name": "later", "metric": "aws:all-bytes-in", "toCome": 1 })), [""; 0]);
    let battery = json!({ "comparisonOperator": "greater-than", "value": { "number": 10.5 } });
    assert_eq!(wrong(json!({ "name": "b", "metric": "battery", "criteria": battery })), [""; 0]);
}

#[test]
fn each_field_by_its_path() {
    let cases = [
        (
            sent(json!({ "consecutiveDatapointsToAlarm": 100_000 })),
            "criteria.consecutiveDatapointsToAlarm: consecutiveDatapointsToAlarm 100000 should be in range[1,10]",
        ),
        (
            sent(json!({ "consecutiveDatapointsToClear": 0 })),
            "criteria.consecutiveDatapointsToClear: consecutiveDatapointsToClear 0 should be in range[1,10]",
        ),
        (
            sent(json!({ "durationSeconds": 301 })),
            "criteria.durationSeconds: durationSeconds 301 should be one of [300, 600, 900, 1800, 3600]",
        ),
        (sent(json!({ "durationSeconds": null })), "criteria.durationSeconds: durationSeconds is missing"),
        (
            sent(json!({ "comparisonOperator": "in-port-set" })),
            "criteria.comparisonOperator: comparisonOperator is not for this metric",
        ),
        (
            sent(json!({ "comparisonOperator": null })),
            "criteria.comparisonOperator: comparisonOperator is missing",
        ),
        (
            sent(json!({ "comparisonOperator": "equals" })),
            "criteria.comparisonOperator: unknown variant `equals`",
        ),
        (
            sent(json!({ "value": { "number": 5.0 } })),
            "criteria.value: value should have count and no other member",
        ),
        (
            sent(json!({ "value": { "count": 5, "ports": [1] } })),
            "criteria.value: value should have count and no other member",
        ),
        (
            sent(json!({ "value": { "count": -1 } })),
            "criteria.value.count: invalid value: integer `-1`, expected u64",
        ),
        (
            sent(json!({ "value": null })),
            "criteria: criteria need value, statisticalThreshold or mlDetectionConfig",
        ),
        (
            sent(json!({ "statisticalThreshold": { "statistic": "p50" } })),
            "criteria.statisticalThreshold: statisticalThreshold excludes value",
        ),
        (
            sent(json!({ "value": null, "statisticalThreshold": {} })),
            "criteria.statisticalThreshold.statistic: statistic is missing",
        ),
        (
            sent(json!({ "value": null, "statisticalThreshold": { "statistic": "Average" } })),
            "criteria.statisticalThreshold.statistic: unknown variant `Average`",
        ),
        (
            sent(
                json!({ "mlDetectionConfig": { "confidenceLevel": "HIGH" }, "comparisonOperator": null, "durationSeconds": null }),
            ),
            "criteria.value: value is not for mlDetectionConfig",
        ),
        (
            json!({ "name": "has a space", "metric": "aws:all-bytes-in" }),
            "name: name should be 1 to 128 of a-z, A-Z, 0-9, ':', '_' and '-'",
        ),
        (
            json!({ "metric": "aws:all-bytes-in" }),
            "name: name should be 1 to 128 of a-z, A-Z, 0-9, ':', '_' and '-'",
        ),
        (json!({ "name": "none" }), "metric: metric is missing"),
        (
            json!({ "name": "none", "metric": "aws:to-come" }),
            "metric: metric is neither built in nor a defined custom metric",
        ),
        (
            json!({ "name": "none", "metric": "undefined" }),
            "metric: metric is neither built in nor a defined custom metric",
        ),
        (
            json!({ "name": "d", "metric": "battery", "metricDimension": { "dimensionName": "topics" } }),
            "metricDimension: metricDimension is not for this metric",
        ),
        (
            json!({ "name": "d", "metric": "aws:num-messages-sent", "metricDimension": {} }),
            "metricDimension.dimensionName: dimensionName should be 1 to 128 of a-z, A-Z, 0-9, ':', '_' and '-'",
        ),
        (
            json!({ "name": "d", "metric": "aws:num-messages-sent", "metricDimension": { "dimensionName": "topics", "operator": "OR" } }),
            "metricDimension.operator: unknown variant `OR`",
        ),
        (
            json!({ "name": "a", "metric": "aws:source-ip-address", "criteria": { "comparisonOperator": "in-cidr-set", "value": { "cidrs": ["10.0.0.0/8", "10.0.0.0/33"] } } }),
            "criteria.value.cidrs[1]: cidrs has an invalid network",
        ),
        (
            json!({ "name": "a", "metric": "aws:source-ip-address", "criteria": { "comparisonOperator": "in-cidr-set", "value": { "cidrs": [] }, "durationSeconds": 300 } }),
            "criteria.durationSeconds: durationSeconds is not for this metric",
        ),
        (
            json!({ "name": "a", "metric": "aws:source-ip-address", "criteria": { "mlDetectionConfig": { "confidenceLevel": "LOW" } } }),
            "criteria.mlDetectionConfig: mlDetectionConfig is not for this metric",
        ),
        (
            json!({ "name": "p", "metric": "aws:listening-tcp-ports", "criteria": { "comparisonOperator": "in-port-set", "value": { "ports": [443, 65536] } } }),
            "criteria.value.ports[1]: invalid value: integer `65536`, expected u16",
        ),
        (
            json!({ "name": "o", "metric": "aws:disconnect-duration", "criteria": { "comparisonOperator": "greater-than", "value": { "count": 5 } } }),
            "criteria.comparisonOperator: comparisonOperator is not for this metric",
        ),
        (
            json!({ "name": "m", "metric": "aws:num-disconnects", "criteria": { "mlDetectionConfig": {} } }),
            "criteria.mlDetectionConfig.confidenceLevel: confidenceLevel is missing",
        ),
    ];
    for (behavior, expected) in cases {
        let text = behavior.to_string();
        let found = wrong(behavior);
        let expected = format!("behaviors[0].{expected}");
        assert!(found.iter().any(|found| found.starts_with(&expected)), "{text}\n  {expected}\n  {found:#?}");
        assert_eq!(found.len(), 1, "{text}\n  {found:#?}");
    }
}

#[test]
fn all_of_it_at_once_in_the_words_of_the_service() {
    let behaviors = json!([
        sent(json!({ "consecutiveDatapointsToAlarm": 100_000, "durationSeconds": 1 })),
        sent(json!({})),
        { "name": "", "metric": "aws:all-bytes-in" },
    ]);
    let invalid = Behaviors::parse(&behaviors.to_string(), custom).unwrap_err();
    let messages: Vec<String> = invalid.iter().map(fleetwarden_behaviors::Invalid::service_message).collect();
    assert_eq!(
        messages,
        [
            "Behavior sent is malformed. consecutiveDatapointsToAlarm 100000 should be in range[1,10]",
            "Behavior sent is malformed. durationSeconds 1 should be one of [300, 600, 900, 1800, 3600]",
            "Behavior sent is malformed. name is that of another behavior",
            "Behavior is malformed. name should be 1 to 128 of a-z, A-Z, 0-9, ':', '_' and '-'",
        ]
    );
}

#[test]
fn a_profile_has_its_quotas() {
    let many: Vec<Value> =
        (0..101).map(|at| json!({ "name": format!("b{at}"), "metric": "aws:all-bytes-in" })).collect();
    let found = Behaviors::parse(&Value::from(many).to_string(), custom).unwrap_err();
    assert_eq!(found[0].to_string(), "behaviors: behaviors has 101 elements, at most 100");
    let ports: Vec<u16> = (0..1001).collect();
    let criteria = json!({ "comparisonOperator": "in-port-set", "value": { "ports": ports } });
    let found = wrong(json!({ "name": "p", "metric": "aws:listening-tcp-ports", "criteria": criteria }));
    assert_eq!(found, ["behaviors: values have 1001 elements, at most 1000"]);
    let found = Behaviors::parse("{}", custom).unwrap_err();
    assert!(found[0].to_string().starts_with("behaviors: invalid type: map"), "{found:?}");
}

#[test]
fn a_datapoint_is_of_the_kind_of_its_metric() {
    let metric = Metric::named("peers", custom).unwrap();
    let value: MetricValue = serde_json::from_value(json!({ "cidrs": ["10.0.0.1", "nowhere"] })).unwrap();
    assert_eq!(Measured::read(&metric, &value).unwrap_err().0, "cidrs[1]");
    let value = MetricValue { count: Some(1), ..MetricValue::default() };
    assert_eq!(Measured::read(&metric, &value).unwrap_err().0, "cidrs");
    let stream = Stream { metric, dimension: None };
    assert_eq!(Datapoint::new(stream, Millis(0), Measured::Count(1)).unwrap_err().path, "value.cidrs");
}
