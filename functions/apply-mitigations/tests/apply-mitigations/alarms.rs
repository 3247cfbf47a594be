//! Mitigation of alarms: the common part of the tests.

mod approval;
mod forged;
mod order;
mod release;
mod results;
mod revalidate;
mod service;
mod start;

use std::collections::BTreeSet;

use apply_mitigations::ApplyMitigations;
use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::setup::ALERTS;
use crate::setup::DEAD;
use crate::setup::FAR;
use crate::setup::ledger;
use crate::setup::with;
use service::Detect;

/// The policy of most tests: it mitigates what the messages ask for.
const ENFORCE: &str = "
version: 1
budgets: none
mode: enforce
rules:
  - name: quarantine
    alarm: { profile: cameras, behavior: messages }
    mitigate: { actions: [Quarantine, Mark], release: after 1h }
  - name: offline
    alarm: { profile: cameras, behavior: offline }
    mitigate: { actions: [Quarantine], release: after 2h }
";

/// The function under a policy.
fn under(detect: &Detect, policy: &str) -> ApplyMitigations {
    let answers = detect.clone();
    crate::setup::on(&detect.cloud, move |call| answers.answer(&call), policy)
}

async fn deliver(detect: &Detect, message: &Value) -> Result<(), Error> {
    deliver_under(detect, ENFORCE, message).await
}

async fn deliver_under(detect: &Detect, policy: &str, message: &Value) -> Result<(), Error> {
    let function = under(detect, policy);
    // A test's stack is small.
    Box::pin(async { function.message(&message.to_string(), FAR).await }).await
}

/// A violation of a number, of the thing of that number.
fn violation(n: u32) -> Value {
    json!({"violationId": format!("v-{n}"), "thing": format!("camera-{n}"), "raisedAt": START.0})
}

/// A mitigation of violations of `messages`, as `detect-alarm` sends it.
fn message(violations: impl IntoIterator<Item = u32>) -> Value {
    json!({
        "alarms": {
            "account": "123456789012", "region": "us-east-1", "profile": "cameras", "behavior": "messages",
            "rule": "quarantine", "mode": "enforce", "policy": "p", "actions": ["Quarantine", "Mark"],
            "violations": violations.into_iter().map(violation).collect::<Vec<_>>(),
            "releaseAfterSeconds": 3600,
        },
        "step": "start",
    })
}

fn id(message: &Value) -> String {
    serde_json::from_value::<AlarmMitigationMessage>(message.clone()).unwrap().alarms.task_id()
}

fn step(message: &Value, step: &str) -> Value {
    with(message.clone(), "/step", step)
}

fn event(what: &str, behavior: &str, (violation, thing): (&str, &str), at: Millis) -> AlarmEvent {
    serde_json::from_value(json!({
        "source": "deviceDefender", "account": "123456789012", "region": "us-east-1", "violationId": violation,
        "profile": "cameras", "behavior": behavior, "metric": "aws:num-messages-sent", "thing": thing,
        "criteria": "STATIC", "event": what, "at": at.0,
    }))
    .unwrap()
}

impl Detect {
    /// So many cameras, each in a group of its own, with a violation that is in alarm; and the actions.
    async fn with_alarms(count: u32) -> Self {
        let detect = Self::default();
        let action = |groups: &[&str]| {
            json!({
                "actionType": "ADD_THINGS_TO_THING_GROUP",
                "actionParams": {"addThingsToThingGroupParams": {"thingGroupNames": groups}},
            })
        };
        detect.state().actions.insert("Quarantine".into(), action(&["quarantine"]));
        detect.state().actions.insert("Mark".into(), action(&["marked", "quarantine"]));
        for n in 1..=count {
            let groups = BTreeSet::from([format!("site-{n}")]);
            detect.state().things.insert(format!("camera-{n}"), groups);
            detect.raise(&format!("v-{n}"), &format!("camera-{n}"), "messages").await;
        }
        detect
    }

    fn alarms(&self) -> Alarms {
        Alarms::new(ledger(&self.cloud))
    }

