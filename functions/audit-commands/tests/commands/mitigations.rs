//! The gate before a mitigation that somebody asks for.

use serde_json::Value;
use serde_json::json;

use crate::house::House;
use crate::house::LOGGING;
use crate::house::POLICY;
use crate::house::ROLE;
use crate::house::SHARED;
use crate::house::house;
use crate::house::house_with;

async fn findings(house: &House, task: &str, check: &str, count: usize) -> Vec<Value> {
    let list = json!({"command": "ListAuditFindings", "taskId": task, "checkName": check, "all": true});
    let listed = house.ok(list).await;
    listed["findings"].as_array().unwrap().iter().take(count).cloned().collect()
}

async fn action(house: &House) {
    let params = json!({"publishFindingToSnsParams": {"topicArn": "arn:aws:sns:us-east-1:123456789012:t"}});
    house
        .ok(json!({"command": "CreateMitigationAction", "actionName": "tell", "roleArn": ROLE, "actionParams": params}))
        .await;
    house.calls();
}

fn mitigate(target: &Value, checks: &[&str]) -> Value {
    let mapping: Value = checks.iter().map(|check| ((*check).to_owned(), json!(["tell"]))).collect();
    json!({
        "command": "StartAuditMitigationActionsTask", "taskId": "m", "target": target,
        "auditCheckToActionsMapping": mapping,
    })
}

fn by_id(findings: &[Value]) -> Value {
    json!({"findingIds": findings.iter().map(|finding| &finding["findingId"]).collect::<Vec<_>>()})
}

#[tokio::test(start_paused = true)]
async fn each_finding_is_looked_at_before_the_start() {
    let house = house();
    let task = house.audit(&[SHARED, LOGGING]).await;
    action(&house).await;
    let mut found = findings(&house, &task, SHARED, 2).await;
    house.calls();
    assert_eq!(house.ok(mitigate(&by_id(&found), &[SHARED])).await, json!({"taskId": "m"}));
    let calls = house.calls();
    assert_eq!(calls.lines().filter(|call| call.starts_with("GET /audit/findings/")).count(), 2, "{calls}");
    assert!(calls.ends_with("\nPOST /audit/mitigationactions/tasks/m"), "{calls}");

    found.extend(findings(&house, &task, LOGGING, 1).await);
    found.push(json!({"findingId": "none"}));
    let mut event = mitigate(&by_id(&found), &[SHARED]);
    event["taskId"] = "other".into();
    insta::assert_snapshot!(house.fails(event).await, @r"
    InvalidInput
    $.target.findingIds[2]: auditCheckToActionsMapping has no actions for LOGGING_DISABLED_CHECK, the check of the finding
    $.target.findingIds[3]: there is no such finding
    ");
}

#[tokio::test(start_paused = true)]
async fn in_observe_nothing_starts() {
    for (policy, dry) in [("observe", false), ("observe", true), ("enforce", true)] {
        let house = house_with(match policy {
            "observe" => "version: 1\nmode: observe\nrules: []\n",
            _ => "version: 1\nmode: enforce\nrules: []\n",
        });
        let task = house.audit(&[LOGGING]).await;
        action(&house).await;
        let found = findings(&house, &task, LOGGING, 1).await;
        let mut event = mitigate(&by_id(&found), &[LOGGING]);
        event["dryRun"] = dry.into();
        house.calls();
        let answer = house.ok(event).await;
        assert_eq!(answer["observed"], policy == "observe");
        assert_eq!(answer["mitigates"][0]["findingId"], found[0]["findingId"]);
        assert_eq!(answer["mitigates"][0]["actions"], json!(["tell"]));
        let starts = if dry { &answer["changes"][0]["to"] } else { &answer["wouldStart"] };
        assert_eq!((&starts["taskId"], &starts["target"]), (&json!("m"), &by_id(&found)));
        assert!(!house.calls().contains("POST"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_protected_is_not_mitigated() {
    let house = house_with("version: 1\nmode: enforce\nprotect: { policies: ['*'] }\nrules: []\n");
    let task = house.audit(&[POLICY, SHARED, LOGGING]).await;
    action(&house).await;
    let protected = findings(&house, &task, POLICY, 1).await;
    let name = &protected[0]["nonCompliantResource"]["resourceIdentifier"]["policyVersionIdentifier"];
    let label =
        format!("{}:{}", name["policyName"].as_str().unwrap(), name["policyVersionId"].as_str().unwrap());
    assert_eq!(
        house.fails(mitigate(&by_id(&protected), &[POLICY])).await,
        format!("Protected\n$.target.findingIds[0]: {label} is protected, by '*' of policies")
    );
    let whole = json!({"auditTaskId": task});
    assert_eq!(
        house.fails(mitigate(&whole, &[LOGGING, POLICY])).await,
        "Protected\n$.target: protect of the policy may concern resources of IOT_POLICY_OVERLY_PERMISSIVE_CHECK; \
         name the findings"
    );
    assert!(!house.calls().contains("mitigationactions/tasks"));
    // A filter says which checks are meant.
    let filtered =
        json!({"auditTaskId": task, "auditCheckToReasonCodeFilter": {LOGGING: ["LOGGING_DISABLED"]}});
    house.ok(mitigate(&filtered, &[LOGGING, POLICY])).await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_looks_up_is_not_mitigated_when_things_are_protected() {
    let house = house_with("version: 1\nmode: enforce\nprotect: { groups: [production] }\nrules: []\n");
    let task = house.audit(&[SHARED, LOGGING]).await;
    action(&house).await;
    let found = findings(&house, &task, SHARED, 1).await;
    let error = house.fails(mitigate(&by_id(&found), &[SHARED])).await;
    assert!(
        error.starts_with("Protected\n$.target.findingIds[0]: the policy protects things or groups"),
        "{error}"
    );
    // What has no things behind it is not held.
    let logging = findings(&house, &task, LOGGING, 1).await;
    house.ok(mitigate(&by_id(&logging), &[LOGGING])).await;
    house.order("DescribeAuditFinding", "no-resource", 1, 0);
    let error = house.fails(mitigate(&by_id(&found), &[SHARED])).await;
    assert!(error.contains("names no resource that is known"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn outside_of_the_windows_nothing_starts() {
    // It is Monday, midnight.
    for (policy, says) in [
        (
            "version: 1\nmode: enforce\nwindows: { zone: Europe/Berlin, open: [{ days: [Tue], hours: 08:00-10:00 }] }\nrules: []\n",
            "OutsideWindow\noutside of the policy's windows until 2026-11-24T08:00:00+01:00 (Europe/Berlin)",
        ),
        ("version: 1\nmode: enforce\nrules: [", "Fleetwarden.Policy\n"),
    ] {
        let house = house_with(policy);
        let task = house.audit(&[LOGGING]).await;
        action(&house).await;
        let target = json!({"auditTaskId": task});
        let error = house.fails(mitigate(&target, &[LOGGING])).await;
        assert!(error.starts_with(says), "{error}");
        assert!(!house.calls().contains("mitigationactions/tasks"));
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_whole_check_a_dry_run_has_the_counts() {
    let house = house();
    let task = house.audit(&[SHARED, LOGGING]).await;
    action(&house).await;
    let mut event = mitigate(&json!({"auditTaskId": task}), &[SHARED]);
    event["dryRun"] = true.into();
    let found = findings(&house, &task, SHARED, 9999).await.len();
    let answer = house.ok(event).await;
    assert_eq!(answer["mitigates"][0]["nonCompliantResourcesCount"], found);
    assert_eq!(answer["mitigates"][0]["actions"], json!(["tell"]));
}
