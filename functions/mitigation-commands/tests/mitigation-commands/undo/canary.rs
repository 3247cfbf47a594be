//! A canary on the emulated fleet that is stopped: what it changed is put back, field by field.

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_core::model::alarm::Alarm;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::CriteriaType;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::model::alarm::Source;
use fleetwarden_core::timestamp::Millis;

use super::*;

fn policy(check: &str) -> String {
    let mitigate = "{ actions: act-c, devices: any, canary: { first: 1, watch: 15m } }";
    format!(
        "version: 1\nmode: enforce\nbudgets: none\nrules:\n  - {{ name: r, match: {{ check: {check} }}, mitigate: {mitigate} }}\n"
    )
}

/// A request as triage makes it, of the findings of an audit.
fn request(fleet: &Fleet, check: &str, (audit, ids): (&str, &[String])) -> Value {
    let now = fleet.services.cloud.clock().now();
    let past = json!({"firstSeen": now.0, "timesSeen": 1});
    let finding = |id: &String| json!({"findingId": id, "key": "0".repeat(32), "past": past});
    json!({
        "request": {
            "audit": {"account": ACCOUNT, "region": "us-east-1", "taskId": audit, "startedAt": now.0},
            "check": check, "rule": "r", "mode": "enforce", "policy": "p", "actions": ["act-c"],
            "target": {"findings": ids.iter().map(finding).collect::<Vec<_>>()},
            "canary": {"first": {"of": ids.len()}},
        },
        "step": "start",
    })
}

/// The mitigation queue: what was sent to it, and what waits.
struct Queue {
    sent: usize,
    waiting: Vec<(Millis, String)>,
}

