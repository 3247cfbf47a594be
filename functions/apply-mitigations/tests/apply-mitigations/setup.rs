//! The common part of the tests: the function on services in memory, and the messages that it gets.

use apply_mitigations::ApplyMitigations;
use apply_mitigations::Services;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Pace;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::emit;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::service::QUEUE;
use crate::service::Service;

pub(crate) const ALERTS: &str = "arn:topic";
pub(crate) const CHECK: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";
pub(crate) const ACTIONS: [&str; 2] = ["QuarantineThing", "TellOwner"];
pub(crate) const DEAD: &str = "https://sqs.us-east-1.amazonaws.com/1/dead";
/// Far enough for everything.
pub(crate) const FAR: Millis = START.plus_seconds(10 * 365 * 86_400);

pub(crate) fn function(service: &Service, policy_mode: Mode) -> ApplyMitigations {
    under(service, &policy(policy_mode, ""))
}

/// A policy with these lines about windows. It mitigates what the messages ask for.
pub(crate) fn policy(mode: Mode, windows: &str) -> String {
    let mode = if mode == Mode::Enforce { "enforce" } else { "observe" };
    let rule = format!(
        "name: expiring, match: {{ check: {CHECK} }}, mitigate: {{ actions: {ACTIONS:?}, devices: any }}"
    );
    format!("version: 1\nbudgets: none\nmode: {mode}\n{windows}\nrules:\n  - {{ {rule} }}\n")
}

/// The hash of a policy.
pub(crate) fn hash(policy: &str) -> String {
    Policy::parse(policy.as_bytes()).unwrap().hash().to_owned()
}

/// The function under a policy.
pub(crate) fn under(service: &Service, policy: &str) -> ApplyMitigations {
    let answers = service.clone();
    on(&service.cloud, move |call| answers.answer(&call), policy)
}

/// The ledger of a cloud.
pub(crate) fn ledger(cloud: &Cloud) -> Ledger {
    Ledger::new(cloud.clients().dynamodb(), "ledger".into())
}

/// The function on a cloud whose other services give these answers, under a policy.
pub(crate) fn on(
    cloud: &Cloud,
    answers: impl Fn(Call) -> Answer + Clone + Send + Sync + 'static,
    policy: &str,
) -> ApplyMitigations {
    let (shared, clock) = (cloud.clients_with(answers), cloud.clock());
    let ledger = Ledger::new(shared.dynamodb(), "ledger".into());
    let parking = Queue::new(shared.sqs(), DEAD.into());
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    let consumer = Consumer { function: "apply-mitigations", parking, clock: clock.clone(), parallel: 1 };
    let services = Services {
        account: "123456789012".into(),
        region: "us-east-1".into(),
        iot: shared.iot(),
        registry: shared.registry(Pace::Patient),
        queue: Queue::new(shared.sqs(), QUEUE.into()),
        alerts: Alerts::new(shared.sns(), ALERTS.into(), ledger.clone(), clock),
        ledger,
        follow_up_seconds: 60,
        emit,
    };
    ApplyMitigations::new(services, policy, consumer)
}

pub(crate) fn finding(n: u32) -> Value {
    let past = json!({"firstSeen": START.0, "timesSeen": 1});
    json!({"findingId": format!("finding-{n}"), "key": format!("{n:032x}"), "past": past})
}

pub(crate) fn findings(numbers: impl IntoIterator<Item = u32>) -> Value {
    json!({"findings": numbers.into_iter().map(finding).collect::<Vec<_>>()})
}

pub(crate) fn message(target: Value) -> Value {
    let mut message = json!({
        "request": {
            "audit": {"account": "123456789012", "region": "us-east-1", "taskId": "4e2b", "startedAt": START.0},
            "check": CHECK,
            "rule": "expiring",
            "mode": "enforce",
            "policy": hash(&policy(Mode::Enforce, "")),
            "actions": ACTIONS,
        },
        "step": "start",
    });
    message["request"]["target"] = target;
    message
}

pub(crate) fn whole_check() -> Value {
    message(json!({"wholeCheck": {"reasonCodes": ["A", "B"], "count": 4000}}))
}

pub(crate) fn with(mut message: Value, pointer: &str, value: impl Into<Value>) -> Value {
    *message.pointer_mut(pointer).unwrap() = value.into();
    message
}

pub(crate) fn follow(message: &Value) -> Value {
    with(message.clone(), "/step", "follow")
}

pub(crate) fn id(message: &Value) -> String {
    serde_json::from_value::<MitigationMessage>(message.clone()).unwrap().request.task_id()
}

pub(crate) async fn deliver(service: &Service, message: &Value) -> Result<(), Error> {
    function(service, Mode::Enforce).message(&message.to_string(), FAR).await
}

impl Service {
    /// The calls since the last look.
    pub(crate) fn calls(&self) -> String {
        std::mem::take(&mut self.state().calls).join(" ")
    }

    /// The tasks that were really started, in order.
    pub(crate) fn starts(&self) -> Vec<String> {
        self.state().starts.clone()
    }

    pub(crate) fn task_state(&self, id: &str) -> String {
        self.attribute(&format!("mitigation#{id}"), "task", "state")
    }

    pub(crate) fn claim(&self, n: u32) -> (String, String) {
        let of = |name| self.attribute(&format!("finding#finding-{n}"), "mitigation", name);
        (of("task_id"), of("state"))
    }

    /// The alerts that went out.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        let published = self.cloud.published_to(ALERTS);
        published.iter().map(|message| serde_json::from_str(message).unwrap()).collect()
    }

    pub(crate) fn parked(&self) -> Vec<Value> {
        self.cloud.sent_to(DEAD).iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    /// What is on the queue, taken off it: the delays and the messages.
    pub(crate) fn take_queue(&self) -> Vec<(u64, Value)> {
        let queue = std::mem::take(&mut self.state().queue);
        queue.into_iter().map(|(delay, body)| (delay, serde_json::from_str(&body).unwrap())).collect()
    }
}
