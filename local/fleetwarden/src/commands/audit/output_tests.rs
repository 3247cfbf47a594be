use super::*;
use fleetwarden_core::api;
use serde_json::json;

#[test]
fn a_list_is_a_table_and_nothing_else_is() {
    let listed = json!({"suppressions": [
        {"checkName": "A", "resourceIdentifier": {"clientId": "c"}, "suppressIndefinitely": true},
        {"checkName": "B", "resourceIdentifier": {"account": "1"}, "description": "why"},
    ]});
    let shown = |name: &str, answer: &Value| table(api::audit(name).unwrap(), answer);
    insta::assert_snapshot!(shown("list-audit-suppressions", &listed).unwrap());
    for (name, answer) in [
        ("describe-account-audit-configuration", json!({"roleArn": "r", "checks": {}})),
        ("describe-scheduled-audit", json!({"frequency": "DAILY", "targetCheckNames": ["A"]})),
        ("update-scheduled-audit", json!({"dryRun": true, "changes": []})),
        ("start-audit-mitigation-actions-task", json!({"observed": true, "mitigates": [{"findingId": "f"}]})),
    ] {
        assert_eq!(shown(name, &answer), None, "{name}");
    }
}

#[test]
fn what_is_nested_is_shown_by_its_name_and_names_of_devices_are_visible() {
    let violation = json!({"activeViolations": [{
        "violationId": "v", "thingName": "a\u{1b}[2J", "behavior": {"name": "sent", "metric": "m"},
        "lastViolationValue": {"count": 7}, "violationStartTime": 1,
    }]});
    let mapping = json!({"securityProfileTargetMappings": [
        {"securityProfileIdentifier": {"name": "p", "arn": "arn:p"}, "target": {"arn": "arn:t"}},
    ]});
    let shown = |name: &str, answer: &Value| table(api::detect(name).unwrap(), answer).unwrap();
    let tables = [
        shown("list-active-violations", &violation),
        shown("list-security-profiles-for-target", &mapping),
        shown("list-dimensions", &json!({"dimensionNames": ["admin"]})),
    ];
    insta::assert_snapshot!(tables.join("\n"));
}

#[test]
fn an_answer_is_shown_as_is_wanted() {
    let answer = json!({"tasks": [
        {"taskId": "1", "taskStatus": "COMPLETED", "n": {"m": [1]}}, {"taskId": "2\u{202e}", "taskStatus": "FAILED"},
    ]});
    let shown = |output, query| {
        let list = api::audit("list-audit-tasks").unwrap();
        shown(list, &answer, output, query).unwrap().unwrap_or_default()
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

#[test]
fn what_is_no_expression_is_told_with_its_place() {
    let wrong = |expression| Query::parse(expression).unwrap_err().to_string();
    insta::assert_snapshot!([wrong("tasks[?"), wrong("a.b(c)[")].join("\n"));
    let failing = Query::parse("abs(tasks)").unwrap().pick(&json!({"tasks": "x"})).unwrap_err().to_string();
    assert!(failing.starts_with("--query: ") && failing.contains("abs"), "{failing}");
}

#[test]
fn a_literal_between_backticks_may_be_a_word() {
    let answer = json!({"findings": [{"id": "1", "severity": "LOW", "n": 1}, {"id": "2", "severity": "HIGH", "n": 2}]});
    for (expression, expected) in [
        ("findings[?severity==`LOW`].id", json!(["1"])),
        ("findings[?severity==`\"LOW\"`].id", json!(["1"])),
        ("findings[?severity=='LOW'].id", json!(["1"])),
        ("findings[?n==`2`].id", json!(["2"])),
        ("findings[?severity==`a\\`b`]", json!([])),
        ("findings[?severity=='`LOW`'].\"id\"", json!([])),
    ] {
        assert_eq!(Query::parse(expression).unwrap().pick(&answer).unwrap(), expected, "{expression}");
    }
    assert_eq!(literals("a `b"), "a `b");
}
