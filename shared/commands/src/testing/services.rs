//! The local Device Defender endpoint behind the calls of AWS IoT, and a cloud in memory behind all others.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use device_defender::Clock;
use device_defender::DeviceDefender;
use device_defender::FleetSpec;
use device_defender::Request;
use device_defender::Settings;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use serde_json::Value;
use serde_json::json;

/// The roots of the paths of AWS IoT.
const OF_IOT: [&str; 19] = [
    "/audit",
    "/mitigationactions",
    "/principals",
    "/things",
    "/thing-groups",
    "/detect/",
    "/security-profile",
    "/active-violations",
    "/violation",
    "/metric-values",
    "/behavior-model-training",
    "/custom-metric",
    "/dimensions",
    "/policies",
    "/certificates",
    "/cacertificate",
    "/policy-targets/",
    "/v2LoggingOptions",
    "/loggingOptions",
];
const SIGNED: &str =
    "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/iot/aws4_request, SignedHeaders=host, Signature=0";

/// Answers a path in place of the endpoint, or leaves it to that.
pub type AnswerInstead = fn(&str) -> Option<Answer>;

/// The endpoint, the cloud, and what was asked of them.
pub struct LocalServices {
    /// What is not AWS IoT.
    pub cloud: Cloud,
    /// AWS IoT.
    pub endpoint: Arc<DeviceDefender>,
    /// Clients of both.
    pub shared: Shared,
    /// The calls of AWS IoT, by method, path and query, in order.
    pub calls: Arc<Mutex<Vec<String>>>,
    /// What answers in place of the endpoint, by path.
    pub instead: Arc<Mutex<Option<AnswerInstead>>>,
    /// The last of the calls.
    last: Arc<Mutex<Option<Call>>>,
}

impl Default for LocalServices {
    /// A fleet with 300 findings, at a moment that is always the same.
    fn default() -> Self {
        let cloud = Cloud::default();
        let fleet = FleetSpec { findings: 300, seed: 7 };
        let clock = Clock::manual(START.0);
        let settings = Settings {
            fleet,
            clock,
            rate_scale: None,
            audit_duration: Duration::from_secs(1),
            thing_groups: Some(vec!["quarantine".to_owned()]),
            ..Settings::default()
        };
        let endpoint = Arc::new(DeviceDefender::new(settings));
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let last: Arc<Mutex<Option<Call>>> = Arc::default();
        let instead: Arc<Mutex<Option<AnswerInstead>>> = Arc::default();
        let (around, service, seen) = (cloud.clone(), Arc::clone(&endpoint), Arc::clone(&calls));
        let (kept, answers) = (Arc::clone(&last), Arc::clone(&instead));
        let shared = cloud.clients_with(move |call: Call| {
            let (method, path) = call.operation.split_once(' ').unwrap_or_default();
            if !OF_IOT.iter().any(|root| path.starts_with(root)) {
                return around.answer(call);
            }
            let query = if call.query.is_empty() { String::new() } else { format!("?{}", call.query) };
            lock(&seen).push(format!("{method} {path}{query}"));
            *lock(&kept) = Some(call.clone());
            if let Some(answer) = lock(&answers).and_then(|answer| answer(path)) {
                return answer;
            }
            let answer = ask(&service, &call);
            if answer.lost {
                return Answer::Never;
            }
            Answer::Now { status: answer.status, error: answer.error_type, body: answer.body.into_bytes() }
        });
        Self { cloud, endpoint, shared, calls, instead, last }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the endpoint.
fn ask(endpoint: &DeviceDefender, call: &Call) -> device_defender::Answer {
    let (method, path) = call.operation.split_once(' ').unwrap_or_default();
    let headers: Vec<(&str, &str)> = call.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let authorization = headers.iter().find(|(name, _)| *name == "authorization").map(|(_, value)| *value);
    let request = Request { method, path, query: &call.query, authorization, body: call.body.as_bytes() };
    endpoint.answer_with_headers(&request, &headers)
}

impl LocalServices {
    /// What the endpoint says to the last call, made again beside the function; null if there was none.
    pub fn again(&self) -> Value {
        let last = lock(&self.last).clone();
        last.map(|last| serde_json::from_str(&ask(&self.endpoint, &last).body).unwrap_or_default())
            .unwrap_or_default()
    }

    /// Lets time pass for all.
    pub fn pass(&self, seconds: u32) {
        self.cloud.pass_seconds(seconds.into());
        self.endpoint.clock().advance(Duration::from_secs(seconds.into()));
    }

    /// Orders the endpoint to misbehave.
    pub fn order(&self, operation: &str, kind: &str, count: u64, skip: u64) {
        let fault = json!({"operation": operation, "kind": kind, "count": count, "skip": skip});
        self.control("POST", "faults", &json!({"faults": [fault]}));
    }

    /// What the endpoint tells beside its API.
    ///
    /// # Panics
    /// If it refuses.
    pub fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let (path, body) = (format!("/_control/{path}"), body.to_string());
        let request =
            Request { method, path: &path, query: "", authorization: Some(SIGNED), body: body.as_bytes() };
        let answer = self.endpoint.answer(&request);
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    /// The calls since the last look, one a line.
    pub fn calls(&self) -> String {
        std::mem::take(&mut *lock(&self.calls)).join("\n")
    }
}
