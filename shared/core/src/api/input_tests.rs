//! Tests of what an input must be.

use proptest::prelude::*;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::super::AUDIT;
use super::super::DETECT;
use super::super::audit;
use super::super::shape::Place;
use super::*;
use crate::api::time::millis;
use crate::ids::check;

const NOW: Millis = Millis(1_795_392_000_000);

fn judged(command: &str, members: Value) -> Result<Map<String, Value>, String> {
    let Value::Object(members) = members else { panic!("no object") };
    read(audit(command).unwrap(), members, &["dryRun", "confirm", "all"], NOW)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn faults(command: &str, members: Value) -> String {
    judged(command, members).unwrap_err()
}

#[test]
fn a_command_has_its_name_in_either_form() {
    for operation in &AUDIT {
        assert_eq!(audit(operation.name).unwrap().name, operation.name);
        assert_eq!(audit(&operation.command()).unwrap().name, operation.name);
    }
    assert_eq!(audit("ListAuditFindings").unwrap().command(), "list-audit-findings");
    insta::assert_snapshot!(audit("list-audit-finding").unwrap_err(), @"'list-audit-finding' is no audit command; did you mean 'ListAuditFindings'?");
    insta::assert_snapshot!(audit("\u{7}").unwrap_err(), @r"'\u0007' is no audit command; there are UpdateAccountAuditConfiguration, DescribeAccountAuditConfiguration, DeleteAccountAuditConfiguration, CreateScheduledAudit, UpdateScheduledAudit, DescribeScheduledAudit, ListScheduledAudits, DeleteScheduledAudit, StartOnDemandAuditTask, DescribeAuditTask, ListAuditTasks, CancelAuditTask, ListAuditFindings, DescribeAuditFinding, ListRelatedResourcesForAuditFinding, CreateAuditSuppression, DescribeAuditSuppression, UpdateAuditSuppression, ListAuditSuppressions, DeleteAuditSuppression, CreateMitigationAction, UpdateMitigationAction, DescribeMitigationAction, ListMitigationActions, DeleteMitigationAction, StartAuditMitigationActionsTask, DescribeAuditMitigationActionsTask, ListAuditMitigationActionsTasks, ListAuditMitigationActionsExecutions, CancelAuditMitigationActionsTask, AuditReport");
    let changing = AUDIT.iter().filter(|operation| operation.changes()).count();
    let listing = AUDIT.iter().filter(|operation| operation.is_list()).count();
    assert_eq!((changing, listing), (15, 8));
    // A page's token and size are what makes a list.
    for operation in &AUDIT {
        let pages = operation.members.iter().any(|member| member.name == "nextToken");
        assert_eq!(operation.is_list(), pages, "{}", operation.name);
    }
}

#[test]
fn a_good_input_comes_back_as_the_service_takes_it() {
    let given = json!({
        "checkName": "REVOKED_DEVICE_CERT_CHECK",
        "resourceIdentifier": {"clientId": "c", "account": null},
        "expirationDate": "2026-12-01T00:00:00Z",
        "description": null,
    });
    let taken = json!({
        "checkName": "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK",
        "resourceIdentifier": {"clientId": "c"},
        "expirationDate": 1_796_083_200,
    });
    assert_eq!(Value::Object(judged("CreateAuditSuppression", given).unwrap()), taken);
    let fraction = json!({"startTime": "2026-11-01T01:00:00.25+01:00", "endTime": 1_795_000_000.5});
    let taken = judged("ListAuditTasks", fraction).unwrap();
    assert_eq!(taken["startTime"], json!(1_793_491_200.25));
    assert_eq!(millis(&taken["endTime"]), Some(Millis(1_795_000_000_500)));
    // As the skeletons of the AWS CLI have them, which means UTC.
    let local = json!({"startTime": "2026-11-01", "endTime": "2026-11-01T01:00:00.5"});
    let taken = judged("ListAuditTasks", local).unwrap();
    assert_eq!(Value::Object(taken), json!({"startTime": 1_793_491_200, "endTime": 1_793_494_800.5}));
    let aliases = json!({"auditCheckConfigurations": {"REVOKED_CA_CERT_CHECK": {"enabled": true}}});
    let taken = judged("update-account-audit-configuration", aliases).unwrap();
    assert!(taken["auditCheckConfigurations"].get("REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK").is_some());
}

#[test]
fn all_faults_are_told_at_once_with_their_paths() {
    insta::assert_snapshot!(faults("CreateScheduledAudit", json!({
        "scheduledAuditName": "a b",
        "Frequency": "DAILY",
        "frequency": "WEEKLEY",
        "dayOfMonth": "32",
        "targetCheckNames": ["LOGGING_DISABLED_CHECK", "DEVICE_CERTIFICATE_SHARD_CHECK", 7],
        "tags": [{"Key": "", "value": "x"}],
        "dryrun": true,
        "\u{1b}[31m": 1,
    })), @r"
    $['\u001b[31m']: there is no such member
    $.Frequency: there is no such member; did you mean 'frequency'?
    $.dryrun: there is no such member; did you mean 'dryRun'?
    $.frequency: 'WEEKLEY' is none of DAILY, WEEKLY, BIWEEKLY, MONTHLY; did you mean 'WEEKLY'?
    $.dayOfMonth: '32' does not match ^([1-9]|[12][0-9]|3[01])$|^LAST$
    $.targetCheckNames[2]: must be a string, not a number
    $.scheduledAuditName: 'a b' does not match [a-zA-Z0-9_-]+
    $.tags[0].value: there is no such member; did you mean 'Value'?
    $.tags[0].Key: must have 1 to 128 characters, and has 0
    $.targetCheckNames[1]: 'DEVICE_CERTIFICATE_SHARD_CHECK' is no audit check; did you mean 'DEVICE_CERTIFICATE_SHARED_CHECK'?
    ");
    let description = |text: &str| {
        let resource = json!({"deviceCertificateId": "ab".repeat(32)});
        faults(
            "CreateAuditSuppression",
            json!({
                "checkName": "DEVICE_CERTIFICATE_SHARED_CHECK", "resourceIdentifier": resource,
                "suppressIndefinitely": true, "description": text,
            }),
        )
    };
    let refused = [description("jürgen"), description("two\nlines"), description(&"x".repeat(1001))];
    insta::assert_snapshot!("descriptions", refused.join("\n"));
    insta::assert_snapshot!(faults("StartAuditMitigationActionsTask", json!({
        "taskId": true,
        "target": {"findingIds": [], "auditTaskId": "t", "auditCheckToReasonCodeFilter": {"LOGGING_DISABLED_CHECK": []}},
        "auditCheckToActionsMapping": {"CA_CERTIFICATE_EXPIRING_CHECK": ["1", "2", "3", "4", "5", "6"], "x y": "A"},
        "clientRequestToken": "a:b",
    })), @"
    $.taskId: must be a string, not true or false
    $.target.findingIds: must have 1 to 25 entries, and has 0
    $.target.auditCheckToReasonCodeFilter.LOGGING_DISABLED_CHECK: must have 1 to 25 entries, and has 0
    $.auditCheckToActionsMapping.CA_CERTIFICATE_EXPIRING_CHECK: must have 1 to 5 entries, and has 6
    $.auditCheckToActionsMapping['x y']: must be a list, not a string
    $.clientRequestToken: 'a:b' does not match [a-zA-Z0-9_-]+
    $.auditCheckToActionsMapping['x y']: 'x y' is no audit check; there are AUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK, CA_CERTIFICATE_EXPIRING_CHECK, CA_CERTIFICATE_KEY_QUALITY_CHECK, CONFLICTING_CLIENT_IDS_CHECK, DEVICE_CERTIFICATE_AGE_CHECK, DEVICE_CERTIFICATE_EXPIRING_CHECK, DEVICE_CERTIFICATE_KEY_QUALITY_CHECK, DEVICE_CERTIFICATE_SHARED_CHECK, INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK, IOT_POLICY_OVERLY_PERMISSIVE_CHECK, IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK, IOT_ROLE_ALIAS_ALLOWS_ACCESS_TO_UNUSED_SERVICES_CHECK, IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK, LOGGING_DISABLED_CHECK, REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK, REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK, UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK
    $.target: give either auditTaskId or findingIds, not both
    $.auditCheckToActionsMapping.LOGGING_DISABLED_CHECK: is missing: the filter names the check
    ");
    insta::assert_snapshot!(faults("ListAuditTasks", json!({
        "startTime": "yesterday", "maxResults": 251, "taskType": 1, "taskStatus": "DONE",
    })), @r"
    $.startTime: is no time: a number of seconds since 1970, or a text as 2026-11-23, 2026-11-23T08:00:00 (both UTC) or 2026-11-23T09:00:00+01:00
    $.endTime: is missing
    $.taskType: must be a string, not a number
    $.taskStatus: 'DONE' is none of IN_PROGRESS, COMPLETED, FAILED, CANCELED
    $.maxResults: 251 is not from 1 to 250
    ");
}

#[test]
fn a_schedule_has_the_day_of_its_frequency() {
    let schedule = |frequency: &str, more: Value| {
        let mut members =
            json!({"scheduledAuditName": "s", "frequency": frequency, "targetCheckNames": [check::KNOWN[0]]});
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        judged("CreateScheduledAudit", members).err().unwrap_or_default()
    };
    let both = json!({"dayOfWeek": "MON", "dayOfMonth": "LAST"});
    assert_eq!(schedule("DAILY", json!({})), "");
    assert_eq!(schedule("WEEKLY", json!({"dayOfWeek": "SUN"})), "");
    assert_eq!(schedule("MONTHLY", json!({"dayOfMonth": "31"})), "");
    insta::assert_snapshot!(schedule("DAILY", both.clone()), @r"
    $.dayOfWeek: is not for the frequency DAILY
    $.dayOfMonth: is not for the frequency DAILY
    ");
    insta::assert_snapshot!(schedule("BIWEEKLY", json!({})), @"$.dayOfWeek: is missing: frequency is BIWEEKLY");
    insta::assert_snapshot!(schedule("MONTHLY", json!({"dayOfWeek": "MON"})), @r"
    $.dayOfWeek: is not for the frequency MONTHLY
    $.dayOfMonth: is missing: frequency is MONTHLY
    ");
    let update = |members| judged("UpdateScheduledAudit", members).err().unwrap_or_default();
    assert_eq!(update(json!({"scheduledAuditName": "s", "dayOfWeek": "MON"})), "");
    insta::assert_snapshot!(update(json!({"scheduledAuditName": "s", "dayOfWeek": "MON", "dayOfMonth": "1"})), @"$.dayOfMonth: an audit has a dayOfWeek or a dayOfMonth, not both");
    insta::assert_snapshot!(update(json!({"scheduledAuditName": "s"})), @"$: names nothing to change");
    insta::assert_snapshot!(update(json!({"scheduledAuditName": "s", "targetCheckNames": []})), @"$.targetCheckNames: names no check: an audit needs one at least");
}

#[test]
fn what_is_no_time_is_told_once() {
    let list = |start: Value| faults("ListAuditTasks", json!({"startTime": start, "endTime": "2026-11-23"}));
    let no_time = list(json!("yesterday"));
    insta::assert_snapshot!(no_time, @"$.startTime: is no time: a number of seconds since 1970, or a text as 2026-11-23, 2026-11-23T08:00:00 (both UTC) or 2026-11-23T09:00:00+01:00");
    for start in [json!(""), json!("2026-02-30"), json!("2026-11-20T00:00"), json!(-1), json!("T00:00:00Z")] {
        assert_eq!(list(start), no_time);
    }
    for start in [json!(1_795_392_000_000_u64), json!(1e300)] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(list(start), @"$.startTime: is past the year 9999: a number is seconds since 1970, not milliseconds");
        }
    }
    let page = json!({"taskId": "t", "maxResults": 1.5});
    insta::assert_snapshot!(faults("ListAuditFindings", page), @"$.maxResults: must be a whole number, not a number with a fraction");
}

#[test]
fn findings_are_listed_by_task_or_by_time() {
    let list = |members| judged("ListAuditFindings", members).err().unwrap_or_default();
    assert_eq!(list(json!({"taskId": "t", "checkName": check::KNOWN[3]})), "");
    assert_eq!(list(json!({"startTime": 1, "endTime": 1})), "");
    insta::assert_snapshot!(list(json!({})), @"$: give either taskId, or startTime and endTime");
    insta::assert_snapshot!(list(json!({"taskId": "t", "endTime": 5})), @"$.taskId: give either taskId, or startTime and endTime, not both");
    insta::assert_snapshot!(list(json!({"startTime": 5})), @"$.endTime: is missing: startTime is there");
    insta::assert_snapshot!(list(json!({"endTime": 5})), @"$.startTime: is missing: endTime is there");
    insta::assert_snapshot!(list(json!({"startTime": 5, "endTime": 4})), @"$.endTime: is before startTime");
    insta::assert_snapshot!(faults("ListAuditTasks", json!({"startTime": "2026-08-01T00:00:00Z", "endTime": "2026-10-01T00:00:00Z"})), @"$.startTime: audits are kept for 90 days, since 2026-08-25T00:00:00Z");
    insta::assert_snapshot!(faults("ListAuditMitigationActionsTasks", json!({"startTime": -1, "endTime": 1e300})), @"
    $.startTime: is no time: a number of seconds since 1970, or a text as 2026-11-23, 2026-11-23T08:00:00 (both UTC) or 2026-11-23T09:00:00+01:00
    $.endTime: is past the year 9999: a number is seconds since 1970, not milliseconds
    ");
}

#[test]
fn a_suppression_ends_in_the_future_or_never() {
    let suppression = |command: &str, more: Value| {
        let mut members = json!({"checkName": check::KNOWN[3], "resourceIdentifier": {"clientId": "c"}});
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        judged(command, members).err().unwrap_or_default()
    };
    let create = |more| suppression("CreateAuditSuppression", more);
    assert_eq!(create(json!({"suppressIndefinitely": true})), "");
    assert_eq!(create(json!({"suppressIndefinitely": false, "expirationDate": "2027-01-01T00:00:00Z"})), "");
    insta::assert_snapshot!(create(json!({})), @"$: give expirationDate, or suppressIndefinitely: true");
    insta::assert_snapshot!(create(json!({"suppressIndefinitely": false})), @"$: give expirationDate, or suppressIndefinitely: true");
    insta::assert_snapshot!(create(json!({"suppressIndefinitely": true, "expirationDate": 1_795_392_000})), @r"
    $.expirationDate: is not for a suppression that lasts for ever
    $.expirationDate: 2026-11-23T00:00:00Z is not in the future
    ");
    insta::assert_snapshot!(create(json!({"suppressIndefinitely": true, "resourceIdentifier": {"policyVersionIdentifier": {"policyName": null}}})), @"$.resourceIdentifier.policyVersionIdentifier: names no resource");
    let update = |more| suppression("UpdateAuditSuppression", more);
    assert_eq!(update(json!({"description": "x"})), "");
    insta::assert_snapshot!(update(json!({})), @"$: names nothing to change");
    insta::assert_snapshot!(update(json!({"suppressIndefinitely": false})), @"$.suppressIndefinitely: what does not last for ever needs an expirationDate");
    insta::assert_snapshot!(suppression("DeleteAuditSuppression", json!({"resourceIdentifier": {"account": null}})), @"$.resourceIdentifier: names no resource: give what nonCompliantResource of the finding has");
    insta::assert_snapshot!(suppression("DescribeAuditSuppression", json!({"resourceIdentifier": {"deviceCertificateId": "ab"}, "description": "x"})), @r"
    $.description: there is no such member
    $.resourceIdentifier.deviceCertificateId: must have 64 characters, and has 2
    ");
}

#[test]
fn configuration_and_actions_have_their_own_rules() {
    let update = |members| judged("UpdateAccountAuditConfiguration", members).err().unwrap_or_default();
    insta::assert_snapshot!(update(json!({})), @"$: names nothing to change");
    insta::assert_snapshot!(update(json!({"auditCheckConfigurations": {
        "REVOKED_CA_CERT_CHECK": {"enabled": true},
        "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK": {"enabled": "yes"},
        "DEVICE_CERTIFICATE_AGE_CHECK": {"configuration": {"CERT_AGE_THRESHOLD_IN_DAYS": "29"}},
        "LOGGING_DISABLED_CHECK": {"configuration": {"CERT_AGE_THRESHOLD_IN_DAYS": "30", "X": "1"}},
    }, "roleArn": "short"})), @"
    $.roleArn: must have 20 to 2048 characters, and has 5
    $.auditCheckConfigurations.LOGGING_DISABLED_CHECK.configuration.X: 'X' is none of CERT_AGE_THRESHOLD_IN_DAYS, CERT_EXPIRATION_THRESHOLD_IN_DAYS
    $.auditCheckConfigurations.REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK.enabled: must be true or false, not a string
    $.auditCheckConfigurations.REVOKED_CA_CERT_CHECK: is REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK, which is there as well
    $.auditCheckConfigurations.DEVICE_CERTIFICATE_AGE_CHECK.configuration.CERT_AGE_THRESHOLD_IN_DAYS: '29' is no number of days from 30 to 3652
    $.auditCheckConfigurations.LOGGING_DISABLED_CHECK.configuration.CERT_AGE_THRESHOLD_IN_DAYS: LOGGING_DISABLED_CHECK has no such configuration; DEVICE_CERTIFICATE_AGE_CHECK has
    ");
    let role = "arn:aws:iam::123456789012:role/r";
    insta::assert_snapshot!(faults("CreateMitigationAction", json!({"actionName": "a", "roleArn": role, "actionParams": {
        "enableIoTLoggingParams": {"roleArnForLogging": role, "logLevel": "DISABLED"},
        "publishFindingToSnsParams": {"topicArn": "t"},
    }})), @r"
    $.actionParams: an action has the parameters of one kind of change, and here are 2
    $.actionParams.enableIoTLoggingParams.logLevel: an action cannot switch logging off
    ");
    insta::assert_snapshot!(faults("UpdateMitigationAction", json!({"actionName": "a", "actionParams": {}})), @"$.actionParams: an action has the parameters of one kind of change, and here are 0");
    insta::assert_snapshot!(faults("StartAuditMitigationActionsTask", json!({"taskId": "t", "target": {}, "auditCheckToActionsMapping": {}})), @r"
    $.auditCheckToActionsMapping: names no check
    $.target: give either auditTaskId or findingIds
    ");
    insta::assert_snapshot!(faults("StartAuditMitigationActionsTask", json!({"taskId": "t", "target": {
        "findingIds": ["f"], "auditCheckToReasonCodeFilter": {"LOGGING_DISABLED_CHECK": ["R"]},
    }, "auditCheckToActionsMapping": {"LOGGING_DISABLED_CHECK": ["A"]}})), @"$.target.auditCheckToReasonCodeFilter: goes with auditTaskId, not with findingIds");
}

/// Any value, of names and values that have a meaning or none.
fn anything() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "\\PC{0,40}",
        Just("LOGGING_DISABLED_CHECK".to_owned()),
        Just("2026-11-23T08:00:00Z".to_owned()),
        Just("MONTHLY".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let member = || {
        let places: Vec<&'static str> = AUDIT
            .iter()
            .chain(&DETECT)
            .flat_map(|operation| operation.members)
            .filter(|member| matches!(member.place, Place::Body | Place::Path | Place::Query(_)))
            .map(|member| member.name)
            .chain(["auditCheckToReasonCodeFilter", "auditTaskId", "findingIds", "enabled", "configuration"])
            .chain(["violationIds", "behaviorName", "criteria", "consecutiveDatapointsToAlarm", "number"])
            .collect();
        prop_oneof![prop::sample::select(places).prop_map(ToOwned::to_owned), "\\PC{0,9}"]
    };
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(member(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_input_is_a_panic(at in 0..AUDIT.len() + DETECT.len(), input in prop::collection::btree_map("[a-zA-Z]{0,20}", anything(), 0..4), all in prop::collection::vec(anything(), 8)) {
        let operation = AUDIT.iter().chain(&DETECT).nth(at).unwrap();
        let mut members: Map<String, Value> = input.into_iter().collect();
        let named = operation.members.iter().map(|member| member.name.to_owned()).zip(all);
        members.extend(named);
        if let Ok(good) = read(operation, members, &[], NOW) {
            // What is good stays as it is when it is judged again.
            prop_assert_eq!(read(operation, good.clone(), &[], NOW), Ok(good));
        }
    }
}

#[test]
fn a_report_is_of_one_audit() {
    let id = "8850eced986ec360f9b350835a621bcf";
    for (given, taken) in [
        (json!({}), json!({})),
        (json!({"latest": false, "format": "html"}), json!({"format": "html"})),
        (json!({"taskId": id, "latest": false}), json!({"taskId": id})),
    ] {
        assert_eq!(Value::Object(judged("audit-report", given).unwrap()), taken);
    }
    let all = json!({"taskId": "a b", "scheduledAuditName": "n", "latest": true, "format": "pdf", "task": 1});
    insta::assert_snapshot!(faults("AuditReport", all), @r"
    $.task: there is no such member; did you mean 'taskId'?
    $.taskId: 'a b' does not match [a-zA-Z0-9\-]+
    $.format: 'pdf' is none of json, markdown, html
    $.scheduledAuditName: must not be given together with taskId
    $.latest: must not be given together with taskId
    ");
    assert!(!audit("AuditReport").unwrap().changes());
}

#[path = "detect_input_tests.rs"]
mod detect;
