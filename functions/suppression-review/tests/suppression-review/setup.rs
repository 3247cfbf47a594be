//! The function, the endpoint behind its IoT calls, and a cloud in memory behind all others.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use device_defender::Clock as EndpointClock;
use device_defender::DeviceDefender;
use device_defender::FleetSpec;
use device_defender::Request;
use device_defender::Settings;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_core::policy::Policy;
use lambda_runtime::Context;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use serde_json::json;
use suppression_review::Handler;

pub(crate) const SHARED: &str = "DEVICE_CERTIFICATE_SHARED_CHECK";
pub(crate) const CLIENTS: &str = "CONFLICTING_CLIENT_IDS_CHECK";
const ACCOUNT: &str = "123456789012";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:audits";
pub(crate) const ALERTS: &str = "arn:alerts";
pub(crate) const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/reviews";
const SIGNED: &str =
    "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/iot/aws4_request, SignedHeaders=host, Signature=0";

/// Presses are known to share a certificate until 2027-06-30.
pub(crate) const PRESSES: &str = "
version: 1
mode: enforce
rules: []
suppressions:
  - name: presses
    check: [DEVICE_CERTIFICATE_SHARED_CHECK, CONFLICTING_CLIENT_IDS_CHECK]
    match: { thingType: press }
    suppress: { until: 2027-06-30, reason: replaced in summer, owner: lab }
";

