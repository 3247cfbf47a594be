//! What a dry run tells, and that it changes nothing.

use fleetwarden_commands::testing::Fixture as _;
use serde_json::Value;
use serde_json::json;

use crate::operations::Prepared;
use crate::setup::ACCOUNT;
use crate::setup::GROUP;
use crate::setup::Setup;
use crate::setup::messages;
use crate::setup::model;

async fn dry(setup: &Setup, mut event: Value) -> Value {
    event["dryRun"] = true.into();
    setup.calls();
    let answer = setup.ok(event).await;
    for call in setup.calls().lines() {
        assert!(call.starts_with("GET "), "{call}");
    }
    assert_eq!(answer["dryRun"], true);
    answer
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_change_is_told() {
    let fixture = Prepared::new().await;
    let setup = &fixture.setup;
    let profile = |command: &str, name: &str, more: Value| {
        let named = json!({"command": command, "securityProfileName": name});
        fleetwarden_commands::testing::merged(named, more)
    };
    let behaviors = json!([messages("never", 999_999), messages("new", 5)]);
    let target = json!({"securityProfileTargetArn": GROUP});
    let verify = json!({
        "command": "PutVerificationStateOnViolation", "violationId": fixture.violation["violationId"],
        "verificationState": "TRUE_POSITIVE", "verificationStateDescription": "seen",
    });
    let mut told = Vec::new();
    for event in [
        profile("CreateSecurityProfile", "new", json!({"behaviors": [messages("b", 50)]})),
        profile("UpdateSecurityProfile", "spare", json!({"behaviors": behaviors})),
        profile("UpdateSecurityProfile", "spare", json!({"deleteBehaviors": true})),
        profile("DeleteSecurityProfile", "none", json!({})),
        profile("AttachSecurityProfile", "spare", target.clone()),
        profile("DetachSecurityProfile", "noisy", target.clone()),
        profile("AttachSecurityProfile", "noisy", target.clone()),
        profile("DetachSecurityProfile", "spare", target),
        verify,
        json!({"command": "CreateCustomMetric", "metricName": "battery", "metricType": "number"}),
        json!({"command": "UpdateCustomMetric", "metricName": "battery", "displayName": "Battery"}),
        json!({"command": "UpdateDimension", "name": "admin", "stringValues": ["root/#"]}),
        json!({"command": "CancelDetectMitigationActionsTask", "taskId": "running"}),
    ] {
        told.push(dry(setup, event).await);
    }
    insta::assert_json_snapshot!(told);
    // Behaviors that say the same in other words are no change.
    let mut same = messages("never", 1_000_000);
    same["suppressAlerts"] = false.into();
    let same = profile("UpdateSecurityProfile", "spare", json!({"behaviors": [same]}));
    assert_eq!(dry(setup, same).await["changes"], json!([]));
    let loses = dry(setup, profile("DeleteSecurityProfile", "trained", json!({}))).await;
    assert!(loses["confirmationRequired"].as_str().unwrap().contains("'learned'"), "{loses}");
    assert_eq!(loses["changes"][0]["to"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn what_would_be_refused_is_refused() {
    let fixture = Prepared::new().await;
    let mut told = Vec::new();
    for event in [
        json!({"command": "CreateSecurityProfile", "securityProfileName": "noisy", "behaviors": [model("a")]}),
        json!({"command": "UpdateSecurityProfile", "securityProfileName": "none", "deleteBehaviors": true}),
        json!({"command": "CreateCustomMetric", "metricName": "battery", "metricType": "string-list"}),
        json!({"command": "UpdateDimension", "name": "none", "stringValues": ["a"]}),
        json!({"command": "CancelDetectMitigationActionsTask", "taskId": "none"}),
        json!({"command": "DeleteSecurityProfile", "securityProfileName": "noisy", "expectedVersion": 7, "confirm": ACCOUNT}),
    ] {
        let mut event = event;
        event["dryRun"] = true.into();
        told.push(fixture.setup.fails(event).await);
    }
    insta::assert_snapshot!(told.join("\n\n"));
}
