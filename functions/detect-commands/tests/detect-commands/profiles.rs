//! What is said and asked of a profile before it is changed: its behaviors, its version, its models, its targets.

use fleetwarden_aws::testing::Answer;
use serde_json::Value;
use serde_json::json;

use crate::setup::ACCOUNT;
use crate::setup::GROUP;
use crate::setup::Setup;
use crate::setup::messages;
use crate::setup::model;
use crate::setup::setup;

const EMPTY: &str = "arn:aws:iot:us-east-1:123456789012:thinggroup/quarantine";
const ALL: &str = "arn:aws:iot:us-east-1:123456789012:all/registered-things";

fn update(name: &str, more: Value) -> Value {
    fleetwarden_commands::testing::merged(
        json!({"command": "UpdateSecurityProfile", "securityProfileName": name}),
        more,
    )
}

fn delete(name: &str) -> Value {
    json!({"command": "DeleteSecurityProfile", "securityProfileName": name})
}

fn target(command: &str, name: &str, arn: &str) -> Value {
    json!({"command": command, "securityProfileName": name, "securityProfileTargetArn": arn})
}

async fn version(setup: &Setup, name: &str) -> Value {
    let describe = json!({"command": "DescribeSecurityProfile", "securityProfileName": name});
    let version = setup.ok(describe).await["version"].take();
    setup.calls();
    version
}

