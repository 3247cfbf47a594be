//! What became of each finding of a task, however many there are, and whatever happens on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::emitted;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::policy::Mode;
use serde_json::Value;
use serde_json::json;

use crate::follow::execution;
use crate::follow::started;
use crate::service::Service;
use crate::service::certificate;
use crate::service::finding;
use crate::setup::CHECK;
use crate::setup::FAR;
use crate::setup::deliver;
use crate::setup::findings;
use crate::setup::follow;
use crate::setup::function;
use crate::setup::id;
use crate::setup::message;
use crate::setup::whole_check;
use crate::setup::with;

/// A whole check of so many findings.
fn whole(count: u32) -> Value {
    with(whole_check(), "/request/target/wholeCheck/count", count)
}

fn listed(n: u32, code: &str) -> Value {
    let mut listed = finding(&format!("finding-{n}"));
    listed["reasonForNonComplianceCode"] = json!(code);
    listed
}

/// A task of a whole check has ended: findings 1 and 2 are on its first page, 3 on its second. Others are not its own.
async fn ended(status: &str, counts: [u32; 4]) -> (Service, Value) {
    let asked = whole(3);
    let service = started(&asked).await;
    service.end(&id(&asked), status, counts);
    let mut hidden = listed(8, "A");
    hidden["isSuppressed"] = json!(true);
    let pages = [vec![listed(1, "A"), hidden, listed(2, "B")], vec![listed(9, "C"), listed(3, "A")]];
    service.state().listing = pages.to_vec();
    (service, asked)
}

/// Delivers what is on the queue until nothing is. Gives how many messages that were.
async fn drain(service: &Service) -> usize {
    let mut count = 0;
    loop {
        let queue = service.take_queue();
        if queue.is_empty() {
            return count;
        }
        for (_, message) in queue {
            count += 1;
            assert!(count < 50, "it would never end");
            deliver(service, &message).await.unwrap();
        }
    }
}

fn results(service: &Service, asked: &Value, attribute: &str) -> Vec<String> {
    let pk = format!("mitigation#{}", id(asked));
    let of = |n: u32| service.attribute(&pk, &format!("finding#finding-{n}"), attribute);
    [1, 2, 3, 8, 9].map(of).to_vec()
}

#[tokio::test(start_paused = true)]
async fn each_finding_of_a_whole_check_is_written_page_by_page() {
    let (service, asked) = ended("COMPLETED", [3, 0, 0, 0]).await;
    deliver(&service, &follow(&asked)).await.unwrap();
    assert_eq!(
        service.calls(),
        "describe GetItem findings principals principals BatchWriteItem PutItem GetItem SendMessageBatch"
    );
    assert_eq!(service.task_state(&id(&asked)), "started", "it ends when all of it is written");
    assert_eq!(drain(&service).await, 1);
    assert_eq!(service.task_state(&id(&asked)), "completed");
    assert_eq!(results(&service, &asked, "state"), ["completed", "completed", "completed", "", ""]);
    let of = |attribute| results(&service, &asked, attribute)[..3].to_vec();
    assert_eq!(of("things"), ["[\"thing-1\"]", "[\"thing-2\"]", "[\"thing-3\"]"]);
    let resource = |n| json!({"deviceCertificateId": certificate(n)}).to_string();
    assert_eq!(of("resource"), [1, 2, 3].map(resource));
    assert_eq!(of("ended_at"), ["2026-11-23T00:10:00Z"; 3]);
    assert!(of("finding_key").iter().all(|key| key.len() == 32));
    let actions =
        ["QuarantineThing", "TellOwner"].map(|action| json!({"action": action, "status": "COMPLETED"}));
    assert_eq!(of("actions"), vec![json!(actions).to_string(); 3]);
    assert!(service.alerts().is_empty() && !service.calls().contains("executions"));
}

/// Suppressed findings are skipped by the task and are not in the list: they keep nobody from knowing that all else succeeded.
#[tokio::test(start_paused = true)]
async fn what_is_skipped_because_it_is_suppressed_costs_no_call_a_finding() {
    let (service, asked) = ended("COMPLETED", [3, 0, 1, 0]).await;
    deliver(&service, &follow(&asked)).await.unwrap();
    drain(&service).await;
    assert_eq!(results(&service, &asked, "state"), ["completed", "completed", "completed", "", ""]);
    assert!(!service.calls().contains("executions"));
    let last = emitted().into_iter().rfind(|line| line.get("Mitigated").is_some()).unwrap();
    assert_eq!((&last["Mitigated"], &last["MitigateFailed"]), (&json!(3), &json!(0)));
    assert!(service.alerts().is_empty(), "nobody wanted it mitigated");
}

