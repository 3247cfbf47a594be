//! What is said and asked of a profile before it is changed: its behaviors, its version, its models, its targets.

use fleetwarden_aws::testing::Answer;
use serde_json::Value;
use serde_json::json;

use crate::house::ACCOUNT;
use crate::house::GROUP;
use crate::house::House;
use crate::house::house;
use crate::house::messages;
use crate::house::model;

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

async fn version(house: &House, name: &str) -> Value {
    let describe = json!({"command": "DescribeSecurityProfile", "securityProfileName": name});
    let version = house.ok(describe).await["version"].take();
    house.calls();
    version
}

#[tokio::test(start_paused = true)]
async fn behaviors_are_judged_before_the_call() {
    let house = house();
    let behaviors = json!([
        messages("good", 50),
        {"name": "port", "metric": "aws:listening-tcp-ports", "criteria": {"comparisonOperator": "less-than", "value": {"count": 1}}},
        {"name": "battery", "metric": "battery", "criteria": {"comparisonOperator": "less-than", "value": {"number": 1}}},
        messages("good", 60),
    ]);
    let create =
        json!({"command": "CreateSecurityProfile", "securityProfileName": "p", "behaviors": behaviors});
    let mut told = vec![house.fails(create).await];
    assert_eq!(house.calls(), "GET /custom-metric/battery");
    let metric = json!({"command": "CreateCustomMetric", "metricName": "battery", "metricType": "number"});
    house.ok(metric).await;
    let mut narrowed = messages("narrow", 50);
    narrowed["metricDimension"] = json!({"dimensionName": "none"});
    house.profile("p", &json!([messages("b", 50)])).await;
    told.push(house.fails(update("p", json!({"behaviors": [narrowed]}))).await);
    assert_eq!(version(&house, "p").await, 1);
    insta::assert_snapshot!(told.join("\n\n"));
    // The service's own check tells of them, too, and is an answer.
    let validate = json!({"command": "ValidateSecurityProfileBehaviors", "behaviors": behaviors});
    let answer = house.ok(validate).await;
    assert_eq!(answer["valid"], false);
    let notes = answer["notes"].as_array().unwrap();
    assert!(
        notes.iter().any(|note| note.as_str().unwrap().starts_with("$.behaviors[3].name: ")),
        "{notes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_names_the_version_that_it_is_of() {
    let house = house();
    house.profile("p", &json!([messages("b", 50)])).await;
    let answer = house.ok(update("p", json!({"securityProfileDescription": "one"}))).await;
    assert_eq!((&answer["version"], &answer["securityProfileDescription"]), (&json!(2), &json!("one")));
    assert_eq!(house.calls(), "GET /security-profiles/p\nPATCH /security-profiles/p?expectedVersion=1");
    // Somebody else was faster than the one who names a version.
    let old = update("p", json!({"securityProfileDescription": "two", "expectedVersion": 1}));
    let error = house.fails(old.clone()).await;
    assert!(error.starts_with("VersionConflictException\nUpdateSecurityProfile: "), "{error}");
    let mut dry = old;
    dry["dryRun"] = true.into();
    assert_eq!(
        house.fails(dry).await,
        "VersionConflictException\nUpdateSecurityProfile: it is version 2, not 1"
    );
    // What an earlier try of this very update has done is done.
    let repeat = update("p", json!({"securityProfileDescription": "one", "expectedVersion": 1}));
    assert_eq!(house.ok(repeat).await["version"], 2);
    assert_eq!(version(&house, "p").await, 2);
    house.calls();
    house.ok(delete("p")).await;
    assert_eq!(house.calls(), "GET /security-profiles/p\nDELETE /security-profiles/p?expectedVersion=2");
    house.ok(delete("p")).await;
    assert!(
        house
            .fails(update("p", json!({"deleteBehaviors": true})))
            .await
            .starts_with("ResourceNotFoundException\n")
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_whose_answer_is_lost_is_done_once() {
    for (kind, tries) in [("lost-answer", 1), ("done-but-failed", 1), ("reset", 2)] {
        let house = house();
        house.profile("p", &json!([messages("b", 50)])).await;
        house.order("UpdateSecurityProfile", kind, 1, 0);
        let answer = house.ok(update("p", json!({"behaviors": [messages("b", 60)]}))).await;
        assert_eq!(answer["version"], 2, "{kind}");
        assert_eq!(house.calls().matches("PATCH").count(), tries, "{kind}");
        assert_eq!(version(&house, "p").await, 2, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_loses_a_model_has_to_be_confirmed() {
    let house = house();
    house.profile("p", &json!([model("a"), model("b"), messages("c", 50)])).await;
    house.attach("p", ALL).await;
    house.pass(86_400 * 2);
    let mut other = model("a");
    other["criteria"]["mlDetectionConfig"]["confidenceLevel"] = "LOW".into();
    other["criteria"]["consecutiveDatapointsToAlarm"] = 3.into();
    // Another confidence and other counts go on with the model.
    house.ok(update("p", json!({"behaviors": [other.clone(), model("b")]}))).await;
    house.calls();
    let mut told = Vec::new();
    for lossy in [
        update("p", json!({"behaviors": [other]})),
        update("p", json!({"deleteBehaviors": true})),
        delete("p"),
    ] {
        told.push(house.fails(lossy.clone()).await);
        let mut dry = lossy.clone();
        dry["dryRun"] = true.into();
        assert!(house.ok(dry).await["confirmationRequired"].is_string());
        assert!(!house.calls().contains("PATCH") && !house.calls().contains("DELETE"));
    }
    insta::assert_snapshot!(told.join("\n\n"));
    assert_eq!(version(&house, "p").await, 2);
    let mut confirmed = delete("p");
    confirmed["confirm"] = ACCOUNT.into();
    house.ok(confirmed).await;
    // A profile without models is deleted without a question.
    house.profile("rules", &json!([messages("c", 50)])).await;
    house.ok(delete("rules")).await;
}

#[tokio::test(start_paused = true)]
async fn a_detached_model_is_told_when_it_is_lost() {
    let house = house();
    house.profile("p", &json!([model("a")])).await;
    house.attach("p", ALL).await;
    house.attach("p", GROUP).await;
    let one = house.ok(target("DetachSecurityProfile", "p", GROUP)).await;
    let last = house.ok(target("DetachSecurityProfile", "p", ALL)).await;
    insta::assert_json_snapshot!([&one, &last]);
    house.profile("rules", &json!([messages("c", 50)])).await;
    house.attach("rules", ALL).await;
    assert_eq!(house.ok(target("DetachSecurityProfile", "rules", ALL)).await, json!({}));
}

#[tokio::test(start_paused = true)]
async fn too_few_devices_for_a_model_are_told_at_once() {
    let house = house();
    house.quarantine_action("quarantine");
    let create =
        json!({"command": "CreateSecurityProfile", "securityProfileName": "p", "behaviors": [model("a")]});
    let created = house.ok(create).await;
    let none = house.ok(target("AttachSecurityProfile", "p", EMPTY)).await;
    *house.instead.lock().unwrap() = Some(|path| {
        let things = || Answer::ok(json!({"things": ["one", "two", "three"]}));
        path.starts_with("/thing-groups/lab/things").then(things)
    });
    let few = house.ok(target("AttachSecurityProfile", "p", GROUP)).await;
    *house.instead.lock().unwrap() = None;
    insta::assert_json_snapshot!([&created["notes"], &none, &few]);
    // With the things of another target there are enough.
    assert_eq!(house.ok(target("AttachSecurityProfile", "p", ALL)).await, json!({}));
    // Nobody can count clients that are not registered; and what cannot be counted is no reason to fail.
    house.profile("q", &json!([model("a")])).await;
    let unregistered = "arn:aws:iot:us-east-1:123456789012:all/unregistered-things";
    assert_eq!(house.ok(target("AttachSecurityProfile", "q", unregistered)).await, json!({}));
    house.profile("r", &json!([model("a")])).await;
    house.order("ListThingsInThingGroup", "internal-failure", 3, 0);
    let unknown = house.ok(target("AttachSecurityProfile", "r", GROUP)).await;
    let note = unknown["notes"][0].as_str().unwrap();
    assert!(note.starts_with("nobody knows whether the devices are enough to train a model: "), "{note}");
}

#[tokio::test(start_paused = true)]
async fn what_a_profile_uses_is_not_deleted() {
    let house = house();
    house.ok(json!({"command": "CreateCustomMetric", "metricName": "battery", "metricType": "number"})).await;
    house
        .ok(json!({"command": "CreateDimension", "name": "admin", "type": "TOPIC_FILTER", "stringValues": ["a"]}))
        .await;
    let mut narrow = messages("narrow", 50);
    narrow["metricDimension"] = json!({"dimensionName": "admin", "operator": "NOT_IN"});
    let low = json!({
        "name": "low", "metric": "battery",
        "criteria": {"comparisonOperator": "greater-than", "value": {"number": 1.5}},
    });
    house.profile("one", &json!([narrow, low])).await;
    house.profile("two", &json!([narrow])).await;
    let metric = json!({"command": "DeleteCustomMetric", "metricName": "battery"});
    let dimension = json!({"command": "DeleteDimension", "name": "admin"});
    let told = [house.fails(metric.clone()).await, house.fails(dimension.clone()).await];
    insta::assert_snapshot!(told.join("\n\n"), @r"
    InvalidInput
    $.metricName: security profiles use the metric: 'one'; take it out of them first

    InvalidInput
    $.name: security profiles use the dimension: 'one', 'two'; take it out of them first
    ");
    assert!(!house.calls().contains("DELETE"));
    house.ok(delete("one")).await;
    house.ok(delete("two")).await;
    for event in [&metric, &metric, &dimension, &dimension] {
        house.ok(event.clone()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_metric_and_a_dimension_are_created_once() {
    let house = house();
    let metric = |kind: &str| json!({"command": "CreateCustomMetric", "metricName": "m", "metricType": kind});
    let made = house.ok(metric("number")).await;
    assert_eq!(house.ok(metric("number")).await, made);
    assert!(house.fails(metric("string-list")).await.starts_with("ResourceAlreadyExistsException\n"));
    let mut own = metric("number");
    own["clientRequestToken"] = "mine".into();
    assert!(house.fails(own).await.starts_with("ResourceAlreadyExistsException\n"));
    // It was deleted since, and is wanted again.
    house.ok(json!({"command": "DeleteCustomMetric", "metricName": "m"})).await;
    house.ok(metric("number")).await;
    let dimension = |value: &str| json!({"command": "CreateDimension", "name": "d", "type": "TOPIC_FILTER", "stringValues": [value]});
    let made = house.ok(dimension("a/#")).await;
    assert_eq!(house.ok(dimension("a/#")).await, made);
    assert!(house.fails(dimension("b/#")).await.starts_with("ResourceAlreadyExistsException\n"));
}
