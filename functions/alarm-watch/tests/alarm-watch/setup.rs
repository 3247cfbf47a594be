//! The cloud with a Detect beside it that lists what a test sets, and an alarm queue that is heard when a test says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_core::message::alarm::AlarmMessage;
use fleetwarden_core::model::alarm::Action;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::State;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use alarm_watch::AlarmWatch;

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ALERTS: &str = "arn:aws:sns:us-east-1:123456789012:alerts";
pub(crate) const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/alarms";

/// What Detect lists.
#[derive(Default)]
pub(crate) struct Detect {
    pub(crate) events: Vec<Value>,
    pub(crate) active: Vec<Value>,
    /// Active violations that the first so many lists do not have.
    pub(crate) blink: usize,
    pub(crate) denied: Option<&'static str>,
    /// How long each call takes.
    pub(crate) slow: Duration,
    pub(crate) calls: Vec<String>,
}

impl Detect {
    fn answer(&mut self, call: &Call) -> Option<Answer> {
        let path = call.operation.strip_prefix("GET ")?;
        if let Some(thing) = path.strip_prefix("/things/") {
            return Some(match thing.split_once('/') {
                Some(_) => Answer::ok(json!({"thingGroups": []})),
                None => Answer::ok(json!({"thingName": thing, "attributes": {}})),
            });
        }
        let query: BTreeMap<_, _> = form_urlencoded::parse(call.query.as_bytes()).into_owned().collect();
        let (list, name) = match path {
            "/violation-events" => (self.listed_events(&query), "violationEvents"),
            "/active-violations" => (self.listed_active(&query), "activeViolations"),
            _ => return None,
        };
        let profile = query.get("securityProfileName").map(|name| format!(" {name}"));
        self.calls.push(format!("{path}{}", profile.unwrap_or_default()));
        if self.denied == Some(path) {
            let message = json!({"message": "User: fw is not authorized to perform this"});
            return Some(Answer::error(403, "AccessDeniedException", message));
        }
        let answer = page(&list, name, &query);
        Some(if self.slow.is_zero() { answer } else { Answer::Late(self.slow, Box::new(answer)) })
    }

    fn listed_events(&self, query: &BTreeMap<String, String>) -> Vec<Value> {
        let moment = |name: &str| Millis::parse(&query[name]).unwrap().seconds();
        let (from, to) = (moment("startTime"), moment("endTime"));
        let is_in = |event: &&Value| {
            let at = event["violationEventTime"].as_f64().unwrap();
            #[expect(clippy::cast_precision_loss, reason = "seconds")]
            (from as f64..=to as f64).contains(&at)
        };
        // Newest first, as AWS's samples are.
        self.events.iter().filter(is_in).rev().cloned().collect()
    }

    /// Without the filter suppressed alarms are not listed: the worst reading of the documentation.
    fn listed_active(&mut self, query: &BTreeMap<String, String>) -> Vec<Value> {
        if self.blink > 0 {
            self.blink -= 1;
            return Vec::new();
        }
        let suppressed = query.get("listSuppressedAlerts").is_some_and(|value| value == "true");
        let profile = query.get("securityProfileName");
        let is_wanted = |violation: &&Value| {
            violation["behavior"]["suppressAlerts"].as_bool().unwrap_or_default() == suppressed
                && profile.is_none_or(|profile| violation["securityProfileName"] == profile.as_str())
        };
        self.active.iter().filter(is_wanted).cloned().collect()
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
    pub(crate) aws: Shared,
    /// The settings of the policy, after `alarms:`.
    pub(crate) settings: Mutex<&'static str>,
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
        Self { cloud, detect, aws, settings: Mutex::new("{}"), began: Instant::now() }
    }
}

impl Setup {
    pub(crate) fn detect<T>(&self, change: impl FnOnce(&mut Detect) -> T) -> T {
        change(&mut self.detect.lock().unwrap())
    }

    /// The moment so many minutes ago, in seconds.
    pub(crate) fn ago(&self, minutes: i64) -> i64 {
        self.now().plus_seconds(-minutes * 60).seconds()
    }

    /// Something happened to a violation so many minutes ago: an event of the list, and what is active.
    pub(crate) fn happens(&self, id: &str, kind: &str, minutes: i64) -> Value {
        let at = self.ago(minutes);
        let event = event(id, kind, at);
        self.detect(|detect| {
            detect.events.push(event.clone());
            detect.active.retain(|active| active["violationId"] != id);
            if kind == "in-alarm" {
                detect.active.push(active(id, at));
            }
        });
        event
    }

    /// A message of it comes and is handled.
    pub(crate) async fn hear(&self, event: &Value) {
        let mut message = event.clone();
        let at = message["violationEventTime"].as_i64().unwrap() * 1_000;
        message["violationEventTime"] = at.into();
        let event = AlarmEvent::parse(&message.to_string(), ACCOUNT, REGION).unwrap();
        self.alarms().record(&event, self.now()).await.unwrap();
    }

