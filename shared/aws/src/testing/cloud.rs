//! A small AWS in memory, with a clock of its own: as much of DynamoDB, SQS, SNS, CloudWatch Logs and S3 as
//! the functions use, kept from call to call, so that a test can deliver twice and look at what is there.
//!
//! Faults, deaths and other invocations come between its clients and the services: see [`gate`](super::gate).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

pub use dynamodb_table::Attributes;
use dynamodb_table::Table;
use dynamodb_table::item_key;
use dynamodb_table::plain;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use super::Answer;
use super::Call;
use super::connect;
use super::gate::Gate;
use super::gate::is_call_of;
use super::logs;
pub use super::logs::Stream;
use super::logs::Streams;
use super::queues::Queues;
use crate::clients::Shared;
use crate::clock::Clock;
use crate::ledger::INDEXES;

/// When the clock starts: 2026-11-23T00:00:00Z.
pub const START: Millis = Millis(1_795_392_000_000);

/// The cloud. Its clones are the same one.
#[derive(Clone)]
pub struct Cloud(Arc<Mutex<State>>);

struct State {
    time: Time,
    calls: Vec<Call>,
    gate: Gate,
    table: Table,
    streams: Streams,
    queues: Queues,
    objects: BTreeMap<String, Vec<u8>>,
}

/// What the cloud's time is.
enum Time {
    /// It stands until somebody lets it pass.
    Still(Millis),
    /// Somebody else's.
    Of(Clock),
}

impl Default for Cloud {
    fn default() -> Self {
        Self::at(Time::Still(START))
    }
}

impl Cloud {
    /// A cloud whose time is that of a clock.
    pub fn on(clock: Clock) -> Self {
        Self::at(Time::Of(clock))
    }

    fn at(time: Time) -> Self {
        let (calls, gate) = (Vec::new(), Gate::default());
        let table = INDEXES
            .iter()
            .fold(Table::default(), |table, index| table.with_index(index.name, index.hash, index.range));
        let (streams, queues, objects) = (Streams::new(), Queues::default(), BTreeMap::new());
        Self(Arc::new(Mutex::new(State { time, calls, gate, table, streams, queues, objects })))
    }

    /// Clients of this cloud.
    pub fn clients(&self) -> Shared {
        let cloud = self.clone();
        self.clients_with(move |call| cloud.answer(call))
    }

    /// Clients of this cloud and of a service beside it: `answer` gets every call that passes the gate, and gives to
    /// [`answer`](Self::answer) what is not for that service.
    pub fn clients_with(&self, answer: impl Fn(Call) -> Answer + Clone + Send + Sync + 'static) -> Shared {
        let cloud = self.clone();
        connect(move |call| cloud.clone().pass(call, answer.clone()))
    }

    /// Answers a call that has passed the gate.
    pub fn answer(&self, call: Call) -> Answer {
        let mut state = self.state();
        let answer = state.effect(&call);
        state.calls.push(call);
        answer
    }

    /// The cloud's clock.
    pub fn clock(&self) -> Clock {
        let cloud = self.clone();
        Clock::new(move || cloud.state().now())
    }

    /// Lets time pass, if it is the cloud's own.
    pub fn pass_seconds(&self, seconds: i64) {
        if let Time::Still(now) = &mut self.state().time {
            *now = now.plus_seconds(seconds);
        }
    }

    /// The calls of an operation so far; those of S3 by their method alone, those of all by nothing.
    pub fn calls(&self, operation: &str) -> Vec<Call> {
        self.state().calls.iter().filter(|call| is_call_of(call, operation)).cloned().collect()
    }