impl Queue {
    /// Delivers what is due within so many seconds. A message leaves the queue when it is handled.
    async fn run_for(&mut self, fleet: &Fleet, seconds: i64) {
        let cloud = &fleet.services.cloud;
        let until = cloud.clock().now().plus_seconds(seconds);
        loop {
            let now = cloud.clock().now();
            let calls = cloud.calls("SendMessageBatch");
            for call in calls.iter().skip(self.sent) {
                for entry in call.json()["Entries"].as_array().unwrap() {
                    let delay = entry["DelaySeconds"].as_i64().unwrap_or_default();
                    let body = entry["MessageBody"].as_str().unwrap().to_owned();
                    self.waiting.push((now.plus_seconds(delay), body));
                }
            }
            self.sent = calls.len();
            let next = (0..self.waiting.len()).min_by_key(|at| (self.waiting[*at].0, *at));
            let Some(next) = next.filter(|at| self.waiting[*at].0 <= until) else { break };
            let wait = (self.waiting[next].0.0.saturating_sub(now.0).max(0) + 999) / 1000;
            fleet.services.pass(u32::try_from(wait).unwrap());
            let body = self.waiting[next].1.clone();
            let now = cloud.clock().now();
            match fleet.apply.message(&body, now.plus_seconds(300)).await {
                Ok(()) => drop(self.waiting.remove(next)),
                // What a dead one holds is free after a minute.
                Err(Error::Later(_)) => self.waiting[next].0 = now.plus_seconds(60),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// A fleet, what it was, and its queue with a request of so many findings.
async fn begun(check: &str, params: &Value, count: usize) -> (Fleet, BTreeMap<String, Value>, Queue) {
    let fleet = Fleet::under(&policy(check));
    let before = fleet.state();
    let (audit, ids) = fleet.find("c", check, count).await;
    fleet.define("c", params).await;
    let cloud = &fleet.services.cloud;
    let now = cloud.clock().now();
    cloud.put_item(json!({
        "pk": {"S": format!("history#{check}")}, "sk": {"S": "audit"}, "task_id": {"S": audit},
        "started_at": {"N": now.0.to_string()},
    }));
    let waiting = vec![(now, request(&fleet, check, (&audit, &ids)).to_string())];
    let queue = Queue { sent: cloud.calls("SendMessageBatch").len(), waiting };
    (fleet, before, queue)
}

/// Each device of the fleet raises an alarm.
async fn alarms(fleet: &Fleet) {
    let at = fleet.services.cloud.clock().now();
    let alarms = Alarms::new(Ledger::new(fleet.services.shared.dynamodb(), "ledger".into()));
    for thing in fleet.list("/things", "things", "thingName") {
        let alarm = Alarm {
            source: Source::DeviceDefender,
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            violation_id: format!("v-{thing}"),
            profile: "lamps".into(),
            behavior: "sent".into(),
            metric: None,
            thing: Some(thing),
            criteria: CriteriaType::Static,
            confidence: None,
            expected: None,
            suppressed: false,
        };
        let event = AlarmEvent { alarm, event: EventType::InAlarm, at, value: None, verification: None };
        alarms.record(&event, at).await.unwrap();
    }
}

/// Where the canary stands, and its undo.
fn stands(fleet: &Fleet) -> (String, String) {
    let items = fleet.services.cloud.items("audit#");
    let item = items.iter().find(|((_, sk), _)| sk.starts_with("canary#")).map(|(_, item)| item);
    let of = |name: &str| {
        item.and_then(|item| item.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    (of("state"), of("undo"))
}

/// The ledger says of one more finding of the canary that it did not succeed.
fn fail(fleet: &Fleet) {
    let cloud = &fleet.services.cloud;
    let items = cloud.items("audit#");
    let task =
        items.iter().find_map(|((_, sk), item)| sk.starts_with("canary#").then(|| item["task_id"].clone()));
    let pk = format!("mitigation#{}", task.unwrap().as_str().unwrap());
    cloud.put_item(
        json!({"pk": {"S": pk}, "sk": {"S": "finding#z"}, "state": {"S": "failed"}, "things": {"S": "[]"}}),
    );
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_is_stopped_leaves_the_fleet_as_before() {
    for (check, params, count) in kinds() {
        for is_harm in [false, true] {
            let (fleet, before, mut queue) = begun(check, &params, count).await;
            queue.run_for(&fleet, 300).await;
            let first = fleet.state();
            assert!(first != before, "{check}: nothing went first");
            assert_eq!(stands(&fleet).0, "running");
            match (is_harm, check) {
                (true, SHARED) => alarms(&fleet).await,
                (true, _) => fail(&fleet),
                (false, _) => {}
            }
            queue.run_for(&fleet, 3_600).await;
            assert!(queue.waiting.is_empty(), "{check}: {:?}", queue.waiting);
            let now = fleet.state();
            if is_harm {
                assert_eq!(stands(&fleet), ("stopped".into(), "done".into()), "{check}");
                assert_eq!(now, before, "{check}");
            } else {
                assert_eq!(stands(&fleet).0, "passed", "{check}");
                assert_eq!(now != first, count > 1, "{check}: the rest has followed");
            }
        }
    }
}

/// The process dies at every third call, from the look that sees the alarm to the end of the undo.
#[tokio::test(start_paused = true)]
async fn wherever_it_dies_a_stopped_canary_leaves_the_fleet_as_before() {
    let (check, params, count) = kinds().into_iter().find(|(check, ..)| *check == SHARED).unwrap();
    let mut deaths = 0;
    for at in Moment::all().step_by(3) {
        let (fleet, before, mut queue) = begun(check, &params, count).await;
        queue.run_for(&fleet, 300).await;
        alarms(&fleet).await;
        let cloud = &fleet.services.cloud;
        if cloud.kill(at, queue.run_for(&fleet, 1_800)).await.is_some() {
            break;
        }
        deaths += 1;
        queue.run_for(&fleet, 3_600).await;
        assert!(queue.waiting.is_empty());
        assert_eq!(stands(&fleet), ("stopped".into(), "done".into()), "{deaths}");
        assert_eq!(fleet.state(), before, "{deaths}");
    }
    assert!(deaths > 8, "{deaths}");
}
