//! The second step, branch by branch.

use fleetwarden_aws::mitigations::Asking;
use fleetwarden_aws::mitigations::Guarded;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::WholeClaim;
use fleetwarden_aws::mitigations::Word;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::model::mitigation::approval::Explanation;
use fleetwarden_core::model::mitigation::approval::Standing;
use fleetwarden_core::policy::Mode;
use serde_json::Value;
use serde_json::json;

use crate::service::Service;
use crate::setup::CHECK;
use crate::setup::FAR;
use crate::setup::deliver;
use crate::setup::findings;
use crate::setup::follow;
use crate::setup::function;
use crate::setup::id;
use crate::setup::ledger;
use crate::setup::message;

pub(super) async fn started(message: &Value) -> Service {
    let service = Service::default();
    deliver(&service, message).await.unwrap();
    service.take_queue();
    service.calls();
    service
}

pub(super) fn execution(action: &str, status: &str, code: Option<&str>) -> Value {
    json!({"actionName": action, "status": status, "errorCode": code, "message": code.map(|c| format!("{c}\u{7}!"))})
}

impl Service {
    pub(super) fn result(&self, task: &str, finding: u32) -> String {
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
        assert_eq!(service.calls(), "describe GetItem SendMessageBatch");
        let [(delay, next)] = &service.take_queue()[..] else { panic!("one follow-up") };
        assert_eq!((*delay, &next["waits"], &next["step"]), (240, &json!(3), &json!("follow")));
        assert_eq!(service.task_state(&id(&message)), "started");
        deliver(&service, next).await.unwrap();
        assert_eq!(service.calls(), "TransactWriteItems describe SendMessageBatch");
    }
}

fn with_waits(message: &Value, waits: u32) -> Value {
    let mut follow = follow(message);
    follow["waits"] = json!(waits);
    follow
}