/// A path, and what is answered to it in turns.
type Instead = (&'static str, Vec<Value>);

/// A path, and the code and the body of what is answered to it.
type Refused = (&'static str, &'static str, Value);

pub(crate) struct Setup {
    pub(crate) cloud: Cloud,
    pub(crate) endpoint: Arc<DeviceDefender>,
    pub(crate) function: Handler,
    shared: Shared,
    /// The calls of AWS IoT, by method and path, in order.
    calls: Arc<Mutex<Vec<String>>>,
    /// The path of calls that are not allowed.
    pub(crate) denied: Arc<Mutex<Option<&'static str>>>,
    /// The path of calls about something that is gone.
    pub(crate) gone: Arc<Mutex<Option<&'static str>>>,
    /// How long each of them takes, in seconds.
    pub(crate) slowness: Arc<Mutex<i64>>,
    /// What is answered in turns to calls of a path, in place of the endpoint.
    pub(crate) instead: Arc<Mutex<Option<Instead>>>,
    refused: Arc<Mutex<Option<Refused>>>,
    reviews: u32,
}

impl Setup {
    /// A setup with some presses.
    pub(crate) fn new(policy: &str, presses: u32) -> Self {
        let cloud = Cloud::default();
        let settings = Settings {
            fleet: FleetSpec { findings: 60, seed: 7 },
            clock: EndpointClock::manual(START.0),
            rate_scale: None,
            audit_duration: Duration::from_secs(1),
            ..Settings::default()
        };
        let endpoint = Arc::new(DeviceDefender::new(settings));
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let slowness: Arc<Mutex<i64>> = Arc::default();
        let denied: Arc<Mutex<Option<&'static str>>> = Arc::default();
        let (around, service, seen) = (cloud.clone(), Arc::clone(&endpoint), Arc::clone(&calls));
        let gone: Arc<Mutex<Option<&'static str>>> = Arc::default();
        let instead: Arc<Mutex<Option<Instead>>> = Arc::default();
        let other = Arc::clone(&instead);
        let refused: Arc<Mutex<Option<Refused>>> = Arc::default();
        let refusing = Arc::clone(&refused);
        let (slow, closed, missing) = (Arc::clone(&slowness), Arc::clone(&denied), Arc::clone(&gone));
        let shared = cloud.clients_with(move |call: Call| {
            if !call.headers.iter().any(|(name, value)| name == "authorization" && value.contains("/iot/")) {
                return around.answer(call);
            }
            let (method, path) = call.operation.split_once(' ').unwrap_or_default();
            seen.lock().unwrap().push(call.operation.clone());
            let seconds = *slow.lock().unwrap();
            around.pass_seconds(seconds);
            service.clock().advance(Duration::from_secs(seconds.unsigned_abs()));
            if *closed.lock().unwrap() == Some(path) {
                return Answer::error(403, "AccessDeniedException", json!({"message": "not authorized"}));
            }
            if let Some((of, code, body)) = refusing.lock().unwrap().as_ref()
                && *of == path
            {
                return Answer::error(400, code, body.clone());
            }
            if *missing.lock().unwrap() == Some(path) {
                return Answer::error(404, "ResourceNotFoundException", json!({"message": "gone"}));
            }
            if let Some((replaced, answers)) = other.lock().unwrap().as_mut()
                && *replaced == path
            {
                answers.rotate_left(1);
                return Answer::ok(answers.last().unwrap());
            }
            let headers: Vec<(&str, &str)> =
                call.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let authorization = Some(SIGNED);
            let request =
                Request { method, path, query: &call.query, authorization, body: call.body.as_bytes() };
            let answer = service.answer_with_headers(&request, &headers);
            if answer.lost {
                return Answer::Never;
            }
            Answer::Now { status: answer.status, error: answer.error_type, body: answer.body.into_bytes() }
        });
        let function = function(&shared, &cloud, policy);
        let setup = Self {
            cloud,
            endpoint,
            function,
            shared,
            calls,
            denied,
            gone,
            slowness,
            instead,
            refused,
            reviews: 0,
        };
        (1..=presses).for_each(|n| setup.press(n));
        let target = json!({"SNS": {"targetArn": TOPIC, "roleArn": "arn:aws:iam::123456789012:role/r", "enabled": true}});
        setup.ask(
            "PATCH",
            "/audit/configuration",
            &json!({
                "roleArn": "arn:aws:iam::123456789012:role/r",
                "auditCheckConfigurations": {SHARED: {"enabled": true}, CLIENTS: {"enabled": true}},
                "auditNotificationTargetConfigurations": target,
            }),
        );
        setup
    }

    /// From now on calls of a path are answered with an error.
    pub(crate) fn refuse(&self, path: &'static str, code: &'static str, body: Value) {
        *self.refused.lock().unwrap() = Some((path, code, body));
    }

    /// What was refused is not any more.
    pub(crate) fn allow_all(&self) {
        *self.refused.lock().unwrap() = None;
    }

    /// From now on another policy holds.
    pub(crate) fn have(&mut self, policy: &str) {
        self.function = function(&self.shared, &self.cloud, policy);
    }

    /// Makes a press with a certificate of its own.
    pub(crate) fn press(&self, n: u32) {
        let thing = format!("press-{n}");
        self.control("things", &json!({"thingName": thing, "thingTypeName": "press"}));
        let id = self.certificate(n);
        for other in self.things_of(&id) {
            self.attach(&other, &id, false);
        }
        self.attach(&thing, &id, true);
    }

    /// The certificate of a press.
    pub(crate) fn certificate(&self, n: u32) -> String {
        let all = self.ask("GET", "/certificates?pageSize=250", &Value::Null);
        all["certificates"][n as usize]["certificateId"].as_str().unwrap().to_owned()
    }

    fn things_of(&self, id: &str) -> Vec<String> {
        let arn = format!("arn:aws:iot:us-east-1:{ACCOUNT}:cert/{id}");
        let headers = [("x-amzn-principal", arn.as_str())];
        let request = Request {
            method: "GET",
            path: "/principals/things",
            query: "maxResults=250",
            authorization: Some(SIGNED),
            body: b"",
        };
        let answer: Value =
            serde_json::from_str(&self.endpoint.answer_with_headers(&request, &headers).body).unwrap();
        answer["things"].as_array().unwrap().iter().map(|thing| thing.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn attach(&self, thing: &str, id: &str, attached: bool) {
        self.control("attachment", &json!({"thingName": thing, "certificateId": id, "attached": attached}));
    }

    pub(crate) fn control(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/_control/{path}"), body)
    }

    /// Whether what has ended is still listed: AWS does not say.
    pub(crate) fn list_lapsed(&self, lapsed_stay: bool) {
        self.control("rules", &json!({"lapsedStay": lapsed_stay}));
    }

    /// Orders the endpoint to misbehave.
    pub(crate) fn order(&self, operation: &str, kind: &str, count: u64) {
        self.control("faults", &json!({"faults": [{"operation": operation, "kind": kind, "count": count}]}));
    }

    /// Asks the endpoint, past the function.
    pub(crate) fn ask(&self, method: &str, target: &str, body: &Value) -> Value {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request { method, path, query, authorization: Some(SIGNED), body: body.as_bytes() };
        let answer = self.endpoint.answer(&request);
        assert_eq!(answer.status, 200, "{method} {target}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// All suppressions, one a line, sorted: check, resource, end, description.
    pub(crate) fn suppressions(&self) -> Vec<String> {
        let all = self.ask("POST", "/audit/suppressions/list", &json!({"maxResults": 250}));
        let line = |one: &Value| {
            let resource = &one["resourceIdentifier"];
            let press = (1..10).find(|n| resource["deviceCertificateId"] == self.certificate(*n).as_str());
            let name = press.map_or_else(|| resource.to_string(), |n| format!("certificate of press-{n}"));
            let end = one["expirationDate"].as_f64().map_or("never".into(), |at| {
                #[expect(clippy::cast_possible_truncation, reason = "seconds")]
                fleetwarden_core::timestamp::Millis::from_seconds(at as i64).day()
            });
            format!(
                "{} {name} {end} {}",
                one["checkName"].as_str().unwrap(),
                one["description"].as_str().unwrap_or("-")
            )
        };
        let mut lines: Vec<String> = all["suppressions"].as_array().unwrap().iter().map(line).collect();
        lines.sort();
        lines
    }

    /// Suppresses a press's certificate as a person does, for so many days or for ever.
    pub(crate) fn suppress(&self, n: u32, days: Option<i64>, description: &str) {
        let mut body = json!({
            "checkName": SHARED, "resourceIdentifier": {"deviceCertificateId": self.certificate(n)},
            "description": description, "clientRequestToken": format!("token-{n}-{}", days.unwrap_or_default()),
        });
        match days {
            Some(days) => {
                body["expirationDate"] = (self.cloud.clock().now().seconds() + days * 86_400).into();
            }
            None => body["suppressIndefinitely"] = true.into(),
        }
        self.ask("POST", "/audit/suppressions/create", &body);
    }

    /// Suppresses what the fleet does not have, as long as the endpoint does not mind: one of many.
    pub(crate) fn suppress_other(&self, n: u32, seconds: i64, description: &str) {
        let end = self.cloud.clock().now().seconds() + seconds;
        self.ask(
            "POST",
            "/audit/suppressions/create",
            &json!({
                "checkName": SHARED, "resourceIdentifier": {"deviceCertificateId": format!("{n:064x}")},
                "description": description, "clientRequestToken": format!("other-{n}"), "expirationDate": end,
            }),
        );
    }

    /// Deletes the suppression of a press's certificate as a person does.
    pub(crate) fn delete(&self, n: u32) {
        let body =
            json!({"checkName": SHARED, "resourceIdentifier": {"deviceCertificateId": self.certificate(n)}});
        self.ask("POST", "/audit/suppressions/delete", &body);
    }

    /// Runs an audit to its end.
    pub(crate) fn audit(&self) {
        self.ask("POST", "/audit/tasks", &json!({"targetCheckNames": [SHARED, CLIENTS]}));
        self.pass(5);
    }

    /// Lets time pass for all.
    pub(crate) fn pass(&self, seconds: u32) {
        self.cloud.pass_seconds(seconds.into());
        self.endpoint.clock().advance(Duration::from_secs(seconds.into()));
    }

    pub(crate) fn pass_days(&self, days: u32) {
        self.pass(days * 86_400);
    }

    /// Invokes the function, with 15 minutes to go.
    pub(crate) async fn invoke(&self, id: &str, event: Value) -> Result<Value, Error> {
        let mut context = Context::default();
        context.request_id = id.to_owned();
        context.deadline = u64::try_from(self.function.clock.now().plus_seconds(900).0).unwrap();
        Box::pin(self.function.handle(LambdaEvent::new(event, context))).await
    }

    /// A review of its own.
    pub(crate) async fn review(&mut self) -> Value {
        self.reviews += 1;
        let id = format!("review-{}", self.reviews);
        self.calls.lock().unwrap().clear();
        self.invoke(&id, json!({})).await.unwrap()
    }

    /// The calls of AWS IoT that the last review made, those to this path.
    pub(crate) fn calls(&self, path: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| call.contains(path)).count()
    }

    /// The titles of all alerts of a kind, in order.
    pub(crate) fn alerts(&self, kind: &str) -> Vec<String> {
        self.messages(kind)
            .iter()
            .map(|message| message["content"]["title"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The alerts of a kind.
    pub(crate) fn messages(&self, kind: &str) -> Vec<Value> {
        let published = self.cloud.published_to(ALERTS);
        let messages = published.iter().map(|message| serde_json::from_str(message).unwrap());
        messages.filter(|message: &Value| message["metadata"]["eventType"] == kind).collect()
    }
}

fn function(shared: &Shared, cloud: &Cloud, policy: &str) -> Handler {
    let (clock, ledger) = (cloud.clock(), Ledger::new(shared.dynamodb(), "ledger".into()));
    let queue = |url: &str| Queue::new(shared.sqs(), url.into());
    Handler {
        account: ACCOUNT.into(),
        region: "us-east-1".into(),
        iot: shared.iot_api(),
        pace: Pace::new(None),
        policy: Policy::parse(policy.as_bytes()).unwrap_or_else(|errors| panic!("{errors}")),
        ledger: ledger.clone(),
        archive: Archive::new(shared.s3(), "archive".into()),
        queue: queue(QUEUE),
        alerts: Alerts::new(shared.sns(), ALERTS.into(), ledger, clock.clone()),
        parking: queue("https://dead"),
        clock,
        emit: |_| {},
    }
}
