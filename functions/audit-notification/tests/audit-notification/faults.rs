//! Deliveries that repeat, and services that do not answer.

use crate::setup::Defender;
use crate::setup::alerts;
use crate::setup::audit;
use crate::setup::event;
use crate::setup::handler;
use crate::setup::invoke;
use crate::setup::metrics;
use crate::setup::triage_requests;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use lambda_runtime::Context;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use serde_json::json;

const CHECK: &str = "LOGGING_DISABLED_CHECK";

fn with_findings(task: &str) -> Value {
    audit(task, &[(CHECK, "COMPLETED_NON_COMPLIANT", 1, 0)])
}

fn with_problem(task: &str) -> Value {
    audit(task, &[(CHECK, "COMPLETED_NON_COMPLIANT", 1, 0), ("DEVICE_CERTIFICATE_AGE_CHECK", "FAILED", 0, 0)])
}

#[tokio::test]
async fn a_repeat_sends_nothing_and_tells_nothing_twice() {
    let cloud = Cloud::default();
    for _ in 0..3 {
        invoke(&cloud, event(&[with_problem("t-1"), with_problem("t-1")])).await.unwrap();
    }
    assert_eq!(triage_requests(&cloud), ["t-1 LOGGING_DISABLED_CHECK"]);
    assert_eq!(alerts(&cloud).len(), 1);
    assert_eq!(cloud.item("audit-notification#t-1", "claim").unwrap()["state"], "done");
}

/// A public integration swallows every error, so that its dead-letter queue can never receive anything.
#[tokio::test]
async fn a_failure_is_the_invocations_and_the_retry_heals_it() {
    for operation in ["PutItem", "SendMessageBatch", "BatchGetItem", "UpdateItem", "Publish"] {
        let cloud = Cloud::default();
        let ended = audit(
            "t-1",
            &[
                (CHECK, "COMPLETED_NON_COMPLIANT", 1, 0),
                ("DEVICE_CERTIFICATE_AGE_CHECK", "FAILED", 0, 0),
                ("DEVICE_CERTIFICATE_SHARED_CHECK", "COMPLETED_COMPLIANT", 0, 0),
            ],
        );
        cloud.fail(operation, 1, Answer::refused());
        let error = invoke(&cloud, event(std::slice::from_ref(&ended))).await.unwrap_err();
        assert_eq!(error.name(), "Fleetwarden.Aws", "{operation}: {error}");
        // Lambda waits a minute before the first retry; by then no lease is left.
        cloud.pass_seconds(61);
        invoke(&cloud, event(&[ended])).await.unwrap();
        assert!(triage_requests(&cloud).contains(&format!("t-1 {CHECK}")), "{operation}");
        let published = if operation == "Publish" { 2 } else { 1 };
        assert!(cloud.calls("Publish").len() >= published, "{operation}");
    }
}

#[tokio::test]
async fn a_failed_try_is_given_back_at_once() {
    let cloud = Cloud::default();
    cloud.fail("SendMessageBatch", 1, Answer::refused());
    invoke(&cloud, event(&[with_findings("t-1")])).await.unwrap_err();
    invoke(&cloud, event(&[with_findings("t-1")])).await.unwrap();
    assert_eq!(cloud.calls("SendMessageBatch").len(), 2);
}

/// Public integrations lose an alert when its receiver is down. Here the retry tells, and sends nothing again.
#[tokio::test]
async fn an_alert_that_was_not_taken_is_told_by_the_retry() {
    let cloud = Cloud::default();
    cloud.fail("Publish", 1, Answer::refused());
    invoke(&cloud, event(&[with_problem("t-1")])).await.unwrap_err();
    assert_eq!(triage_requests(&cloud).len(), 1, "triage does not wait for the alert");
    invoke(&cloud, event(&[with_problem("t-1")])).await.unwrap();
    invoke(&cloud, event(&[with_problem("t-1")])).await.unwrap();
    assert_eq!(triage_requests(&cloud).len(), 1);
    assert_eq!(alerts(&cloud).len(), 2, "the first was not taken");
}

