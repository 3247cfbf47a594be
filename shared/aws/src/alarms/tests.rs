//! The ledger's alarms under every schedule: any order, any repeat, answers lost, writers that meet.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::message::alarm::Settle;
use fleetwarden_core::model::alarm::Action;
use fleetwarden_core::model::alarm::Alarm;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::CriteriaType;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::Source;
use fleetwarden_core::model::alarm::State;
use fleetwarden_core::model::alarm::Verification;
use fleetwarden_core::timestamp::Millis;
use futures_util::future::join_all;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::Error;
use crate::testing::Answer;
use crate::testing::cloud::Cloud;
use crate::testing::cloud::START;
use crate::testing::gate::Moment;

const WINDOW: i64 = 900;

fn alarms(cloud: &Cloud) -> Alarms {
    Alarms::new(Ledger::new(cloud.clients().dynamodb(), "ledger".into()))
}

fn alarm(violation: &str, thing: &str) -> Alarm {
    Alarm {
        source: Source::DeviceDefender,
        account: "123456789012".into(),
        region: "us-east-1".into(),
        violation_id: violation.into(),
        profile: "lights".into(),
        behavior: "sent".into(),
        metric: Some("aws:num-messages-sent".into()),
        thing: Some(thing.into()),
        criteria: CriteriaType::Static,
        confidence: None,
        expected: None,
        suppressed: false,
    }
}

fn event(violation: &str, thing: &str, event: EventType, second: i64) -> AlarmEvent {
    let at = START.plus_seconds(second);
    AlarmEvent { alarm: alarm(violation, thing), event, at, value: Some(json!(second)), verification: None }
}

fn raised(violation: &str, thing: &str, second: i64) -> AlarmEvent {
    event(violation, thing, EventType::InAlarm, second)
}

fn cleared(violation: &str, thing: &str, second: i64) -> AlarmEvent {
    event(violation, thing, EventType::AlarmCleared, second)
}

async fn record(cloud: &Cloud, event: &AlarmEvent) -> Update {
    alarms(cloud).record(event, cloud.clock().now()).await.unwrap()
}

async fn devices(cloud: &Cloud) -> u64 {
    let behavior = alarm("v", "t").behavior_key();
    alarms(cloud).devices_in_alarm(&behavior, WINDOW, cloud.clock().now()).await.unwrap()
}

/// What the ledger has, without what says how often it was written, and without counters at zero.
fn contents(cloud: &Cloud) -> BTreeMap<(String, String), Value> {
    let mut items = cloud.items("");
    items.retain(|_, item| item.get("devices").is_none_or(|devices| *devices != json!(0)));
    items
        .into_iter()
        .map(|(key, mut item)| {
            item.remove("version");
            (key, Value::Object(item))
        })
        .collect()
}

