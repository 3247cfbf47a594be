//! What an answer costs, what becomes of errors, all pages, and that no input is a panic.

use fleetwarden_commands::testing::errors_keep_their_names;
use fleetwarden_core::api::DETECT;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use crate::operations::Prepared;
use crate::setup::ACCOUNT;
use crate::setup::GROUP;
use crate::setup::messages;
use crate::setup::model;
use crate::setup::setup;

#[tokio::test(start_paused = true)]
async fn a_list_costs_one_call_and_all_of_it_one_a_page() {
    let setup = setup();
    setup.profile("noisy", &json!([messages("always", 0)])).await;
    setup.attach("noisy", GROUP).await;
    setup.pass(900);
    let one = setup.ok(json!({"command": "list-active-violations", "maxResults": 1})).await;
    assert_eq!(setup.calls(), "GET /active-violations?maxResults=1");
    assert_eq!(one["activeViolations"].as_array().unwrap().len(), 1);
    let all = setup.ok(json!({"command": "ListActiveViolations", "all": true})).await;
    let count = all["activeViolations"].as_array().unwrap().len();
    assert_eq!(setup.calls().lines().count(), count.div_ceil(250));
    let few = setup.ok(json!({"command": "ListActiveViolations", "all": true, "maxResults": 2})).await;
    assert_eq!(few["activeViolations"], all["activeViolations"]);
    assert_eq!(setup.calls().lines().count(), count.div_ceil(2));
    // Of some lists a page is smaller.
    let models: Vec<Value> = (0..12).map(|at| model(&format!("m{at}"))).collect();
    setup.profile("trained", &json!(models)).await;
    let all = setup.ok(json!({"command": "GetBehaviorModelTrainingSummaries", "all": true})).await;
    assert_eq!(all["summaries"].as_array().unwrap().len(), 12);
    assert_eq!(setup.calls().matches("maxResults=10").count(), 2);
    for (list, member) in [
        ("ListSecurityProfiles", "securityProfileIdentifiers"),
        ("ListCustomMetrics", "metricNames"),
        ("ListDimensions", "dimensionNames"),
    ] {
        assert!(setup.ok(json!({"command": list, "all": true})).await[member].is_array(), "{list}");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_input_is_told_before_any_call() {
    let setup = setup();
    let mut told = Vec::new();
    for event in [
        json!("ListActiveViolations"),
        json!({}),
        json!({"command": "describe-profile"}),
        json!({"command": "ListAuditFindings"}),
        json!({"command": "AlarmIncident", "incidentId": "a b", "decision": "wait"}),
        json!({"command": "AttachSecurityProfile", "securityProfileName": "p", "tryon": ["t"]}),
    ] {
        told.push(setup.fails(event).await);
    }
    assert_eq!(setup.calls(), "");
    insta::assert_snapshot!(told.join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn the_services_errors_keep_their_names() {
    let setup = setup();
    let describe = json!({"command": "DescribeSecurityProfile", "securityProfileName": "none"});
    let told = setup.fails(describe.clone()).await;
    assert!(told.starts_with("ResourceNotFoundException\nDescribeSecurityProfile: "), "{told}");
    errors_keep_their_names::<Prepared>("ListDimensions").await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_event_is_a_panic(
        at in 0..DETECT.len(),
        values in prop::collection::vec(prop_oneof![
            Just(json!(null)), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from),
            "[a-zA-Z0-9:_-]{1,40}".prop_map(Value::from), Just(json!([messages("b", 5)])), Just(json!({})),
            Just(json!([model("m")])), Just(json!({"violationIds": ["a"]})), Just(json!(["a"])), Just(json!(GROUP)),
        ], 12),
        ours in prop::collection::btree_map("(dryRun|confirm|all|tryOn|tryHours|\\PC{0,5})", prop_oneof![
            any::<bool>().prop_map(Value::from), Just(json!(ACCOUNT)), Just(json!(["t"])), Just(json!(5)),
        ], 0..3),
    ) {
        let operation = &DETECT[at];
        let mut event: serde_json::Map<String, Value> = ours.into_iter().collect();
        event.extend(operation.members.iter().map(|member| member.name.to_owned()).zip(values));
        event.insert("command".to_owned(), operation.name.into());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let _ = setup().invoke(Value::Object(event)).await;
        });
    }
}