#[tokio::test(start_paused = true)]
async fn of_full_success_no_result_is_asked_for_and_nobody_is_told() {
    let message = message(findings([1, 2]));
    let service = started(&message).await;
    service.end(&id(&message), "COMPLETED", [2, 0, 0, 0]);
    deliver(&service, &follow(&message)).await.unwrap();
    assert_eq!(
        service.calls(),
        "describe GetItem finding principals finding principals BatchWriteItem PutItem UpdateItem PutItem Query"
    );
    assert_eq!(service.task_state(&id(&message)), "completed");
    // The next audit of the check looks whether it helped.
    let ended_at = service.attribute(&format!("verification#{CHECK}"), &id(&message), "ended_at");
    assert_eq!(ended_at, "2026-11-23T00:10:00Z");
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
async fn completed_without_statistics_is_looked_up() {
    let message = message(findings([1]));
    let service = started(&message).await;
    service.state().tasks.get_mut(&id(&message)).unwrap()["taskStatus"] = json!("COMPLETED");
    deliver(&service, &follow(&message)).await.unwrap();
    let calls =
        "describe GetItem finding executions principals BatchWriteItem BatchGetItem UpdateItem PutItem Query";
    assert_eq!(service.calls(), calls);
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
    assert_eq!(service.calls().matches("BatchWriteItem").count(), 2);
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
    let since = service.cloud.clock().now().0;
    for (seconds, waits) in [(86_399, 0), (1, 1), (1, 100), (86_400, u32::MAX)] {
        service.cloud.pass_seconds(seconds);
        let mut next = with_waits(&message, waits);
        // What the message says is not believed where the service says since when the task runs.
        next["since"] = json!(since - 91 * 86_400_000);
        deliver(&service, &next).await.unwrap();
    }
    assert_eq!((service.alerts().len(), service.take_queue().len()), (1, 4));
    insta::assert_json_snapshot!(service.alerts()[0]);
}

/// A message that says it has waited for long must not have a task that runs written down as lost.
#[tokio::test(start_paused = true)]
async fn a_forged_wait_does_not_end_following() {
    let asked = message(findings([1]));
    let service = started(&asked).await;
    let mut forged = with_waits(&asked, u32::MAX);
    forged["since"] = json!(0);
    deliver(&service, &forged).await.unwrap();
    assert_eq!((service.task_state(&id(&asked)).as_str(), service.alerts().len()), ("started", 0));
    assert_eq!(service.take_queue().len(), 1);
    // Where the service says nothing, the message counts: an end has to come.
    service.state().tasks.get_mut(&id(&asked)).unwrap()["startTime"] = Value::Null;
    deliver(&service, &forged).await.unwrap();
    assert_eq!((service.task_state(&id(&asked)).as_str(), service.take_queue().len()), ("lost", 0));
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

/// A task that a command has started for two checks, with the follow-ups of both.
async fn of_a_command() -> (Service, [Value; 2]) {
    let service = Service::default();
    let of = |check: &str, numbers: Vec<u32>| {
        let mut asked = message(findings(numbers));
        let request = asked["request"].as_object_mut().unwrap();
        request.remove("rule");
        request.insert("command".to_owned(), json!("by-hand"));
        request.insert("check".to_owned(), json!(check));
        follow(&asked)
    };
    let messages = [of(CHECK, vec![1, 2]), of("LOGGING_DISABLED_CHECK", vec![3])];
    let requests =
        messages.each_ref().map(|message| serde_json::from_value(message["request"].clone()).unwrap());
    let of_command = Mitigations::new(ledger(&service.cloud));
    assert_eq!(
        of_command.claim_whole(&requests, "hash", Guarded::default(), START).await.unwrap(),
        WholeClaim::Taken
    );
    of_command.started("by-hand", START).await.unwrap();
    let task = json!({
        "taskStatus": "IN_PROGRESS",
        "target": {"findingIds": ["finding-1", "finding-2", "finding-3"]},
    });
    service.state().tasks.insert("by-hand".to_owned(), task);
    (service, messages)
}

/// A command's task may have several checks: each follow-up tells of its own.
#[tokio::test(start_paused = true)]
async fn of_a_commands_task_each_check_is_told_apart() {
    let (service, [asked, other]) = of_a_command().await;
    service.end("by-hand", "FAILED", [1, 1, 0, 0]);
    let statistics = json!({"totalFindingsCount": 1, "succeededFindingsCount": 1});
    service.state().tasks.get_mut("by-hand").unwrap()["taskStatistics"]["LOGGING_DISABLED_CHECK"] =
        statistics;
    for message in [&asked, &other, &other] {
        deliver(&service, message).await.unwrap();
    }
    assert_eq!([1, 2, 3].map(|n| service.result("by-hand", n)), ["unknown", "unknown", "completed"]);
    let told: Vec<Value> = service.alerts().iter().map(|alert| alert["content"].clone()).collect();
    insta::assert_json_snapshot!(told);
    let hostile = crate::setup::with(asked, "/request/command", "../x");
    let error = deliver(&service, &hostile).await.unwrap_err();
    assert!(
        error.is_permanent() && error.to_string().contains("is not the id of a mitigation task"),
        "{error}"
    );
}

/// A command's task that waits for a second person: people are told once, and nobody's answer is a rejection.
#[tokio::test(start_paused = true)]
async fn a_commands_task_that_waits_is_told_and_rejected_when_its_time_is_over() {
    for decided in ["nothing", "approved", "rejected"] {
        let (service, [asked, _]) = of_a_command().await;
        let mitigations = Mitigations::new(ledger(&service.cloud));
        service.cloud.put_item(json!({"pk": {"S": "mitigation#by-hand"}, "sk": {"S": "task"}}));
        let requests: [MitigationRequest; 1] = [serde_json::from_value(asked["request"].clone()).unwrap()];
        assert!(
            mitigations
                .hold_whole(&requests, "hash", ("two persons", START.plus_seconds(3_600)), START)
                .await
                .unwrap()
        );
        let explanation = Explanation { count: 2, ..Explanation::default() };
        let asking =
            Asking { explanation, within_seconds: 3_600, requested_by: Some("mia".into()), message: None };
        assert!(mitigations.ask("by-hand", &asking, None, START).await.unwrap());
        let mut message = asked.clone();
        for _ in 0..2 {
            service.calls();
            deliver(&service, &message).await.unwrap();
            assert!(!service.calls().contains("/audit/mitigationactions"), "nothing was started");
            let [(delay, next)] = &service.take_queue()[..] else { panic!("one message") };
            service.cloud.pass_seconds(i64::try_from(*delay).unwrap());
            message = next.clone();
        }
        assert_eq!(service.alerts().len(), 1);
        if decided == "nothing" {
            insta::assert_json_snapshot!(service.alerts()[0]["content"]);
        }
        let known = mitigations.approval("by-hand").await.unwrap().unwrap();
        let word = Word { by: Some("kim".into()), reason: "known".into(), request_id: None };
        let now = service.cloud.clock().now();
        match decided {
            "approved" => {
                mitigations.approve("by-hand", &known, &word, now).await.unwrap().unwrap();
            }
            "rejected" => {
                let rejected = (Standing::Rejected, &word);
                mitigations.reject("by-hand", Some(&known), rejected, now).await.unwrap();
            }
            _ => {}
        }
        service.state().tasks.clear();
        // Of what is approved and not given again, the time is over, too.
        service.cloud.pass_seconds(3_600);
        deliver(&service, &message).await.unwrap();
        assert_eq!(service.task_state("by-hand"), "rejected");
        let reason = service.attribute("mitigation#by-hand", "task", "reason");
        let expected = match decided {
            "approved" => "it was approved, and could not start until",
            "rejected" => "known",
            _ => "nobody approved it until",
        };
        assert!(reason.starts_with(expected), "{reason}");
        assert!(service.take_queue().is_empty() && service.alerts().len() == 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_follow_up_of_a_command_that_the_ledger_does_not_know_is_refused() {
    let (service, [asked, _]) = of_a_command().await;
    service.end("by-hand", "FAILED", [1, 1, 0, 0]);
    service.calls();
    let before = service.cloud.items("");
    for forged in [
        crate::setup::with(asked.clone(), "/request/check", "A_CHECK"),
        crate::setup::with(asked.clone(), "/request/target", findings([1, 3])),
        crate::setup::with(asked.clone(), "/request/target/findings/0/key", "0".repeat(32)),
        crate::setup::with(asked.clone(), "/request/actions", json!(["Revoke"])),
    ] {
        let error = deliver(&service, &forged).await.unwrap_err();
        assert!(error.is_permanent() && error.to_string().starts_with("no command has asked"), "{error}");
    }
    assert_eq!((service.cloud.items(""), service.calls()), (before, ["GetItem"; 4].join(" ")));
}

/// A command sends its follow-up before it claims anything, so that whatever it claims is followed.
#[tokio::test(start_paused = true)]
async fn a_follow_up_waits_for_the_claim_of_its_command_for_as_long_as_that_can_come() {
    let (service, [asked, _]) = of_a_command().await;
    let mut early = crate::setup::with(asked.clone(), "/request/command", "another");
    let began = service.cloud.clock().now();
    loop {
        deliver(&service, &early).await.unwrap();
        let Some((delay, next)) = service.take_queue().pop() else { break };
        service.cloud.pass_seconds(i64::try_from(delay).unwrap());
        early = next;
    }
    let waited = (service.cloud.clock().now().0 - began.0) / 1000;
    assert!((900..=1_800).contains(&waited), "{waited}");
    assert!(service.alerts().is_empty() && service.starts().is_empty());
}

/// The service cannot be asked to start something twice, so a false follow-up must not end what has not started.
#[tokio::test(start_paused = true)]
async fn a_forged_follow_up_does_not_end_what_has_not_started() {
    let asked = message(findings([1]));
    for state in ["claimed", "held", "observed", "given-up"] {
        let service = Service::default();
        service.cloud.put_item(json!({
            "pk": {"S": format!("mitigation#{}", id(&asked))}, "sk": {"S": "task"}, "state": {"S": state},
        }));
        deliver(&service, &follow(&asked)).await.unwrap();
        assert_eq!((service.task_state(&id(&asked)), service.alerts().len()), (state.to_owned(), 0));
        assert!(service.take_queue().is_empty());
        deliver(&service, &asked).await.unwrap();
        assert_eq!(service.starts(), [id(&asked)]);
    }
}

#[tokio::test(start_paused = true)]
async fn copies_of_a_follow_up_merge() {
    let asked = message(findings([1]));
    let service = started(&asked).await;
    deliver(&service, &follow(&asked)).await.unwrap();
    deliver(&service, &follow(&asked)).await.unwrap();
    let copies = service.take_queue();
    assert_eq!(copies.len(), 2);
    for (_, copy) in copies.iter().chain(&copies) {
        deliver(&service, copy).await.unwrap();
    }
    let next = service.take_queue();
    // What is delivered again by SQS sends again; the copy that lost does not.
    assert!(next.iter().all(|(_, next)| next["round"]["number"] == 2) && next.len() == 2);
    for (_, copy) in &next {
        deliver(&service, copy).await.unwrap();
    }
    assert_eq!(service.take_queue().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_never_ends_is_followed_for_90_days() {
    let asked = message(findings([1]));
    let service = started(&asked).await;
    let mut next = follow(&asked);
    let mut days = 0;
    loop {
        deliver(&service, &next).await.unwrap();
        // Each look is late, as with a full queue.
        service.cloud.pass_seconds(86_400);
        let Some((_, again)) = service.take_queue().pop() else { break };
        (next, days) = (again, days + 1);
    }
    assert_eq!((days, service.task_state(&id(&asked))), (90, "lost".to_owned()));
    let kinds: Vec<String> =
        service.alerts().iter().map(|alert| alert["content"]["title"].to_string()).collect();
    assert!(kinds.len() == 2 && kinds[1].contains("90 days"), "{kinds:?}");
    // A copy of an earlier look changes nothing.
    deliver(&service, &next).await.unwrap();
    assert_eq!((service.alerts().len(), service.take_queue().len()), (2, 0));
}
