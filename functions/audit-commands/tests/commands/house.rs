//! The function, the endpoint behind its IoT calls, and a cloud in memory behind those of the ledger.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use apply_mitigations::ApplyMitigations;
use apply_mitigations::Room;
use audit_commands::AuditCommands;
use audit_commands::Failure;
use device_defender::Clock as EndpointClock;
use device_defender::DeviceDefender;
use device_defender::FleetSpec;
use device_defender::Request;
use device_defender::Settings;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use serde_json::json;

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/AuditRole";
pub(crate) const LOGGING: &str = "LOGGING_DISABLED_CHECK";
pub(crate) const SHARED: &str = "DEVICE_CERTIFICATE_SHARED_CHECK";
pub(crate) const POLICY: &str = "IOT_POLICY_OVERLY_PERMISSIVE_CHECK";
pub(crate) const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/1/mitigation";
const OF_IOT: [&str; 5] = ["/audit", "/mitigationactions", "/principals", "/things", "/thing-groups"];
const SIGNED: &str =
    "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/iot/aws4_request, SignedHeaders=host, Signature=0";

/// The function and all around it.
pub(crate) struct House {
    pub(crate) cloud: Cloud,
    pub(crate) endpoint: Arc<DeviceDefender>,
    pub(crate) function: AuditCommands,
    /// Who follows the mitigation tasks.
    pub(crate) apply_mitigations: ApplyMitigations,
    /// The calls of AWS IoT, by method, path and query, in order.
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
    /// What answers in place of the endpoint, by path.
    pub(crate) instead: Arc<Mutex<Option<AnswerInstead>>>,
    /// The last of them.
    last: Arc<Mutex<Option<Call>>>,
}

/// Answers a path in place of the endpoint, or leaves it to that.
pub(crate) type AnswerInstead = fn(&str) -> Option<Answer>;

/// A house whose policy is this.
pub(crate) fn house_with(policy: &'static str) -> House {
    let cloud = Cloud::default();
    let fleet = FleetSpec { findings: 300, seed: 7 };
    let clock = EndpointClock::manual(START.0);
    let (second, rate_scale) = (Duration::from_secs(1), None);
    let settings = Settings { fleet, clock, rate_scale, audit_duration: second, ..Settings::default() };
    let endpoint = Arc::new(DeviceDefender::new(settings));
    let calls: Arc<Mutex<Vec<String>>> = Arc::default();
    let last: Arc<Mutex<Option<Call>>> = Arc::default();
    let (around, service, seen) = (cloud.clone(), Arc::clone(&endpoint), Arc::clone(&calls));
    let kept = Arc::clone(&last);
    let instead: Arc<Mutex<Option<AnswerInstead>>> = Arc::default();
    let answers = Arc::clone(&instead);
    let shared = cloud.clients_with(move |call: Call| {
        let (method, path) = call.operation.split_once(' ').unwrap_or_default();
        if !OF_IOT.iter().any(|root| path.starts_with(root)) {
            return around.answer(call);
        }
        let query = if call.query.is_empty() { String::new() } else { format!("?{}", call.query) };
        seen.lock().unwrap().push(format!("{method} {path}{query}"));
        *kept.lock().unwrap() = Some(call.clone());
        if let Some(answer) = answers.lock().unwrap().and_then(|answer| answer(path)) {
            return answer;
        }
        let answer = ask(&service, &call);
        if answer.lost {
            return Answer::Never;
        }
        Answer::Now { status: answer.status, error: answer.error_type, body: answer.body.into_bytes() }
    });
    let (dynamodb, sqs) = (shared.clone(), shared.clone());
    let function = AuditCommands {
        account: ACCOUNT.into(),
        iot: shared.iot_api(),
        ledger: Arc::new(move || Ledger::new(dynamodb.dynamodb(), "ledger".into())),
        policy: Arc::new(move || {
            let wrong = |e: fleetwarden_core::policy::PolicyErrors| Error::Policy {
                path: "policy.yaml".into(),
                what: e.to_string(),
            };
            Policy::parse(policy.as_bytes()).map_err(wrong)
        }),
        mitigation_queue: Arc::new(move || Queue::new(sqs.sqs(), QUEUE.into())),
        follow_up_seconds: 60,
        clock: cloud.clock(),
    };
    let ledger = Ledger::new(shared.dynamodb(), "ledger".into());
    let parking = Queue::new(shared.sqs(), "dead-letters".into());
    let rule = format!("{{ name: rule, match: {{ check: {SHARED} }}, mitigate: {{ actions: [tell] }} }}");
    let apply_mitigations = ApplyMitigations {
        account: ACCOUNT.into(),
        iot: shared.iot_api(),
        detect: shared.iot(),
        groups: fleetwarden_aws::thing_groups::ThingGroups::new(shared.iot()),
        alarms: fleetwarden_aws::alarms::Alarms::new(ledger.clone()),
        queue: Queue::new(shared.sqs(), QUEUE.into()),
        mitigations: Mitigations::new(ledger.clone()),
        alerts: Alerts::new(shared.sns(), "arn:topic".into(), ledger, cloud.clock()),
        policy: Policy::parse(format!("version: 1\nmode: enforce\nrules: [{rule}]\n").as_bytes()).unwrap(),
        room: Room::default(),
        alarm_room: Room::default(),
        follow_up_seconds: 60,
        consumer: Consumer { function: "apply-mitigations", parking, clock: cloud.clock(), parallel: 1 },
    };
    House { cloud, endpoint, function, apply_mitigations, calls, instead, last }
}

