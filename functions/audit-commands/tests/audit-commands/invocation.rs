//! What an answer costs, what becomes of errors, and that no input is a panic.

use fleetwarden_commands::testing::errors_keep_their_names;
use fleetwarden_core::api::AUDIT;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use crate::operations::Prepared;
use crate::setup::ACCOUNT;
use crate::setup::LOGGING;
use crate::setup::SHARED;
use crate::setup::setup;

#[tokio::test(start_paused = true)]
async fn an_answer_is_the_services_to_the_byte_and_costs_one_call() {
    let setup = setup();
    let task = setup.audit(&[SHARED]).await;
    let event = json!({"command": "list-audit-findings", "taskId": task, "maxResults": 3});
    let mut context = lambda_runtime::Context::default();
    context.deadline = u64::try_from(setup.function.service.clock.now().plus_seconds(60).0).unwrap();
    let answer = setup.function.handle(event, &context).await.unwrap();
    let body = json!({"taskId": task, "maxResults": 3}).to_string();
    let request = device_defender::Request {
        method: "POST",
        path: "/audit/findings",
        query: "",
        authorization: Some(
            "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/iot/aws4_request, SignedHeaders=h, Signature=0",
        ),
        body: body.as_bytes(),
    };
    assert_eq!(answer.get(), setup.endpoint.answer(&request).body);
    assert_eq!(setup.calls(), "POST /audit/findings");
}

#[tokio::test(start_paused = true)]
async fn wrong_input_is_told_before_any_call() {
    let setup = setup();
    let many: Vec<String> = (0..60).map(|n| format!("CHECK_{n}")).collect();
    let mut told = Vec::new();
    for event in [
        json!("ListAuditFindings"),
        json!({}),
        json!({"command": 7}),
        json!({"command": "describe-finding"}),
        json!({"command": "ListAuditTasks", "dryRun": true, "confirm": 1, "all": "yes", "maxresults": 2}),
        json!({"command": "DescribeAuditTask", "taskId": "t", "all": true}),
        json!({"command": "StartOnDemandAuditTask", "targetCheckNames": ["LOGGING_CHECK"], "clientRequestToken": "a b"}),
        json!({"command": "DescribeAuditFinding", "findingId": "../x"}),
    ] {
        told.push(setup.fails(event).await);
    }
    let long = setup.fails(json!({"command": "StartOnDemandAuditTask", "targetCheckNames": many})).await;
    assert_eq!((long.lines().count(), long.lines().last()), (52, Some("and 10 more")));
    assert_eq!(setup.calls(), "");
    insta::assert_snapshot!(told.join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn the_services_errors_keep_their_names() {
    let setup = setup();
    let describe = || json!({"command": "DescribeAuditTask", "taskId": "none"});
    assert_eq!(
        setup.fails(describe()).await,
        "ResourceNotFoundException\nDescribeAuditTask: Audit task none does not exist"
    );
    let unknown = json!({"command": "ListAuditSuppressions", "nextToken": "stale"});
    assert!(setup.fails(unknown).await.starts_with("InvalidRequestException\nListAuditSuppressions: "));
    errors_keep_their_names::<Prepared>("DescribeAccountAuditConfiguration").await;
}

#[tokio::test(start_paused = true)]
async fn its_time_being_over_has_a_name() {
    let setup = setup();
    let mut context = lambda_runtime::Context::default();
    context.deadline = u64::try_from(setup.function.service.clock.now().plus_seconds(3).0).unwrap();
    setup.order("DescribeAccountAuditConfiguration", "reset", 9, 0);
    let event = json!({"command": "DescribeAccountAuditConfiguration"});
    let failure = setup.function.handle(event, &context).await.err().unwrap();
    assert_eq!(failure.name(), "OutOfTime");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_event_is_a_panic(
        at in 0..AUDIT.len(),
        values in prop::collection::vec(prop_oneof![
            Just(json!(null)), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from),
            "[a-zA-Z0-9_-]{1,40}".prop_map(Value::from), Just(json!([LOGGING])), Just(json!({})), Just(json!(LOGGING)),
            Just(json!({LOGGING: {"enabled": false}})), Just(json!({"findingIds": ["a"]})), Just(json!({"clientId": "c"})),
        ], 10),
        ours in prop::collection::btree_map("(dryRun|confirm|all|\\PC{0,5})", prop_oneof![
            any::<bool>().prop_map(Value::from), Just(json!(ACCOUNT)),
        ], 0..3),
    ) {
        let operation = &AUDIT[at];
        let mut event: serde_json::Map<String, Value> = ours.into_iter().collect();
        event.extend(operation.members.iter().map(|member| member.name.to_owned()).zip(values));
        event.insert("command".to_owned(), operation.name.into());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let _ = setup().invoke(Value::Object(event)).await;
        });
    }
}
