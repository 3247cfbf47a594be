//! Deaths at every point, and messages in every order.

use std::time::Duration;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::gate::Moment;
use proptest::prelude::Strategy as _;
use serde_json::Value;
use serde_json::json;

use crate::service::Service;
use crate::setup::deliver;
use crate::setup::findings;
use crate::setup::follow;
use crate::setup::id;
use crate::setup::message;

/// Delivers until the process dies, then again after the lease of an alert that was being told.
async fn die_and_repeat(service: &Service, message: &Value, dies: (usize, bool)) -> bool {
    service.state().calls.clear();
    service.state().dies = Some(dies);
    let first = tokio::time::timeout(Duration::from_secs(2), deliver(service, message)).await;
    service.state().dies = None;
    service.cloud.pass_seconds(61);
    let _ = deliver(service, message).await;
    first.is_err()
}

#[tokio::test(start_paused = true)]
async fn whenever_a_start_dies_the_task_is_started_once_and_followed() {
    let message = message(findings([1, 2]));
    for call in 0..=17 {
        for after in [false, true] {
            let service = Service::default();
            let died = die_and_repeat(&service, &message, (call, after)).await;
            assert_eq!(died, call < 17, "{call}");
            assert_eq!(service.state().starts, [id(&message)]);
            assert_eq!(service.task_state(&id(&message)), "started");
            assert!(!service.take_queue().is_empty(), "a follow-up is on its way");
        }
    }
}

/// The process dies right after its start, and then the permission or the action is taken away: the task runs all the same.
#[tokio::test(start_paused = true)]
async fn what_was_started_before_it_was_refused_is_followed() {
    let asked = message(findings([1]));
    for (status, code) in [(403, "AccessDeniedException"), (400, "InvalidRequestException")] {
        let service = Service::default();
        let killed =
            service.cloud.kill(Moment::before("SendMessageBatch", 0), deliver(&service, &asked)).await;
        assert!(killed.is_none());
        service.state().faults.insert("start".into(), Answer::error(status, code, "{}"));
        deliver(&service, &asked).await.unwrap();
        assert_eq!(
            (service.task_state(&id(&asked)).as_str(), service.claim(1).1.as_str()),
            ("started", "claimed")
        );
        assert_eq!((service.take_queue().len(), service.alerts().len()), (1, 0));
    }
}

/// Two workers have the same message, or messages that share a finding: the second one runs at each moment of the first.
#[tokio::test(start_paused = true)]
async fn beside_a_second_worker_a_task_is_started_once_and_a_finding_mitigated_once() {
    let one = message(findings([1, 2]));
    for other in [one.clone(), message(findings([2, 3]))] {
        for at in Moment::all() {
            let service = Service::default();
            let deliveries = (deliver(&service, &one), deliver(&service, &other));
            let (first, second) = service.cloud.interleave(at.clone(), deliveries.0, deliveries.1).await;
            first.unwrap();
            let Some(second) = second else { break };
            second.unwrap();
            let mut ids = vec![id(&one), id(&other)];
            ids.dedup();
            let mut starts = service.starts();
            assert_eq!(starts.len(), ids.len(), "{at:?}");
            starts.sort_unstable();
            ids.sort_unstable();
            assert_eq!(starts, ids);
            assert!(ids.iter().all(|id| service.task_state(id) == "started"), "{at:?}");
            let tasks = service.state().tasks.clone();
            let of = |task: &Value| task["target"]["findingIds"].as_array().unwrap().clone();
            let mut mitigated: Vec<Value> = tasks.values().flat_map(of).collect();
            let count = mitigated.len();
            mitigated.sort_by_key(ToString::to_string);
            mitigated.dedup();
            assert_eq!(mitigated.len(), count, "{at:?}: a finding is in two tasks");
        }
    }
}

