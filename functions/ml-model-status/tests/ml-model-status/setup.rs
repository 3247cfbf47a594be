//! The cloud with a Detect beside it that says what a test sets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::profile_devices::ProfileDevices;
use fleetwarden_aws::testing;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use ml_model_status::MlModelStatus;

const ACCOUNT: &str = "123456789012";
const ALERTS: &str = "arn:aws:sns:us-east-1:123456789012:alerts";
const DAY: i64 = 86_400;

/// The state of a model.
pub(crate) struct Model {
    pub(crate) status: &'static str,
    pub(crate) collecting_since: Millis,
    pub(crate) collected: u32,
    pub(crate) refreshed_at: Option<Millis>,
}

impl Model {
    pub(crate) fn pending(collecting_since: Millis, collected: i64) -> Self {
        let collected = u32::try_from(collected).unwrap();
        Self { status: "PENDING_BUILD", collecting_since, collected, refreshed_at: None }
    }

    pub(crate) fn built(collecting_since: Millis, collected: i64, refreshed_at: Millis) -> Self {
        let built = Self::pending(collecting_since, collected);
        Self { status: "ACTIVE", refreshed_at: Some(refreshed_at), ..built }
    }
}

#[derive(Default)]
struct Detect {
    profiles: BTreeMap<String, Profile>,
    /// How many things are in each group.
    groups: BTreeMap<String, usize>,
    denied: Option<&'static str>,
    calls: Vec<String>,
}

#[derive(Default)]
struct Profile {
    targets: Vec<String>,
    behaviors: Vec<String>,
    summaries: BTreeMap<String, Value>,
}

impl Detect {
    fn answer(&mut self, call: &Call) -> Option<Answer> {
        let path = call.operation.strip_prefix("GET ")?;
        let query: BTreeMap<_, _> = form_urlencoded::parse(call.query.as_bytes()).into_owned().collect();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let (list, name) = match parts.as_slice() {
            ["security-profiles"] => (self.list(), "securityProfileIdentifiers"),
            ["behavior-model-training", "summaries"] => (self.summaries(), "summaries"),
            ["security-profiles", name] => {
                self.calls.push(call.operation.clone());
                return Some(self.refusal(call).unwrap_or_else(|| self.describe(name)));
            }
            ["security-profiles", name, "targets"] => {
                let targets =
                    self.profiles.get(*name).map(|profile| profile.targets.clone()).unwrap_or_default();
                (targets.into_iter().map(|arn| json!({"arn": arn})).collect(), "securityProfileTargets")
            }
            ["thing-groups", name, "things"] => {
                let count = self.groups.get(*name).copied().unwrap_or_default();
                ((0..count).map(|n| json!(format!("thing-{n}"))).collect(), "things")
            }
            _ => return None,
        };
        self.calls.push(call.operation.clone());
        Some(self.refusal(call).unwrap_or_else(|| page(&list, name, &query)))
    }

    fn refusal(&self, call: &Call) -> Option<Answer> {
        let denied = self.denied.is_some_and(|denied| match denied.strip_suffix('/') {
            Some(below) => call.operation.starts_with(denied) && call.operation.len() > below.len(),
            None => call.operation == denied || call.operation == format!("{denied}/summaries"),
        });
        let message = json!({"message": "User: fw is not authorized to perform this"});
        denied.then(|| Answer::error(403, "AccessDeniedException", message))
    }

    fn list(&self) -> Vec<Value> {
        let arn = |name: &String| format!("arn:aws:iot:us-east-1:{ACCOUNT}:securityprofile/{name}");
        self.profiles.keys().map(|name| json!({"name": name, "arn": arn(name)})).collect()
    }

    fn summaries(&self) -> Vec<Value> {
        self.profiles.values().flat_map(|profile| profile.summaries.values().cloned()).collect()
    }