fn fail(service: &Service) {
    let failed =
        vec![json!({"actionsExecutions": [execution("QuarantineThing", "FAILED", Some("AccessDenied"))]})];
    let done = vec![json!({"actionsExecutions": [execution("QuarantineThing", "COMPLETED", None)]})];
    let of = |n: u32, pages: &Vec<Value>| (format!("finding-{n}"), pages.clone());
    service.state().executions = [of(1, &failed), of(2, &done)].into();
}

#[tokio::test(start_paused = true)]
async fn of_a_whole_check_that_failed_each_finding_is_asked_for_and_its_devices_are_told() {
    let (service, asked) = ended("FAILED", [1, 2, 0, 0]).await;
    fail(&service);
    deliver(&service, &follow(&asked)).await.unwrap();
    drain(&service).await;
    assert_eq!(results(&service, &asked, "state"), ["failed", "completed", "unknown", "", ""]);
    assert_eq!(service.task_state(&id(&asked)), "failed");
    let alerts = service.alerts();
    let [alert] = &alerts[..] else { panic!("{alerts:?}") };
    insta::assert_json_snapshot!(alert);
}

/// A page takes longer than an invocation: the next message goes on within it, and nothing is asked twice.
#[tokio::test(start_paused = true)]
async fn when_the_time_is_up_the_next_message_goes_on_within_the_page() {
    let (service, asked) = ended("COMPLETED", [3, 0, 0, 0]).await;
    service.state().listing = vec![vec![listed(1, "A"), listed(2, "A"), listed(3, "A")]];
    service.state().seconds_a_look = 40;
    let (mut next, mut rounds) = (follow(&asked), 0);
    loop {
        let now = service.cloud.clock().now();
        function(&service, Mode::Enforce).message(&next.to_string(), now.plus_seconds(60)).await.unwrap();
        let Some((_, again)) = service.take_queue().pop() else { break };
        (next, rounds) = (again, rounds + 1);
    }
    assert_eq!((rounds, service.calls().matches("principals").count()), (1, 3));
    assert_eq!(results(&service, &asked, "state")[..3], ["completed"; 3]);
    assert_eq!(service.task_state(&id(&asked)), "completed");
}

/// The process dies at every call of every message, before and after its effect.
#[tokio::test(start_paused = true)]
async fn whenever_a_message_dies_all_is_written_once_and_told_once() {
    let (expected, asked) = ended("FAILED", [1, 2, 0, 0]).await;
    fail(&expected);
    deliver(&expected, &follow(&asked)).await.unwrap();
    drain(&expected).await;
    let without_rounds = |service: &Service| {
        let mut ledger = service.ledger();
        ledger.retain(|(_, sk), _| !sk.starts_with("round#") && !sk.starts_with("results#"));
        ledger
    };
    for dying in 0..2 {
        for call in 0..15 {
            for after in [false, true] {
                let (service, _) = ended("FAILED", [1, 2, 0, 0]).await;
                fail(&service);
                let mut next = vec![follow(&asked)];
                for at in 0..2 {
                    for message in std::mem::take(&mut next) {
                        if at == dying {
                            service.state().calls.clear();
                            service.state().dies = Some((call, after));
                            let died =
                                tokio::time::timeout(Duration::from_secs(2), deliver(&service, &message));
                            drop(died.await);
                            service.state().dies = None;
                            service.cloud.pass_seconds(61);
                        }
                        deliver(&service, &message).await.unwrap();
                    }
                    next = service.take_queue().into_iter().map(|(_, message)| message).collect();
                }
                drain(&service).await;
                assert_eq!(without_rounds(&service), without_rounds(&expected), "{dying} {call} {after}");
                // The answer of the topic can be lost: the same alert again has the same id.
                let ids: BTreeSet<String> =
                    service.alerts().iter().map(|alert| alert["id"].to_string()).collect();
                assert_eq!(ids.len(), 1, "{dying} {call} {after}");
            }
        }
    }
}

