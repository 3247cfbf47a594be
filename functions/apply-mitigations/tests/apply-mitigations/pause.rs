//! What a pause stops, at any moment, and what it lets go on.

use std::time::Duration;

use fleetwarden_aws::pause;
use fleetwarden_aws::pause::Resume;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::model::mitigation::pause::Pause;
use fleetwarden_core::policy::Mode;
use serde_json::Value;

use crate::service::Service;
use crate::setup::FAR;
use crate::setup::findings;
use crate::setup::follow;
use crate::setup::function;
use crate::setup::id;
use crate::setup::ledger;
use crate::setup::message;
use crate::setup::policy;
use crate::setup::under;
use crate::setup::whole_check;
use crate::windows::OPENS_IN_AN_HOUR;

pub(crate) async fn set(service: &Service) {
    let pause = Pause {
        reason: "a bad rollout".into(),
        by: Some("mia".into()),
        since: service.cloud.clock().now().rfc3339(),
        ..Pause::default()
    };
    pause::set(&ledger(&service.cloud), &pause).await.unwrap();
}

pub(crate) async fn resume(service: &Service) {
    let now = service.cloud.clock().now();
    assert!(pause::end(&ledger(&service.cloud), Resume::default(), now).await.unwrap().is_some());
}

async fn deliver(service: &Service, message: &Value) {
    function(service, Mode::Enforce).message(&message.to_string(), FAR).await.unwrap();
}

/// The one message on the queue, when it is seen again.
fn next(service: &Service) -> Value {
    let [(delay, next)] = &service.take_queue()[..] else { panic!("one message") };
    service.cloud.pass_seconds(i64::try_from(*delay).unwrap());
    next.clone()
}

fn reason(service: &Service, asked: &Value) -> String {
    service.attribute(&format!("mitigation#{}", id(asked)), "task", "reason")
}

#[tokio::test(start_paused = true)]
async fn it_waits_while_it_is_paused_and_then_starts_once() {
    for asked in [message(findings([1, 2])), whole_check()] {
        let service = Service::default();
        set(&service).await;
        service.calls();
        deliver(&service, &asked).await;
        assert_eq!(service.task_state(&id(&asked)), "held");
        let why = "mitigation is paused since 2026-11-23T00:00:00Z by mia: a bad rollout";
        assert_eq!(reason(&service, &asked), why);
        let mut waits = next(&service);
        service.calls();
        for _ in 0..3 {
            deliver(&service, &waits).await;
            // It takes its round, asks the switch and sends itself: no finding is looked up.
            assert_eq!(service.calls(), "TransactWriteItems GetItem SendMessageBatch");
            waits = next(&service);
        }
        // A late copy changes nothing.
        deliver(&service, &asked).await;
        service.take_queue();
        assert!(service.starts().is_empty() && service.alerts().is_empty() && service.parked().is_empty());
        resume(&service).await;
        deliver(&service, &waits).await;
        assert_eq!((service.starts(), service.task_state(&id(&asked))), (vec![id(&asked)], "started".into()));
        assert_eq!(reason(&service, &asked), "");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_at_any_call_before_the_start_stops_it() {
    let asked = message(findings([1, 2]));
    let of_calm = Service::default();
    deliver(&of_calm, &asked).await;
    let calls = of_calm.calls();
    let start = calls.split(' ').position(|call| call == "start").unwrap();
    // The switch is read right before the start.
    let last = start - 1;
    assert_eq!(calls.split(' ').nth(last), Some("GetItem"), "{calls}");
    for (at, moment) in Moment::all().enumerate() {
        let service = Service::default();
        let of = function(&service, Mode::Enforce);
        let body = asked.to_string();
        let (done, paused) =
            service.cloud.interleave(moment, Box::pin(of.message(&body, FAR)), set(&service)).await;
        done.unwrap();
        if paused.is_none() {
            assert!(at > 2 * last, "it ended before call {at}");
            break;
        }
        let is_started = at > 2 * last;
        assert_eq!(service.starts().len(), usize::from(is_started), "paused at moment {at} of {calls}");
        let state = if is_started { "started" } else { "held" };
        assert_eq!(service.task_state(&id(&asked)), state);
    }
}

#[tokio::test(start_paused = true)]
async fn who_dies_after_the_start_finds_its_task_although_it_is_paused() {
    let asked = message(findings([1]));
    let of_calm = Service::default();
    deliver(&of_calm, &asked).await;
    let count = of_calm.calls().split(' ').count();
    for at in 0..count {
        for before in [true, false] {
            let service = Service::default();
            service.state().dies = Some((at, before));
            let died = tokio::time::timeout(Duration::from_secs(2), deliver(&service, &asked)).await.is_err();
            service.state().dies = None;
            assert!(died, "{at}");
            let started = service.starts().len();
            set(&service).await;
            service.take_queue();
            // Until then another worker could still start it.
            service.cloud.pass_seconds(900);
            deliver(&service, &asked).await;
            assert_eq!(service.starts().len(), started, "nothing starts while it is paused");
            let state = if started == 1 { "started" } else { "held" };
            assert_eq!(service.task_state(&id(&asked)), state, "{at} {before}");
            let waits = service.take_queue();
            resume(&service).await;
            for (delay, waits) in waits {
                assert_eq!(waits["step"] == "follow", started == 1);
                service.cloud.pass_seconds(i64::try_from(delay).unwrap());
                deliver(&service, &waits).await;
            }
            assert_eq!(service.starts(), [id(&asked)]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_a_pause_and_an_audit_each_have_their_say() {
    let asked = message(findings([1]));
    let service = Service::default();
    let windows = policy(Mode::Enforce, OPENS_IN_AN_HOUR);
    let under_windows = under(&service, &windows);
    under_windows.message(&asked.to_string(), FAR).await.unwrap();
    let waits = next(&service);
    set(&service).await;
    service.cloud.pass_seconds(3600);
    under_windows.message(&waits.to_string(), FAR).await.unwrap();
    assert!(reason(&service, &asked).starts_with("mitigation is paused since 2026-11-23T00:15:00Z"));
    let waits = next(&service);
    service.looked_at("5c3d", START.plus_seconds(60));
    under_windows.message(&waits.to_string(), FAR).await.unwrap();
    assert_eq!((service.task_state(&id(&asked)), service.starts().len()), ("superseded".into(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_pause_stops_no_follow_up_and_observing_says_what_it_would_stop() {
    let service = Service::default();
    let asked = message(findings([1]));
    deliver(&service, &asked).await;
    service.take_queue();
    set(&service).await;
    deliver(&service, &follow(&asked)).await;
    assert_eq!(service.task_state(&id(&asked)), "started");
    let observed = message(findings([2]));
    function(&service, Mode::Observe).message(&observed.to_string(), FAR).await.unwrap();
    assert_eq!(service.task_state(&id(&observed)), "observed");
    let why = "would be held: mitigation is paused since 2026-11-23T00:00:00Z by mia: a bad rollout";
    assert_eq!(reason(&service, &observed), why);
}
