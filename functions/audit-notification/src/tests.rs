//! The function as Lambda runs it, on the SDK's own clients and a small AWS in memory.

use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::emit;
use fleetwarden_aws::testing::emitted;
use lambda_runtime::Context;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use serde_json::json;

use crate::Handler;

mod audits;
mod events;
mod faults;

const CHECKS: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/checks";
const ALERTS: &str = "arn:alerts";
const PARKED: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/parked";

fn handler(cloud: &Cloud) -> Handler {
    let (aws, clock) = (cloud.clients(), cloud.clock());
    let ledger = Ledger::new(aws.dynamodb(), "ledger".into());
    Handler {
        account: "123456789012".into(),
        region: "us-east-1".into(),
        checks: Queue::new(aws.sqs(), CHECKS.into()),
        parking: Queue::new(aws.sqs(), PARKED.into()),
        alerts: Alerts::new(aws.sns(), ALERTS.into(), ledger.clone(), clock.clone()),
        ledger,
        clock,
        emit,
    }
}

async fn invoke(cloud: &Cloud, event: Value) -> Result<(), Error> {
    let mut context = Context::default();
    context.deadline = u64::try_from(cloud.clock().now().plus_seconds(30).0).unwrap();
    handler(cloud).handle(LambdaEvent::new(event, context)).await
}

/// An audit of these checks, each with status, non-compliant and suppressed count.
fn audit(task: &str, checks: &[(&str, &str, u64, u64)]) -> Value {
    let checks: Vec<Value> = checks
        .iter()
        .map(|(name, status, found, suppressed)| {
            json!({"checkName": name, "checkRunStatus": status, "nonCompliantResourcesCount": found,
                "totalResourcesCount": 9, "suppressedNonCompliantResourcesCount": suppressed})
        })
        .collect();
    json!({"accountId": "123456789012", "taskId": task, "taskStatus": "COMPLETED", "taskType": "SCHEDULED_AUDIT_TASK",
        "scheduledAuditName": "weekly", "taskStartTime": START.0, "auditDetails": checks})
}

fn record(message: &Value) -> Value {
    let message = if let Value::String(text) = message { text.clone() } else { message.to_string() };
    json!({"EventSource": "aws:sns", "Sns": {"Message": message}})
}

fn event(messages: &[Value]) -> Value {
    json!({"Records": messages.iter().map(record).collect::<Vec<_>>()})
}

/// What triage was asked to do, as `TASK CHECK`.
fn asked(cloud: &Cloud) -> Vec<String> {
    let words = |body: &String| {
        let body: Value = serde_json::from_str(body).unwrap();
        format!("{} {}", body["audit"]["taskId"].as_str().unwrap(), body["check"].as_str().unwrap())
    };
    cloud.sent_to(CHECKS).iter().map(words).collect()
}

/// The metric lines of checks, as `CHECK COUNT`, and of the invocation, as `records/failed/parked`.
fn metrics() -> (Vec<String>, Vec<String>) {
    let lines = emitted();
    let of =
        |name: &str| lines.iter().filter(move |line| line.get(name).is_some()).cloned().collect::<Vec<_>>();
    let checks = of("Check")
        .iter()
        .map(|l| format!("{} {}", l["Check"].as_str().unwrap(), l["NonCompliant"]))
        .collect();
    let count = |l: &Value| format!("{}/{}/{}", l["Records"], l["Failed"], l["Parked"]);
    (checks, of("Function").iter().map(count).collect())
}

/// The alerts that were published, as the topic got them.
fn told(cloud: &Cloud) -> Vec<Value> {
    cloud.published_to(ALERTS).iter().map(|message| serde_json::from_str(message).unwrap()).collect()
}
