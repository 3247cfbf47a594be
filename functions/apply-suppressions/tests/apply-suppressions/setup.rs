//! The function on suppressions in memory and a virtual clock, and its messages.

use apply_suppressions::Handler;
use fleetwarden_aws::Error;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::queue::Queue;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::finding::FindingKey;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::service::Service;

pub(crate) const NOW: i64 = 1_795_392_000;
pub(crate) const DAY: i64 = 86_400;
pub(crate) const END: i64 = NOW + 30 * DAY;
pub(crate) const FAR: Millis = Millis::from_seconds(NOW + 300);
pub(crate) const CHECK: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";
pub(crate) const OURS: &str = "Fleetwarden: rule lab; devices are replaced";
pub(crate) const LAB: &str = "
version: 1
mode: enforce
rules:
  - name: lab
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }
    suppress: { for: 30d, reason: devices are replaced }
";

pub(crate) fn forever() -> String {
    LAB.replace("for: 30d", "indefinitely: true")
}

pub(crate) fn under(service: &Service, policy: &str) -> Handler {
    at(service, policy, Clock::new(|| Millis::from_seconds(NOW)))
}

pub(crate) fn at(service: &Service, policy: &str, clock: Clock) -> Handler {
    let answers = service.clone();
    let shared = service.cloud.clients_with(move |call| answers.answer(call));
    let parking = Queue::new(shared.sqs(), "https://sqs.us-east-1.amazonaws.com/1/dead".into());
    Handler {
        account: "123456789012".into(),
        iot: shared.iot(),
        registry: shared.registry(fleetwarden_aws::clients::Pace::Patient),
        pace: Pace::new(None),
        ledger: Ledger::new(shared.dynamodb(), "ledger".into()),
        policy: Policy::parse(policy.as_bytes()).unwrap_or_else(|errors| panic!("{errors}")),
        consumer: Consumer { function: "apply-suppressions", parking, clock, parallel: 1 },
    }
}

/// A finding about a resource, as a message has it.
pub(crate) fn about(id: &str, resource: &Value) -> Value {
    let resource: ResourceIdentifier = serde_json::from_value(resource.clone()).unwrap();
    let key = FindingKey::new(&CheckName::new(CHECK), Some(&resource), None, id);
    json!({"findingId": id, "key": key, "past": {"firstSeen": NOW * 1000, "timesSeen": 1}})
}

pub(crate) fn certificate(n: u32) -> Value {
    about(&format!("finding-{n}"), &json!({"deviceCertificateId": format!("{n:064x}")}))
}

/// The finding of a message that is about another resource.
pub(crate) fn other(service: &Service, id: &str, resource: &Value) -> Value {
    let mut finding = crate::service::finding(0);
    finding["findingId"] = id.into();
    finding["nonCompliantResource"]["resourceIdentifier"] = resource.clone();
    service.state().findings.insert(id.to_owned(), Some(finding));
    about(id, resource)
}

pub(crate) fn message(findings: &[Value]) -> Value {
    json!({
        "audit": {"account": "123456789012", "region": "us-east-1", "taskId": "4e2b", "startedAt": NOW * 1000},
        "check": CHECK,
        "rule": "lab",
        "policy": "0123",
        "mode": "enforce",
        "expiresAt": END,
        "words": {"reason": "devices are replaced"},
        "findings": findings,
    })
}

pub(crate) fn with(mut message: Value, member: &str, value: impl Into<Value>) -> Value {
    message[member] = value.into();
    message
}

pub(crate) async fn deliver(service: &Service, message: &Value) -> Result<(), Error> {
    under(service, LAB).message(&message.to_string(), FAR).await
}

/// Suppressions that are there already, for the certificate 1.
pub(crate) fn existing(description: &str, end: Option<i64>) -> Service {
    let service = Service::default();
    let resource = json!({"deviceCertificateId": format!("{:064x}", 1)});
    let key = format!("\"{CHECK}\" {resource}");
    let mut is = json!({"suppressIndefinitely": end.is_none(), "description": description});
    if let Some(end) = end {
        // The service may answer with a fraction of a second.
        is["expirationDate"] = json!(f64::from(u32::try_from(end).unwrap()) + 0.25);
    }
    service.state().suppressions.insert(key, is);
    service
}

pub(crate) async fn calls(service: &Service, message: &Value) -> String {
    deliver(service, message).await.unwrap();
    service.calls()
}
