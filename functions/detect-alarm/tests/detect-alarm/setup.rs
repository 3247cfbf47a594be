//! The function under a policy, its queue as Lambda reads it, and what is left of it all.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use detect_alarm::DetectAlarm;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::populations::Populations;
use fleetwarden_aws::profile_devices::ProfileDevices;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::queues::Source;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::policy::Policy;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::json;

use crate::service::Service;

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ALERTS: &str = "arn:topic";
pub(crate) const OWN: &str = "https://sqs.us-east-1.amazonaws.com/1/alarms";
pub(crate) const MITIGATIONS: &str = "https://sqs.us-east-1.amazonaws.com/1/mitigations";
pub(crate) const FINDINGS: &str = "https://sqs.us-east-1.amazonaws.com/1/findings";
pub(crate) const DEAD: &str = "https://sqs.us-east-1.amazonaws.com/1/dead";
pub(crate) const SOURCE: Source<'_> =
    Source { queue: OWN, dead_letters: DEAD, max_receives: 5, visibility_seconds: 30, batch: 10 };

/// A policy with each outcome, in a mode and with settings.
pub(crate) fn policy(mode: &str, settings: &str) -> String {
    format!(
        "version: 1
mode: {mode}
alarms: {{ {settings} }}
rules:
  - {{ name: odd-ports, alarm: {{ behavior: ports }}, mitigate: {{ actions: Quarantine, release: after 24h }} }}
  - {{ name: noise, alarm: {{ behavior: noise }}, verify: {{ state: FALSE_POSITIVE, description: known noise }} }}
  - {{ name: long, alarm: {{ behavior: slow, lastsLongerThan: 1h }}, mitigate: {{ actions: Quarantine }} }}
  - {{ name: quiet, alarm: {{ behavior: hum }}, report: {{ silent: true }} }}
"
    )
}

/// The function under a policy.
pub(crate) fn under(service: &Service, policy: &str) -> DetectAlarm {
    let answers = service.clone();
    let shared = service.cloud.clients_with(move |call| answers.answer(call));
    let clock = service.cloud.clock();
    let ledger = Ledger::new(shared.dynamodb(), "ledger".into());
    let queue = |url: &str| Queue::new(shared.sqs(), url.into());
    DetectAlarm {
        account: ACCOUNT.into(),
        region: REGION.into(),
        alarms: Alarms::new(ledger.clone()),
        iot: shared.iot(),
        registry: shared.registry(clients::Pace::Patient),
        policy: Policy::parse(policy.as_bytes()).unwrap(),
        own_queue: queue(OWN),
        mitigations: queue(MITIGATIONS),
        findings: queue(FINDINGS),
        alerts: Alerts::new(shared.sns(), ALERTS.into(), ledger.clone(), clock.clone()),
        consumer: Consumer { function: "detect-alarm", parking: queue(DEAD), clock, parallel: 10 },
        emit: testing::emit,
        populations: Populations::new(ledger, ProfileDevices::new(shared.iot(), Pace::new(None))),
        alerted_incidents: std::sync::Mutex::default(),
    }
}

pub(crate) fn enforcing(service: &Service) -> DetectAlarm {
    under(service, &policy("enforce", ""))
}

/// An event of a violation, as Device Defender tells of it: `second` after the start.
pub(crate) fn violation(id: &str, thing: &str, behavior: &str, event: &str, second: i64) -> Value {
    json!({
        "violationEventTime": START.plus_seconds(second).0, "thingName": thing, "violationId": id,
        "violationEventType": event, "securityProfileName": "cameras", "metricValue": {"ports": [8888]},
        "behavior": {"name": behavior, "metric": "aws:listening-tcp-ports",
            "criteria": {"comparisonOperator": "in-port-set", "value": {"ports": [443]}}},
    })
}

/// A message of the alarm topic, as SQS has it.
pub(crate) fn notified(message: &Value) -> String {
    let topic = format!("arn:aws:sns:{REGION}:{ACCOUNT}:alarms");
    json!({"Type": "Notification", "TopicArn": topic, "Message": message.to_string()}).to_string()
}

impl Service {
    /// Puts messages on the alarm queue.
    pub(crate) async fn put(&self, bodies: impl IntoIterator<Item = String>) {
        let queue = Queue::new(self.cloud.clients().sqs(), OWN.into());
        queue.send(&bodies.into_iter().map(Outgoing::from).collect::<Vec<_>>()).await.unwrap();
    }

    /// Has the function take what is visible on its queue, until nothing is.
    pub(crate) async fn drain(&self, function: &DetectAlarm) {
        let context = &far();
        while self.cloud.deliver(SOURCE, async |event| function.handle(event, context).await).await > 0 {}
    }

    /// Lets time pass, in which the function takes what becomes visible.
    pub(crate) async fn run(&self, function: &DetectAlarm, seconds: i64) {
        self.drain(function).await;
        for _ in 0..seconds / 10 {
            self.cloud.pass_seconds(10);
            self.drain(function).await;
        }
    }

    /// The alerts that went out, by kind and title, sorted, each once.
    pub(crate) fn alerts(&self) -> Vec<String> {
        let alerts: BTreeSet<String> = self
            .alert_messages()
            .iter()
            .map(|alert| format!("{}: {}", text(alert, "/metadata/eventType"), text(alert, "/content/title")))
            .collect();
        alerts.into_iter().collect()
    }

    pub(crate) fn alert_messages(&self) -> Vec<Value> {
        self.cloud.published_to(ALERTS).iter().map(|message| serde_json::from_str(message).unwrap()).collect()
    }

    /// The mitigations that were asked for, each once.
    pub(crate) fn mitigations(&self) -> Vec<Value> {
        let sent: BTreeSet<String> = self.cloud.sent_to(MITIGATIONS).into_iter().collect();
        sent.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    /// The records, by violation, event and outcome, each once.
    pub(crate) fn records(&self) -> Vec<String> {
        let records = self.cloud.sent_to(FINDINGS).into_iter().map(|body| {
            let record: Value = serde_json::from_str(&body).unwrap();
            let outcome =
                record.pointer("/alarmRecord/decision/outcome").and_then(Value::as_str).unwrap_or("-");
            format!("{} {} {outcome}", text(&record, "/violationId"), text(&record, "/event"))
        });
        records.collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(crate) fn parked(&self) -> Vec<String> {
        self.cloud.waiting(DEAD).into_iter().map(|message| message.body).collect()
    }

    pub(crate) async fn life(&self, violation: &str) -> Life {
        let alarms = Alarms::new(Ledger::new(self.cloud.clients().dynamodb(), "ledger".into()));
        alarms.known(violation).await.unwrap().unwrap().life
    }

    /// What the ledger has of alarms, without what says how often it was written.
    pub(crate) fn ledger(&self) -> BTreeMap<(String, String), Value> {
        let mut items = self.cloud.items("");
        items.retain(|(pk, _), _| !pk.starts_with("alert#"));
        items.retain(|_, item| item.get("devices").is_none_or(|devices| *devices != json!(0)));
        items
            .into_iter()
            .map(|(key, mut item)| {
                item.remove("version");
                (key, Value::Object(item))
            })
            .collect()
    }
}

pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Time for everything.
pub(crate) fn far() -> Context {
    let mut context = Context::default();
    context.deadline = u64::MAX;
    context
}