    fn describe(&self, name: &str) -> Answer {
        let Some(profile) = self.profiles.get(name) else {
            return Answer::error(404, "ResourceNotFoundException", json!({"message": "no such profile"}));
        };
        let behavior = |behavior: &String| {
            json!({"name": behavior, "metric": "aws:num-messages-sent",
                   "criteria": {"mlDetectionConfig": {"confidenceLevel": "HIGH"}}})
        };
        let behaviors: Vec<Value> = profile.behaviors.iter().map(behavior).collect();
        Answer::ok(json!({"securityProfileName": name, "behaviors": behaviors}))
    }
}

/// A page of a list, whose token is where it goes on.
fn page(list: &[Value], name: &str, query: &BTreeMap<String, String>) -> Answer {
    let size: usize = query["maxResults"].parse().unwrap();
    let from: usize = query.get("nextToken").map_or(0, |token| token.parse().unwrap());
    let end = (from + size).min(list.len());
    let mut answer = json!({name: list[from..end]});
    if end < list.len() {
        answer["nextToken"] = end.to_string().into();
    }
    Answer::ok(answer)
}

pub(crate) struct Setup {
    pub(crate) cloud: Cloud,
    detect: Arc<Mutex<Detect>>,
    aws: Shared,
    /// When the test's own clock began: waiting takes time on the cloud's clock too.
    began: Instant,
}

impl Default for Setup {
    fn default() -> Self {
        let cloud = Cloud::default();
        let detect: Arc<Mutex<Detect>> = Arc::default();
        let (around, service) = (cloud.clone(), Arc::clone(&detect));
        let aws = cloud.clients_with(move |call| {
            let answer = service.lock().unwrap().answer(&call);
            answer.unwrap_or_else(|| around.answer(call))
        });
        Self { cloud, detect, aws, began: Instant::now() }
    }
}

impl Setup {
    fn detect<T>(&self, change: impl FnOnce(&mut Detect) -> T) -> T {
        change(&mut self.detect.lock().unwrap())
    }

    pub(crate) fn profile(&self, name: &str, devices: usize, behaviors: &[&str]) {
        let behaviors: Vec<String> = behaviors.iter().map(|b| (*b).to_owned()).collect();
        let pending = |behavior: &String| {
            let summary = json!({"securityProfileName": name, "behaviorName": behavior,
                                 "modelStatus": "PENDING_BUILD", "datapointsCollectionPercentage": 0.0});
            (behavior.clone(), summary)
        };
        let summaries = behaviors.iter().map(pending).collect();
        let profile = Profile { targets: vec![], behaviors, summaries };
        self.detect(|detect| detect.profiles.insert(name.to_owned(), profile));
        self.profile_targets_again(name, devices);
    }

    pub(crate) fn profile_targets_again(&self, name: &str, devices: usize) {
        let arn = format!("arn:aws:iot:us-east-1:{ACCOUNT}:thinggroup/{name}-group");
        self.detect(|detect| detect.groups.insert(format!("{name}-group"), devices));
        self.targets(name, &[arn]);
    }

    pub(crate) fn targets(&self, name: &str, arns: &[String]) {
        self.detect(|detect| detect.profiles.get_mut(name).unwrap().targets = arns.to_vec());
    }

    pub(crate) fn remove(&self, name: &str) {
        self.detect(|detect| detect.profiles.remove(name));
    }

    pub(crate) fn train(&self, profile: &str, behavior: &str, model: &Model) {
        let seconds = |at: Millis| at.0 / 1_000;
        let mut summary = json!({
            "securityProfileName": profile, "behaviorName": behavior, "modelStatus": model.status,
            "trainingDataCollectionStartDate": seconds(model.collecting_since),
            "datapointsCollectionPercentage": (f64::from(model.collected) / 250.0).min(100.0),
        });
        if let Some(at) = model.refreshed_at {
            summary["lastModelRefreshDate"] = seconds(at).into();
        }
        self.detect(|detect| {
            let profile = detect.profiles.get_mut(profile).unwrap();
            profile.summaries.insert(behavior.to_owned(), summary);
        });
    }

    pub(crate) fn deny(&self, path: Option<&'static str>) {
        self.detect(|detect| detect.denied = path);
    }

