//! Commands that come twice, overlap, or lose their answer, and what they leave behind.

use fleetwarden_aws::testing::Answer;
use serde_json::Value;
use serde_json::json;

use crate::house::House;
use crate::house::LOGGING;
use crate::house::POLICY;
use crate::house::ROLE;
use crate::house::SHARED;
use crate::house::house;

fn start(token: Option<&str>, checks: &[&str]) -> Value {
    json!({"command": "StartOnDemandAuditTask", "targetCheckNames": checks, "clientRequestToken": token})
}

async fn ready() -> House {
    let house = house();
    house.enable(&[LOGGING, SHARED]).await;
    house
}

#[tokio::test(start_paused = true)]
async fn an_audit_is_started_once_for_a_token() {
    let house = ready().await;
    let first = house.ok(start(Some("t-1"), &[LOGGING, SHARED])).await;
    assert_eq!(house.ok(start(Some("t-1"), &[SHARED, LOGGING])).await, first);
    assert_eq!(house.audits(), 1);
    assert_eq!(
        house.fails(start(Some("t-1"), &[LOGGING])).await,
        "TokenReused\nclientRequestToken: 't-1' was used for an audit of other checks"
    );
    let second = house.ok(start(Some("t-2"), &[LOGGING, SHARED])).await;
    assert_ne!(second, first);
    // Without a token it is the request that counts: Lambda's own retries have its id.
    let by_request = house.invoke_as("r-1", start(None, &[LOGGING])).await.unwrap();
    assert_eq!(house.invoke_as("r-1", start(None, &[LOGGING])).await.unwrap(), by_request);
    assert_ne!(house.invoke_as("r-2", start(None, &[LOGGING])).await.unwrap(), by_request);
    assert_eq!(house.audits(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_is_lost_starts_the_audit_all_the_same() {
    for answer in [Answer::broken(), Answer::Reset] {
        let house = ready().await;
        house.cloud.lose("PutItem", answer);
        let started = house.ok(start(Some("t"), &[LOGGING])).await;
        assert_eq!(house.ok(start(Some("t"), &[LOGGING])).await, started);
        assert_eq!(house.audits(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_audit_whose_answer_is_lost_is_found_again() {
    for kind in ["lost-answer", "done-but-failed", "broken-json", "nulls"] {
        let house = ready().await;
        // Another's audits of other checks, before and after.
        house.ok(start(Some("before"), &[SHARED])).await;
        house.pass(10);
        house.order("StartOnDemandAuditTask", kind, 1, 0);
        let lost = house.invoke(start(Some("t"), &[LOGGING])).await;
        assert_eq!(lost.is_ok(), kind == "nulls", "{kind}");
        assert_eq!(house.audits(), 2, "{kind}: it is not sent again by itself");
        house.ok(start(Some("after"), &[SHARED])).await;
        house.pass(61);
        let found = house.ok(start(Some("t"), &[LOGGING])).await;
        assert_eq!(house.audits(), 3, "{kind}");
        let task = house.ok(json!({"command": "DescribeAuditTask", "taskId": found["taskId"]})).await;
        assert!(task["auditDetails"].get(LOGGING).is_some());
        house.calls();
        assert_eq!(house.ok(start(Some("t"), &[LOGGING])).await, found);
        assert_eq!(house.calls(), "GET /audit/configuration", "now it is written down");
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_of_the_first_try_stays_in_doubt_until_somebody_knows() {
    let house = ready().await;
    house.order("StartOnDemandAuditTask", "done-but-failed", 1, 0);
    house.fails(start(Some("t"), &[LOGGING])).await;
    // The list does not have it yet, and the second try starts nothing for certain.
    house.order("ListAuditTasks", "nulls", 1, 0);
    house.order("StartOnDemandAuditTask", "throttle", 3, 0);
    assert!(house.fails(start(Some("t"), &[LOGGING])).await.starts_with("ThrottlingException\n"));
    house.ok(start(Some("t"), &[LOGGING])).await;
    assert_eq!(house.audits(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_audit_that_was_not_started_is_started_by_the_repeat() {
    let house = ready().await;
    house.order("StartOnDemandAuditTask", "throttle", 3, 0);
    assert!(house.fails(start(Some("t"), &[LOGGING])).await.starts_with("ThrottlingException\n"));
    house.calls();
    house.ok(start(Some("t"), &[LOGGING])).await;
    assert_eq!(house.calls(), "GET /audit/configuration\nPOST /audit/tasks", "nothing has to be looked for");
    house.order("StartOnDemandAuditTask", "internal-failure", 1, 0);
    assert!(house.fails(start(Some("u"), &[SHARED])).await.starts_with("InternalFailureException\n"));
    // After a year nobody can tell any more what became of the first try.
    house.pass(365 * 86_400);
    house.ok(start(Some("u"), &[SHARED])).await;
    let listed = house.calls();
    assert!(listed.contains("GET /audit/tasks?startTime=2027-08-26"), "{listed}");
}

#[tokio::test(start_paused = true)]
async fn overlapping_repeats_start_one_audit() {
    let house = ready().await;
    let (one, other) =
        tokio::join!(house.invoke(start(Some("t"), &[LOGGING])), house.invoke(start(Some("t"), &[LOGGING])));
    let names: Vec<String> = [one, other]
        .into_iter()
        .map(|outcome| outcome.map_or_else(|f| f.name().to_owned(), |_| "ok".to_owned()))
        .collect();
    assert!(names.contains(&"ok".to_owned()), "{names:?}");
    assert_eq!(house.audits(), 1, "{names:?}");
    // Somebody died holding the claim: it is free when its time is over.
    let item = house.cloud.item("on-demand-audit#t", "claim").unwrap();
    let later = house.function.service.clock.now().plus_seconds(30);
    house.cloud.put_item(json!({
        "pk": {"S": "on-demand-audit#d"}, "sk": {"S": "claim"}, "state": {"S": "running"},
        "checks": {"S": item["checks"]}, "claimed_at": {"N": house.function.service.clock.now().0.to_string()},
        "lease_until": {"N": later.0.to_string()},
    }));
    house.pass(5);
    assert_eq!(
        house.fails(start(Some("d"), &[LOGGING])).await,
        "RequestInProgress\nthe request 'd' is being worked on; ask again in a minute"
    );
    house.pass(26);
    house.ok(start(Some("d"), &[LOGGING])).await;
}

fn suppress(more: &Value) -> Value {
    let mut event = json!({
        "command": "CreateAuditSuppression", "checkName": "CONFLICTING_CLIENT_IDS_CHECK",
        "resourceIdentifier": {"clientId": "c"}, "suppressIndefinitely": true,
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

#[tokio::test(start_paused = true)]
async fn a_suppression_is_created_once() {
    let house = house();
    for _ in 0..2 {
        assert_eq!(house.ok(suppress(&json!({}))).await, json!({}));
    }
    let other = house.fails(suppress(&json!({"description": "other"}))).await;
    assert!(other.starts_with("ResourceAlreadyExistsException\nCreateAuditSuppression: "), "{other}");
    // Who brings a token hears what the service says of it.
    let own = house.fails(suppress(&json!({"clientRequestToken": "mine"}))).await;
    assert!(own.starts_with("ResourceAlreadyExistsException\n"), "{own}");
    let delete = json!({
        "command": "DeleteAuditSuppression", "checkName": "CONFLICTING_CLIENT_IDS_CHECK",
        "resourceIdentifier": {"clientId": "c"},
    });
    house.ok(delete.clone()).await;
    house.ok(suppress(&json!({}))).await;
    house.ok(delete).await;
    house.order("CreateAuditSuppression", "lost-answer", 1, 0);
    assert_eq!(house.ok(suppress(&json!({}))).await, json!({}), "the repeat finds what the first try made");
}

#[tokio::test(start_paused = true)]
async fn a_mitigation_is_started_once() {
    let house = house();
    let task = house.audit(&[LOGGING, POLICY]).await;
    let params = json!({"publishFindingToSnsParams": {"topicArn": "arn:aws:sns:us-east-1:123456789012:t"}});
    house.ok(json!({"command": "CreateMitigationAction", "actionName": "tell", "roleArn": ROLE, "actionParams": params})).await;
    let mitigate = |check: &str| {
        json!({
            "command": "StartAuditMitigationActionsTask", "taskId": "m", "target": {"auditTaskId": task},
            "auditCheckToActionsMapping": {check: ["tell"]},
        })
    };
    house.order("StartAuditMitigationActionsTask", "lost-answer", 1, 0);
    for _ in 0..2 {
        assert_eq!(house.ok(mitigate(LOGGING)).await, json!({"taskId": "m"}));
    }
    assert!(house.fails(mitigate(POLICY)).await.starts_with("TaskAlreadyExistsException\n"));
    let mut own = mitigate(LOGGING);
    own["clientRequestToken"] = "mine".into();
    assert!(house.fails(own).await.starts_with("TaskAlreadyExistsException\n"));
}

#[tokio::test(start_paused = true)]
async fn each_try_of_a_change_is_looked_up_before_the_next() {
    let house = house();
    house.enable(&[LOGGING]).await;
    // Nothing comes of the first try, and no answer of the second.
    house.order("CreateScheduledAudit", "reset", 1, 0);
    house.order("CreateScheduledAudit", "lost-answer", 1, 0);
    let event = json!({
        "command": "CreateScheduledAudit", "scheduledAuditName": "s", "frequency": "DAILY",
        "targetCheckNames": [LOGGING],
    });
    let made = house.ok(event).await;
    assert!(made["scheduledAuditArn"].is_string(), "{made}");
    assert_eq!(house.calls().matches("POST").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_cannot_be_looked_up_fails_by_its_own_name() {
    let house = house();
    house.enable(&[LOGGING]).await;
    house.order("CreateScheduledAudit", "done-but-failed", 1, 0);
    house.order("DescribeScheduledAudit", "throttle", 9, 0);
    let event = json!({
        "command": "CreateScheduledAudit", "scheduledAuditName": "s", "frequency": "DAILY",
        "targetCheckNames": [LOGGING],
    });
    // Who is told of a throttle takes it that nothing was done.
    let told = house.fails(event).await;
    assert!(told.starts_with("InternalFailureException\n"), "{told}");
}
