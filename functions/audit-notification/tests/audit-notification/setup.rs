//! The function with the SDK's clients on an AWS in memory, and what its tests read there.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use audit_notification::Handler;
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

pub(crate) const CHECKS: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/checks";
pub(crate) const ALERTS: &str = "arn:alerts";
pub(crate) const PARKED: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/parked";

/// Device Defender: what it answers about each audit task, one answer after the other, the last one again and again.
#[derive(Clone, Default)]
pub(crate) struct Defender(Arc<Mutex<BTreeMap<String, VecDeque<Answer>>>>);

impl Defender {
    /// With the audits that an event announces, as their notifications have them.
    pub(crate) fn of(event: &Value) -> Self {
        let defender = Self::default();
        for record in event["Records"].as_array().into_iter().flatten() {
            let message = record.pointer("/Sns/Message").and_then(Value::as_str).unwrap_or_default();
            let Ok(Value::Object(message)) = serde_json::from_str(message) else { continue };
            if let (Some(task), Some(_)) = (message.get("taskId"), message.get("auditDetails")) {
                let task = task.as_str().unwrap_or_default().to_owned();
                defender.answers(&task, [Answer::ok(described(&message.into()))]);
            }
        }
        defender
    }

    /// From now on it answers so about a task.
    pub(crate) fn answers(&self, task: &str, answers: impl IntoIterator<Item = Answer>) {
        self.0.lock().unwrap().insert(task.to_owned(), answers.into_iter().collect());
    }

    pub(crate) fn describe(&self, task: &str) -> Answer {
        let mut tasks = self.0.lock().unwrap();
        let Some(answers) = tasks.get_mut(task) else {
            let message = json!({"message": format!("Audit task {task} does not exist")});
            return Answer::error(404, "ResourceNotFoundException", message);
        };
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
    }
}

/// An audit as `DescribeAuditTask` has it, from its notification: a map in place of the list, seconds, other counts.
pub(crate) fn described(notification: &Value) -> Value {
    let details = notification["auditDetails"].as_array().unwrap().iter().map(|check| {
        let mut check = check.clone();
        let name = check.as_object_mut().unwrap().remove("checkName").unwrap();
        check["checkCompliant"] = (check["checkRunStatus"] == "COMPLETED_COMPLIANT").into();
        (name.as_str().unwrap_or_default().to_owned(), check)
    });
    let start = &notification["taskStartTime"];
    #[expect(clippy::cast_precision_loss, reason = "a time of this century")]
    let start = start.as_i64().map_or_else(|| start.clone(), |start| json!(start as f64 / 1000.0));
    let mut description = json!({
        "taskStatus": notification["taskStatus"], "taskType": notification["taskType"], "taskStartTime": start,
        "auditDetails": details.collect::<serde_json::Map<_, _>>(),
        "taskStatistics": {"totalChecks": notification["totalChecksCount"]},
    });
    if let Some(schedule) = notification.get("scheduledAuditName") {
        description["scheduledAuditName"] = schedule.clone();
    }
    description
}

pub(crate) fn handler(cloud: &Cloud, defender: &Defender) -> Handler {
    let (others, defender, clock) = (cloud.clone(), defender.clone(), cloud.clock());
    let aws = cloud.clients_with(move |call| match call.operation.strip_prefix("GET /audit/tasks/") {
        Some(task) => defender.describe(task),
        None => others.answer(call),
    });
    let ledger = Ledger::new(aws.dynamodb(), "ledger".into());
    Handler {
        account: "123456789012".into(),
        region: "us-east-1".into(),
        checks: Queue::new(aws.sqs(), CHECKS.into()),
        iot: aws.iot_api(),
        parking: Queue::new(aws.sqs(), PARKED.into()),
        alerts: Alerts::new(aws.sns(), ALERTS.into(), ledger.clone(), clock.clone()),
        ledger,
        clock,
        emit,
    }
}

/// An invocation with the notifications of audits that have ended so.
pub(crate) async fn invoke(cloud: &Cloud, event: Value) -> Result<(), Error> {
    invoke_with(cloud, &Defender::of(&event), event).await
}

pub(crate) async fn invoke_with(cloud: &Cloud, defender: &Defender, event: Value) -> Result<(), Error> {
    let mut context = Context::default();
    context.deadline = u64::try_from(cloud.clock().now().plus_seconds(30).0).unwrap();
    handler(cloud, defender).handle(LambdaEvent::new(event, context)).await
}

/// An audit of these checks, each with status, non-compliant and suppressed count.
pub(crate) fn audit(task: &str, checks: &[(&str, &str, u64, u64)]) -> Value {
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

pub(crate) fn record(message: &Value) -> Value {
    let message = if let Value::String(text) = message { text.clone() } else { message.to_string() };
    json!({"EventSource": "aws:sns", "Sns": {"Message": message}})
}

pub(crate) fn event(messages: &[Value]) -> Value {
    json!({"Records": messages.iter().map(record).collect::<Vec<_>>()})
}

/// What triage was asked to do, as `TASK CHECK`.
pub(crate) fn triage_requests(cloud: &Cloud) -> Vec<String> {
    let words = |body: &String| {
        let body: Value = serde_json::from_str(body).unwrap();
        format!("{} {}", body["audit"]["taskId"].as_str().unwrap(), body["check"].as_str().unwrap())
    };
    cloud.sent_to(CHECKS).iter().map(words).collect()
}

/// The metric lines of checks, as `CHECK COUNT`, and of the invocation, as `records/failed/parked`.
pub(crate) fn metrics() -> (Vec<String>, Vec<String>) {
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

/// The records that were parked, each with its reason.
pub(crate) fn parked(cloud: &Cloud) -> Vec<(Value, String)> {
    let record = |body: &Value| serde_json::from_str(body["MessageBody"].as_str().unwrap()).unwrap();
    let reason =
        |body: &Value| body["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap().to_owned();
    cloud.calls("SendMessage").iter().map(|call| (record(&call.json()), reason(&call.json()))).collect()
}

/// The alerts that were published, as the topic got them.
pub(crate) fn alerts(cloud: &Cloud) -> Vec<Value> {
    cloud.published_to(ALERTS).iter().map(|message| serde_json::from_str(message).unwrap()).collect()
}