/// The answer to a write is lost, and the SDK sends the write again: its own state does not stand in its way.
#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_ones_own() {
    for answer in [Answer::broken(), Answer::Reset] {
        let asked = message(findings([1]));
        let service = Service::default();
        service.cloud.lose("UpdateItem", answer.clone());
        deliver(&service, &asked).await.unwrap();
        assert_eq!((service.task_state(&id(&asked)).as_str(), service.starts().len()), ("started", 1));
        // A task that is gone: the alert must not be skipped.
        service.state().tasks.clear();
        service.cloud.lose("UpdateItem", answer.clone());
        deliver(&service, &follow(&asked)).await.unwrap();
        assert_eq!((service.task_state(&id(&asked)).as_str(), service.alerts().len()), ("lost", 1));
        // One that runs for 90 days.
        let service = Service::default();
        deliver(&service, &asked).await.unwrap();
        service.cloud.pass_seconds(90 * 86_400);
        service.cloud.lose("UpdateItem", answer.clone());
        deliver(&service, &follow(&asked)).await.unwrap();
        assert_eq!((service.task_state(&id(&asked)).as_str(), service.alerts().len()), ("lost", 1));
    }
}

#[tokio::test(start_paused = true)]
async fn whenever_a_refusal_dies_it_is_told_and_written_down() {
    let message = message(findings([1]));
    for call in 0..7 {
        for after in [false, true] {
            let service = Service::default();
            let refusal = Answer::error(400, "InvalidRequestException", "{}");
            service.state().faults.insert("start".into(), refusal);
            die_and_repeat(&service, &message, (call, after)).await;
            assert_eq!(service.task_state(&id(&message)), "refused");
            assert!((1..=2).contains(&service.alerts().len()), "{call}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whenever_following_dies_the_end_is_the_same() {
    let message = message(findings([1, 2]));
    let mut ends = vec![];
    for call in 0..9 {
        for after in [false, true] {
            let service = Service::default();
            deliver(&service, &message).await.unwrap();
            service.end(&id(&message), "FAILED", [1, 1, 0, 0]);
            die_and_repeat(&service, &follow(&message), (call, after)).await;
            assert!((1..=2).contains(&service.alerts().len()), "{call}");
            ends.push(service.ledger());
        }
    }
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]));
}

/// What happens next: a message comes, the process dies at a call of it, or a task ends.
#[derive(Clone, Debug)]
enum Event {
    Start(usize),
    Follow(usize),
    Dies(usize, usize, bool),
    Ends(usize),
}

fn event() -> impl proptest::strategy::Strategy<Value = Event> {
    let which = 0..3_usize;
    proptest::prop_oneof![
        3 => which.clone().prop_map(Event::Start),
        2 => which.clone().prop_map(Event::Follow),
        2 => (which.clone(), 0..5_usize, proptest::bool::ANY).prop_map(|(m, call, after)| Event::Dies(m, call, after)),
        1 => which.prop_map(Event::Ends),
    ]
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(96))]
    #[test]
    fn any_order_starts_each_task_once_and_mitigates_each_finding_once(
        events in proptest::collection::vec(event(), 0..16)
    ) {
        // Overlapping packs of findings, as two triages of one audit would make them.
        let messages = [message(findings([1, 2])), message(findings([2, 3, 4])), message(findings([4, 5]))];
        let service = Service::default();
        let run = async {
            for event in &events {
                match event {
                    Event::Start(m) => drop(deliver(&service, &messages[*m]).await),
                    // Nobody follows what was not started.
                    Event::Follow(m) if service.state().starts.contains(&id(&messages[*m])) => {
                        drop(deliver(&service, &follow(&messages[*m])).await);
                    }
                    Event::Dies(m, call, after) => {
                        service.state().calls.clear();
                        service.state().dies = Some((*call, *after));
                        let deliver = deliver(&service, &messages[*m]);
                        drop(tokio::time::timeout(Duration::from_secs(2), deliver).await);
                        service.state().dies = None;
                    }
                    Event::Ends(m) if service.state().starts.contains(&id(&messages[*m])) => {
                        service.end(&id(&messages[*m]), "COMPLETED", [1, 0, 0, 0]);
                    }
                    Event::Follow(_) | Event::Ends(_) => {}
                }
            }
            // Every message is delivered once more, as the queue does with what was not done.
            for message in &messages {
                deliver(&service, message).await.unwrap();
            }
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(run);
        let state = service.state();
        let mut starts = state.starts.clone();
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts.len(), state.starts.len(), "a task was started twice");
        let mut mitigated: Vec<Value> =
            state.tasks.values().flat_map(|task| task["target"]["findingIds"].as_array().unwrap().clone()).collect();
        mitigated.sort_by_key(ToString::to_string);
        assert_eq!(mitigated, [1, 2, 3, 4, 5].map(|n| json!(format!("finding-{n}"))), "each finding once");
    }
}
