//! The watch with `detect-alarm` behind its queue: an alarm without a message ends where one with a message does.

use std::collections::BTreeMap;

use detect_alarm::DetectAlarm;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::populations::Populations;
use fleetwarden_aws::profile_devices::ProfileDevices;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing;
use fleetwarden_aws::testing::queues::Source;
use fleetwarden_core::policy::Policy;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::json;

use crate::setup::ACCOUNT;
use crate::setup::ALERTS;
use crate::setup::QUEUE;
use crate::setup::REGION;
use crate::setup::Setup;

const MITIGATIONS: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/mitigations";
const FINDINGS: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/findings";
const DEAD: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/dead";
const SOURCE: Source<'_> =
    Source { queue: QUEUE, dead_letters: DEAD, max_receives: 5, visibility_seconds: 30, batch: 10 };
const POLICY: &[u8] = b"
version: 1
budgets: none
mode: enforce
rules:
  - { name: sent, alarm: { behavior: sent }, mitigate: { actions: Quarantine } }
";

/// What is left of each violation: where it stands, what was done about it, and whether it is one of an incident.
type Left = BTreeMap<String, (String, Vec<String>, bool)>;

impl Setup {
    fn detect_alarm(&self) -> DetectAlarm {
        let queue = |url: &str| Queue::new(self.aws.sqs(), url.into());
        DetectAlarm {
            account: ACCOUNT.into(),
            region: REGION.into(),
            alarms: self.alarms(),
            iot: self.aws.iot(),
            registry: self.aws.registry(clients::Pace::Patient),
            policy: Policy::parse(POLICY).unwrap(),
            own_queue: queue(QUEUE),
            mitigations: queue(MITIGATIONS),
            findings: queue(FINDINGS),
            alerts: Alerts::new(self.aws.sns(), ALERTS.into(), self.ledger(), self.clock()),
            consumer: Consumer {
                function: "detect-alarm",
                parking: queue(DEAD),
                clock: self.clock(),
                parallel: 10,
            },
            emit: testing::emit,
            populations: Populations::new(
                self.ledger(),
                ProfileDevices::new(self.aws.iot(), Pace::new(None)),
            ),
            alerted_incidents: std::sync::Mutex::default(),
        }
    }

    /// A message of the event comes.
    async fn notify(&self, event: &Value) {
        let mut message = event.clone();
        message["violationEventTime"] = (message["violationEventTime"].as_i64().unwrap() * 1_000).into();
        let topic = format!("arn:aws:sns:{REGION}:{ACCOUNT}:alarms");
        let body = json!({"Type": "Notification", "TopicArn": topic, "Message": message.to_string()});
        let queue = Queue::new(self.aws.sqs(), QUEUE.into());
        queue.send(&[Outgoing::from(body.to_string())]).await.unwrap();
    }

    /// Lets minutes pass, in which `detect-alarm` takes what becomes visible.
    async fn work(&self, minutes: i64) {
        let function = self.detect_alarm();
        let mut context = Context::default();
        context.deadline = u64::MAX;
        for _ in 0..=minutes * 2 {
            while self
                .cloud
                .deliver(SOURCE, async |event| Box::pin(function.handle(event, &context)).await)
                .await
                > 0
            {}
            self.cloud.pass_seconds(30);
        }
    }

    async fn left(&self, count: usize) -> Left {
        let mut left = Left::new();
        for n in 0..count {
            let id = format!("v-{n}");
            let Some(life) = self.life(&id).await else { continue };
            let actions = life.actions.iter().map(|action| action.what.clone()).collect();
            left.insert(id, (format!("{:?}", life.state()), actions, life.incident.is_some()));
        }
        left
    }
}

/// So many devices alarm, and each third is clear again at once. Gives what is left and what was asked for.
async fn outcome(count: usize, is_told: bool) -> (Left, usize) {
    let setup = Setup::default();
    setup.look().await;
    setup.pass(1);
    let mut events = Vec::new();
    for n in 0..count {
        events.push(setup.happens(&format!("v-{n}"), "in-alarm", 0));
        if n % 3 == 0 {
            events.push(setup.happens(&format!("v-{n}"), "alarm-cleared", 0));
        }
    }
    if is_told {
        for event in &events {
            setup.notify(event).await;
        }
        setup.work(5).await;
    } else {
        setup.pass(60);
        assert_eq!(setup.look().await["alarmsUnheard"], events.len());
        setup.work(5).await;
    }
    // The next look finds everything as it is to be.
    setup.pass(60);
    let seen = setup.look().await;
    assert_eq!((&seen["alarmsUnheard"], &seen["alarmsUndelivered"]), (&json!(0), &json!(0)), "{seen}");
    setup.work(15).await;
    assert_eq!(setup.cloud.waiting(DEAD).len() + setup.cloud.waiting(QUEUE).len(), 0);
    (setup.left(count).await, setup.cloud.sent_to(MITIGATIONS).len())
}

#[tokio::test(start_paused = true)]
async fn what_no_message_told_of_ends_as_if_one_had() {
    let told = outcome(6, true).await;
    assert_eq!(told, outcome(6, false).await);
    assert_eq!((told.0.len(), told.1), (6, 4));
    assert_eq!(told.0["v-1"], ("Some(Raised)".into(), vec!["mitigate".into()], false));
    assert_eq!(told.0["v-3"], ("Some(Cleared)".into(), vec!["report".into()], false));
}

#[tokio::test(start_paused = true)]
async fn an_incident_that_no_message_told_of_is_one_all_the_same() {
    let told = outcome(27, true).await;
    let found = outcome(27, false).await;
    assert!(found.0.values().all(|(_, _, is_member)| *is_member), "{:?}", found.0);
    assert_eq!(told, found);
}
