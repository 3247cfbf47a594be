//! AWS around the functions: every call passes here, takes its time, meets the weather, and has its effect.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::future;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use device_defender::Clock as EndpointClock;
use device_defender::DeviceDefender;
use device_defender::FleetSpec;
use device_defender::Request;
use device_defender::Settings;
use fastrand::Rng;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::connect;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio::time::sleep;

use crate::acts::Acts;
use crate::alarms::Topic;
use crate::run::Part;
use crate::stack::ALARM_TOPIC;
use crate::stack::ALERT_TOPIC;
use crate::stack::AUDIT_TOPIC;
use crate::trace::Trace;
use crate::weather::Fault;
use crate::weather::Weather;

const SIGNED: &str =
    "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/iot/aws4_request, SignedHeaders=host, Signature=0";

/// The world of a run.
pub(crate) struct World {
    pub(crate) cloud: Cloud,
    pub(crate) endpoint: DeviceDefender,
    /// How many findings Device Defender gives on a page at most, whatever is asked for.
    page: u64,
    /// Something has happened for which Lambda may have work.
    pub(crate) changed: Notify,
    began: Instant,
    state: Mutex<State>,
}

/// How often each function was invoked in the chain that has led to something.
pub(crate) type Lineage = BTreeMap<&'static str, u32>;