    fn mitigations(&self) -> Mitigations {
        Mitigations::new(ledger(&self.cloud))
    }

    fn iot(&self) -> aws_sdk_iot::Client {
        let answers = self.clone();
        self.cloud.clients_with(move |call| answers.answer(&call)).iot()
    }

    fn now(&self) -> Millis {
        self.cloud.clock().now()
    }

    async fn hear(&self, what: &str, behavior: &str, of: (&str, &str)) {
        let (now, alarms) = (self.now(), self.alarms());
        let event = event(what, behavior, of, now);
        Box::pin(async { alarms.record(&event, now).await }).await.unwrap();
    }

    /// A violation begins now.
    async fn raise(&self, violation: &str, thing: &str, behavior: &str) {
        self.state().violations.insert(violation.to_owned(), (thing.to_owned(), true));
        self.hear("in-alarm", behavior, (violation, thing)).await;
    }

    /// A violation ends now.
    async fn clear(&self, violation: &str, thing: &str, behavior: &str) {
        self.state().violations.insert(violation.to_owned(), (thing.to_owned(), false));
        self.hear("alarm-cleared", behavior, (violation, thing)).await;
    }

    fn groups_of(&self, thing: &str) -> Vec<String> {
        self.state().things[thing].iter().cloned().collect()
    }

    fn starts(&self) -> Vec<String> {
        self.state().starts.clone()
    }

    /// The violations of a task at the service.
    fn violations_of(&self, id: &str) -> Vec<String> {
        serde_json::from_value(self.state().tasks[id]["target"]["violationIds"].clone()).unwrap()
    }

    /// An attribute of an item, or nothing.
    fn attribute(&self, pk: &str, sk: &str, name: &str) -> String {
        let value = self.cloud.item(pk, sk).and_then(|item| item.get(name).cloned());
        value
            .map(|value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned))
            .unwrap_or_default()
    }

    fn task_state(&self, id: &str) -> String {
        self.attribute(&format!("mitigation#{id}"), "task", "state")
    }

    /// Which task has a violation, and how.
    fn claim(&self, violation: &str) -> (String, String) {
        let of = |name| self.attribute(&format!("violation#{violation}"), "mitigation", name);
        (of("task_id"), of("state"))
    }

    /// What was done about a violation, in one word each.
    async fn notes(&self, violation: &str) -> Vec<String> {
        let alarms = self.alarms();
        let known = Box::pin(async { alarms.known(violation).await }).await.unwrap().unwrap();
        known.life.actions.into_iter().map(|action| action.what).collect()
    }

    fn alerts(&self) -> Vec<Value> {
        let published = self.cloud.published_to(ALERTS);
        published.iter().map(|message| serde_json::from_str(message).unwrap()).collect()
    }

    fn titles(&self) -> Vec<String> {
        self.alerts().iter().map(|alert| alert["content"]["title"].as_str().unwrap().to_owned()).collect()
    }

    fn parked(&self) -> Vec<Value> {
        self.cloud.sent_to(DEAD).iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    fn take_queue(&self) -> Vec<(u64, Value)> {
        let queue = std::mem::take(&mut self.state().queue);
        queue.into_iter().map(|(delay, body)| (delay, serde_json::from_str(&body).unwrap())).collect()
    }

    /// The one message on the queue, when it is seen again.
    fn next(&self) -> Value {
        let [(delay, next)] = &self.take_queue()[..] else { panic!("one message") };
        self.cloud.pass_seconds(i64::try_from(*delay).unwrap());
        next.clone()
    }

    /// Starts a mitigation, lets its task run, follows it, and gives the message that comes then, if one does.
    async fn mitigate(&self, asked: &Value) -> Option<Value> {
        deliver(self, asked).await.unwrap();
        let follow = self.next();
        assert_eq!(follow["step"], "follow");
        self.run(&id(asked));
        deliver(self, &follow).await.unwrap();
        let queue = self.take_queue();
        assert!(queue.len() <= 1);
        queue.into_iter().next().map(|(_, message)| message)
    }
}