    /// All calls since the last look, which are forgotten: a long test has more than fit into memory.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state().calls)
    }

    /// The bodies of all messages sent to a queue, in the order of sending.
    pub fn sent_to(&self, queue_url: &str) -> Vec<String> {
        let state = self.state();
        let to_queue = state.calls.iter().map(Call::json).filter(|body| text(body, "QueueUrl") == queue_url);
        to_queue.flat_map(|body| entries(&body)).collect()
    }

    /// All messages published to a topic, in the order of publishing: what a queue that is subscribed to it gets.
    pub fn published_to(&self, topic: &str) -> Vec<String> {
        let published = self.calls("Publish").into_iter().filter_map(|call| {
            let mut fields: BTreeMap<_, _> = form_urlencoded::parse(call.body.as_bytes()).collect();
            let message = fields.remove("Message")?;
            if fields.get("TopicArn")? != topic {
                return None;
            }
            if !fields.contains_key("MessageStructure") {
                return Some(message.into_owned());
            }
            let texts: BTreeMap<String, String> = serde_json::from_str(&message).ok()?;
            texts.get("sqs").or_else(|| texts.get("default")).cloned()
        });
        published.collect()
    }

    /// An item of the ledger, attribute by attribute, as plain values.
    pub fn item(&self, pk: &str, sk: &str) -> Option<Attributes> {
        let state = self.state();
        let item = state.table.items.get(&(pk.to_owned(), sk.to_owned()))?;
        Some(item.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
    }

    /// All items of the ledger whose partition key begins so, attribute by attribute.
    pub fn items(&self, beginning: &str) -> BTreeMap<(String, String), Attributes> {
        let state = self.state();
        let found = state.table.items.iter().filter(|((pk, _), _)| pk.starts_with(beginning));
        found
            .map(|(key, item)| {
                let item = item.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
                (key.clone(), item)
            })
            .collect()
    }

    /// Deletes the items of the ledger whose time to live is over.
    pub fn expire_items(&self) {
        let mut state = self.state();
        let now = state.now().seconds();
        let expires_at = |item: &Attributes| plain(item.get("expires_at")?).as_i64();
        state.table.items.retain(|_, item| expires_at(item).is_none_or(|at| at > now));
    }

    /// Puts an item into the ledger; its attributes are written as DynamoDB does.
    pub fn put_item(&self, item: Value) {
        if let Value::Object(item) = item {
            self.state().table.items.insert(item_key(&item), item);
        }
    }

    /// The paths of all objects in S3.
    pub fn objects(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// The content of an object in S3.
    pub fn object(&self, path: &str) -> Option<Vec<u8>> {
        self.state().objects.get(path).cloned()
    }

    /// All log streams, by name.
    pub fn streams(&self) -> BTreeMap<String, Stream> {
        self.state().streams.clone()
    }

    /// A log stream by its name.
    pub fn stream(&self, name: &str) -> Option<Stream> {
        self.state().streams.get(name).cloned()
    }

    /// Puts a log stream there.
    pub fn put_stream(&self, name: &str, stream: Stream) {
        self.state().streams.insert(name.to_owned(), stream);
    }

    /// Notes a call that had no effect.
    pub(super) fn record(&self, call: Call) {
        self.state().calls.push(call);
    }

    pub(super) fn with_gate<T>(&self, change: impl FnOnce(&mut Gate) -> T) -> T {
        change(&mut self.state().gate)
    }

    pub(super) fn with_queues<T>(&self, change: impl FnOnce(&mut Queues, Millis) -> T) -> T {
        let mut state = self.state();
        let now = state.now();
        change(&mut state.queues, now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<dynamodb_table::Answer> for Answer {
    fn from(answer: dynamodb_table::Answer) -> Self {
        let dynamodb_table::Answer { status, error, body } = answer;
        Self::Now { status, error, body: body.to_string().into_bytes() }
    }
}

impl State {
    fn now(&self) -> Millis {
        match &self.time {
            Time::Still(now) => *now,
            Time::Of(clock) => clock.now(),
        }
    }

    fn effect(&mut self, call: &Call) -> Answer {
        let now = self.now();
        let (body, operation) = (call.json(), call.operation.as_str());
        let table = self.table.answer(operation, &body, now.0).map(Answer::from);
        let streams = table.or_else(|| logs::answer(&mut self.streams, operation, &body, now));
        let queues = streams.or_else(|| self.queues.answer(operation, &body, now));
        queues.unwrap_or_else(|| self.other(call))
    }

    fn other(&mut self, call: &Call) -> Answer {
        match call.operation.as_str() {
            "Publish" => Answer::ok(
                "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>",
            ),
            other => self.object(other, call),
        }
    }

    /// The calls of S3, by method and path.
    fn object(&mut self, operation: &str, call: &Call) -> Answer {
        match operation.split_once(' ') {
            Some(("PUT", path)) => {
                let is_for_new = call.headers.iter().any(|(name, _)| name == "if-none-match");
                if is_for_new && self.objects.contains_key(path) {
                    let body = "<Error><Code>PreconditionFailed</Code></Error>";
                    return Answer::error(412, "PreconditionFailed", body);
                }
                self.objects.insert(path.to_owned(), call.bytes.clone());
                Answer::ok("")
            }
            Some(("DELETE", path)) => {
                self.objects.remove(path);
                Answer::Now { status: 204, error: None, body: Vec::new() }
            }
            Some(("GET", path)) => match self.objects.get(path) {
                Some(body) => Answer::Now { status: 200, error: None, body: body.clone() },
                None => Answer::error(404, "NoSuchKey", "<Error><Code>NoSuchKey</Code></Error>"),
            },
            _ => Answer::error(400, "UnknownOperationException", json!({"message": operation})),
        }
    }
}

fn entries(body: &Value) -> Vec<String> {
    let single = body.get("MessageBody").and_then(Value::as_str);
    let many = list(body, "Entries").iter().map(|entry| text(entry, "MessageBody"));
    single.into_iter().chain(many).map(ToOwned::to_owned).collect()
}

pub(super) fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn list<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
