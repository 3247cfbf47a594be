//! The function on the local endpoint with its movable clock, the ledger in memory, and the real `audit-notification`
//! behind the audit topic.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use audit_watch::Handler;
use device_defender::Clock as EndpointClock;
use device_defender::DeviceDefender;
use device_defender::FleetSpec;
use device_defender::Request;
use device_defender::Settings;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::topic::Topic;
use fleetwarden_core::api::notification;
use fleetwarden_core::ids::check::KNOWN;
use lambda_runtime::Context;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use serde_json::json;

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:audits";
pub(crate) const ALERTS: &str = "arn:aws:sns:us-east-1:123456789012:alerts";
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/AuditRole";
pub(crate) const CHECKS: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/checks";
pub(crate) const PARKED: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/parked";
pub(crate) const LOGGING: &str = "LOGGING_DISABLED_CHECK";
pub(crate) const SHARED: &str = "DEVICE_CERTIFICATE_SHARED_CHECK";
pub(crate) const HOUR: u64 = 3_600;
pub(crate) const DAY: u64 = 24 * HOUR;

/// How the endpoint's answers are changed on their way.
#[derive(Default)]
pub(crate) struct Changes {
    /// The only audit tasks that are listed: what the endpoint ran beside them never began.
    pub(crate) only: Option<BTreeSet<String>>,
    /// Calls whose method and path begin so are denied.
    pub(crate) denied: Option<&'static str>,
    /// A member that no answer has.
    pub(crate) without: Option<&'static str>,
}

impl Changes {
    fn apply(&self, call: &str, answer: Answer) -> Answer {
        if self.denied.is_some_and(|denied| call.starts_with(denied)) {
            let message = json!({"message": "User: fw is not authorized to perform this"});
            return Answer::error(403, "AccessDeniedException", message);
        }
        let Answer::Now { status, error, body } = answer else { return answer };
        let mut body = String::from_utf8(body).unwrap();
        if let Some(member) = self.without {
            body = body.replace(&format!("\"{member}\""), "\"x\"");
        }
        if let (Some(only), "GET /audit/tasks") = (&self.only, call) {
            let mut list: Value = serde_json::from_str(&body).unwrap();
            list["tasks"]
                .as_array_mut()
                .unwrap()
                .retain(|task| only.contains(task["taskId"].as_str().unwrap()));
            body = list.to_string();
        }
        Answer::Now { status, error, body: body.into_bytes() }
    }
}

pub(crate) struct Setup {
    pub(crate) cloud: Cloud,
    pub(crate) endpoint: Arc<DeviceDefender>,
    aws: Shared,
    /// The calls of AWS IoT since the last run, by method and path.
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
    changes: Arc<Mutex<Changes>>,
    runs: AtomicU32,
}

