//! Triage in one process: the local Device Defender endpoint behind the SDK's IoT client, and a cloud in memory
//! behind the others.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;
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
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::clients;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::json;
use triage_findings::Queues;
use triage_findings::Triage;

pub(crate) const ACCOUNT: &str = "123456789012";
const SIGNED: &str =
    "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/iot/aws4_request, SignedHeaders=host, Signature=0";

/// The function and all around it.
pub(crate) struct House {
    pub(crate) cloud: Cloud,
    pub(crate) endpoint: Arc<DeviceDefender>,
    pub(crate) triage: Triage,
    /// How far the function's clock goes at each listing, in milliseconds.
    pub(crate) step: Arc<AtomicI64>,
}

/// A house with a fleet that has this many findings.
pub(crate) fn house(findings: u32, policy: &str) -> House {
    let cloud = Cloud::default();
    let clock = EndpointClock::manual(START.0);
    let fleet = FleetSpec { findings, seed: 7 };
    let settings = Settings {
        fleet,
        clock,
        rate_scale: None,
        audit_duration: Duration::from_secs(1),
        ..Settings::default()
    };
    let endpoint = Arc::new(DeviceDefender::new(settings));
    let step = Arc::new(AtomicI64::new(0));
    let shared = connect(cloud.clone(), Arc::clone(&endpoint), Arc::clone(&step));
    let triage = triage(&shared, cloud.clock(), policy);
    House { cloud, endpoint, triage, step }
}

fn connect(cloud: Cloud, endpoint: Arc<DeviceDefender>, step: Arc<AtomicI64>) -> Shared {
    clients(move |call: Call| {
        let Some(path) = call.operation.strip_prefix("POST ").filter(|path| path.starts_with("/audit"))
        else {
            return cloud.answer(call);
        };
        let millis = step.load(Ordering::Relaxed);
        cloud.pass_seconds(millis / 1000);
        let body = call.body.as_bytes();
        let request = Request { method: "POST", path, query: &call.query, authorization: Some(SIGNED), body };
        let answer = endpoint.answer(&request);
        Answer::Now { status: answer.status, error: answer.error_type, body: answer.body.into_bytes() }
    })
}

fn triage(shared: &Shared, clock: Clock, policy: &str) -> Triage {
    let queue = |name: &str| Queue::new(shared.sqs(), name.to_owned());
    let queues = Queues {
        check: queue("check"),
        suppression: queue("suppression"),
        mitigation: queue("mitigation"),
        finding: queue("finding"),
    };
    Triage {
        account: ACCOUNT.into(),
        iot: shared.iot(),
        queues,
        ledger: Ledger::new(shared.dynamodb(), "ledger".into()),
        archive: Archive::new(shared.s3(), "archive".into()),
        policy: Policy::parse(policy.as_bytes()).unwrap(),
        consumer: Consumer { function: "triage-findings", parking: queue("parked"), clock, parallel: 1 },
    }
}

impl House {
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
        let now = self.triage.consumer.clock.now();
        let mut context = Context::default();
        context.deadline = u64::try_from(now.plus_seconds(120).0).unwrap();
        let record = json!({"messageId": "m", "body": body, "attributes": {}, "messageAttributes": {}});
        let event: SqsEvent = serde_json::from_value(json!({"Records": [record]})).unwrap();
        self.triage.handle(event, &context).await.map(|response| response.batch_item_failures.len())
    }

    /// The bodies sent to a queue, as JSON.
    pub(crate) fn sent(&self, queue: &str) -> Vec<Value> {
        self.cloud.sent_to(queue).iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    /// The ids of all findings that were exported.
    pub(crate) fn exported(&self) -> Vec<String> {
        let pages = self
            .sent("finding")
            .into_iter()
            .filter_map(|message| message["export"]["page"].as_object().cloned());
        let findings = pages.flat_map(|page| page["findings"].as_array().unwrap().clone());
        findings.map(|finding| finding["findingId"].as_str().unwrap().to_owned()).collect()
    }

    /// The summary that was sent last.
    pub(crate) fn summary(&self) -> Value {
        let sent = self.sent("finding");
        sent.iter().rev().find_map(|message| message["export"].get("summary")).unwrap().clone()
    }

    /// How many listings the endpoint has answered.
    pub(crate) fn lists(&self) -> u64 {
        let path = "/_control/calls";
        let request = Request { method: "GET", path, query: "", authorization: None, body: b"" };
        let calls: Value = serde_json::from_str(&self.endpoint.answer(&request).body).unwrap();
        calls["byOperation"]["ListAuditFindings"]["ok"].as_u64().unwrap_or_default()
    }
}

/// A check message.
pub(crate) fn check_message(task: &str, check: &str, non_compliant: u64, started: Millis) -> Value {
    let audit = json!({"account": ACCOUNT, "region": "us-east-1", "taskId": task, "startedAt": started.0});
    json!({"audit": audit, "check": check, "nonCompliant": non_compliant})
}
