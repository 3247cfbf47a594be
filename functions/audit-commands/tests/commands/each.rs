//! Every command once with good input; what becomes of errors; and that no input is a panic.

use fleetwarden_core::api::AUDIT;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use crate::house::ACCOUNT;
use crate::house::LOGGING;
use crate::house::ROLE;
use crate::house::SHARED;
use crate::house::house;

fn with(command: &str, members: Value) -> Value {
    let Value::Object(mut members) = members else { panic!("{members}") };
    members.insert("command".to_owned(), command.into());
    Value::Object(members)
}

#[tokio::test(start_paused = true)]
async fn every_command_does_what_its_operation_does() {
    let house = house();
    let mut used = Vec::new();
    let mut call = async |command: &'static str, members: Value| {
        used.push(command);
        house.ok(with(command, members)).await
    };
    let checks = json!({LOGGING: {"enabled": true}, SHARED: {"enabled": true}});
    let configured = json!({"roleArn": ROLE, "auditCheckConfigurations": checks});
    assert_eq!(call("UpdateAccountAuditConfiguration", configured).await, json!({}));
    let described = call("DescribeAccountAuditConfiguration", json!({})).await;
    assert_eq!(described["auditCheckConfigurations"][LOGGING], json!({"enabled": true}));

    let named = || json!({"scheduledAuditName": "nightly"});
    let schedule = json!({
        "scheduledAuditName": "nightly", "frequency": "WEEKLY", "dayOfWeek": "MON", "targetCheckNames": [LOGGING],
        "tags": [{"Key": "team", "Value": "fleet"}],
    });
    let made = call("CreateScheduledAudit", schedule).await;
    assert!(made["scheduledAuditArn"].as_str().unwrap().ends_with("scheduledaudit/nightly"), "{made}");
    call("UpdateScheduledAudit", json!({"scheduledAuditName": "nightly", "dayOfWeek": "SUN"})).await;
    assert_eq!(call("DescribeScheduledAudit", named()).await["dayOfWeek"], "SUN");
    assert_eq!(call("ListScheduledAudits", json!({})).await["scheduledAudits"][0]["frequency"], "WEEKLY");
    assert_eq!(call("DeleteScheduledAudit", named()).await, json!({}));

    let started = call("StartOnDemandAuditTask", json!({"targetCheckNames": [LOGGING, SHARED]})).await;
    let task = || json!({"taskId": started["taskId"]});
    house.pass(2);
    let audit = call("DescribeAuditTask", task()).await;
    assert_eq!(audit["taskStatus"], "COMPLETED");
    let period = || json!({"startTime": "2026-11-01T00:00:00Z", "endTime": 1_796_000_000.5});
    assert_eq!(call("ListAuditTasks", period()).await["tasks"][0]["taskId"], started["taskId"]);
    let of_check = json!({"taskId": started["taskId"], "checkName": SHARED, "maxResults": 2});
    let findings = call("ListAuditFindings", of_check).await;
    assert_eq!(findings["findings"].as_array().unwrap().len(), 2);
    let id = &findings["findings"][0]["findingId"];
    let finding = call("DescribeAuditFinding", json!({"findingId": id})).await;
    assert_eq!(finding["finding"], findings["findings"][0]);
    let related = call("ListRelatedResourcesForAuditFinding", json!({"findingId": id})).await;
    assert!(related["relatedResources"].is_array());

    let resource = &finding["finding"]["nonCompliantResource"]["resourceIdentifier"];
    let key = || json!({"checkName": SHARED, "resourceIdentifier": resource});
    let mut suppression = key();
    suppression["expirationDate"] = "2026-12-24T00:00:00Z".into();
    assert_eq!(call("CreateAuditSuppression", suppression).await, json!({}));
    let mut changed = key();
    changed["description"] = "looked at".into();
    assert_eq!(call("UpdateAuditSuppression", changed).await, json!({}));
    assert_eq!(call("DescribeAuditSuppression", key()).await["description"], "looked at");
    assert_eq!(call("ListAuditSuppressions", json!({})).await["suppressions"].as_array().unwrap().len(), 1);
    assert_eq!(call("DeleteAuditSuppression", key()).await, json!({}));

    let params = json!({"updateDeviceCertificateParams": {"action": "DEACTIVATE"}});
    let action = json!({"actionName": "off", "roleArn": ROLE, "actionParams": params});
    assert!(call("CreateMitigationAction", action).await["actionId"].is_string());
    let other = ROLE.replace("AuditRole", "Other");
    call("UpdateMitigationAction", json!({"actionName": "off", "roleArn": other})).await;
    assert_eq!(call("DescribeMitigationAction", json!({"actionName": "off"})).await["roleArn"], other);
    let listed = call("ListMitigationActions", json!({"actionType": "UPDATE_DEVICE_CERTIFICATE"})).await;
    assert_eq!(listed["actionIdentifiers"][0]["actionName"], "off");
    let mitigate = json!({
        "taskId": "by-hand", "target": {"findingIds": [id]}, "auditCheckToActionsMapping": {SHARED: ["off"]},
    });
    assert_eq!(call("StartAuditMitigationActionsTask", mitigate).await, json!({"taskId": "by-hand"}));
    let by_hand = || json!({"taskId": "by-hand"});
    let described = call("DescribeAuditMitigationActionsTask", by_hand()).await;
    assert_eq!(described["taskStatus"], "IN_PROGRESS");
    let tasks = call("ListAuditMitigationActionsTasks", period()).await;
    assert_eq!(tasks["tasks"][0]["taskId"], "by-hand");
    let of_finding = json!({"taskId": "by-hand", "findingId": id});
    let executions = call("ListAuditMitigationActionsExecutions", of_finding).await;
    assert_eq!(executions["actionsExecutions"][0]["actionName"], "off");
    assert_eq!(call("CancelAuditMitigationActionsTask", by_hand()).await, json!({}));
    assert_eq!(call("DeleteMitigationAction", json!({"actionName": "off"})).await, json!({}));

    let mut again = json!({"targetCheckNames": [LOGGING]});
    again["clientRequestToken"] = "another".into();
    let second = call("StartOnDemandAuditTask", again).await;
    assert_eq!(call("CancelAuditTask", json!({"taskId": second["taskId"]})).await, json!({}));
    assert_eq!(call("DeleteAccountAuditConfiguration", json!({"confirm": ACCOUNT})).await, json!({}));
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), AUDIT.len(), "each of the operations");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_the_services_to_the_byte_and_costs_one_call() {
    let house = house();
    let task = house.audit(&[SHARED]).await;
    let event = json!({"command": "list-audit-findings", "taskId": task, "maxResults": 3});
    let mut context = lambda_runtime::Context::default();
    context.deadline = u64::try_from(house.function.clock.now().plus_seconds(60).0).unwrap();
    let answer = house.function.handle(event, &context).await.unwrap();
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
    assert_eq!(answer.get(), house.endpoint.answer(&request).body);
    assert_eq!(house.calls(), "POST /audit/findings");
}

