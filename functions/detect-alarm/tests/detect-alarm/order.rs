//! Any order, any repeat, two workers, answers lost, processes killed: the same ledger, alerts and mitigations.

use std::collections::BTreeMap;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::gate::Moment;
use futures_util::future::join_all;
use proptest::prelude::*;
use serde_json::Value;

use crate::service::Service;
use crate::setup::OWN;
use crate::setup::SOURCE;
use crate::setup::enforcing;
use crate::setup::far;
use crate::setup::notified;
use crate::setup::violation;

/// What is left in the end: the ledger, the alerts and the mitigations, and the records.
type Left = (BTreeMap<(String, String), Value>, Vec<String>, Vec<Value>, Vec<String>);

fn left(service: &Service) -> Left {
    (service.ledger(), service.alerts(), service.mitigations(), service.records())
}

async fn outcome(events: &[Value]) -> Left {
    let service = Service::new();
    let function = enforcing(&service);
    service.cloud.pass_seconds(900);
    for event in events {
        service.put([notified(event)]).await;
        service.drain(&function).await;
    }
    // Of two messages to decide on one raise that come at once, one can come again.
    for seconds in [120, 60] {
        service.cloud.pass_seconds(seconds);
        service.drain(&function).await;
    }
    assert_eq!(service.cloud.waiting(OWN).len() + service.parked().len(), 0);
    left(&service)
}

/// All orders of a list that differ.
fn permutations(of: &[Value]) -> Vec<Vec<Value>> {
    let Some((first, rest)) = of.split_first() else { return vec![vec![]] };
    let mut all = Vec::new();
    for order in permutations(rest) {
        for at in 0..=order.len() {
            let mut order = order.clone();
            order.insert(at, first.clone());
            if !all.contains(&order) {
                all.push(order);
            }
        }
    }
    all
}

fn of_one(event: &str, second: i64) -> Value {
    violation("one", "cam", "ports", event, second)
}

fn of_two(event: &str, second: i64) -> Value {
    violation("two", "cam", "ports", event, second)
}

async fn every_order(events: &[Value], mitigated: usize) {
    let first = outcome(events).await;
    assert_eq!(first.2.len(), mitigated);
    for order in permutations(events) {
        let other = outcome(&order).await;
        assert_eq!(first, other, "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_order_of_two_violations_that_end_is_the_same() {
    let (one, two) = (of_one("in-alarm", 0), of_two("in-alarm", 400));
    let ends = [of_one("alarm-cleared", 50), of_two("alarm-invalidated", 500)];
    every_order(&[one.clone(), one, two.clone(), two, ends[0].clone(), ends[1].clone()], 0).await;
}

#[tokio::test(start_paused = true)]
async fn every_order_of_two_violations_of_which_one_lasts_is_the_same() {
    let (cleared, two) = (of_one("alarm-cleared", 50), of_two("in-alarm", 400));
    let one = [of_one("in-alarm", 0), of_one("alarm-invalidated", 50)];
    every_order(&[cleared.clone(), cleared, two.clone(), two, one[0].clone(), one[1].clone()], 1).await;
}

fn any_event() -> impl Strategy<Value = Value> {
    let kinds =
        prop_oneof![Just("in-alarm"), Just("alarm-cleared"), Just("alarm-invalidated"), Just("alarm-odd")];
    (kinds, 0..3_i64, prop_oneof![Just("one"), Just("two")])
        .prop_map(|(kind, at, id)| violation(id, "cam", "ports", kind, at * 300))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_order_and_no_repeat_of_many_events_changes_what_is_left(
        (events, mut shuffled) in proptest::collection::vec(any_event(), 1..12)
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let first = runtime.block_on(outcome(&events));
        shuffled.extend(events);
        let other = runtime.block_on(outcome(&shuffled));
        prop_assert_eq!((&first.0, &first.1, &first.2), (&other.0, &other.1, &other.2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_killed_between_any_two_calls_loses_nothing() {
    let events = [of_one("in-alarm", 0), of_two("in-alarm", 0), of_two("alarm-cleared", 5)]
        .map(|event| notified(&event));
    let whole = Service::new();
    whole.put(events.clone()).await;
    whole.run(&enforcing(&whole), 300).await;
    for at in Moment::all() {
        let service = Service::new();
        service.put(events.clone()).await;
        let before = service.cloud.calls("").len();
        // Each process is a new one: nothing but the ledger and the queue remembers.
        let killed = async {
            for _ in 0..13 {
                service.drain(&enforcing(&service)).await;
                service.cloud.pass_seconds(10);
            }
        };
        let ended = service.cloud.kill(at.clone(), killed).await;
        service.run(&enforcing(&service), 500).await;
        assert_eq!(service.parked().len() + service.cloud.waiting(OWN).len(), 0, "{at:?}");
        assert_eq!(left(&service).1, left(&whole).1, "{at:?}");
        assert_eq!(service.mitigations(), whole.mitigations(), "{at:?}");
        assert_eq!(service.records(), whole.records(), "{at:?}");
        assert!(service.life("one").await.has("mitigate", None), "{at:?}");
        if ended.is_some() {
            assert!(service.cloud.calls("").len() > before);
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_change_nothing() {
    let operations = [
        "BatchGetItem",
        "TransactWriteItems",
        "SendMessageBatch",
        "Publish",
        "PutItem",
        "Query",
        "GetItem",
        "UpdateItem",
    ];
    for operation in operations {
        for answer in [Answer::broken(), Answer::Reset, Answer::refused()] {
            let service = Service::new();
            let function = enforcing(&service);
            service.put([notified(&of_one("in-alarm", 0))]).await;
            service.cloud.lose(operation, answer.clone());
            service.run(&function, 300).await;
            assert_eq!(
                (service.mitigations().len(), service.alerts().len()),
                (1, 1),
                "{operation} {answer:?}"
            );
            assert_eq!(service.parked().len(), 0, "{operation}");
            let devices: i64 = service
                .cloud
                .items("alarm-counts#")
                .values()
                .filter_map(|item| item["devices"].as_i64())
                .sum();
            assert_eq!(devices, 1, "{operation}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_deliveries_at_once_are_one_alarm() {
    let service = Service::new();
    let function = enforcing(&service);
    let body = notified(&of_one("in-alarm", 0));
    let heard = join_all((0..50).map(|_| function.message(&body))).await;
    assert!(heard.iter().all(Result::is_ok), "{heard:?}");
    service.cloud.pass_seconds(120);
    let context = &far();
    let deliveries =
        (0..50).map(|_| service.cloud.deliver(SOURCE, async |event| function.handle(event, context).await));
    join_all(deliveries).await;
    service.run(&function, 300).await;
    assert_eq!((service.mitigations().len(), service.alerts().len(), service.parked().len()), (1, 1, 0));
    assert_eq!(service.life("one").await.actions.len(), 1);
}
