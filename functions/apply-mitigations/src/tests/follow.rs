//! The second step, branch by branch.

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_core::policy::Mode;
use serde_json::Value;
use serde_json::json;

use super::CHECK;
use super::FAR;
use super::deliver;
use super::findings;
use super::follow;
use super::function;
use super::id;
use super::message;
use super::service::Service;
use super::whole_check;

async fn started(message: &Value) -> Service {
    let service = Service::default();
    deliver(&service, message).await.unwrap();
    service.take_queue();
    service.calls();
    service
}

fn execution(action: &str, status: &str, code: Option<&str>) -> Value {
    json!({"actionName": action, "status": status, "errorCode": code, "message": code.map(|c| format!("{c}\u{7}!"))})
}

impl Service {
    fn result(&self, task: &str, finding: u32) -> String {
        self.attribute(&format!("mitigation#{task}"), &format!("finding#finding-{finding}"), "state")
    }
}

/// Peer defect 16: the task's status was not checked, so that what runs counted as done.
#[tokio::test(start_paused = true)]
async fn defect_16_a_task_that_runs_is_looked_at_again_later() {
    let message = message(findings([1]));
    for status in [json!("IN_PROGRESS"), json!("SOMETHING_NEW"), Value::Null] {
        let service = started(&message).await;
        service.state().tasks.get_mut(&id(&message)).unwrap()["taskStatus"] = status;
        deliver(&service, &with_waits(&message, 2)).await.unwrap();
        assert_eq!(service.calls(), "describe SendMessageBatch");
        let [(delay, next)] = &service.take_queue()[..] else { panic!("one follow-up") };
        assert_eq!((*delay, &next["waits"], &next["step"]), (240, &json!(3), &json!("follow")));
        assert_eq!(service.task_state(&id(&message)), "started");
    }
}

fn with_waits(message: &Value, waits: u32) -> Value {
    let mut follow = follow(message);
    follow["waits"] = json!(waits);
    follow
}