#[tokio::test(start_paused = true)]
async fn wrong_input_is_told_before_any_call() {
    let house = house();
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
        told.push(house.fails(event).await);
    }
    let long = house.fails(json!({"command": "StartOnDemandAuditTask", "targetCheckNames": many})).await;
    assert_eq!((long.lines().count(), long.lines().last()), (52, Some("and 10 more")));
    assert_eq!(house.calls(), "");
    insta::assert_snapshot!(told.join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn the_services_errors_keep_their_names() {
    let house = house();
    let describe = || json!({"command": "DescribeAuditTask", "taskId": "none"});
    assert_eq!(
        house.fails(describe()).await,
        "ResourceNotFoundException\nDescribeAuditTask: Audit task none does not exist"
    );
    let unknown = json!({"command": "ListAuditSuppressions", "nextToken": "stale"});
    assert!(house.fails(unknown).await.starts_with("InvalidRequestException\nListAuditSuppressions: "));
    for (kind, name) in [
        ("throttle", "ThrottlingException"),
        ("internal-failure", "InternalFailureException"),
        ("reset", "TimeoutError"),
    ] {
        house.calls();
        house.order("DescribeAccountAuditConfiguration", kind, 3, 0);
        let error = house.fails(json!({"command": "DescribeAccountAuditConfiguration"})).await;
        assert!(error.starts_with(&format!("{name}\n")), "{kind}: {error}");
        assert_eq!(house.calls().lines().count(), 3, "{kind}");
        // Twice is got over.
        house.order("DescribeAccountAuditConfiguration", kind, 2, 0);
        house.ok(json!({"command": "DescribeAccountAuditConfiguration"})).await;
    }
    house.order("DescribeAccountAuditConfiguration", "broken-json", 1, 0);
    let error = house.fails(json!({"command": "DescribeAccountAuditConfiguration"})).await;
    assert!(error.starts_with("UnreadableAnswer\n"), "{error}");
    house.order("DescribeAccountAuditConfiguration", "unknown-members", 1, 0);
    let answer = house.ok(json!({"command": "DescribeAccountAuditConfiguration"})).await;
    assert!(answer["somethingNew"].is_object(), "what nobody knows yet is given back too");
}

#[tokio::test(start_paused = true)]
async fn its_time_being_over_has_a_name() {
    let house = house();
    let mut context = lambda_runtime::Context::default();
    context.deadline = u64::try_from(house.function.clock.now().plus_seconds(3).0).unwrap();
    house.order("DescribeAccountAuditConfiguration", "reset", 9, 0);
    let event = json!({"command": "DescribeAccountAuditConfiguration"});
    let failure = house.function.handle(event, &context).await.err().unwrap();
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
            let _ = house().invoke(Value::Object(event)).await;
        });
    }
}
