//! What a message does that is held: it waits, is written and told once, and is started once or superseded.

use std::time::Duration;

use fleetwarden_aws::testing::cloud::START;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use super::FAR;
use super::findings;
use super::follow;
use super::hash;
use super::id;
use super::message;
use super::policy;
use super::service::Service;
use super::under;
use super::windows::OPENS_IN_AN_HOUR;
use super::windows::TWO_WEEKS;
use super::with;

async fn deliver(service: &Service, windows: &str, message: &Value) {
    let function = under(service, &policy(Mode::Enforce, windows));
    function.message(&message.to_string(), FAR).await.unwrap();
}

/// Delivers to a process that dies at a call, before or after it takes effect. Says whether it came to that.
async fn dies(service: &Service, windows: &str, message: &Value, at: (usize, bool)) -> bool {
    service.state().calls.clear();
    service.state().dies = Some(at);
    let deliver = deliver(service, windows, message);
    let died = tokio::time::timeout(Duration::from_secs(2), deliver).await.is_err();
    service.state().dies = None;
    died
}

fn now(service: &Service) -> Millis {
    service.cloud.clock().now()
}

impl Service {
    /// The one message on the queue, when it is seen again.
    fn next(&self) -> Value {
        let [(delay, next)] = &self.take_queue()[..] else { panic!("one message") };
        self.cloud.pass_seconds(i64::try_from(*delay).unwrap());
        next.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn it_waits_until_a_window_opens_and_then_starts_once() {
    let service = Service::default();
    let asked = message(findings([1, 2]));
    let mut next = asked.clone();
    let mut delays = vec![];
    while now(&service) < START.plus_seconds(3600) {
        deliver(&service, OPENS_IN_AN_HOUR, &next).await;
        assert!(service.starts().is_empty());
        delays.push(service.state().queue[0].0);
        next = service.next();
    }
    assert_eq!(delays, [900, 900, 900, 900]);
    assert_eq!(
        service.calls(),
        "TransactWriteItems SendMessageBatch".to_owned() + &" GetItem SendMessageBatch".repeat(3)
    );
    let task = format!("mitigation#{}", id(&asked));
    let of = |name| service.attribute(&task, "task", name);
    assert_eq!((of("state"), of("until")), ("held".into(), "2026-11-23T01:00:00Z".into()));
    assert_eq!(
        of("reason"),
        "outside of the policy's windows until 2026-11-23T02:00:00+01:00 (Europe/Berlin)"
    );
    assert_eq!(service.claim(2), (id(&asked), "held".into()));
    deliver(&service, OPENS_IN_AN_HOUR, &next).await;
    assert_eq!((service.starts(), service.task_state(&id(&asked))), (vec![id(&asked)], "started".into()));
    assert_eq!((of("until"), service.claim(2).1), (String::new(), "claimed".into()));
    let mut follow_up = follow(&asked);
    follow_up["waits"] = json!(0);
    assert_eq!(service.take_queue(), [(60, follow_up)]);
    assert!(service.alerts().is_empty(), "an hour is no news");
    for again in [&next, &asked] {
        deliver(&service, OPENS_IN_AN_HOUR, again).await;
    }
    assert!(service.starts().len() == 1 && service.take_queue().is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_weeks_are_no_retries_and_are_written_and_told_once() {
    let service = Service::default();
    let asked = message(findings([1]));
    let mut next = asked.clone();
    let mut rounds = 0;
    let function = under(&service, &policy(Mode::Enforce, TWO_WEEKS));
    while service.starts().is_empty() {
        function.message(&next.to_string(), FAR).await.unwrap();
        next = service.next();
        rounds += 1;
        if rounds == 1 {
            // Another task of the same rule and audit is no news.
            deliver(&service, TWO_WEEKS, &message(findings([2]))).await;
            service.take_queue();
        }
    }
    assert_eq!(rounds, 14 * 96 + 1);
    assert_eq!(next["step"], "follow");
    let calls = service.calls();
    // One for each hold, and one for the start.
    assert_eq!(calls.matches("TransactWriteItems").count(), 3);
    assert!(service.parked().is_empty());
    assert_eq!(service.alerts().len(), 1);
    insta::assert_json_snapshot!(service.alerts()[0]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_twice_yields_one_task() {
    let service = Service::default();
    let asked = message(findings([1]));
    for _ in 0..2 {
        deliver(&service, OPENS_IN_AN_HOUR, &asked).await;
    }
    let copies = service.take_queue();
    assert_eq!(copies.len(), 2);
    service.cloud.pass_seconds(3600);
    for (_, copy) in &copies {
        deliver(&service, OPENS_IN_AN_HOUR, copy).await;
    }
    assert_eq!((service.starts(), service.take_queue().len()), (vec![id(&asked)], 1));
}

#[tokio::test(start_paused = true)]
async fn a_later_audit_supersedes_what_waits() {
    let service = Service::default();
    let asked = message(findings([1]));
    deliver(&service, OPENS_IN_AN_HOUR, &asked).await;
    let mut next = service.next();
    // Its own triage, and that of an earlier audit, are no later ones.
    for (task_id, began) in [("4e2b", START), ("3a1f", START.plus_seconds(-60))] {
        service.looked_at(task_id, began);
        deliver(&service, OPENS_IN_AN_HOUR, &next).await;
        assert_eq!(service.task_state(&id(&asked)), "held");
        next = service.next();
    }
    service.looked_at("5c3d", START.plus_seconds(60));
    for seconds in [0, 3600] {
        service.cloud.pass_seconds(seconds);
        deliver(&service, OPENS_IN_AN_HOUR, &next).await;
        // A late copy of the first message changes nothing either.
        deliver(&service, OPENS_IN_AN_HOUR, &asked).await;
        assert_eq!(
            (service.task_state(&id(&asked)), service.claim(1).1),
            ("superseded".into(), "superseded".into())
        );
    }
    assert!(service.starts().is_empty() && service.take_queue().is_empty() && service.alerts().is_empty());
    // The later audit's own mitigation of the same resource, under its new id.
    let later = with(
        with(message(findings([7])), "/request/audit/taskId", "5c3d"),
        "/request/audit/startedAt",
        START.0 + 60_000,
    );
    deliver(&service, OPENS_IN_AN_HOUR, &later).await;
    assert_eq!(service.starts(), [id(&later)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_never_held_is_not_asked_about_later_audits() {
    let service = Service::default();
    service.looked_at("5c3d", START.plus_seconds(60));
    deliver(&service, "", &message(findings([1]))).await;
    assert_eq!(service.calls(), "TransactWriteItems start SendMessageBatch UpdateItem");
}

#[tokio::test(start_paused = true)]
async fn other_windows_are_obeyed_at_the_next_look() {
    let service = Service::default();
    let asked = message(findings([1]));
    let until = || service.attribute(&format!("mitigation#{}", id(&asked)), "task", "until");
    deliver(&service, TWO_WEEKS, &asked).await;
    assert_eq!(until(), "2026-12-07T00:00:00Z");
    deliver(&service, OPENS_IN_AN_HOUR, &service.next()).await;
    assert_eq!(until(), "2026-11-23T01:00:00Z");
    deliver(&service, "", &service.next()).await;
    assert_eq!((service.starts(), service.task_state(&id(&asked))), (vec![id(&asked)], "started".into()));
}

#[tokio::test(start_paused = true)]
async fn what_wakes_when_ten_run_waits_for_room_and_for_the_next_window() {
    let service = Service::default();
    let asked = message(findings([1]));
    for n in 0..10 {
        service.state().tasks.insert(n.to_string(), json!({"taskStatus": "IN_PROGRESS"}));
    }
    let mut next = asked.clone();
    let mut states = vec![];
    // The window is two hours long, and the next one is a week later.
    while now(&service) < START.plus_seconds(4 * 3600) {
        deliver(&service, OPENS_IN_AN_HOUR, &next).await;
        states.push(service.task_state(&id(&asked)));
        next = service.next();
    }
    states.dedup();
    assert_eq!(states, ["held", "claimed", "held"]);
    assert_eq!(service.claim(1).1, "held", "nothing is claimed while it is held");
    assert_eq!(
        service.attribute(&format!("mitigation#{}", id(&asked)), "task", "until"),
        "2026-11-30T01:00:00Z"
    );
    assert_eq!(service.alerts().len(), 1, "a week is told");
    for task in service.state().tasks.values_mut() {
        task["taskStatus"] = json!("COMPLETED");
    }
    service.cloud.pass_seconds(7 * 86_400 - 3 * 3600 + 60);
    deliver(&service, OPENS_IN_AN_HOUR, &next).await;
    assert_eq!(service.starts(), [id(&asked)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_started_right_before_the_window_closed_is_followed() {
    for (windows, later) in [(OPENS_IN_AN_HOUR, None), ("", Some("5c3d"))] {
        let service = Service::default();
        let decided_by = hash(&policy(Mode::Enforce, OPENS_IN_AN_HOUR));
        let asked = with(message(findings([1])), "/request/policy", decided_by);
        deliver(&service, OPENS_IN_AN_HOUR, &asked).await;
        let (_, held) = service.take_queue().remove(0);
        service.cloud.pass_seconds(3600);
        assert!(dies(&service, OPENS_IN_AN_HOUR, &held, (2, true)).await);
        assert_eq!((service.starts().len(), service.task_state(&id(&asked))), (1, "claimed".into()));
        service.cloud.pass_seconds(2 * 3600);
        if let Some(task_id) = later {
            service.looked_at(task_id, START.plus_seconds(60));
        }
        deliver(&service, windows, &held).await;
        assert_eq!(
            (service.task_state(&id(&asked)), service.next()["step"].clone()),
            ("started".into(), json!("follow"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_other_tasks_have_when_it_opens_is_superseded() {
    let service = Service::default();
    let (inside, all) = (message(findings([2])), message(findings([1, 2])));
    deliver(&service, OPENS_IN_AN_HOUR, &inside).await;
    let (_, held) = service.take_queue().remove(0);
    service.cloud.pass_seconds(3600);
    deliver(&service, OPENS_IN_AN_HOUR, &all).await;
    deliver(&service, OPENS_IN_AN_HOUR, &held).await;
    assert_eq!(service.starts(), [id(&all)]);
    assert_eq!((service.task_state(&id(&inside)), service.claim(2).0), ("superseded".into(), id(&all)));
}

#[tokio::test(start_paused = true)]
async fn whenever_holding_dies_it_is_written_told_and_comes_again() {
    let asked = message(findings([1]));
    for call in 0..=5 {
        for after in [false, true] {
            let service = Service::default();
            let died = dies(&service, TWO_WEEKS, &asked, (call, after)).await;
            assert_eq!(died, call < 5, "{call}");
            service.cloud.pass_seconds(61);
            deliver(&service, TWO_WEEKS, &asked).await;
            assert_eq!(service.task_state(&id(&asked)), "held");
            assert!((1..=2).contains(&service.alerts().len()) && !service.take_queue().is_empty(), "{call}");
        }
    }
}
