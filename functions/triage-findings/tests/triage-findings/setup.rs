//! Triage in one process: the local Device Defender endpoint behind the SDK's IoT client, and a cloud in memory
//! behind the others.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use device_defender::Clock as EndpointClock;
use device_defender::DeviceDefender;
use device_defender::FleetSpec;
use device_defender::Request;
use device_defender::Settings;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Pace;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use serde_json::json;
use triage_findings::Handler;
use triage_findings::Queues;

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const ALERTS: &str = "arn:topic";
const SIGNED: &str =
    "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/iot/aws4_request, SignedHeaders=host, Signature=0";

/// The function and all around it.
pub(crate) struct Fixture {
    pub(crate) cloud: Cloud,
    pub(crate) endpoint: Arc<DeviceDefender>,
    pub(crate) handler: Handler,
    /// How far the function's clock goes at each listing, in milliseconds.
    pub(crate) step: Arc<AtomicI64>,
    /// What is special about calls of the registry.
    pub(crate) registry: Arc<Mutex<Registry>>,
}

/// Answers a path in place of the endpoint, or leaves it to that.
pub(crate) type AnswerInstead = fn(&str) -> Option<Answer>;

/// What is special about calls of the registry.
#[derive(Default)]
pub(crate) struct Registry {
    /// After how many calls the function's clock goes how far, in seconds.
    pub(crate) every: Option<(usize, i64)>,
    /// How long each answer takes, by how many there were before.
    pub(crate) delay: Option<fn(u32) -> Duration>,
    /// What answers in place of the endpoint, by path.
    pub(crate) answer: Option<AnswerInstead>,
    /// The paths that were asked, in order.
    pub(crate) paths: Vec<String>,
}

impl Registry {
    /// How many calls were made.
    pub(crate) fn calls(&self) -> u32 {
        u32::try_from(self.paths.len()).unwrap()
    }
}

/// A fixture with a fleet that has this many findings.
pub(crate) fn fixture(findings: u32, policy: &str) -> Fixture {
    fixture_with(findings, policy, EndpointClock::manual(START.0), None)
}

/// A fixture whose endpoint has a clock of its own and AWS's calls per second, times a factor.
pub(crate) fn fixture_with(
    findings: u32,
    policy: &str,
    clock: EndpointClock,
    rate_scale: Option<f64>,
) -> Fixture {
    let cloud = Cloud::default();
    let fleet = FleetSpec { findings, seed: 7 };
    let settings =
        Settings { fleet, clock, rate_scale, audit_duration: Duration::from_secs(1), ..Settings::default() };
    let endpoint = Arc::new(DeviceDefender::new(settings));
    let step = Arc::new(AtomicI64::new(0));
    let registry = Arc::default();
    let shared = connect(cloud.clone(), Arc::clone(&endpoint), Arc::clone(&step), Arc::clone(&registry));
    let handler = handler(&shared, cloud.clock(), policy);
    Fixture { cloud, endpoint, handler, step, registry }
}

fn connect(
    cloud: Cloud,
    endpoint: Arc<DeviceDefender>,
    step: Arc<AtomicI64>,
    registry: Arc<Mutex<Registry>>,
) -> Shared {
    cloud.clone().clients_with(move |call: Call| {
        let (method, path) = call.operation.split_once(' ').unwrap_or_default();
        let ask = || {
            let headers: Vec<(&str, &str)> =
                call.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let body = call.body.as_bytes();
            let request = Request { method, path, query: &call.query, authorization: Some(SIGNED), body };
            let answer = endpoint.answer_with_headers(&request, &headers);
            Answer::Now { status: answer.status, error: answer.error_type, body: answer.body.into_bytes() }
        };
        if method == "POST" && path.starts_with("/audit") {
            cloud.pass_seconds(step.load(Ordering::Relaxed) / 1000);
            return ask();
        }
        if !["/things", "/thing-groups", "/principals"].iter().any(|root| path.starts_with(root)) {
            return cloud.answer(call);
        }
        let mut registry = registry.lock().unwrap();
        registry.paths.push(path.to_owned());
        if let Some((calls, seconds)) = registry.every
            && registry.paths.len().is_multiple_of(calls)
        {
            cloud.pass_seconds(seconds);
        }
        let answer = registry.answer.and_then(|answer| answer(path)).unwrap_or_else(ask);
        match registry.delay {
            Some(delay) => Answer::Late(delay(registry.calls()), Box::new(answer)),
            None => answer,
        }
    })
}

