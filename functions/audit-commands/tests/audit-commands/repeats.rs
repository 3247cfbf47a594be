//! Commands that come twice, overlap, or lose their answer, and what they leave behind.

use fleetwarden_aws::testing::Answer;
use serde_json::Value;
use serde_json::json;

use crate::setup::LOGGING;
use crate::setup::POLICY;
use crate::setup::ROLE;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::setup;

fn start(token: Option<&str>, checks: &[&str]) -> Value {
    json!({"command": "StartOnDemandAuditTask", "targetCheckNames": checks, "clientRequestToken": token})
}

async fn ready() -> Setup {
    let setup = setup();
    setup.enable(&[LOGGING, SHARED]).await;
    setup
}

#[tokio::test(start_paused = true)]
async fn an_audit_is_started_once_for_a_token() {
    let setup = ready().await;
    let first = setup.ok(start(Some("t-1"), &[LOGGING, SHARED])).await;
    assert_eq!(setup.ok(start(Some("t-1"), &[SHARED, LOGGING])).await, first);
    assert_eq!(setup.audits(), 1);
    assert_eq!(
        setup.fails(start(Some("t-1"), &[LOGGING])).await,
        "TokenReused\nclientRequestToken: 't-1' was used for an audit of other checks"
    );
    let second = setup.ok(start(Some("t-2"), &[LOGGING, SHARED])).await;
    assert_ne!(second, first);
    // Without a token it is the request that counts: Lambda's own retries have its id.
    let by_request = setup.invoke_as("r-1", start(None, &[LOGGING])).await.unwrap();
    assert_eq!(setup.invoke_as("r-1", start(None, &[LOGGING])).await.unwrap(), by_request);
    assert_ne!(setup.invoke_as("r-2", start(None, &[LOGGING])).await.unwrap(), by_request);
    assert_eq!(setup.audits(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_is_lost_starts_the_audit_all_the_same() {
    for answer in [Answer::broken(), Answer::Reset] {
        let setup = ready().await;
        setup.cloud.lose("PutItem", answer);
        let started = setup.ok(start(Some("t"), &[LOGGING])).await;
        assert_eq!(setup.ok(start(Some("t"), &[LOGGING])).await, started);
        assert_eq!(setup.audits(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_audit_whose_answer_is_lost_is_found_again() {
    for kind in ["lost-answer", "done-but-failed", "broken-json", "nulls"] {
        let setup = ready().await;
        // Another's audits of other checks, before and after.
        setup.ok(start(Some("before"), &[SHARED])).await;
        setup.pass(10);
        setup.order("StartOnDemandAuditTask", kind, 1, 0);
        let lost = setup.invoke(start(Some("t"), &[LOGGING])).await;
        assert_eq!(lost.is_ok(), kind == "nulls", "{kind}");
        assert_eq!(setup.audits(), 2, "{kind}: it is not sent again by itself");
        setup.ok(start(Some("after"), &[SHARED])).await;
        setup.pass(61);
        let found = setup.ok(start(Some("t"), &[LOGGING])).await;
        assert_eq!(setup.audits(), 3, "{kind}");
        let task = setup.ok(json!({"command": "DescribeAuditTask", "taskId": found["taskId"]})).await;
        assert!(task["auditDetails"].get(LOGGING).is_some());
        setup.calls();
        assert_eq!(setup.ok(start(Some("t"), &[LOGGING])).await, found);
        assert_eq!(setup.calls(), "GET /audit/configuration", "now it is written down");
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_of_the_first_try_stays_in_doubt_until_somebody_knows() {
    let setup = ready().await;
    setup.order("StartOnDemandAuditTask", "done-but-failed", 1, 0);
    setup.fails(start(Some("t"), &[LOGGING])).await;
    // The list does not have it yet, and the second try starts nothing for certain.
    setup.order("ListAuditTasks", "nulls", 1, 0);
    setup.order("StartOnDemandAuditTask", "throttle", 3, 0);
    assert!(setup.fails(start(Some("t"), &[LOGGING])).await.starts_with("ThrottlingException\n"));
    setup.ok(start(Some("t"), &[LOGGING])).await;
    assert_eq!(setup.audits(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_audit_that_was_not_started_is_started_by_the_repeat() {
    let setup = ready().await;
    setup.order("StartOnDemandAuditTask", "throttle", 3, 0);
    assert!(setup.fails(start(Some("t"), &[LOGGING])).await.starts_with("ThrottlingException\n"));
    setup.calls();
    setup.ok(start(Some("t"), &[LOGGING])).await;
    assert_eq!(setup.calls(), "GET /audit/configuration\nPOST /audit/tasks", "nothing has to be looked for");
    setup.order("StartOnDemandAuditTask", "internal-failure", 1, 0);
    assert!(setup.fails(start(Some("u"), &[SHARED])).await.starts_with("InternalFailureException\n"));
    // After a year nobody can tell any more what became of the first try.
    setup.pass(365 * 86_400);
    setup.ok(start(Some("u"), &[SHARED])).await;
    let listed = setup.calls();
    assert!(listed.contains("GET /audit/tasks?startTime=2027-08-26"), "{listed}");
}

#[tokio::test(start_paused = true)]
async fn overlapping_repeats_start_one_audit() {
    let setup = ready().await;
    let (one, other) =
        tokio::join!(setup.invoke(start(Some("t"), &[LOGGING])), setup.invoke(start(Some("t"), &[LOGGING])));
    let names: Vec<String> = [one, other]
        .into_iter()
        .map(|outcome| outcome.map_or_else(|f| f.name().to_owned(), |_| "ok".to_owned()))
        .collect();
    assert!(names.contains(&"ok".to_owned()), "{names:?}");
    assert_eq!(setup.audits(), 1, "{names:?}");
    // Somebody died holding the claim: it is free when its time is over.
    let item = setup.cloud.item("on-demand-audit#t", "claim").unwrap();
    let later = setup.function.service.clock.now().plus_seconds(30);
    setup.cloud.put_item(json!({
        "pk": {"S": "on-demand-audit#d"}, "sk": {"S": "claim"}, "state": {"S": "running"},
        "checks": {"S": item["checks"]}, "claimed_at": {"N": setup.function.service.clock.now().0.to_string()},
        "lease_until": {"N": later.0.to_string()},
    }));
    setup.pass(5);
    assert_eq!(
        setup.fails(start(Some("d"), &[LOGGING])).await,
        "RequestInProgress\nthe request 'd' is being worked on; ask again in a minute"
    );
    setup.pass(26);
    setup.ok(start(Some("d"), &[LOGGING])).await;
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
    let setup = setup();
    for _ in 0..2 {
        assert_eq!(setup.ok(suppress(&json!({}))).await, json!({}));
    }
    let other = setup.fails(suppress(&json!({"description": "other"}))).await;
    assert!(other.starts_with("ResourceAlreadyExistsException\nCreateAuditSuppression: "), "{other}");
    // Who brings a token hears what the service says of it.
    let own = setup.fails(suppress(&json!({"clientRequestToken": "mine"}))).await;
    assert!(own.starts_with("ResourceAlreadyExistsException\n"), "{own}");
    let delete = json!({
        "command": "DeleteAuditSuppression", "checkName": "CONFLICTING_CLIENT_IDS_CHECK",
        "resourceIdentifier": {"clientId": "c"},
    });
    setup.ok(delete.clone()).await;
    setup.ok(suppress(&json!({}))).await;
    setup.ok(delete).await;
    setup.order("CreateAuditSuppression", "lost-answer", 1, 0);
    assert_eq!(setup.ok(suppress(&json!({}))).await, json!({}), "the repeat finds what the first try made");
}

#[tokio::test(start_paused = true)]
async fn a_mitigation_is_started_once() {
    let setup = setup();
    let task = setup.audit(&[LOGGING, POLICY]).await;
    let params = json!({"publishFindingToSnsParams": {"topicArn": "arn:aws:sns:us-east-1:123456789012:t"}});
    setup.ok(json!({"command": "CreateMitigationAction", "actionName": "tell", "roleArn": ROLE, "actionParams": params})).await;
    let mitigate = |check: &str| {
        json!({
            "command": "StartAuditMitigationActionsTask", "taskId": "m", "target": {"auditTaskId": task},
            "auditCheckToActionsMapping": {check: ["tell"]},
        })
    };
    setup.order("StartAuditMitigationActionsTask", "lost-answer", 1, 0);
    for _ in 0..2 {
        assert_eq!(setup.ok(mitigate(LOGGING)).await, json!({"taskId": "m"}));
    }
    assert!(setup.fails(mitigate(POLICY)).await.starts_with("TaskAlreadyExistsException\n"));
    let mut own = mitigate(LOGGING);
    own["clientRequestToken"] = "mine".into();
    assert!(setup.fails(own).await.starts_with("TaskAlreadyExistsException\n"));
}

#[tokio::test(start_paused = true)]
async fn each_try_of_a_change_is_looked_up_before_the_next() {
    let setup = setup();
    setup.enable(&[LOGGING]).await;
    // Nothing comes of the first try, and no answer of the second.
    setup.order("CreateScheduledAudit", "reset", 1, 0);
    setup.order("CreateScheduledAudit", "lost-answer", 1, 0);
    let event = json!({
        "command": "CreateScheduledAudit", "scheduledAuditName": "s", "frequency": "DAILY",
        "targetCheckNames": [LOGGING],
    });
    let made = setup.ok(event).await;
    assert!(made["scheduledAuditArn"].is_string(), "{made}");
    assert_eq!(setup.calls().matches("POST").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_cannot_be_looked_up_fails_by_its_own_name() {
    let setup = setup();
    setup.enable(&[LOGGING]).await;
    setup.order("CreateScheduledAudit", "done-but-failed", 1, 0);
    setup.order("DescribeScheduledAudit", "throttle", 9, 0);
    let event = json!({
        "command": "CreateScheduledAudit", "scheduledAuditName": "s", "frequency": "DAILY",
        "targetCheckNames": [LOGGING],
    });
    // Who is told of a throttle takes it that nothing was done.
    let told = setup.fails(event).await;
    assert!(told.starts_with("InternalFailureException\n"), "{told}");
}