/// Two workers have the same message: the second one runs at each moment of the first.
#[tokio::test(start_paused = true)]
async fn beside_a_second_worker_the_results_are_the_same() {
    for at in Moment::all() {
        let (service, asked) = ended("COMPLETED", [3, 0, 0, 0]).await;
        let one = follow(&asked);
        let (first, second) =
            service.cloud.interleave(at.clone(), deliver(&service, &one), deliver(&service, &one)).await;
        first.unwrap();
        let Some(second) = second else { break };
        second.unwrap();
        assert!(drain(&service).await <= 2);
        assert_eq!(results(&service, &asked, "state"), ["completed", "completed", "completed", "", ""]);
        assert_eq!(service.task_state(&id(&asked)), "completed");
    }
}

/// A message is a request: one that says to be further than it is has nothing passed over.
#[tokio::test(start_paused = true)]
async fn a_forged_message_has_no_result_passed_over() {
    let (service, asked) = ended("COMPLETED", [3, 0, 0, 0]).await;
    let mut forged = follow(&asked);
    forged["results"] = json!({"nextToken": "1", "done": 2});
    forged["round"] = json!({"number": 1, "id": "forged"});
    deliver(&service, &forged).await.unwrap();
    drain(&service).await;
    assert_eq!(results(&service, &asked, "state"), ["completed", "completed", "completed", "", ""]);
}

/// A token can be too old. The list begins again a few times; then the task ends with what is known.
#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_taken_any_more_does_not_keep_a_task_from_its_end() {
    for heals in [true, false] {
        let (service, asked) = ended("COMPLETED", [3, 0, 0, 0]).await;
        deliver(&service, &follow(&asked)).await.unwrap();
        let refused = Answer::error(400, "InvalidRequestException", "{}");
        let mut messages = 0;
        while let Some((_, next)) = service.take_queue().pop() {
            let pk = format!("mitigation#{}", id(&asked));
            let mark = service.attribute(&pk, &format!("results#{CHECK}"), "mark");
            if mark.contains("\"token\":\"") && !(heals && messages > 0) {
                service.state().faults.insert("findings".into(), refused.clone());
            }
            deliver(&service, &next).await.unwrap();
            service.state().faults.clear();
            messages += 1;
            assert!(messages < 20, "it would never end");
        }
        assert_eq!(service.task_state(&id(&asked)), "completed");
        assert_eq!(results(&service, &asked, "state")[2], if heals { "completed" } else { "" });
    }
}

/// Of many tasks of a check the metric is the sum, and a repeat gives the same again.
#[tokio::test(start_paused = true)]
async fn what_is_confirmed_is_a_gauge_of_the_audit() {
    let service = Service::default();
    let (one, other) = (message(findings([1, 2])), message(findings([3])));
    for (asked, counts) in [(&one, [1, 1, 0, 0]), (&other, [1, 0, 0, 0])] {
        deliver(&service, asked).await.unwrap();
        service.end(&id(asked), "COMPLETED", counts);
    }
    let mut told = Vec::new();
    for asked in [&one, &other, &one, &other] {
        function(&service, Mode::Enforce).message(&follow(asked).to_string(), FAR).await.unwrap();
        let line = emitted().into_iter().rfind(|line| line.get("Mitigated").is_some()).unwrap();
        assert_eq!((&line["Check"], &line["TaskId"]), (&json!(CHECK), &json!("4e2b")));
        told.push((line["Mitigated"].as_u64().unwrap(), line["MitigateFailed"].as_u64().unwrap()));
    }
    assert_eq!(told, [(1, 1), (2, 1), (2, 1), (2, 1)]);
}

/// What a finding is about is asked of the service, also for those that a task names; what is gone has its result alone.
#[tokio::test(start_paused = true)]
async fn a_named_finding_has_its_resource_and_things_unless_it_is_gone() {
    let asked = message(findings([1, 2]));
    let service = started(&asked).await;
    service.end(&id(&asked), "COMPLETED", [2, 0, 0, 0]);
    service.state().findings.insert("finding-2".to_owned(), None);
    deliver(&service, &follow(&asked)).await.unwrap();
    assert_eq!(results(&service, &asked, "state")[..2], ["completed", "completed"]);
    assert_eq!(results(&service, &asked, "things")[..2], ["[\"thing-1\"]", ""]);
    assert!(results(&service, &asked, "resource")[0].contains(&certificate(1)));
    assert_eq!(results(&service, &asked, "resource")[1], "");
}
