//! Tests of what an input of Detect must be.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::super::super::DETECT;
use super::super::super::Operation;
use super::super::super::detect;
use super::super::read;
use super::NOW;

fn judged(command: &str, members: Value) -> Result<Map<String, Value>, String> {
    let Value::Object(members) = members else { panic!("no object") };
    read(detect(command).unwrap(), members, &["dryRun", "confirm", "all"], NOW)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// What is wrong with an input, or nothing.
fn faults(command: &str, members: Value) -> String {
    judged(command, members).err().unwrap_or_default()
}

#[test]
fn a_command_has_its_name_in_either_form() {
    for operation in &DETECT {
        assert_eq!(detect(operation.name).unwrap().name, operation.name);
        assert_eq!(detect(&operation.command()).unwrap().name, operation.name);
        let pages = operation.members.iter().any(|member| member.name == "nextToken");
        assert_eq!(operation.is_list(), pages, "{}", operation.name);
    }
    insta::assert_snapshot!(detect("list-active-violation").unwrap_err(), @"'list-active-violation' is no Detect command; did you mean 'ListActiveViolations'?");
    insta::assert_snapshot!(detect("ListAuditFindings").unwrap_err(), @"'ListAuditFindings' is no Detect command; there are CreateSecurityProfile, UpdateSecurityProfile, DescribeSecurityProfile, ListSecurityProfiles, DeleteSecurityProfile, ValidateSecurityProfileBehaviors, AttachSecurityProfile, DetachSecurityProfile, ListSecurityProfilesForTarget, ListTargetsForSecurityProfile, ListActiveViolations, ListViolationEvents, PutVerificationStateOnViolation, ListMetricValues, GetBehaviorModelTrainingSummaries, StartDetectMitigationActionsTask, DescribeDetectMitigationActionsTask, ListDetectMitigationActionsTasks, ListDetectMitigationActionsExecutions, CancelDetectMitigationActionsTask, CreateCustomMetric, UpdateCustomMetric, DescribeCustomMetric, ListCustomMetrics, DeleteCustomMetric, CreateDimension, UpdateDimension, DescribeDimension, ListDimensions, DeleteDimension, AlarmIncident, AlarmReport");
    let names = |wanted: fn(&Operation) -> bool| {
        let named = DETECT.iter().filter(|operation| wanted(operation)).map(|operation| operation.name);
        named.collect::<Vec<_>>().join(" ")
    };
    insta::assert_snapshot!(names(Operation::changes), @"CreateSecurityProfile UpdateSecurityProfile DeleteSecurityProfile AttachSecurityProfile DetachSecurityProfile PutVerificationStateOnViolation StartDetectMitigationActionsTask CancelDetectMitigationActionsTask CreateCustomMetric UpdateCustomMetric DeleteCustomMetric CreateDimension UpdateDimension DeleteDimension");
    insta::assert_snapshot!(names(Operation::is_list), @"ListSecurityProfiles ListSecurityProfilesForTarget ListTargetsForSecurityProfile ListActiveViolations ListViolationEvents ListMetricValues GetBehaviorModelTrainingSummaries ListDetectMitigationActionsTasks ListDetectMitigationActionsExecutions ListCustomMetrics ListDimensions");
}

#[test]
fn a_good_profile_comes_back_as_it_is() {
    let profile = json!({
        "securityProfileName": "smart:lights",
        "securityProfileDescription": "",
        "behaviors": [
            {"name": "bytes", "metric": "aws:message-byte-size", "metricDimension": {"dimensionName": "d", "operator": "NOT_IN"},
             "criteria": {"comparisonOperator": "less-than-equals", "statisticalThreshold": {"statistic": "p99.9"},
                          "durationSeconds": 300, "consecutiveDatapointsToAlarm": 10, "consecutiveDatapointsToClear": 1}},
            {"name": "battery", "metric": "battery", "criteria": {"comparisonOperator": "greater-than", "value": {"number": -1.5}}},
            {"name": "sources", "metric": "aws:source-ip-address",
             "criteria": {"comparisonOperator": "in-cidr-set", "value": {"cidrs": ["10.0.0.0/8", "::/0"]}}},
            {"name": "ml", "criteria": {"mlDetectionConfig": {"confidenceLevel": "LOW"}}, "suppressAlerts": true, "exportMetric": false},
        ],
        "alertTargets": {"SNS": {"alertTargetArn": "", "roleArn": "arn:aws:iam::123456789012:role/r"}},
        "additionalMetricsToRetain": ["aws:all-bytes-in"],
        "additionalMetricsToRetainV2": [{"metric": "m", "metricDimension": {"dimensionName": "d"}, "exportMetric": true}],
        "metricsExportConfig": {"mqttTopic": "$aws/rules/r", "roleArn": "arn:aws:iam::123456789012:role/r"},
        "tags": [{"Key": "k", "Value": ""}],
    });
    assert_eq!(Value::Object(judged("create-security-profile", profile.clone()).unwrap()), profile);
    let times = json!({"startTime": "2026-11-01T00:00:00Z", "endTime": 1_793_491_200.5, "listSuppressedAlerts": false});
    assert_eq!(judged("ListViolationEvents", times).unwrap()["startTime"], json!(1_793_491_200));
}

#[test]
fn each_fault_of_a_profile_has_its_path() {
    insta::assert_snapshot!(faults("CreateSecurityProfile", json!({
        "securityProfileName": "a b",
        "behaviours": [],
        "behaviors": [{
            "metric": 1,
            "metricDimension": {"operator": "OUT"},
            "criteria": {
                "comparisonOperator": "less", "value": {"count": -1, "cidrs": ["x"], "ports": [65_536], "number": "1", "numbers": [true]},
                "durationSeconds": 1.5, "consecutiveDatapointsToAlarm": 11, "consecutiveDatapointsToClear": 0,
                "statisticalThreshold": {"statistic": "p2"}, "mlDetectionConfig": {},
            },
            "suppressAlerts": "no",
        }],
        "alertTargets": {"SQS": {"alertTargetArn": "a"}},
        "metricsExportConfig": {"mqttTopic": ""},
    })), @r"
    $.behaviours: there is no such member; did you mean 'behaviors'?
    $.securityProfileName: 'a b' does not match [a-zA-Z0-9:_-]+
    $.behaviors[0].name: is missing
    $.behaviors[0].metric: must be a string, not a number
    $.behaviors[0].metricDimension.dimensionName: is missing
    $.behaviors[0].metricDimension.operator: 'OUT' is none of IN, NOT_IN
    $.behaviors[0].criteria.comparisonOperator: 'less' is none of less-than, less-than-equals, greater-than, greater-than-equals, in-cidr-set, not-in-cidr-set, in-port-set, not-in-port-set, in-set, not-in-set
    $.behaviors[0].criteria.value.count: -1 is less than 0, or has more than 63 bits
    $.behaviors[0].criteria.value.cidrs[0]: must have 2 to 43 characters, and has 1
    $.behaviors[0].criteria.value.ports[0]: 65536 is not from 0 to 65535
    $.behaviors[0].criteria.value.number: must be a number, not a string
    $.behaviors[0].criteria.value.numbers[0]: must be a number, not true or false
    $.behaviors[0].criteria.durationSeconds: must be a whole number, not a number with a fraction
    $.behaviors[0].criteria.consecutiveDatapointsToAlarm: 11 is not from 1 to 10
    $.behaviors[0].criteria.consecutiveDatapointsToClear: 0 is not from 1 to 10
    $.behaviors[0].criteria.statisticalThreshold.statistic: 'p2' does not match (p0|p0\.1|p0\.01|p1|p10|p50|p90|p99|p99\.9|p99\.99|p100)
    $.behaviors[0].criteria.mlDetectionConfig.confidenceLevel: is missing
    $.behaviors[0].suppressAlerts: must be true or false, not a string
    $.alertTargets.SQS: 'SQS' is none of SNS; did you mean 'SNS'?
    $.alertTargets.SQS.roleArn: is missing
    $.metricsExportConfig.mqttTopic: must have 1 to 512 characters, and has 0
    $.metricsExportConfig.roleArn: is missing
    ");
}

#[test]
fn behaviors_are_sent_to_be_validated_as_they_are() {
    let of = |datapoints: i64| json!({"behaviors": [{"name": "b", "criteria": {"consecutiveDatapointsToAlarm": datapoints}}]});
    for datapoints in [-1, 0, 100_000] {
        assert_eq!(faults("ValidateSecurityProfileBehaviors", of(datapoints)), "");
    }
    insta::assert_snapshot!(faults("ValidateSecurityProfileBehaviors", of(1 << 40)), @"$.behaviors[0].criteria.consecutiveDatapointsToAlarm: 1099511627776 is not from -2147483648 to 2147483647");
}

#[test]
fn an_update_changes_something_and_does_not_set_what_it_deletes() {
    let update = |members| faults("UpdateSecurityProfile", members);
    assert_eq!(update(json!({"securityProfileName": "p", "securityProfileDescription": ""})), "");
    assert_eq!(update(json!({"securityProfileName": "p", "deleteBehaviors": false, "behaviors": []})), "");
    insta::assert_snapshot!(update(json!({"securityProfileName": "p", "expectedVersion": 1})), @"$: names nothing to change");
    insta::assert_snapshot!(update(json!({
        "securityProfileName": "p", "expectedVersion": "1", "deleteBehaviors": true, "behaviors": [],
        "deleteAdditionalMetricsToRetain": true, "additionalMetricsToRetain": [], "additionalMetricsToRetainV2": [],
        "deleteAlertTargets": true, "deleteMetricsExportConfig": true,
    })), @r"
    $.expectedVersion: must be a whole number, not a string
    $.deleteBehaviors: must not be given together with behaviors
    $.deleteAdditionalMetricsToRetain: must not be given together with additionalMetricsToRetain
    $.deleteAdditionalMetricsToRetain: must not be given together with additionalMetricsToRetainV2
    ");
    insta::assert_snapshot!(faults("ListSecurityProfiles", json!({"metricName": "m", "dimensionName": "d"})), @"$.metricName: must not be given together with dimensionName");
    insta::assert_snapshot!(faults("UpdateCustomMetric", json!({"metricName": "m"})), @"$.displayName: is missing");
    insta::assert_snapshot!(faults("CreateCustomMetric", json!({"metricName": "aws:m", "metricType": "number"})), @"$.metricName: 'aws:m' begins with aws:, as only the service's own metrics do");
    insta::assert_snapshot!(faults("CreateDimension", json!({"name": "d", "type": "TOPIC", "stringValues": []})), @r"
    $.type: 'TOPIC' is none of TOPIC_FILTER
    $.stringValues: must have 1 to 100 entries, and has 0
    ");
}

#[test]
fn a_task_is_for_violations_or_for_a_profile() {
    let start = |target: Value| {
        faults("StartDetectMitigationActionsTask", json!({"taskId": "t", "target": target, "actions": ["a"]}))
    };
    for good in [
        json!({"violationIds": ["v-1"]}),
        json!({"securityProfileName": "p"}),
        json!({"securityProfileName": "p", "behaviorName": "b"}),
    ] {
        assert_eq!(start(good), "");
    }
    insta::assert_snapshot!(start(json!({})), @"$.target: give either violationIds or securityProfileName");
    insta::assert_snapshot!(start(json!({"behaviorName": "b"})), @"$.target.securityProfileName: is missing: behaviorName is there");
    insta::assert_snapshot!(start(json!({"violationIds": ["v"], "securityProfileName": "p"})), @"$.target.violationIds: must not be given together with a profile or a behavior");
    insta::assert_snapshot!(start(json!({"violationIds": ["v_1"]})), @r"$.target.violationIds[0]: 'v_1' does not match [a-zA-Z0-9\-]+");
    insta::assert_snapshot!(faults("StartDetectMitigationActionsTask", json!({
        "taskId": "t", "target": {"securityProfileName": "p"}, "actions": [],
        "violationEventOccurrenceRange": {"startTime": 5, "endTime": 4},
    })), @r"
    $.actions: must have 1 to 5 entries, and has 0
    $.violationEventOccurrenceRange.endTime: is before startTime
    ");
}

#[test]
fn executions_are_listed_by_task_by_violation_or_by_time() {
    let list = |members| faults("ListDetectMitigationActionsExecutions", members);
    for good in [
        json!({"taskId": "t"}),
        json!({"violationId": "v", "thingName": "a b"}),
        json!({"startTime": 4, "endTime": 4, "thingName": "t"}),
        json!({"taskId": "t", "violationId": "v"}),
    ] {
        assert_eq!(list(good), "");
    }
    insta::assert_snapshot!(list(json!({"thingName": "t"})), @"$: give taskId, violationId, or startTime and endTime");
    insta::assert_snapshot!(list(json!({"taskId": "t", "startTime": 1, "endTime": 2})), @"$.taskId: give either taskId, or startTime and endTime, not both");
    insta::assert_snapshot!(list(json!({"taskId": "t", "startTime": 1})), @"$.endTime: is missing: startTime is there");
    insta::assert_snapshot!(list(json!({"endTime": 1})), @"$.startTime: is missing: endTime is there");
    insta::assert_snapshot!(list(json!({"startTime": 5, "endTime": 4})), @"$.endTime: is before startTime");
    insta::assert_snapshot!(faults("ListViolationEvents", json!({"startTime": 5, "endTime": 4})), @"$.endTime: is before startTime");
    insta::assert_snapshot!(faults("GetBehaviorModelTrainingSummaries", json!({"maxResults": 11})), @"$.maxResults: 11 is not from 1 to 10");
}