/// All orders of a list that differ.
fn permutations(of: &[AlarmEvent]) -> Vec<Vec<AlarmEvent>> {
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

#[tokio::test]
async fn every_order_and_repeat_of_two_violations_of_a_thing_leaves_the_same() {
    let events = [
        raised("one", "thing", 0),
        cleared("one", "thing", 40),
        event("one", "thing", EventType::AlarmInvalidated, 50),
        raised("two", "thing", 700),
        cleared("two", "thing", 800),
        raised("one", "thing", 0),
    ];
    let mut first = None;
    for order in permutations(&events) {
        let cloud = Cloud::default();
        cloud.pass_seconds(900);
        for event in &order {
            record(&cloud, event).await;
        }
        let left = contents(&cloud);
        assert_eq!(devices(&cloud).await, 1, "the device counts once, where it was raised last");
        assert_eq!(*first.get_or_insert_with(|| left.clone()), left, "{order:?}");
    }
    assert_eq!(first.unwrap().len(), 4, "two lives, a series and a counter");
}

#[tokio::test]
async fn a_repeat_writes_nothing_and_costs_one_read() {
    let cloud = Cloud::default();
    for event in
        [raised("v", "t", 0), cleared("v", "t", 5), event("v", "t", EventType::Unknown("odd".into()), 6)]
    {
        let is_first = record(&cloud, &event).await.is_news;
        assert_eq!(is_first, !matches!(event.event, EventType::Unknown(_)));
        let before = (cloud.calls("BatchGetItem").len(), cloud.calls("").len());
        let again = record(&cloud, &event).await;
        assert!(!again.is_news);
        assert_eq!((cloud.calls("BatchGetItem").len(), cloud.calls("").len()), (before.0 + 1, before.1 + 1));
    }
    let calls = ["BatchGetItem", "TransactWriteItems"].map(|name| cloud.calls(name).len());
    assert_eq!((calls, cloud.calls("").len()), ([6, 2], 8), "an event that is news costs two calls");
}

#[tokio::test]
async fn a_violation_that_only_an_odd_event_tells_of_is_kept() {
    let cloud = Cloud::default();
    assert!(record(&cloud, &event("v", "t", EventType::Unknown("odd".into()), 6)).await.is_news);
    let known = alarms(&cloud).known("v").await.unwrap().unwrap();
    assert_eq!((known.life.state(), known.life.alarm.thing.as_deref()), (None, Some("t")));
}

#[tokio::test]
async fn what_is_open_is_listed_and_nothing_else() {
    let cloud = Cloud::default();
    for n in 0..150 {
        record(&cloud, &raised(&format!("v-{n}"), &format!("t-{n}"), n)).await;
    }
    record(&cloud, &cleared("v-7", "t-7", 500)).await;
    record(&cloud, &cleared("early", "t", 500)).await;
    let open: BTreeSet<String> =
        alarms(&cloud).open().await.unwrap().into_iter().map(|life| life.alarm.violation_id).collect();
    assert_eq!(open.len(), 149);
    assert!(!open.contains("v-7") && !open.contains("early"));
    let since =
        alarms(&cloud).open_since(&alarm("v", "t").behavior_key(), START.plus_seconds(140)).await.unwrap();
    assert_eq!(since.len(), 10);
    record(&cloud, &raised("v-7", "t-7", 600)).await;
    assert_eq!(alarms(&cloud).open().await.unwrap().len(), 150, "an id that is used again is open again");
}

#[tokio::test]
async fn devices_are_counted_once_in_the_window_of_their_latest_raise() {
    let cloud = Cloud::default();
    record(&cloud, &raised("a", "one", 0)).await;
    record(&cloud, &raised("b", "two", 10)).await;
    record(&cloud, &raised("c", "one", 20)).await;
    assert_eq!(devices(&cloud).await, 2);
    cloud.pass_seconds(1_000);
    record(&cloud, &raised("d", "one", 1_000)).await;
    record(&cloud, &raised("e", "three", -60 * 86_400)).await;
    record(&cloud, &raised("f", "four", 365 * 86_400)).await;
    assert_eq!(
        devices(&cloud).await,
        2,
        "both touch the window; neither the old one nor the one to come counts"
    );
    cloud.pass_seconds(300);
    assert_eq!(devices(&cloud).await, 1);
    cloud.pass_seconds(3_000);
    assert_eq!(devices(&cloud).await, 0);
}

#[tokio::test]
async fn what_is_heard_late_is_counted_around_its_own_time() {
    let cloud = Cloud::default();
    cloud.pass_seconds(86_400);
    for (n, second) in [0, 10, 700, 800, 900, 1_500, 4_000].into_iter().enumerate() {
        record(&cloud, &raised(&format!("v-{n}"), &format!("t-{n}"), second)).await;
    }
    let around = async |second| {
        let (behavior, at) = (alarm("v", "t").behavior_key(), START.plus_seconds(second));
        alarms(&cloud).devices_around(&behavior, WINDOW, at).await.unwrap()
    };
    let counts = [around(0).await, around(900).await, around(1_500).await, around(4_000).await];
    assert_eq!((devices(&cloud).await, counts), (0, [5, 5, 4, 1]));
    let life = alarms(&cloud).known("v-4").await.unwrap().unwrap().life;
    let noticed = alarms(&cloud).notice(&life, None, WINDOW, cloud.clock().now()).await.unwrap();
    assert_eq!((noticed.devices, noticed.first_at), (5, START));
    assert_eq!(noticed.latest_at, START.plus_seconds(900));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_counts_nothing_twice() {
    for (times, answer) in [(1, Answer::broken()), (1, Answer::Reset), (3, Answer::Reset), (1, Answer::Never)]
    {
        let cloud = Cloud::default();
        (0..times).for_each(|_| cloud.lose("TransactWriteItems", answer.clone()));
        let event = raised("v", "t", 0);
        let now = cloud.clock().now();
        let first = alarms(&cloud).record(&event, now).await;
        assert_eq!(first.is_err(), times == 3, "{first:?}");
        record(&cloud, &event).await;
        assert_eq!(devices(&cloud).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_meets_another_is_sent_again() {
    let cloud = Cloud::default();
    let reasons = json!([{"Code": "None"}, {"Code": "TransactionConflict"}]);
    let body =
        json!({"__type": "TransactionCanceledException", "message": "x", "CancellationReasons": reasons});
    cloud.fail("TransactWriteItems", 2, Answer::error(400, "TransactionCanceledException", &body));
    record(&cloud, &raised("v", "t", 0)).await;
    assert_eq!((cloud.calls("TransactWriteItems").len(), devices(&cloud).await), (3, 1));
    cloud.fail("TransactWriteItems", 99, Answer::error(400, "TransactionCanceledException", &body));
    let missed = alarms(&cloud).record(&raised("w", "u", 0), START).await;
    assert!(matches!(missed, Err(Error::Later(_))), "{missed:?}");
}

#[tokio::test(start_paused = true)]
async fn two_workers_that_hear_of_one_violation_merge() {
    for at in Moment::all() {
        let cloud = Cloud::default();
        let first = async { record(&cloud, &raised("one", "thing", 0)).await };
        let second = async {
            record(&cloud, &cleared("one", "thing", 5)).await;
            record(&cloud, &raised("two", "thing", 400)).await;
        };
        let ran = cloud.interleave(at, first, second).await.1;
        let known = alarms(&cloud).known("one").await.unwrap().unwrap();
        if ran.is_none() {
            break;
        }
        assert_eq!(known.life.state(), Some(State::Cleared));
        assert_eq!(known.raises, [START, START.plus_seconds(400)]);
        assert_eq!(devices(&cloud).await, 1);
        assert_eq!(alarms(&cloud).open().await.unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_deliveries_at_once_are_one_event() {
    let cloud = Cloud::default();
    let same = raised("v", "t", 0);
    let news = join_all((0..50).map(|_| record(&cloud, &same))).await;
    assert_eq!(news.iter().filter(|heard| heard.is_news).count(), 1);
    let others: Vec<_> = (0..50).map(|n| raised(&format!("w-{n}"), &format!("t-{n}"), n)).collect();
    join_all(others.iter().map(|event| record(&cloud, event))).await;
    assert_eq!(devices(&cloud).await, 51);
}

#[tokio::test]
async fn a_killed_worker_leaves_all_or_nothing() {
    for at in Moment::all() {
        let cloud = Cloud::default();
        let ended = cloud.kill(at, record(&cloud, &raised("v", "t", 0))).await;
        let left = cloud.items("").len();
        assert!([0, 4].contains(&left), "{left}");
        record(&cloud, &raised("v", "t", 0)).await;
        assert_eq!((cloud.items("").len(), devices(&cloud).await), (4, 1));
        if ended.is_some() {
            break;
        }
    }
}

fn action(what: &str, task: Option<&str>, at: Millis) -> Action {
    Action { at, raised_at: None, what: what.into(), rule: None, task_id: task.map(Into::into), reason: None }
}

#[tokio::test]
async fn what_is_done_is_noted_once_for_each_raise() {
    let cloud = Cloud::default();
    let alarms = alarms(&cloud);
    alarms.note("nobody", &action("report", None, START)).await.unwrap();
    record(&cloud, &raised("v", "t", 0)).await;
    for (what, task) in
        [("report", None), ("report", None), ("mitigated", Some("a")), ("mitigated", Some("b"))]
    {
        alarms.note("v", &action(what, task, START.plus_seconds(1))).await.unwrap();
    }
    alarms.verified("v", Verification::TruePositive, START.plus_seconds(2)).await.unwrap();
    let actions = |life: &Life| life.actions.iter().map(|action| action.what.clone()).collect::<Vec<_>>();
    let life = alarms.known("v").await.unwrap().unwrap().life;
    assert_eq!(actions(&life), ["report", "mitigated", "mitigated"]);
    assert_eq!(life.verification, Some(Verification::TruePositive));
    record(&cloud, &raised("v", "t", 10)).await;
    alarms.note("v", &action("report", None, START.plus_seconds(11))).await.unwrap();
    assert_eq!(alarms.known("v").await.unwrap().unwrap().life.actions.len(), 4);
}

async fn open(cloud: &Cloud, violation: &str) -> (Incident, bool) {
    let (alarms, now) = (alarms(cloud), cloud.clock().now());
    let life = alarms.known(violation).await.unwrap().unwrap().life;
    let noticed = alarms.notice(&life, Some(40), WINDOW, now).await.unwrap();
    alarms.open_incident(&life.alarm.behavior_key(), &noticed, now).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_incident_is_opened_once_whoever_notices_it() {
    let cloud = Cloud::default();
    let events: Vec<_> = (0..30).map(|n| raised(&format!("v-{n}"), &format!("t-{n}"), n)).collect();
    join_all(events.iter().map(|event| record(&cloud, event))).await;
    cloud.pass_seconds(120);
    let names: Vec<String> = (0..30).map(|n| format!("v-{n}")).collect();
    let opened = join_all(names.iter().map(|name| open(&cloud, name))).await;
    assert_eq!(opened.iter().filter(|(_, own)| *own).count(), 1);
    let ids: BTreeSet<_> = opened.iter().map(|(incident, _)| incident.id.clone()).collect();
    assert_eq!(ids.len(), 1);
    let incident = &opened[0].0;
    assert_eq!((incident.devices, incident.population, incident.first_at), (30, Some(40), START));
    assert_eq!(alarms(&cloud).incidents(START).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_raised_while_an_incident_lasts_joins_it() {
    let cloud = Cloud::default();
    let alarms = alarms(&cloud);
    record(&cloud, &raised("a", "one", 0)).await;
    let (incident, _) = open(&cloud, "a").await;
    alarms.join("a", START, &incident.id, START).await.unwrap();
    alarms.join("a", START.plus_seconds(9), "another", START).await.unwrap();
    cloud.pass_seconds(600);
    let joined = record(&cloud, &raised("b", "two", 600)).await.known;
    assert_eq!(joined.life.incident.as_deref(), Some(incident.id.as_str()));
    assert_eq!(record(&cloud, &raised("old", "three", -86_400)).await.known.life.incident, None);
    record(&cloud, &cleared("b", "two", 601)).await;
    let members = alarms.members(&incident.id).await.unwrap();
    assert_eq!(members.iter().map(|life| life.alarm.violation_id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let lasting = alarms.incident(&incident.id).await.unwrap().unwrap();
    assert_eq!((lasting.devices, lasting.latest_at), (2, START.plus_seconds(600)));

    let now = cloud.clock().now();
    let ended = alarms.end_incident(&incident.id, Some("mitigate"), now).await.unwrap().unwrap();
    assert_eq!((ended.ended_at, ended.decision.as_deref()), (Some(now), Some("mitigate")));
    let again = alarms.end_incident(&incident.id, Some("leave"), now.plus_seconds(5)).await.unwrap();
    assert_eq!(again.unwrap(), ended, "the first decision stays");
    assert_eq!(alarms.end_incident("none", None, now).await.unwrap(), None);
    assert_eq!(alarms.incidents(now).await.unwrap(), std::slice::from_ref(&ended));
    assert_eq!(alarms.incidents(now.plus_seconds(1)).await.unwrap(), []);

    let known = record(&cloud, &raised("c", "four", 610)).await.known;
    assert_eq!((known.life.incident, known.incident), (None, None), "it is over");
    assert_eq!(
        alarms.known("b").await.unwrap().unwrap().life.incident.as_deref(),
        Some(incident.id.as_str())
    );
    record(&cloud, &raised("b", "two", 620)).await;
    assert_eq!(alarms.known("b").await.unwrap().unwrap().life.incident, None, "a new raise is of none");
    let (second, own) = open(&cloud, "c").await;
    assert!(own && second.id != incident.id);
}

#[tokio::test]
async fn of_two_copies_of_a_message_one_goes_on() {
    let cloud = Cloud::default();
    let alarms = alarms(&cloud);
    let first =
        Settle { violation_id: "v".into(), raised_at: START, not_before: START, round: None, devices: None };
    assert_eq!(alarms.take_round(&first, START).await.unwrap(), Turn::Ours);
    let one = alarms.next_round(&first, START).await.unwrap();
    let copy = alarms.next_round(&first, START).await.unwrap();
    assert_ne!(one, copy);
    assert_eq!(alarms.take_round(&one, START).await.unwrap(), Turn::Ours);
    assert_eq!(alarms.take_round(&one, START).await.unwrap(), Turn::Ours, "delivered again");
    assert_eq!(alarms.take_round(&copy, START).await.unwrap(), Turn::Passed);
    let two = alarms.next_round(&one, START).await.unwrap();
    assert_eq!(alarms.take_round(&two, START).await.unwrap(), Turn::Ours);
    assert_eq!(alarms.take_round(&one, START).await.unwrap(), Turn::Passed);
    assert_eq!(alarms.next_round(&first, START).await.unwrap().round.unwrap().number.get(), 3);
}