    /// So many things are in alarm by a behavior.
    pub(crate) async fn raise(&self, profile: &str, behavior: &str, things: usize) {
        for n in 0..things {
            let event = json!({
                "violationId": format!("{behavior}-{n}"), "thingName": format!("thing-{n}"),
                "securityProfileName": profile, "behavior": {"name": behavior},
                "violationEventType": "in-alarm", "violationEventTime": self.now().0,
            });
            let event = AlarmEvent::parse(&event.to_string(), ACCOUNT, "us-east-1").unwrap();
            Alarms::new(self.ledger()).record(&event, self.now()).await.unwrap();
        }
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(self.aws.dynamodb(), "ledger".into())
    }

    fn clock(&self) -> Clock {
        let (clock, began) = (self.cloud.clock(), self.began);
        Clock::new(move || Millis(clock.now().0 + i64::try_from(began.elapsed().as_millis()).unwrap()))
    }

    pub(crate) fn now(&self) -> Millis {
        self.cloud.clock().now()
    }

    pub(crate) fn pass_days(&self, days: i64) {
        self.pass_seconds(days * DAY);
    }

    pub(crate) fn pass_seconds(&self, seconds: i64) {
        self.cloud.pass_seconds(seconds);
    }

    /// One invocation that may last for so many seconds.
    pub(crate) async fn invoke(&self, event: Value, seconds: i64) -> Result<Value, Error> {
        let clock = self.clock();
        let function = MlModelStatus {
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            iot: self.aws.iot(),
            pace: Pace::new(None),
            devices: ProfileDevices::new(self.aws.iot(), Pace::new(None)),
            ledger: self.ledger(),
            alerts: Alerts::new(self.aws.sns(), ALERTS.into(), self.ledger(), clock.clone()),
            clock: clock.clone(),
            limit: 0.2,
            emit: testing::emit,
        };
        let mut context = Context::default();
        context.request_id = fleetwarden_aws::ledger::nonce();
        context.deadline = u64::try_from(clock.now().plus_seconds(seconds).0).unwrap();
        function.handle(event, &context).await
    }

    pub(crate) async fn look_for(&self, seconds: i64) -> Result<Value, Error> {
        self.detect(|detect| detect.calls.clear());
        self.invoke(json!({}), seconds).await
    }

    /// One look, with time enough.
    pub(crate) async fn look(&self) -> Value {
        self.look_for(900).await.unwrap()
    }

    /// The calls of AWS IoT in the last look.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.detect(|detect| detect.calls.clone())
    }

    /// The profiles that the last look described.
    pub(crate) fn looked_at(&self) -> Vec<String> {
        let name = |call: &String| Some(call.strip_prefix("GET /security-profiles/")?.to_owned());
        self.calls().iter().filter_map(name).filter(|name| !name.contains('/')).collect()
    }

    pub(crate) fn kept_status(&self) -> Value {
        let item = self.cloud.item("model-status", "latest").unwrap();
        serde_json::from_str(item["status"].as_str().unwrap()).unwrap()
    }

    fn alerts(&self) -> Vec<Value> {
        self.cloud.published_to(ALERTS).iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    pub(crate) fn alert_ids(&self) -> Vec<String> {
        self.alerts().iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.alerts()
            .iter()
            .map(|alert| alert["metadata"]["eventType"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The alerts so far, as people read them.
    pub(crate) fn told(&self) -> Vec<String> {
        let text = |message: &Value| {
            let words = |value: &Value| value.as_str().unwrap().to_owned();
            let content = &message["content"];
            let steps =
                content["nextSteps"].as_array().unwrap().iter().map(|step| format!("- {}", words(step)));
            let (kind, severity) =
                (&message["metadata"]["eventType"], &message["metadata"]["additionalContext"]["severity"]);
            let head = format!("{} ({}, {})", words(&content["title"]), words(kind), words(severity));
            [head, words(&content["description"])].into_iter().chain(steps).collect::<Vec<_>>().join("\n")
        };
        self.alerts().iter().map(text).collect()
    }
}
