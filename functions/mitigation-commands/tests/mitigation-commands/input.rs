//! What is refused before any call, and that no input is a panic.

use fleetwarden_aws::mitigations::State;
use fleetwarden_commands::testing::Bad;
use fleetwarden_commands::testing::bad_inputs;
use fleetwarden_commands::testing::put;
use fleetwarden_core::api::MITIGATION;
use fleetwarden_core::model::mitigation::STATES;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use crate::setup::Setup;

#[test]
fn the_states_that_can_be_asked_for_are_those_of_the_ledger() {
    assert_eq!(State::ALL.map(State::as_str), STATES);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_wrong_input_is_told_by_its_path_before_any_call() {
    let setup = Setup::default();
    for operation in &MITIGATION {
        for Bad { path, value, told } in bad_inputs(operation.members, "key") {
            let mut event = json!({"command": operation.name, "taskId": "fw-1", "reason": "a test"});
            if ["MitigationList", "MitigationBudget", "MitigationResume"].contains(&operation.name) {
                event = json!({"command": operation.name});
            }
            if ["MitigationPause", "SuppressionUndo"].contains(&operation.name) {
                event.as_object_mut().unwrap().remove("taskId");
            }
            if operation.name == "MitigationShow" {
                event.as_object_mut().unwrap().remove("reason");
            }
            put(&mut event, &path, value);
            let error = setup.fails(event.clone()).await;
            assert!(error.starts_with("InvalidInput\n") && error.contains(&told), "{event}: {error}");
        }
    }
    assert_eq!(setup.cloud.calls(""), []);
}

#[tokio::test(start_paused = true)]
async fn wrong_input_is_told_with_what_is_allowed() {
    let setup = Setup::default();
    let mut told = Vec::new();
    for event in [
        json!([]),
        json!({}),
        json!({"command": "MitigationsShow"}),
        json!({"command": "MitigationApprove"}),
        json!({"command": "MitigationShow", "dryRun": true, "task": "fw-1"}),
        json!({"command": "MitigationShow", "taskId": "fw-1", "nextToken": "good"}),
        json!({"command": "MitigationShow", "taskId": "fw-1", "nextToken": "fine:f-1"}),
        json!({"command": "MitigationShow", "taskId": "fw-1", "nextToken": "good:../x"}),
        json!({"command": "MitigationList", "state": "fialed", "maxResults": 0}),
        json!({"command": "MitigationList", "startTime": "2026-11-23", "endTime": "2026-11-22"}),
        json!({"command": "MitigationList", "nextToken": "2026-11-23T00:00:00Z/mitigation#../x"}),
        json!({"command": "MitigationList", "startTime": "2026-11-23", "nextToken": "2026-11-22T00:00:00Z/mitigation#fw-1"}),
        json!({"command": "MitigationList", "auditTaskId": "a", "nextToken": "2026-11-22T00:00:00Z/mitigation#fw-1"}),
    ] {
        told.push(setup.fails(event).await);
    }
    assert_eq!(setup.cloud.calls(""), []);
    insta::assert_snapshot!(told.join("\n\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn no_event_and_no_item_is_a_panic(
        command in prop_oneof![Just("MitigationShow"), Just("MitigationList")],
        members in prop::collection::btree_map(
            "(taskId|auditTaskId|state|startTime|endTime|maxResults|nextToken|all|\\PC{0,5})",
            prop_oneof![
                Just(json!(null)), any::<bool>().prop_map(Value::from), (-2_i64..300).prop_map(Value::from),
                Just(json!("fw-1")), Just(json!("failed")), "(bad|good|waiting):[a-z0-9-]{0,4}".prop_map(Value::from),
                "2026-11-2[0-9]T00:00:00Z/(mitigation#)?[a-z]{0,3}".prop_map(Value::from), "\\PC{0,8}".prop_map(Value::from),
            ],
            0..5,
        ),
        attributes in prop::collection::btree_map(
            "(task_id|state|audit_task_id|check|actions|target|statistics|profile|violations|findings|decided_at)",
            prop_oneof![
                "\\PC{0,8}", Just("{}".to_owned()), Just("[]".to_owned()), Just("failed".to_owned()),
                Just("2026-11-23T00:00:00Z".to_owned()), Just(r#"{"A":{"wholeCheck":{"reasonCodes":[],"count":1}}}"#.to_owned()),
            ],
            0..8,
        ),
    ) {
        let setup = Setup::default();
        let mut item = json!({"pk": {"S": "mitigation#fw-1"}, "sk": {"S": "task"}});
        item.as_object_mut().unwrap().extend(attributes.into_iter().map(|(name, text)| (name, json!({"S": text}))));
        setup.cloud.put_item(item);
        setup.cloud.put_item(json!({"pk": {"S": "mitigation#fw-1"}, "sk": {"S": "finding#f"}}));
        let mut event: serde_json::Map<String, Value> = members.into_iter().collect();
        event.insert("command".to_owned(), command.into());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async { let _ = setup.invoke_for(60, Value::Object(event)).await; });
    }
}