#[tokio::test(start_paused = true)]
async fn full_success_asks_nobody_about_findings_and_tells_nobody() {
    let message = message(findings([1, 2]));
    let service = started(&message).await;
    service.end(&id(&message), "COMPLETED", [2, 0, 0, 0]);
    deliver(&service, &follow(&message)).await.unwrap();
    assert_eq!(service.calls(), "describe BatchWriteItem UpdateItem");
    assert_eq!(service.task_state(&id(&message)), "completed");
    assert_eq!(
        (service.result(&id(&message), 1), service.result(&id(&message), 2)),
        ("completed".into(), "completed".into())
    );
    let task = format!("mitigation#{}", id(&message));
    assert_eq!(service.attribute(&task, "task", "ended_at"), "2026-11-23T00:10:00Z");
    let statistics = json!({CHECK: {"total": 2, "succeeded": 2, "failed": 0, "skipped": 0, "canceled": 0}});
    assert_eq!(
        serde_json::from_str::<Value>(&service.attribute(&task, "task", "statistics")).unwrap(),
        statistics
    );
    let ended = service.ledger();
    deliver(&service, &follow(&message)).await.unwrap();
    deliver(&service, &message).await.unwrap();
    assert_eq!(service.ledger(), ended, "a repeat changes nothing");
    assert!(service.take_queue().is_empty() && service.alerts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn failures_are_looked_up_by_finding_and_told_once() {
    let message = message(findings([1, 2, 3]));
    let service = started(&message).await;
    service.end(&id(&message), "FAILED", [1, 1, 1, 0]);
    let quarantined = execution("QuarantineThing", "COMPLETED", None);
    service.state().executions = [
        (
            "finding-1".to_owned(),
            vec![
                json!({"actionsExecutions": [quarantined], "nextToken": "1"}),
                json!({"actionsExecutions": [execution("TellOwner", "COMPLETED", None)]}),
            ],
        ),
        (
            "finding-2".to_owned(),
            vec![json!({"actionsExecutions": [
                execution("QuarantineThing", "FAILED", Some("AccessDenied")),
                execution("TellOwner", "SKIPPED", None),
            ]})],
        ),
    ]
    .into();
    for _ in 0..2 {
        deliver(&service, &follow(&message)).await.unwrap();
    }
    let results = [1, 2, 3].map(|n| service.result(&id(&message), n));
    assert_eq!(results, ["completed", "failed", "unknown"]);
    assert_eq!(service.task_state(&id(&message)), "failed");
    assert_eq!(service.alerts().len(), 1);
    insta::assert_json_snapshot!(service.alerts()[0]);
}

#[tokio::test(start_paused = true)]
async fn canceled_is_told() {
    let message = message(findings([1, 2]));
    let service = started(&message).await;
    service.end(&id(&message), "CANCELED", [1, 0, 0, 1]);
    deliver(&service, &follow(&message)).await.unwrap();
    assert_eq!(service.task_state(&id(&message)), "canceled");
    insta::assert_json_snapshot!(service.alerts()[0]);
}

/// Peer defect 16 again: the numbers may look well while the status does not.
#[tokio::test(start_paused = true)]
async fn defect_16_a_failed_status_is_told_whatever_the_numbers_say() {
    for status in ["FAILED", "CANCELED"] {
        let message = message(findings([1]));
        let service = started(&message).await;
        service.end(&id(&message), status, [1, 0, 0, 0]);
        deliver(&service, &follow(&message)).await.unwrap();
        assert_eq!((service.task_state(&id(&message)), service.alerts().len()), (status.to_lowercase(), 1));
        assert_eq!(service.result(&id(&message), 1), "unknown", "success is not taken for granted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_check_has_its_statistics_alone() {
    let service = started(&whole_check()).await;
    service.end(&id(&whole_check()), "COMPLETED", [3999, 0, 1, 0]);
    deliver(&service, &follow(&whole_check())).await.unwrap();
    assert!(service.calls().starts_with("describe UpdateItem"), "no executions, no results");
    assert_eq!(service.alerts().len(), 1, "what was skipped is told");
}

#[tokio::test(start_paused = true)]
async fn completed_without_statistics_is_looked_up() {
    let message = message(findings([1]));
    let service = started(&message).await;
    service.state().tasks.get_mut(&id(&message)).unwrap()["taskStatus"] = json!("COMPLETED");
    deliver(&service, &follow(&message)).await.unwrap();
    assert_eq!(service.calls(), "describe executions BatchWriteItem UpdateItem");
    assert_eq!(service.result(&id(&message), 1), "unknown");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_comes_again_ends_the_list() {
    let message = message(findings([1]));
    let service = started(&message).await;
    service.end(&id(&message), "FAILED", [0, 1, 0, 0]);
    let page = json!({"actionsExecutions": [execution("QuarantineThing", "FAILED", None)], "nextToken": "0"});
    service.state().executions.insert("finding-1".into(), vec![page]);
    deliver(&service, &follow(&message)).await.unwrap();
    assert_eq!(service.calls().matches("executions").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_table_leaves_unwritten_is_sent_again() {
    let message = message(findings([1, 2, 3]));
    let service = started(&message).await;
    service.end(&id(&message), "COMPLETED", [3, 0, 0, 0]);
    service.state().unwritten = 2;
    deliver(&service, &follow(&message)).await.unwrap();
    assert_eq!(service.calls(), "describe BatchWriteItem BatchWriteItem UpdateItem");
    assert!([1, 2, 3].iter().all(|n| service.result(&id(&message), *n) == "completed"));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_gone_is_lost_and_told() {
    let message = message(findings([1]));
    let service = started(&message).await;
    service.state().tasks.clear();
    for _ in 0..2 {
        deliver(&service, &follow(&message)).await.unwrap();
    }
    assert_eq!((service.task_state(&id(&message)), service.alerts().len()), ("lost".into(), 1));
    insta::assert_json_snapshot!(service.alerts()[0]);
    assert!(service.take_queue().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_long_after_its_end_stays_ended() {
    let message = message(findings([1]));
    let service = started(&message).await;
    service.end(&id(&message), "COMPLETED", [1, 0, 0, 0]);
    deliver(&service, &follow(&message)).await.unwrap();
    service.state().tasks.clear();
    deliver(&service, &follow(&message)).await.unwrap();
    assert_eq!((service.task_state(&id(&message)), service.alerts().len()), ("completed".into(), 0));
}

#[tokio::test(start_paused = true)]
async fn more_than_a_day_is_told_once_and_followed_on() {
    let message = message(findings([1]));
    let service = started(&message).await;
    for waits in [98, 99, 100, 101, u32::MAX] {
        deliver(&service, &with_waits(&message, waits)).await.unwrap();
    }
    assert_eq!((service.alerts().len(), service.take_queue().len()), (1, 5));
    insta::assert_json_snapshot!(service.alerts()[0]);
}

#[tokio::test(start_paused = true)]
async fn what_was_started_is_followed_in_observe_too() {
    let message = message(findings([1]));
    let service = started(&message).await;
    service.end(&id(&message), "COMPLETED", [1, 0, 0, 0]);
    function(&service, Mode::Observe).message(&follow(&message).to_string(), FAR).await.unwrap();
    assert_eq!(service.task_state(&id(&message)), "completed");
}

/// Peer defect 14, for what follows: errors were swallowed.
#[tokio::test(start_paused = true)]
async fn defect_14_a_failure_while_following_is_retried_and_heals() {
    let message = message(findings([1]));
    for operation in ["describe", "executions", "BatchWriteItem", "UpdateItem", "Publish"] {
        let service = started(&message).await;
        service.end(&id(&message), "FAILED", [0, 1, 0, 0]);
        service.state().faults.insert(operation.into(), Answer::error(500, "InternalFailureException", "{}"));
        let error = deliver(&service, &follow(&message)).await.unwrap_err();
        assert!(!error.is_permanent(), "{operation}: {error}");
        service.state().faults.clear();
        service.cloud.pass_seconds(61);
        deliver(&service, &follow(&message)).await.unwrap();
        assert_eq!(service.task_state(&id(&message)), "failed");
        assert!(!service.alerts().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn without_time_the_results_come_later() {
    let message = message(findings([1]));
    let service = started(&message).await;
    service.end(&id(&message), "FAILED", [0, 1, 0, 0]);
    let body = follow(&message).to_string();
    let error = function(&service, Mode::Enforce).message(&body, START.plus_seconds(1)).await.unwrap_err();
    assert!(!error.is_permanent() && service.task_state(&id(&message)) == "started", "{error}");
}

/// A command's task may have several checks: each follow-up tells of its own.
#[tokio::test(start_paused = true)]
async fn of_a_commands_task_each_check_is_told_apart() {
    let mut asked = message(findings([1, 2]));
    let request = asked["request"].as_object_mut().unwrap();
    request.remove("rule");
    request.insert("command".to_owned(), json!("by-hand"));
    let mut other = asked.clone();
    other["request"]["check"] = json!("LOGGING_DISABLED_CHECK");
    other["request"]["target"] = findings([3]);
    let service = started(&asked).await;
    service.end("by-hand", "FAILED", [1, 1, 0, 0]);
    let statistics = json!({"totalFindingsCount": 1, "succeededFindingsCount": 1});
    let mut task = service.state().tasks["by-hand"].clone();
    task["target"]["findingIds"] = json!(["finding-1", "finding-2", "finding-3"]);
    task["taskStatistics"]["LOGGING_DISABLED_CHECK"] = statistics;
    service.state().tasks.insert("by-hand".to_owned(), task);
    for message in [&asked, &other, &other] {
        deliver(&service, &follow(message)).await.unwrap();
    }
    assert_eq!([1, 2, 3].map(|n| service.result("by-hand", n)), ["unknown", "unknown", "completed"]);
    let told: Vec<Value> = service.alerts().iter().map(|alert| alert["content"].clone()).collect();
    insta::assert_json_snapshot!(told);
    let hostile = super::with(asked, "/request/command", "../x");
    let error = deliver(&service, &follow(&hostile)).await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("is no id of a mitigation task"), "{error}");
}