/// Asks the endpoint.
fn ask(endpoint: &DeviceDefender, call: &Call) -> device_defender::Answer {
    let (method, path) = call.operation.split_once(' ').unwrap_or_default();
    let headers: Vec<(&str, &str)> = call.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let authorization = headers.iter().find(|(name, _)| *name == "authorization").map(|(_, value)| *value);
    let request = Request { method, path, query: &call.query, authorization, body: call.body.as_bytes() };
    endpoint.answer_with_headers(&request, &headers)
}

/// A house whose policy enforces and has nothing else to say.
pub(crate) fn house() -> House {
    house_with("version: 1\nmode: enforce\nrules: []\n")
}

impl House {
    /// Invokes the function under a request id, with a minute to go.
    pub(crate) async fn invoke_as(&self, id: &str, event: Value) -> Result<Value, Failure> {
        let mut context = Context::default();
        context.request_id = id.to_owned();
        context.deadline = u64::try_from(self.function.clock.now().plus_seconds(60).0).unwrap();
        let answer = self.function.handle(event, &context).await?;
        Ok(serde_json::from_str(answer.get()).unwrap())
    }

    /// Invokes the function.
    pub(crate) async fn invoke(&self, event: Value) -> Result<Value, Failure> {
        self.invoke_as("request-1", event).await
    }

    /// What the endpoint says to the last call, made again beside the function.
    pub(crate) fn again(&self) -> Value {
        let last = self.last.lock().unwrap().clone().unwrap();
        serde_json::from_str(&ask(&self.endpoint, &last).body).unwrap()
    }

    /// Invokes the function, which must succeed.
    pub(crate) async fn ok(&self, event: Value) -> Value {
        let told = event.to_string();
        self.invoke(event).await.unwrap_or_else(|failure| panic!("{told}: {}: {failure}", failure.name()))
    }

    /// Invokes the function, which must fail: its error as a workflow sees it.
    pub(crate) async fn fails(&self, event: Value) -> String {
        let told = event.to_string();
        let failure = self.invoke(event).await.err().unwrap_or_else(|| panic!("{told} succeeded"));
        let Diagnostic { error_type, error_message } = failure.into();
        format!("{error_type}\n{error_message}")
    }

    /// Enables checks.
    pub(crate) async fn enable(&self, checks: &[&str]) {
        let checks: Value =
            checks.iter().map(|check| ((*check).to_owned(), json!({"enabled": true}))).collect();
        let event = json!({
            "command": "UpdateAccountAuditConfiguration", "roleArn": ROLE, "auditCheckConfigurations": checks,
        });
        assert_eq!(self.ok(event).await, json!({}));
        self.calls.lock().unwrap().clear();
    }

    /// Enables checks, runs an audit of them to its end, and gives its task id.
    pub(crate) async fn audit(&self, checks: &[&str]) -> String {
        self.enable(checks).await;
        self.audit_again("of-the-house", checks).await
    }

    /// Runs an audit of enabled checks to its end under a token, and gives its task id.
    pub(crate) async fn audit_again(&self, token: &str, checks: &[&str]) -> String {
        let event = json!({
            "command": "StartOnDemandAuditTask", "targetCheckNames": checks, "clientRequestToken": token,
        });
        let started = self.ok(event).await;
        self.pass(2);
        self.calls.lock().unwrap().clear();
        started["taskId"].as_str().unwrap().to_owned()
    }

    /// Makes a scheduled audit.
    pub(crate) async fn schedule(&self, name: &str, checks: &[&str]) {
        let event = json!({
            "command": "CreateScheduledAudit", "scheduledAuditName": name, "frequency": "DAILY",
            "targetCheckNames": checks,
        });
        self.ok(event).await;
        self.calls.lock().unwrap().clear();
    }

    /// The ledger has this audit as the one that has looked at checks last.
    pub(crate) fn record(&self, checks: &[&str], task_id: &str, began: Millis) {
        for check in checks {
            self.cloud.put_item(json!({
                "pk": {"S": format!("history#{check}")},
                "sk": {"S": "audit"},
                "task_id": {"S": task_id},
                "started_at": {"N": began.0.to_string()},
            }));
        }
    }

    /// Lets time pass for all.
    pub(crate) fn pass(&self, seconds: u32) {
        self.cloud.pass_seconds(seconds.into());
        self.endpoint.clock().advance(Duration::from_secs(seconds.into()));
    }

    /// Orders the endpoint to misbehave.
    pub(crate) fn order(&self, operation: &str, kind: &str, count: u64, skip: u64) {
        let fault = json!({"operation": operation, "kind": kind, "count": count, "skip": skip});
        self.control("POST", "faults", &json!({"faults": [fault]}));
    }

    /// What the endpoint tells beside its API.
    pub(crate) fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let (path, body) = (format!("/_control/{path}"), body.to_string());
        let request =
            Request { method, path: &path, query: "", authorization: Some(SIGNED), body: body.as_bytes() };
        let answer = self.endpoint.answer(&request);
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The calls since the last look, one a line.
    pub(crate) fn calls(&self) -> String {
        std::mem::take(&mut *self.calls.lock().unwrap()).join("\n")
    }

    /// How many audits the endpoint has run or runs.
    pub(crate) fn audits(&self) -> usize {
        self.control("GET", "state", &Value::Null)["audits"].as_array().unwrap().len()
    }
}
