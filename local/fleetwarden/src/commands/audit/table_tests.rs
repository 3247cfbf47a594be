use super::*;
use crate::commands::answer::{Format, View};
use fleetwarden_core::api;
use serde_json::json;

const CERTIFICATE: &str = "9449c7f3a93cf0c55a675ddf1c83732d87d56255e70b150d9e6f3cf863bb7fc1";
/// Times as the service gives them: seconds, with a fraction or without.
const AT: f64 = 1_795_392_000.123;

/// A list on terminals of 80 and of 120 columns, and all of it.
fn shown(operation: &Operation, answer: &Value) -> String {
    let of = |layout: Layout| {
        let text = table(operation, answer, layout).unwrap().plain();
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= layout.columns(), "{}: {widest}\n{text}", operation.name);
        text
    };
    [Layout::Columns(80), Layout::Columns(120), Layout::Wide].map(of).join("\n\n")
}

fn findings() -> Value {
    let finding = |n: u32, severity: &str, check: &str, resource: Value| {
        json!({
            "findingId": format!("d1bd2b08-5a1c-4f4e-9d2b-4f0a1b2c3d{n:02}"), "taskId": "8850eced986ec360f9b350835a621bcf",
            "checkName": check, "taskStartTime": AT, "findingTime": AT, "severity": severity,
            "nonCompliantResource": {"resourceType": "X", "resourceIdentifier": resource},
            "reasonForNonCompliance": "The certificate is revoked and still active.",
            "reasonForNonComplianceCode": "CERTIFICATE_REVOKED_BY_ISSUER", "isSuppressed": false,
        })
    };
    json!({"findings": [
        finding(1, "CRITICAL", "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK", json!({"deviceCertificateId": CERTIFICATE})),
        finding(2, "HIGH", "IOT_POLICY_OVERLY_PERMISSIVE_CHECK",
            json!({"policyVersionIdentifier": {"policyName": "all-devices", "policyVersionId": "3"}})),
        finding(4, "MEDIUM", "IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK",
            json!({"roleAliasArn": "arn:aws:iot:eu-central-1:123456789012:rolealias/everything-in-the-plant"})),
        finding(3, "LOW", "CONFLICTING_CLIENT_IDS_CHECK", json!({"clientId": "lamp\u{1b}[2J\u{202e}泵-12"})),
    ]})
}

#[test]
fn findings_fit_the_terminal() {
    insta::assert_snapshot!(shown(api::audit("list-audit-findings").unwrap(), &findings()));
}

#[test]
fn a_column_of_suppressed_findings_is_there_if_one_is() {
    let mut findings = findings();
    findings["findings"][1]["isSuppressed"] = true.into();
    let shown = table(api::audit("list-audit-findings").unwrap(), &findings, Layout::Columns(120)).unwrap();
    insta::assert_snapshot!(shown.plain());
}

#[test]
fn lists_of_audits_fit_the_terminal() {
    let all = [
        (
            "list-audit-suppressions",
            json!({"suppressions": [
                {"checkName": "DEVICE_CERTIFICATE_EXPIRING_CHECK", "resourceIdentifier": {"deviceCertificateId": CERTIFICATE},
                    "expirationDate": AT, "description": "Fleetwarden: rule old-lamps; owner lab; replaced in summer"},
                {"checkName": "LOGGING_DISABLED_CHECK", "resourceIdentifier": {"account": "123456789012"},
                    "suppressIndefinitely": true},
            ]}),
        ),
        (
            "list-audit-tasks",
            json!({"tasks": [
                {"taskId": "8850eced986ec360f9b350835a621bcf", "taskStatus": "COMPLETED", "taskType": "SCHEDULED_AUDIT_TASK"},
                {"taskId": "2\u{202e}", "taskStatus": "FAILED", "taskType": "ON_DEMAND_AUDIT_TASK"},
            ]}),
        ),
        (
            "list-scheduled-audits",
            json!({"scheduledAudits": [
                {"scheduledAuditName": "nightly", "scheduledAuditArn": "arn:s", "frequency": "DAILY"},
                {"scheduledAuditName": "first", "scheduledAuditArn": "arn:t", "frequency": "MONTHLY", "dayOfMonth": "LAST"},
            ]}),
        ),
        (
            "list-audit-mitigation-actions-executions",
            json!({"actionsExecutions": [
                {"taskId": "fw-1", "findingId": "f-1", "actionName": "FleetwardenQuarantineThings", "actionId": "a",
                    "status": "FAILED", "startTime": AT, "endTime": AT + 60.0, "errorCode": "LimitExceededException",
                    "message": "Rate exceeded for the account"},
            ]}),
        ),
        (
            "list-related-resources-for-audit-finding",
            json!({"relatedResources": [
                {"resourceType": "CLIENT_ID", "resourceIdentifier": {"clientId": "c"}, "additionalInfo": {"a": "b"}},
            ]}),
        ),
        ("list-mitigation-actions", json!({"actionIdentifiers": []})),
    ];
    let shown = all.map(|(name, answer)| format!("{name}\n{}", shown(api::audit(name).unwrap(), &answer)));
    insta::assert_snapshot!(shown.join("\n\n\n"));
}