    /// The messages on the alarm queue are handled. Gives them.
    pub(crate) async fn handle_queue(&self) -> Vec<AlarmMessage> {
        let mut handled = Vec::new();
        for message in self.cloud.waiting(QUEUE) {
            let read: AlarmMessage = serde_json::from_str(&message.body).unwrap();
            match &read {
                AlarmMessage::Found(event) => drop(self.alarms().record(event, self.now()).await.unwrap()),
                AlarmMessage::Settle(settle) => {
                    let at = self.now();
                    let decided = Action {
                        at,
                        raised_at: None,
                        what: "report".into(),
                        rule: None,
                        task_id: None,
                        reason: None,
                    };
                    self.alarms().note_after(&settle.violation_id, &decided, Some(at)).await.unwrap();
                }
            }
            self.cloud.delete(QUEUE, &message.id);
            handled.push(read);
        }
        handled
    }

    /// The events on the alarm queue, as words.
    pub(crate) fn found(&self) -> Vec<String> {
        let word = |body: &str| match serde_json::from_str(body).unwrap() {
            AlarmMessage::Found(event) => format!("{} {}", event.alarm.violation_id, event.event.as_str()),
            AlarmMessage::Settle(settle) => format!("{} settle", settle.violation_id),
        };
        self.cloud.waiting(QUEUE).iter().map(|message| word(&message.body)).collect()
    }

    pub(crate) fn alarms(&self) -> Alarms {
        Alarms::new(self.ledger())
    }

    pub(crate) async fn life(&self, id: &str) -> Option<Life> {
        self.alarms().lives(vec![id.to_owned()]).await.unwrap().pop()
    }

    pub(crate) async fn state(&self, id: &str) -> Option<State> {
        self.life(id).await?.state()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(self.aws.dynamodb(), "ledger".into())
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock().now()
    }

    /// The cloud's clock, on which waiting takes time too.
    pub(crate) fn clock(&self) -> Clock {
        let (clock, began) = (self.cloud.clock(), self.began);
        Clock::new(move || Millis(clock.now().0 + i64::try_from(began.elapsed().as_millis()).unwrap()))
    }

    pub(crate) fn pass(&self, minutes: i64) {
        self.cloud.pass_seconds(minutes * 60);
    }

    /// One invocation that may last for so many seconds.
    pub(crate) async fn invoke(&self, event: Value, seconds: i64) -> Result<Value, Error> {
        let clock = self.clock();
        let policy =
            format!("version: 1\nmode: observe\nalarms: {}\nrules: []\n", self.settings.lock().unwrap());
        let function = AlarmWatch {
            account: ACCOUNT.into(),
            region: REGION.into(),
            iot: self.aws.iot(),
            pace: Pace::new(None),
            alarms: self.alarms(),
            queue: Queue::new(self.aws.sqs(), QUEUE.into()),
            policy: Policy::parse(policy.as_bytes()).unwrap(),
            alerts: Alerts::new(self.aws.sns(), ALERTS.into(), self.ledger(), clock.clone()),
            clock: clock.clone(),
            emit: testing::emit,
        };
        let mut context = Context::default();
        context.request_id = fleetwarden_aws::ledger::nonce();
        context.deadline = u64::try_from(clock.now().plus_seconds(seconds).0).unwrap();
        function.handle(event, &context).await
    }

    /// One look, with time enough.
    pub(crate) async fn look(&self) -> Value {
        self.detect(|detect| detect.calls.clear());
        self.invoke(json!({}), 900).await.unwrap()
    }

    /// The kinds of problem of one look.
    pub(crate) async fn problems(&self) -> Vec<String> {
        let seen = self.look().await;
        seen["problems"].as_array().unwrap().iter().map(|t| t["problem"].as_str().unwrap().into()).collect()
    }

    pub(crate) fn alert_ids(&self) -> Vec<String> {
        let id = |text: &String| {
            let alert: Value = serde_json::from_str(text).unwrap();
            format!("{} {}", alert["metadata"]["eventType"].as_str().unwrap(), alert["id"].as_str().unwrap())
        };
        self.cloud.published_to(ALERTS).iter().map(id).collect()
    }

    /// The alerts so far, as people read them.
    pub(crate) fn told(&self) -> Vec<String> {
        let text = |message: String| {
            let message: Value = serde_json::from_str(&message).unwrap();
            let words = |value: &Value| value.as_str().unwrap().to_owned();
            let content = &message["content"];
            let steps =
                content["nextSteps"].as_array().unwrap().iter().map(|step| format!("- {}", words(step)));
            let meta = &message["metadata"];
            let (kind, severity) = (&meta["eventType"], &meta["additionalContext"]["severity"]);
            let head = format!("{} ({}, {})", words(&content["title"]), words(kind), words(severity));
            [head, words(&content["description"])].into_iter().chain(steps).collect::<Vec<_>>().join("\n")
        };
        self.cloud.published_to(ALERTS).into_iter().map(text).collect()
    }
}

/// An event as `ListViolationEvents` has it.
pub(crate) fn event(id: &str, kind: &str, at: i64) -> Value {
    let mut event = violation(id);
    event["violationEventType"] = kind.into();
    event["violationEventTime"] = at.into();
    event
}

/// An active violation as `ListActiveViolations` has it.
pub(crate) fn active(id: &str, at: i64) -> Value {
    let mut active = violation(id);
    active["violationStartTime"] = at.into();
    active["lastViolationTime"] = at.into();
    active
}

fn violation(id: &str) -> Value {
    json!({
        "violationId": id, "thingName": format!("thing-{id}"), "securityProfileName": "lights",
        "behavior": {"name": "sent", "metric": "aws:num-messages-sent",
                     "criteria": {"comparisonOperator": "less-than", "value": {"count": 50}, "durationSeconds": 300}},
    })
}
