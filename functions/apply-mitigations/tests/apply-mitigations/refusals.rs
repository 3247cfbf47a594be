//! What cannot start while stack and policy are as they are.

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::START;
use serde_json::Value;

use crate::service;
use crate::service::Service;
use crate::setup::deliver;
use crate::setup::findings;
use crate::setup::id;
use crate::setup::message;
use crate::setup::with;

const DAY: i64 = 86_400;

fn denied() -> Answer {
    Answer::error(403, "AccessDeniedException", r#"{"message": "no identity-based policy allows it"}"#)
}

/// The message of another audit.
fn of_audit(task_id: &str, numbers: impl IntoIterator<Item = u32>) -> Value {
    with(message(findings(numbers)), "/request/audit/taskId", task_id)
}

fn titles(service: &Service) -> Vec<String> {
    service.alerts().iter().map(|alert| alert["content"]["title"].as_str().unwrap().to_owned()).collect()
}

/// The stack was deployed without `AllowMitigation`, and the policy enforces: at each audit a message was parked and
/// an alert raised.
#[tokio::test(start_paused = true)]
async fn without_the_permission_people_are_told_once_and_nothing_is_parked() {
    let service = Service::default();
    service.state().faults.insert("start".into(), denied());
    for (audit, number) in [("4e2b", 1), ("4e2b", 2), ("5f3c", 3), ("6a4d", 4)] {
        service.looked_at(audit, START);
        let mut found = service::finding(&format!("finding-{number}"));
        found["taskId"] = audit.into();
        service.state().findings.insert(format!("finding-{number}"), Some(found));
        let asked = of_audit(audit, [number]);
        deliver(&service, &asked).await.unwrap();
        assert_eq!(
            (service.task_state(&id(&asked)).as_str(), service.claim(number).1.as_str()),
            ("refused", "refused")
        );
        service.cloud.pass_seconds(DAY);
    }
    assert!(service.take_queue().is_empty() && service.parked().is_empty());
    let [alert] = &service.alerts()[..] else { panic!("one alert for the rule and its actions") };
    insta::assert_json_snapshot!(alert);
    service.cloud.pass_seconds(30 * DAY);
    deliver(&service, &of_audit("6a4d", [4])).await.unwrap();
    assert_eq!(service.alerts().len(), 2, "it lasts");
}

#[tokio::test(start_paused = true)]
async fn once_a_task_has_started_the_next_refusal_is_told() {
    let service = Service::default();
    for round in 1..=3_u32 {
        service.state().faults.insert("start".into(), denied());
        for number in [2 * round, 2 * round + 100] {
            deliver(&service, &message(findings([number]))).await.unwrap();
        }
        assert_eq!(service.alerts().len(), round as usize);
        service.cloud.pass_seconds(60);
        service.state().faults.clear();
        deliver(&service, &message(findings([2 * round + 1]))).await.unwrap();
        service.cloud.pass_seconds(60);
    }
    assert_eq!((service.starts().len(), service.parked().len()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn an_action_that_there_is_not_is_named_and_one_that_does_not_fit_is_parked() {
    let service = Service::default();
    let invalid = Answer::error(400, "InvalidRequestException", r#"{"message": "no"}"#);
    service.state().faults.insert("start".into(), invalid);
    let gone = Answer::error(404, "ResourceNotFoundException", "{}");
    service.state().faults.insert("action".into(), gone);
    for number in 1..4 {
        deliver(&service, &message(findings([number]))).await.unwrap();
    }
    assert_eq!(
        titles(&service),
        ["Rule expiring cannot mitigate: a mitigation action is missing or does not fit"]
    );
    let said = service.alerts()[0]["content"]["description"].as_str().unwrap().to_owned();
    assert!(said.contains("there is no mitigation action 'QuarantineThing'"), "{said}");
    // Who finds each action knows of no action that is missing.
    let service = Service::default();
    let invalid = Answer::error(400, "InvalidRequestException", r#"{"message": "no"}"#);
    service.state().faults.insert("start".into(), invalid);
    assert!(deliver(&service, &message(findings([1]))).await.unwrap_err().is_permanent());
}

/// Without the state before there is no start: a denied read is alerted as a denied start is, and all else waits.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_before_does_not_start() {
    for operation in ["action", "certificate"] {
        let service = Service::default();
        service.state().faults.insert(operation.into(), denied());
        deliver(&service, &message(findings([1]))).await.unwrap();
        deliver(&service, &message(findings([2]))).await.unwrap();
        assert_eq!(
            titles(&service),
            ["Rule expiring cannot mitigate: apply-mitigations may not start tasks"]
        );
        let said = service.alerts()[0]["content"]["description"].as_str().unwrap().to_owned();
        assert!(said.contains("the state before the start is not known"), "{said}");
        let asked = message(findings([3]));
        for answer in [Answer::broken(), Answer::error(400, "ThrottlingException", "{}"), Answer::Never] {
            service.state().faults.insert(operation.into(), answer);
            deliver(&service, &asked).await.unwrap();
        }
        let waits = service.take_queue();
        assert!(waits.iter().all(|(_, message)| message["step"] == "start"), "{waits:?}");
        assert_eq!(
            (service.starts().len(), service.task_state(&id(&asked)).as_str()),
            (0, ""),
            "{operation}"
        );
        service.state().faults.clear();
        deliver(&service, &waits[0].1).await.unwrap();
        assert_eq!(service.starts(), [id(&asked)]);
    }
}

/// The topic refuses, or a process dies: who comes next tells.
#[tokio::test(start_paused = true)]
async fn what_could_not_be_told_is_told_by_the_next_delivery() {
    let service = Service::default();
    service.state().faults.insert("start".into(), denied());
    service.state().faults.insert("Publish".into(), Answer::refused());
    let asked = message(findings([1]));
    assert!(!deliver(&service, &asked).await.unwrap_err().is_permanent());
    service.state().faults.remove("Publish");
    deliver(&service, &asked).await.unwrap();
    deliver(&service, &message(findings([2]))).await.unwrap();
    assert_eq!((service.alerts().len(), service.parked().len()), (1, 0));
}