#[test]
fn lists_of_detect_fit_the_terminal() {
    let violation = json!({
        "violationId": "d1bd2b08-5a1c-4f4e-9d2b-4f0a1b2c3d01", "thingName": "a\u{1b}[2J",
        "securityProfileName": "FleetwardenLamps", "behavior": {"name": "AuthorizationFailures", "metric": "aws:m"},
        "lastViolationValue": {"count": 7}, "metricValue": {"cidrs": ["10.0.0.0/8", "::1/128"]},
        "violationStartTime": 1, "lastViolationTime": AT, "violationEventTime": AT,
        "violationEventType": "in-alarm", "verificationState": "TRUE_POSITIVE",
    });
    let all = [
        ("list-active-violations", json!({"activeViolations": [violation]})),
        ("list-violation-events", json!({"violationEvents": [violation]})),
        (
            "list-security-profiles-for-target",
            json!({"securityProfileTargetMappings": [
                {"securityProfileIdentifier": {"name": "p", "arn": "arn:p"}, "target": {"arn": "arn:t"}},
            ]}),
        ),
        ("list-dimensions", json!({"dimensionNames": ["admin"]})),
        ("list-metric-values", json!({"metricDatumList": [{"timestamp": AT, "value": {"number": 1.5}}]})),
        (
            "get-behavior-model-training-summaries",
            json!({"summaries": [
                {"securityProfileName": "p", "behaviorName": "b", "modelStatus": "ACTIVE", "datapointsCollectionPercentage": 97.5,
                    "trainingDataCollectionStartDate": AT, "lastModelRefreshDate": AT},
            ]}),
        ),
        (
            "list-detect-mitigation-actions-tasks",
            json!({"tasks": [
                {"taskId": "fw-1", "taskStatus": "SUCCESSFUL", "taskStartTime": AT, "taskEndTime": AT,
                    "target": {"violationIds": ["v", "w"]}, "taskStatistics": {"actionsExecuted": 2, "actionsFailed": 0}},
                {"taskId": "fw-2", "taskStatus": "IN_PROGRESS", "taskStartTime": AT,
                    "target": {"securityProfileName": "p", "behaviorName": "b"}},
            ]}),
        ),
    ];
    let shown = all.map(|(name, answer)| format!("{name}\n{}", shown(api::detect(name).unwrap(), &answer)));
    insta::assert_snapshot!(shown.join("\n\n\n"));
}

#[test]
fn what_is_no_list_is_no_table() {
    for (name, answer) in [
        ("describe-account-audit-configuration", json!({"roleArn": "r", "checks": {}})),
        ("describe-scheduled-audit", json!({"frequency": "DAILY", "targetCheckNames": ["A"]})),
        ("update-scheduled-audit", json!({"dryRun": true, "changes": []})),
        ("start-audit-mitigation-actions-task", json!({"observed": true, "mitigates": [{"findingId": "f"}]})),
    ] {
        assert_eq!(table(api::audit(name).unwrap(), &answer, Layout::Wide), None, "{name}");
    }
}

#[test]
fn an_answer_is_shown_as_is_wanted() {
    let answer = json!({"tasks": [
        {"taskId": "1", "taskStatus": "COMPLETED", "n": {"m": [1]}, "startTime": AT},
        {"taskId": "2\u{202e}", "taskStatus": "FAILED"},
    ]});
    let shown = |format, query| {
        let view = View::new(format, query, Layout::Columns(80)).unwrap();
        let list = api::audit("list-audit-tasks").unwrap();
        super::super::shown(&view, list, &answer).unwrap().unwrap_or_default().plain()
    };
    let all = [
        shown(None, None),
        shown(Some(Format::Json), None),
        shown(Some(Format::Table), None),
        shown(Some(Format::Text), None),
        shown(None, Some("tasks[?taskStatus=='FAILED'].taskId | [0]")),
        shown(Some(Format::Text), Some("tasks[].[taskId, taskStatus]")),
        shown(Some(Format::Table), Some("tasks[].{id: taskId, status: taskStatus, n: n}")),
        shown(Some(Format::Table), Some("tasks[0]")),
        shown(Some(Format::Text), Some("[]")),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}