#[tokio::test]
async fn a_record_that_fails_lets_the_others_through() {
    let cloud = Cloud::default();
    cloud.fail("SendMessageBatch", 1, Answer::refused());
    let messages = event(&[with_findings("t-1"), "bad".into(), with_findings("t-2"), with_findings("t-3")]);
    invoke(&cloud, messages.clone()).await.unwrap_err();
    assert_eq!(metrics().1, ["4/1/1"]);
    invoke(&cloud, messages).await.unwrap();
    // The first of t-1 was not taken; the others were, and are not sent again.
    let mut tasks = triage_requests(&cloud);
    tasks.sort();
    assert_eq!(tasks, ["t-1", "t-1", "t-2", "t-3"].map(|task| format!("{task} {CHECK}")));
    let parked = cloud.calls("SendMessage").len();
    assert_eq!(parked, 1, "what was parked is not parked again");
}

#[tokio::test]
async fn a_bad_record_that_cannot_be_parked_is_retried() {
    let cloud = Cloud::default();
    cloud.fail("SendMessage", 1, Answer::refused());
    invoke(&cloud, event(&["bad".into()])).await.unwrap_err();
    invoke(&cloud, event(&["bad".into()])).await.unwrap();
    assert_eq!(metrics().1, ["1/1/0", "1/0/1"]);
}

#[tokio::test]
async fn what_another_invocation_handles_is_left_to_it() {
    let cloud = Cloud::default();
    let lease = (START.0 + 20_000).to_string();
    cloud.put_item(json!({"pk": {"S": "audit-notification#t-1"}, "sk": {"S": "claim"}, "state": {"S": "running"}, "lease_until": {"N": lease}}));
    let error = invoke(&cloud, event(&[with_findings("t-1")])).await.unwrap_err();
    assert_eq!(error.to_string(), "another worker holds audit-notification#t-1 until 2026-11-23T00:00:20Z");
    cloud.pass_seconds(21);
    invoke(&cloud, event(&[with_findings("t-1")])).await.unwrap();
    assert_eq!(triage_requests(&cloud).len(), 1);
}

#[tokio::test]
async fn what_the_table_holds_back_is_asked_for_again() {
    let cloud = Cloud::default();
    cloud.put_item(
        json!({"pk": {"S": format!("history#{CHECK}")}, "sk": {"S": "latest"}, "open": {"N": "2"}}),
    );
    let key = json!({"pk": {"S": format!("history#{CHECK}")}, "sk": {"S": "latest"}});
    let held_back = json!({"Responses": {"ledger": []}, "UnprocessedKeys": {"ledger": {"Keys": [key]}}});
    cloud.fail("BatchGetItem", 2, Answer::ok(&held_back));
    invoke(&cloud, event(&[audit("t-1", &[(CHECK, "COMPLETED_COMPLIANT", 0, 0)])])).await.unwrap();
    assert_eq!(triage_requests(&cloud), [format!("t-1 {CHECK}")]);
    cloud.fail("BatchGetItem", 9, Answer::ok(held_back));
    let error =
        invoke(&cloud, event(&[audit("t-2", &[(CHECK, "COMPLETED_COMPLIANT", 0, 0)])])).await.unwrap_err();
    assert_eq!(error.name(), "Fleetwarden.Later", "{error}");
}

#[tokio::test]
async fn no_audit_is_begun_when_the_time_is_up() {
    let cloud = Cloud::default();
    let late = LambdaEvent::new(event(&[with_findings("t-1")]), Context::default());
    assert_eq!(
        handler(&cloud, &Defender::default()).handle(late).await.unwrap_err().name(),
        "Fleetwarden.Later"
    );
    assert!(cloud.calls("").is_empty());
}

#[tokio::test]
async fn what_sqs_never_takes_is_parked_and_the_alert_still_told() {
    let cloud = Cloud::default();
    let failed = json!({"Successful": [], "Failed": [{"Id": "0", "SenderFault": true, "Code": "InvalidMessageContents"}]});
    cloud.fail("SendMessageBatch", 1, Answer::ok(failed));
    invoke(&cloud, event(&[with_problem("t-1")])).await.unwrap();
    assert_eq!(metrics().1, ["1/0/1"]);
    assert_eq!(alerts(&cloud).len(), 1);
}