/// What changes in it.
pub(crate) struct State {
    pub(crate) rng: Rng,
    pub(crate) weather: Weather,
    pub(crate) trace: Trace,
    /// What the functions did.
    pub(crate) acts: Acts,
    /// Messages for the audit topic that are still to be delivered.
    pub(crate) announcements: Vec<String>,
    /// Messages of the alarm topic that are still to be delivered.
    pub(crate) alarm_topic: Topic,
    /// The alerts that the topic has taken, in order, each with the time.
    pub(crate) alerts: Vec<(Millis, Value)>,
    /// The lines of metrics and alerts that the functions have written.
    pub(crate) lines: Vec<Value>,
    /// The suppressions that were created, as they were asked for.
    pub(crate) created: Vec<Value>,
    /// Faults that do not strike, by their number; the first that does not strike, nor any after it; how many were drawn.
    without: BTreeSet<u64>,
    last_fault: u64,
    drawn_faults: u64,
    /// Faults that have struck, by name.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// What has led to each message, and to what each process works on now.
    pub(crate) lineages: BTreeMap<String, Lineage>,
    pub(crate) causes: BTreeMap<u64, Lineage>,
    /// The functions whose loops Lambda has ended.
    pub(crate) ended_loops: Vec<&'static str>,
    /// The function whose process dies, and after how many more of its calls.
    pub(crate) doomed: Option<(&'static str, u32)>,
    /// The processes that have died.
    dead: BTreeSet<u64>,
    /// Who waits for the end of a process.
    ends: BTreeMap<u64, Arc<Notify>>,
    processes: u64,
}

impl World {
    /// A world with a fleet that has so many findings.
    pub(crate) fn new(mut rng: Rng, weather: Weather, findings: u32, part: &Part) -> Arc<Self> {
        let began = Instant::now();
        let clock = clock(began);
        let seed = rng.u64(..);
        let page = if rng.bool() { 250 } else { rng.u64(2..20) };
        let settings = Settings {
            fleet: FleetSpec { findings, seed },
            clock: EndpointClock::manual(START.0),
            rate_scale: Some(1.0),
            audit_duration: Duration::from_secs(rng.u64(2..600)),
            mitigation_duration: Duration::from_secs(rng.u64(1..300)),
            lapsed_stay: rng.bool(),
            ..Settings::default()
        };
        let state = State {
            rng,
            weather,
            trace: Trace::new(part.is_read),
            acts: Acts::default(),
            without: part.without.clone(),
            last_fault: part.faults.unwrap_or(u64::MAX),
            drawn_faults: 0,
            announcements: Vec::new(),
            alarm_topic: Topic::default(),
            alerts: Vec::new(),
            lines: Vec::new(),
            created: Vec::new(),
            faults: BTreeMap::new(),
            lineages: BTreeMap::new(),
            causes: BTreeMap::new(),
            ended_loops: Vec::new(),
            doomed: None,
            dead: BTreeSet::new(),
            ends: BTreeMap::new(),
            processes: 0,
        };
        Arc::new(Self {
            cloud: Cloud::on(clock),
            endpoint: DeviceDefender::new(settings),
            page,
            changed: Notify::new(),
            began,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws something.
    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.state().rng)
    }

    pub(crate) fn clock(&self) -> Clock {
        clock(self.began)
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock().now()
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&self, what: &str) {
        let at = self.began.elapsed();
        self.state().trace.add(at, what);
    }

    /// The number of a new process, and what tells of its end.
    pub(crate) fn process(&self) -> (u64, Arc<Notify>) {
        let mut state = self.state();
        state.processes += 1;
        let (number, end) = (state.processes, Arc::new(Notify::new()));
        state.ends.insert(number, Arc::clone(&end));
        (number, end)
    }

    /// The clients of a process of a function.
    pub(crate) fn clients(self: &Arc<Self>, function: &'static str, process: u64) -> Shared {
        let world = Arc::clone(self);
        let shared = connect(move |call| Arc::clone(&world).serve(function, process, call));
        shared.on(self.clock())
    }

    /// Answers a call of a process, after a while.
    async fn serve(self: Arc<Self>, function: &'static str, process: u64, call: Call) -> Answer {
        let (before, after, fault) = self.fate(function, &call);
        sleep(before).await;
        let name = brief(&call);
        let what = fault.map_or("", Fault::name);
        self.note(&format!("{function}/{process}  {name}  {what}"));
        if self.state().dead.contains(&process) {
            return future::pending().await;
        }
        self.state().acts.tries(process, &call);
        let by = (function, process);
        let answer = match fault {
            None => self.effect(by, &call),
            Some(Fault::Throttled) => throttled(&call),
            Some(Fault::Broken) => Answer::broken(),
            Some(Fault::Reset) => Answer::Reset,
            Some(Fault::Hangs) => Answer::Never,
            Some(Fault::Conflict) => conflict(&call),
            Some(Fault::KilledBefore) => return self.kill(process).await,
            Some(Fault::DoneButBroken) => {
                self.effect(by, &call);
                Answer::broken()
            }
            Some(Fault::DoneButReset) => {
                self.effect(by, &call);
                Answer::Reset
            }
            // An object has a length and a checksum: the client sees that its content ends early.
            Some(Fault::Torn) if call.operation.starts_with("GET ") && is_of_bucket(&call) => Answer::Reset,
            Some(Fault::Torn) => torn(self.effect(by, &call)),
            Some(Fault::KilledAfter) => {
                self.effect(by, &call);
                return self.kill(process).await;
            }
        };
        self.changed.notify_one();
        sleep(after).await;
        answer
    }

    /// How long a call is under way, there and back, and what strikes it.
    fn fate(&self, function: &str, call: &Call) -> (Duration, Duration, Option<Fault>) {
        let mut state = self.state();
        let State { rng, weather, faults, without, last_fault, drawn_faults, doomed, .. } = &mut *state;
        let death = doomed.take_if(|(of, calls)| {
            *calls -= u32::from(*of == function);
            *calls == 0
        });
        let mut time = || {
            let most = if rng.f64() < weather.slow { 4_000 } else { 20 };
            Duration::from_millis(rng.u64(1..=most))
        };
        let (before, after) = (time(), time());
        let fault = weather
            .strike(rng)
            .filter(|fault| *fault != Fault::Conflict || call.operation == "TransactWriteItems");
        let fault = death.map(|_| Fault::KilledAfter).or(fault);
        let fault = fault.filter(|_| {
            let number = *drawn_faults;
            *drawn_faults += 1;
            number < *last_fault && !without.contains(&number)
        });
        if let Some(fault) = fault {
            *faults.entry(fault.name()).or_default() += 1;
        }
        (before, after, fault)
    }

    async fn kill(&self, process: u64) -> Answer {
        let end = {
            let mut state = self.state();
            state.dead.insert(process);
            state.ends.get(&process).cloned()
        };
        if let Some(end) = end {
            end.notify_one();
        }
        future::pending().await
    }

    /// Does what a call of a process asks for.
    fn effect(&self, by: (&str, u64), call: &Call) -> Answer {
        let answer = self.answer(call.clone());
        self.state().acts.done(by, call, &answer, &self.cloud);
        self.pass_on(by.1, call, &answer);
        answer
    }

    /// Notes what has led to the messages that a process sends.
    fn pass_on(&self, process: u64, call: &Call, answer: &Answer) {
        let Answer::Now { body, .. } = answer else { return };
        // What a move from a dead-letter queue carries on is not documented: here it is a new beginning.
        let is_parked = call.json()["QueueUrl"].as_str().is_some_and(|queue| queue.starts_with("dead-"));
        if is_parked || !call.operation.starts_with("SendMessage") {
            return;
        }
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let sent = answer["Successful"].as_array().into_iter().flatten().chain([&answer]);
        let mut state = self.state();
        let State { lineages, causes, .. } = &mut *state;
        let cause = causes.get(&process).cloned().unwrap_or_default();
        for id in sent.filter_map(|sent| sent["MessageId"].as_str()) {
            lineages.insert(id.to_owned(), cause.clone());
        }
    }

    fn answer(&self, call: Call) -> Answer {
        let (method, path) = call.operation.split_once(' ').unwrap_or_default();
        if call.operation == "Publish" {
            return self.publish(&call);
        }
        if method.is_empty() || is_of_bucket(&call) {
            return self.cloud.answer(call);
        }
        let mut body = call.body.clone();
        if path == "/audit/findings" {
            let mut asked = call.json();
            asked["maxResults"] = self.page.into();
            body = asked.to_string();
        }
        let headers: Vec<(&str, &str)> = call.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let request =
            Request { method, path, query: &call.query, authorization: Some(SIGNED), body: body.as_bytes() };
        self.catch_up();
        let answer = self.endpoint.answer_with_headers(&request, &headers);
        if answer.status == 200 && path == "/audit/suppressions/create" {
            self.state().created.push(call.json());
        }
        let body = if self.state().weather.reorders { self.reordered(answer.body) } else { answer.body };
        Answer::Now { status: answer.status, error: answer.error_type, body: body.into_bytes() }
    }

    /// An answer with its list in another order: AWS promises none.
    fn reordered(&self, body: String) -> String {
        let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
        let lists = answer.as_object_mut().into_iter().flat_map(|answer| answer.values_mut());
        let mut lists: Vec<_> = lists.filter_map(Value::as_array_mut).collect();
        let [list] = lists.as_mut_slice() else { return body };
        self.draw(|rng| rng.shuffle(list));
        answer.to_string()
    }

    fn publish(&self, call: &Call) -> Answer {
        let fields: BTreeMap<_, _> = form_urlencoded::parse(call.body.as_bytes()).into_owned().collect();
        let message = fields.get("Message").cloned().unwrap_or_default();
        match fields.get("TopicArn").map(String::as_str) {
            Some(AUDIT_TOPIC) => self.state().announcements.push(message),
            Some(ALERT_TOPIC) => {
                let texts: Value = serde_json::from_str(&message).unwrap_or_default();
                let alert = texts["default"].as_str().and_then(|text| serde_json::from_str(text).ok());
                let now = self.now();
                self.state().alerts.push((now, alert.unwrap_or(Value::Null)));
            }
            _ => return Answer::error(404, "NotFound", "<ErrorResponse/>"),
        }
        Answer::ok(
            "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>",
        )
    }

    /// Sets the endpoint's clock to that of the world.
    pub(crate) fn catch_up(&self) {
        let behind = self.now().0 - self.endpoint.clock().now_ms();
        self.endpoint.clock().advance(Duration::from_millis(u64::try_from(behind).unwrap_or_default()));
    }

    /// Takes what Device Defender has to announce.
    pub(crate) fn listen(&self) {
        self.catch_up();
        for message in self.endpoint.take_messages() {
            if message.topic_arn == AUDIT_TOPIC {
                self.state().announcements.push(message.body);
            } else if message.topic_arn == ALARM_TOPIC {
                self.publish_alarm(&message.body, true);
            }
        }
        self.deliver_alarms();
    }

    /// Asks Device Defender, as nobody's weather can disturb.
    ///
    /// # Errors
    /// What it refused.
    pub(crate) fn ask(&self, method: &str, path: &str, query: &str, body: &Value) -> Result<Value, String> {
        self.catch_up();
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let authorization = (!path.starts_with("/_control")).then_some(SIGNED);
        let request = Request { method, path, query, authorization, body: text.as_bytes() };
        loop {
            let answer = self.endpoint.answer(&request);
            if answer.error_type == Some("ThrottlingException") {
                self.endpoint.clock().advance(Duration::from_secs(1));
                continue;
            }
            let value = serde_json::from_str(&answer.body).unwrap_or_default();
            let refused = || format!("{method} {path}: {}", answer.body);
            return if answer.status == 200 { Ok(value) } else { Err(refused()) };
        }
    }
}

fn clock(began: Instant) -> Clock {
    Clock::new(move || START.plus(began.elapsed()))
}

/// Whether a call goes to the bucket: S3 alone wants the hash of the body in a header.
fn is_of_bucket(call: &Call) -> bool {
    call.headers.iter().any(|(name, _)| name.starts_with("x-amz-content-sha256"))
}

/// A call in a trace.
fn brief(call: &Call) -> String {
    let body = call.json();
    let of = ["/Key/pk/S", "/Item/pk/S", "/ExpressionAttributeValues/:pk/S", "/QueueUrl", "/logStreamName"];
    let about = of.iter().find_map(|path| body.pointer(path)?.as_str()).unwrap_or_default();
    format!("{} {about}", call.operation)
}

fn throttled(call: &Call) -> Answer {
    if call.operation == "Publish" || is_of_bucket(call) {
        return Answer::Now {
            status: 503,
            error: None,
            body: b"<Error><Code>SlowDown</Code></Error>".to_vec(),
        };
    }
    Answer::error(400, "ThrottlingException", json!({"message": "Rate exceeded"}))
}

fn conflict(call: &Call) -> Answer {
    let count = call.json()["TransactItems"].as_array().map_or(1, Vec::len);
    let reasons: Vec<Value> = (0..count)
        .map(|nth| json!({"Code": if nth == 0 { "TransactionConflict" } else { "None" }}))
        .collect();
    Answer::error(
        400,
        "TransactionCanceledException",
        json!({"message": "Transaction cancelled", "CancellationReasons": reasons}),
    )
}

fn torn(answer: Answer) -> Answer {
    match answer {
        Answer::Now { status, error, mut body } => {
            body.truncate(body.len() / 2);
            Answer::Now { status, error, body }
        }
        other => other,
    }
}