#[tokio::test(start_paused = true)]
async fn behaviors_are_judged_before_the_call() {
    let setup = setup();
    let behaviors = json!([
        messages("good", 50),
        {"name": "port", "metric": "aws:listening-tcp-ports", "criteria": {"comparisonOperator": "less-than", "value": {"count": 1}}},
        {"name": "battery", "metric": "battery", "criteria": {"comparisonOperator": "less-than", "value": {"number": 1}}},
        messages("good", 60),
    ]);
    let create =
        json!({"command": "CreateSecurityProfile", "securityProfileName": "p", "behaviors": behaviors});
    let mut told = vec![setup.fails(create).await];
    assert_eq!(setup.calls(), "GET /custom-metric/battery");
    let metric = json!({"command": "CreateCustomMetric", "metricName": "battery", "metricType": "number"});
    setup.ok(metric).await;
    let mut narrowed = messages("narrow", 50);
    narrowed["metricDimension"] = json!({"dimensionName": "none"});
    setup.profile("p", &json!([messages("b", 50)])).await;
    told.push(setup.fails(update("p", json!({"behaviors": [narrowed]}))).await);
    assert_eq!(version(&setup, "p").await, 1);
    insta::assert_snapshot!(told.join("\n\n"));
    // The service's own check tells of them, too, and is an answer.
    let validate = json!({"command": "ValidateSecurityProfileBehaviors", "behaviors": behaviors});
    let answer = setup.ok(validate).await;
    assert_eq!(answer["valid"], false);
    let notes = answer["notes"].as_array().unwrap();
    assert!(
        notes.iter().any(|note| note.as_str().unwrap().starts_with("$.behaviors[3].name: ")),
        "{notes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_names_the_version_that_it_is_of() {
    let setup = setup();
    setup.profile("p", &json!([messages("b", 50)])).await;
    let answer = setup.ok(update("p", json!({"securityProfileDescription": "one"}))).await;
    assert_eq!((&answer["version"], &answer["securityProfileDescription"]), (&json!(2), &json!("one")));
    assert_eq!(setup.calls(), "GET /security-profiles/p\nPATCH /security-profiles/p?expectedVersion=1");
    // Somebody else was faster than the one who names a version.
    let old = update("p", json!({"securityProfileDescription": "two", "expectedVersion": 1}));
    let error = setup.fails(old.clone()).await;
    assert!(error.starts_with("VersionConflictException\nUpdateSecurityProfile: "), "{error}");
    let mut dry = old;
    dry["dryRun"] = true.into();
    assert_eq!(
        setup.fails(dry).await,
        "VersionConflictException\nUpdateSecurityProfile: it is version 2, not 1"
    );
    // What an earlier try of this very update has done is done.
    let repeat = update("p", json!({"securityProfileDescription": "one", "expectedVersion": 1}));
    assert_eq!(setup.ok(repeat).await["version"], 2);
    assert_eq!(version(&setup, "p").await, 2);
    setup.calls();
    setup.ok(delete("p")).await;
    assert_eq!(setup.calls(), "GET /security-profiles/p\nDELETE /security-profiles/p?expectedVersion=2");
    setup.ok(delete("p")).await;
    assert!(
        setup
            .fails(update("p", json!({"deleteBehaviors": true})))
            .await
            .starts_with("ResourceNotFoundException\n")
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_whose_answer_is_lost_is_done_once() {
    for (kind, tries) in [("lost-answer", 1), ("done-but-failed", 1), ("reset", 2)] {
        let setup = setup();
        setup.profile("p", &json!([messages("b", 50)])).await;
        setup.order("UpdateSecurityProfile", kind, 1, 0);
        let answer = setup.ok(update("p", json!({"behaviors": [messages("b", 60)]}))).await;
        assert_eq!(answer["version"], 2, "{kind}");
        assert_eq!(setup.calls().matches("PATCH").count(), tries, "{kind}");
        assert_eq!(version(&setup, "p").await, 2, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_loses_a_model_has_to_be_confirmed() {
    let setup = setup();
    setup.profile("p", &json!([model("a"), model("b"), messages("c", 50)])).await;
    setup.attach("p", ALL).await;
    setup.pass(86_400 * 2);
    let mut other = model("a");
    other["criteria"]["mlDetectionConfig"]["confidenceLevel"] = "LOW".into();
    other["criteria"]["consecutiveDatapointsToAlarm"] = 3.into();
    // Another confidence and other counts go on with the model.
    setup.ok(update("p", json!({"behaviors": [other.clone(), model("b")]}))).await;
    setup.calls();
    let mut told = Vec::new();
    for lossy in [
        update("p", json!({"behaviors": [other]})),
        update("p", json!({"deleteBehaviors": true})),
        delete("p"),
    ] {
        told.push(setup.fails(lossy.clone()).await);
        let mut dry = lossy.clone();
        dry["dryRun"] = true.into();
        assert!(setup.ok(dry).await["confirmationRequired"].is_string());
        assert!(!setup.calls().contains("PATCH") && !setup.calls().contains("DELETE"));
    }
    insta::assert_snapshot!(told.join("\n\n"));
    assert_eq!(version(&setup, "p").await, 2);
    let mut confirmed = delete("p");
    confirmed["confirm"] = ACCOUNT.into();
    setup.ok(confirmed).await;
    // A profile without models is deleted without a question.
    setup.profile("rules", &json!([messages("c", 50)])).await;
    setup.ok(delete("rules")).await;
}

#[tokio::test(start_paused = true)]
async fn a_detached_model_is_told_when_it_is_lost() {
    let setup = setup();
    setup.profile("p", &json!([model("a")])).await;
    setup.attach("p", ALL).await;
    setup.attach("p", GROUP).await;
    let one = setup.ok(target("DetachSecurityProfile", "p", GROUP)).await;
    let last = setup.ok(target("DetachSecurityProfile", "p", ALL)).await;
    insta::assert_json_snapshot!([&one, &last]);
    setup.profile("rules", &json!([messages("c", 50)])).await;
    setup.attach("rules", ALL).await;
    assert_eq!(setup.ok(target("DetachSecurityProfile", "rules", ALL)).await, json!({}));
}

#[tokio::test(start_paused = true)]
async fn too_few_devices_for_a_model_are_told_at_once() {
    let setup = setup();
    setup.quarantine_action("quarantine");
    let create =
        json!({"command": "CreateSecurityProfile", "securityProfileName": "p", "behaviors": [model("a")]});
    let created = setup.ok(create).await;
    let none = setup.ok(target("AttachSecurityProfile", "p", EMPTY)).await;
    *setup.instead.lock().unwrap() = Some(|path| {
        let things = || Answer::ok(json!({"things": ["one", "two", "three"]}));
        path.starts_with("/thing-groups/lab/things").then(things)
    });
    let few = setup.ok(target("AttachSecurityProfile", "p", GROUP)).await;
    *setup.instead.lock().unwrap() = None;
    insta::assert_json_snapshot!([&created["notes"], &none, &few]);
    // With the things of another target there are enough.
    assert_eq!(setup.ok(target("AttachSecurityProfile", "p", ALL)).await, json!({}));
    // Clients that are not registered cannot be counted, and a count that fails does not fail the command.
    setup.profile("q", &json!([model("a")])).await;
    let unregistered = "arn:aws:iot:us-east-1:123456789012:all/unregistered-things";
    assert_eq!(setup.ok(target("AttachSecurityProfile", "q", unregistered)).await, json!({}));
    setup.profile("r", &json!([model("a")])).await;
    setup.order("ListThingsInThingGroup", "internal-failure", 3, 0);
    let unknown = setup.ok(target("AttachSecurityProfile", "r", GROUP)).await;
    let words = unknown["notes"][0].as_str().unwrap();
    assert!(words.starts_with("it is unknown whether the devices are enough to train a model: "), "{words}");
}

#[tokio::test(start_paused = true)]
async fn what_a_profile_uses_is_not_deleted() {
    let setup = setup();
    setup.ok(json!({"command": "CreateCustomMetric", "metricName": "battery", "metricType": "number"})).await;
    setup
        .ok(json!({"command": "CreateDimension", "name": "admin", "type": "TOPIC_FILTER", "stringValues": ["a"]}))
        .await;
    let mut narrow = messages("narrow", 50);
    narrow["metricDimension"] = json!({"dimensionName": "admin", "operator": "NOT_IN"});
    let low = json!({
        "name": "low", "metric": "battery",
        "criteria": {"comparisonOperator": "greater-than", "value": {"number": 1.5}},
    });
    setup.profile("one", &json!([narrow, low])).await;
    setup.profile("two", &json!([narrow])).await;
    let metric = json!({"command": "DeleteCustomMetric", "metricName": "battery"});
    let dimension = json!({"command": "DeleteDimension", "name": "admin"});
    let told = [setup.fails(metric.clone()).await, setup.fails(dimension.clone()).await];
    insta::assert_snapshot!(told.join("\n\n"), @r"
    InvalidInput
    $.metricName: security profiles use the metric: 'one'; take it out of them first

    InvalidInput
    $.name: security profiles use the dimension: 'one', 'two'; take it out of them first
    ");
    assert!(!setup.calls().contains("DELETE"));
    setup.ok(delete("one")).await;
    setup.ok(delete("two")).await;
    for event in [&metric, &metric, &dimension, &dimension] {
        setup.ok(event.clone()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_metric_and_a_dimension_are_created_once() {
    let setup = setup();
    let metric = |kind: &str| json!({"command": "CreateCustomMetric", "metricName": "m", "metricType": kind});
    let made = setup.ok(metric("number")).await;
    assert_eq!(setup.ok(metric("number")).await, made);
    assert!(setup.fails(metric("string-list")).await.starts_with("ResourceAlreadyExistsException\n"));
    let mut own = metric("number");
    own["clientRequestToken"] = "mine".into();
    assert!(setup.fails(own).await.starts_with("ResourceAlreadyExistsException\n"));
    // It was deleted since, and is wanted again.
    setup.ok(json!({"command": "DeleteCustomMetric", "metricName": "m"})).await;
    setup.ok(metric("number")).await;
    let dimension = |value: &str| json!({"command": "CreateDimension", "name": "d", "type": "TOPIC_FILTER", "stringValues": [value]});
    let made = setup.ok(dimension("a/#")).await;
    assert_eq!(setup.ok(dimension("a/#")).await, made);
    assert!(setup.fails(dimension("b/#")).await.starts_with("ResourceAlreadyExistsException\n"));
}