fn handler(shared: &Shared, clock: Clock, policy: &str) -> Handler {
    let queue = |name: &str| Queue::new(shared.sqs(), name.to_owned());
    let queues = Queues {
        check: queue("check"),
        suppression: queue("suppression"),
        mitigation: queue("mitigation"),
        finding: queue("finding"),
    };
    let ledger = Ledger::new(shared.dynamodb(), "ledger".into());
    Handler {
        account: ACCOUNT.into(),
        iot: shared.iot_api(),
        registry: shared.registry(Pace::Patient),
        queues,
        alerts: Alerts::new(shared.sns(), ALERTS.into(), ledger.clone(), clock.clone()),
        emit: testing::emit,
        ledger,
        archive: Archive::new(shared.s3(), "archive".into()),
        policy: Policy::parse(policy.as_bytes()).unwrap(),
        consumer: Consumer { function: "triage-findings", parking: queue("parked"), clock, parallel: 1 },
    }
}

impl Fixture {
    /// Runs an audit of these checks at the endpoint, and gives its task id.
    pub(crate) fn audit(&self, checks: &[&str]) -> String {
        let enabled =
            checks.iter().map(|check| ((*check).to_owned(), json!({"enabled": true}))).collect::<Value>();
        let role = "arn:aws:iam::123456789012:role/audit";
        let configuration = json!({"roleArn": role, "auditCheckConfigurations": enabled});
        self.ask("PATCH", "/audit/configuration", &configuration);
        let started = self.ask("POST", "/audit/tasks", &json!({"targetCheckNames": checks}));
        self.endpoint.clock().advance(Duration::from_secs(2));
        started["taskId"].as_str().unwrap().to_owned()
    }

    /// One call to the endpoint.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let text = body.to_string();
        let request = Request { method, path, query: "", authorization: Some(SIGNED), body: text.as_bytes() };
        let answer = self.endpoint.answer(&request);
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    /// What the endpoint knows of an audit's findings.
    pub(crate) fn count(&self, task: &str, check: &str) -> (u64, u64) {
        let path = "/_control/findings-count";
        let query = format!("taskId={task}");
        let request = Request { method: "GET", path, query: &query, authorization: None, body: b"" };
        let answer: Value = serde_json::from_str(&self.endpoint.answer(&request).body).unwrap();
        let of = |kind: &str| answer["checks"][check][kind].as_u64().unwrap_or_default();
        (of("unsuppressed"), of("suppressed"))
    }

    /// Delivers a check message, with two minutes to go.
    pub(crate) async fn deliver(&self, body: &str) -> Result<usize, Error> {
        let now = self.handler.consumer.clock.now();
        let mut context = Context::default();
        context.deadline = u64::try_from(now.plus_seconds(120).0).unwrap();
        let record = json!({"messageId": "m", "body": body, "attributes": {}, "messageAttributes": {}});
        let event: SqsEvent = serde_json::from_value(json!({"Records": [record]})).unwrap();
        self.handler
            .handle(LambdaEvent::new(event, context))
            .await
            .map(|response| response.batch_item_failures.len())
    }

    /// The bodies sent to a queue, as JSON.
    pub(crate) fn sent(&self, queue: &str) -> Vec<Value> {
        self.cloud.sent_to(queue).iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    /// The records of all findings that were exported.
    pub(crate) fn records(&self) -> Vec<Value> {
        let pages = self
            .sent("finding")
            .into_iter()
            .filter_map(|message| message["export"]["page"].as_object().cloned());
        pages.flat_map(|page| page["findings"].as_array().unwrap().clone()).collect()
    }

    /// The ids of all findings that were exported.
    pub(crate) fn exported(&self) -> Vec<String> {
        self.records().iter().map(|record| record["findingId"].as_str().unwrap().to_owned()).collect()
    }

    /// The summary that was sent last.
    pub(crate) fn summary(&self) -> Value {
        let sent = self.sent("finding");
        sent.iter().rev().find_map(|message| message["export"].get("summary")).unwrap().clone()
    }

    /// How many listings the endpoint has answered.
    pub(crate) fn lists(&self) -> u64 {
        self.answered("ListAuditFindings")
    }

    /// How many calls of an operation the endpoint has answered.
    pub(crate) fn answered(&self, operation: &str) -> u64 {
        let path = "/_control/calls";
        let request = Request { method: "GET", path, query: "", authorization: None, body: b"" };
        let calls: Value = serde_json::from_str(&self.endpoint.answer(&request).body).unwrap();
        calls["byOperation"][operation]["ok"].as_u64().unwrap_or_default()
    }
}

/// A check message.
pub(crate) fn check_message(task: &str, check: &str, non_compliant: u64, started: Millis) -> Value {
    let audit = json!({"account": ACCOUNT, "region": "us-east-1", "taskId": task, "startedAt": started.0});
    json!({"audit": audit, "check": check, "nonCompliant": non_compliant})
}