impl Setup {
    /// An account whose audits take so many seconds, as a stack sets it up, with every check enabled.
    pub(crate) async fn configured(audit: u64) -> Self {
        let setup = Self::unconfigured(audit);
        setup.configure(json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": true})).await;
        setup
    }

    /// An account without an audit configuration.
    pub(crate) fn unconfigured(audit: u64) -> Self {
        let cloud = Cloud::default();
        let fleet = FleetSpec { findings: 40, seed: 7 };
        let (clock, audit_duration) = (EndpointClock::manual(START.0), Duration::from_secs(audit));
        let settings = Settings { fleet, clock, rate_scale: None, audit_duration, ..Settings::default() };
        let endpoint = Arc::new(DeviceDefender::new(settings));
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let changes: Arc<Mutex<Changes>> = Arc::default();
        let (around, service) = (cloud.clone(), Arc::clone(&endpoint));
        let (made, on_the_way) = (Arc::clone(&calls), Arc::clone(&changes));
        let aws = cloud.clients_with(move |call| {
            let (method, path) = call.operation.split_once(' ').unwrap_or_default();
            if !path.starts_with("/audit") {
                return around.answer(call);
            }
            made.lock().unwrap().push(call.operation.clone());
            let header = |name| call.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
            let (query, body) = (call.query.as_str(), call.body.as_bytes());
            let request = Request { method, path, query, authorization: header("authorization"), body };
            let answer = service.answer(&request);
            let body = answer.body.into_bytes();
            let answer = Answer::Now { status: answer.status, error: answer.error_type, body };
            on_the_way.lock().unwrap().apply(&call.operation, answer)
        });
        Self { cloud, endpoint, aws, calls, changes, runs: AtomicU32::new(0) }
    }

    pub(crate) fn change(&self, changes: Changes) {
        *self.changes.lock().unwrap() = changes;
    }

    /// From now on nothing begins but these.
    pub(crate) fn only(&self, tasks: &[String]) {
        self.change(Changes { only: Some(tasks.iter().cloned().collect()), ..Changes::default() });
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(self.aws.dynamodb(), "ledger".into())
    }

    pub(crate) fn alert_topic(&self) -> Alerts {
        Alerts::new(self.aws.sns(), ALERTS.into(), self.ledger(), self.cloud.clock())
    }

    pub(crate) async fn call(&self, operation: &str, input: Value) -> Value {
        let Value::Object(input) = input else { panic!("{input}") };
        let operation = fleetwarden_core::api::audit(operation).unwrap();
        let answer = self.aws.iot_api().call(operation, &input).await.unwrap();
        serde_json::from_str(answer.get()).unwrap()
    }

    pub(crate) async fn configure(&self, target: Value) {
        let checks: Value =
            KNOWN.into_iter().map(|check| (check.to_owned(), json!({"enabled": true}))).collect();
        let input = json!({
            "roleArn": ROLE, "auditCheckConfigurations": checks,
            "auditNotificationTargetConfigurations": {"SNS": target},
        });
        self.call("UpdateAccountAuditConfiguration", input).await;
    }

    pub(crate) async fn schedule(&self, name: &str, days: Value) {
        let mut input = json!({"scheduledAuditName": name, "targetCheckNames": [LOGGING, SHARED]});
        input.as_object_mut().unwrap().extend(days.as_object().unwrap().clone());
        self.call("CreateScheduledAudit", input).await;
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.cloud.pass_seconds(seconds.try_into().unwrap());
        self.endpoint.clock().advance(Duration::from_secs(seconds));
    }

    pub(crate) fn control(&self, path: &str, body: &Value) -> Value {
        let (path, body) = (format!("/_control/{path}"), body.to_string());
        let request =
            Request { method: "POST", path: &path, query: "", authorization: None, body: body.as_bytes() };
        let answer = self.endpoint.answer(&request);
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The audit tasks that there are.
    pub(crate) async fn tasks(&self) -> Vec<String> {
        let from = self.cloud.clock().now().plus_seconds(-85 * 86_400).seconds();
        let mut input = json!({"startTime": from, "endTime": from + 86 * 86_400, "maxResults": 250});
        let mut tasks = Vec::new();
        loop {
            let page = self.call("ListAuditTasks", input.clone()).await;
            tasks.extend(
                page["tasks"].as_array().unwrap().iter().map(|t| t["taskId"].as_str().unwrap().to_owned()),
            );
            let Some(token) = page["nextToken"].as_str() else { return tasks };
            input["nextToken"] = token.into();
        }
    }

    /// The notification of an audit task.
    pub(crate) async fn notification(&self, task: &str) -> String {
        let answer = self.call("DescribeAuditTask", json!({"taskId": task})).await;
        notification_of(task, &answer)
    }

    /// Has every notification of an audit that ended handled. Returns all audit tasks.
    pub(crate) async fn handle_all(&self) -> Vec<String> {
        let tasks = self.tasks().await;
        for task in &tasks {
            let answer = self.call("DescribeAuditTask", json!({"taskId": task})).await;
            let has_ended = notification::has_ended(answer["taskStatus"].as_str().unwrap());
            if has_ended && self.cloud.item(&format!("audit#{task}"), "audit").is_none() {
                self.handle(&notification_of(task, &answer)).await;
            }
        }
        tasks
    }

    /// What `audit-notification` does when a message comes by the audit topic.
    pub(crate) async fn handle(&self, message: &str) {
        self.deliver(message).await.unwrap();
        assert_eq!(self.cloud.sent_to(PARKED), Vec::<String>::new());
    }

    /// One delivery of a message of the audit topic.
    pub(crate) async fn deliver(&self, message: &str) -> Result<(), Error> {
        let function = audit_notification::Handler {
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            checks: Queue::new(self.aws.sqs(), CHECKS.into()),
            iot: self.aws.iot_api(),
            parking: Queue::new(self.aws.sqs(), PARKED.into()),
            ledger: self.ledger(),
            alerts: self.alert_topic(),
            clock: self.cloud.clock(),
            emit: |_| {},
        };
        let mut context = Context::default();
        context.deadline = u64::try_from(self.cloud.clock().now().plus_seconds(30).0).unwrap();
        let event = json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": message}}]});
        function.handle(LambdaEvent::new(event, context)).await
    }

    /// The function, with a small limit.
    pub(crate) fn function(&self) -> Handler {
        Handler {
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            topic: Topic::new(self.aws.sns(), TOPIC.into()),
            iot: self.aws.iot_api(),
            pace: Pace::new(None),
            ledger: self.ledger(),
            alerts: self.alert_topic(),
            clock: self.cloud.clock(),
            describe_limit: 20,
            emit: |_| {},
        }
    }

    /// Invokes the function, with 15 minutes to go.
    pub(crate) async fn invoke(&self, event: Value) -> Result<Value, Error> {
        self.calls.lock().unwrap().clear();
        let mut context = Context::default();
        context.request_id = format!("request-{}", self.runs.fetch_add(1, Ordering::Relaxed));
        context.deadline = u64::try_from(self.cloud.clock().now().plus_seconds(900).0).unwrap();
        Box::pin(self.function().handle(LambdaEvent::new(event, context))).await
    }

    /// What the function answers to one invocation.
    pub(crate) async fn run(&self) -> Value {
        self.invoke(json!({})).await.unwrap()
    }

    pub(crate) async fn dry_run(&self) -> Value {
        self.invoke(json!({"dryRun": true})).await.unwrap()
    }

    /// The problems of one run.
    pub(crate) async fn problems(&self) -> Vec<String> {
        let seen = self.run().await;
        seen["problems"].as_array().unwrap().iter().map(|p| p["problem"].as_str().unwrap().into()).collect()
    }

    /// The alerts so far, as people read them.
    pub(crate) fn alerts(&self) -> Vec<String> {
        let text = |message: String| {
            let message: Value = serde_json::from_str(&message).unwrap();
            let content = &message["content"];
            let words = |value: &Value| value.as_str().unwrap().to_owned();
            let steps =
                content["nextSteps"].as_array().unwrap().iter().map(|step| format!("- {}", words(step)));
            let head = format!(
                "{} ({}, {})",
                words(&content["title"]),
                words(&message["metadata"]["eventType"]),
                words(&message["metadata"]["additionalContext"]["severity"])
            );
            let lines = [head, words(&content["description"])].into_iter().chain(steps);
            lines.collect::<Vec<_>>().join("\n")
        };
        self.cloud.published_to(ALERTS).into_iter().map(text).collect()
    }

    /// The alerts so far, which two more runs do not raise again.
    pub(crate) async fn alerts_once(&self) -> String {
        let alerts = self.alerts();
        self.run().await;
        self.pass(HOUR);
        self.run().await;
        assert_eq!(self.alerts(), alerts);
        alerts.join("\n\n")
    }
}

/// The notification of an audit task, from the answer of `DescribeAuditTask`.
pub(crate) fn notification_of(task: &str, answer: &Value) -> String {
    notification::from_description(ACCOUNT, task, answer).unwrap().to_string()
}
