//! The function with the SDK's clients on an AWS in memory, and what its tests read there.

use aws_lambda_events::sqs::SqsEvent;
use export_findings::FindingsLog;
use export_findings::Handler;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::emit;
use lambda_runtime::Context;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use serde_json::json;

pub(crate) const ALERTS: &str = "arn:alerts";
pub(crate) const CHECK: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";
pub(crate) const STREAM: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK/t-1/00003";

pub(crate) fn handler(cloud: &Cloud) -> Handler {
    let (aws, clock) = (cloud.clients(), cloud.clock());
    let ledger = Ledger::new(aws.dynamodb(), "ledger".into());
    Handler {
        account: "123456789012".into(),
        log: FindingsLog::new(aws.logs(), "/fleetwarden/findings".into(), ledger.clone(), clock.clone()),
        archive: Archive::new(aws.s3(), "archive".into()),
        alerts: Alerts::new(aws.sns(), ALERTS.into(), ledger.clone(), clock.clone()),
        parking: Queue::new(aws.sqs(), "https://sqs.us-east-1.amazonaws.com/123456789012/parked".into()),
        ledger,
        clock,
        emit,
    }
}

/// Delivers bodies as one batch. Returns the places in the batch of those to be delivered again.
pub(crate) async fn deliver(cloud: &Cloud, bodies: &[String]) -> Result<Vec<usize>, Error> {
    let records: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| json!({"messageId": at.to_string(), "body": body, "attributes": {}, "messageAttributes": {}}))
        .collect();
    let event: SqsEvent = serde_json::from_value(json!({"Records": records})).unwrap();
    deliver_event(cloud, event).await
}

pub(crate) async fn deliver_event(cloud: &Cloud, event: SqsEvent) -> Result<Vec<usize>, Error> {
    let mut context = Context::default();
    context.deadline = u64::try_from(cloud.clock().now().plus_seconds(60).0).unwrap();
    let response = handler(cloud).handle(LambdaEvent::new(event, context)).await?;
    let mut again: Vec<usize> =
        response.batch_item_failures.iter().map(|f| f.item_identifier.parse().unwrap()).collect();
    again.sort_unstable();
    Ok(again)
}

pub(crate) fn message(export: &Value) -> Value {
    let audit = json!({"account": "123456789012", "region": "us-east-1", "taskId": "t-1", "schedule": "weekly",
        "startedAt": START.0});
    json!({"audit": audit, "check": CHECK, "export": export})
}

pub(crate) fn finding(id: &str) -> Value {
    json!({"kind": "finding", "findingId": id, "check": CHECK, "decision": {"outcome": "report"}})
}

/// Page 3 with these findings.
pub(crate) fn page(ids: &[&str]) -> Value {
    let findings: Vec<Value> = ids.iter().map(|id| finding(id)).collect();
    message(&json!({"page": {"page": 3, "part": 0, "findings": findings}}))
}

/// The ids of the findings in a stream, in their order.
pub(crate) fn logged(cloud: &Cloud, stream: &str) -> Vec<String> {
    let id = |event: &String| {
        let event: Value = serde_json::from_str(event).unwrap();
        event["findingId"].as_str().unwrap().to_owned()
    };
    cloud.stream(stream).unwrap().events.iter().map(id).collect()
}

/// The reasons of what was parked.
pub(crate) fn parked(cloud: &Cloud) -> Vec<String> {
    let reason =
        |body: Value| body["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap().to_owned();
    cloud.calls("SendMessage").iter().map(|call| reason(call.json())).collect()
}
