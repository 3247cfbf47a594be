//! A small AWS in memory, with a clock of its own: as much of DynamoDB, SQS, SNS, CloudWatch Logs and S3 as
//! the functions use, kept from call to call, so that a test can deliver twice and look at what is there.
//!
//! A fault is an answer that takes the place of the service's, before the call has its effect or after it.

#![expect(clippy::indexing_slicing, reason = "a member that a JSON value lacks reads as null")]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use fleetwarden_core::timestamp::Millis;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::Answer;
use super::Call;
use super::clients;
use super::condition::holds;
use crate::clients::Shared;
use crate::clock::Clock;

/// When the clock starts: 2026-11-23T00:00:00Z.
pub const START: Millis = Millis(1_795_392_000_000);

/// An item's or a member's attributes.
pub type Attributes = Map<String, Value>;

/// The cloud. Its clones are the same one.
#[derive(Clone)]
pub struct Cloud(Arc<Mutex<State>>);

struct State {
    now: Millis,
    calls: Vec<Call>,
    faults: Vec<Fault>,
    items: BTreeMap<(String, String), Attributes>,
    streams: BTreeMap<String, Stream>,
    objects: BTreeMap<String, Vec<u8>>,
}

/// A log stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// When it was created.
    pub created: Millis,
    /// The messages in it.
    pub events: Vec<String>,
}

struct Fault {
    operation: String,
    passes: usize,
    times: usize,
    after_effect: bool,
    answer: Answer,
}

impl Default for Cloud {
    fn default() -> Self {
        let (calls, faults) = (Vec::new(), Vec::new());
        let (items, streams, objects) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self(Arc::new(Mutex::new(State { now: START, calls, faults, items, streams, objects })))
    }
}

impl Cloud {
    /// Clients of this cloud.
    pub fn clients(&self) -> Shared {
        let cloud = self.clone();
        clients(move |call| cloud.answer(call))
    }

    /// Answers a call, as for a test whose other calls go elsewhere.
    pub fn answer(&self, call: Call) -> Answer {
        self.state().answer(call)
    }

    /// The cloud's clock.
    pub fn clock(&self) -> Clock {
        let cloud = self.clone();
        Clock::new(move || cloud.state().now)
    }

    /// Lets time pass.
    pub fn pass_seconds(&self, seconds: i64) {
        let mut state = self.state();
        state.now = state.now.plus_seconds(seconds);
    }

    /// The next calls of an operation get this answer and have no effect.
    pub fn fail(&self, operation: &str, times: usize, answer: Answer) {
        self.fail_later(operation, 0, times, answer);
    }

    /// As [`fail`](Self::fail), after some calls have passed.
    pub fn fail_later(&self, operation: &str, passes: usize, times: usize, answer: Answer) {
        let operation = operation.to_owned();
        self.state().faults.push(Fault { operation, passes, times, after_effect: false, answer });
    }

    /// The next call of an operation has its effect, and the caller gets this answer all the same.
    pub fn lose(&self, operation: &str, answer: Answer) {
        let operation = operation.to_owned();
        self.state().faults.push(Fault { operation, passes: 0, times: 1, after_effect: true, answer });
    }

    /// The calls of an operation so far; those of S3 by their method alone, those of all by nothing.
    pub fn calls(&self, operation: &str) -> Vec<Call> {
        self.state().calls.iter().filter(|call| is_call_of(call, operation)).cloned().collect()
    }

    /// The bodies of all messages sent to a queue, in the order of sending.
    pub fn sent_to(&self, queue_url: &str) -> Vec<String> {
        let state = self.state();
        let to_queue = state.calls.iter().map(Call::json).filter(|body| text(body, "QueueUrl") == queue_url);
        to_queue.flat_map(|body| entries(&body)).collect()
    }

    /// All messages published to a topic, in the order of publishing.
    pub fn published_to(&self, topic: &str) -> Vec<String> {
        let published = self.calls("Publish").into_iter().filter_map(|call| {
            let mut fields: BTreeMap<_, _> = form_urlencoded::parse(call.body.as_bytes()).collect();
            let message = fields.remove("Message")?;
            (fields.get("TopicArn")? == topic).then(|| message.into_owned())
        });
        published.collect()
    }

    /// An item of the ledger, attribute by attribute, as plain values.
    pub fn item(&self, pk: &str, sk: &str) -> Option<Attributes> {
        let state = self.state();
        let item = state.items.get(&(pk.to_owned(), sk.to_owned()))?;
        Some(item.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
    }

    /// All items of the ledger whose partition key begins so, attribute by attribute.
    pub fn items(&self, beginning: &str) -> BTreeMap<(String, String), Attributes> {
        let state = self.state();
        let found = state.items.iter().filter(|((pk, _), _)| pk.starts_with(beginning));
        found
            .map(|(key, item)| {
                let item = item.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
                (key.clone(), item)
            })
            .collect()
    }

    /// Puts an item into the ledger; its attributes are written as DynamoDB does.
    pub fn put_item(&self, item: Value) {
        if let Value::Object(item) = item {
            self.state().items.insert(item_key(&item), item);
        }
    }

    /// The paths of all objects in S3.
    pub fn objects(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// A log stream by its name.
    pub fn stream(&self, name: &str) -> Option<Stream> {
        self.state().streams.get(name).cloned()
    }

    /// Puts a log stream there.
    pub fn put_stream(&self, name: &str, stream: Stream) {
        self.state().streams.insert(name.to_owned(), stream);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answer(&mut self, call: Call) -> Answer {
        let fault = self.faults.iter_mut().find(|f| f.times > 0 && is_call_of(&call, &f.operation));
        let fault = match fault {
            Some(fault) if fault.passes > 0 => {
                fault.passes -= 1;
                None
            }
            Some(fault) => {
                fault.times -= 1;
                Some((fault.after_effect, fault.answer.clone()))
            }
            None => None,
        };
        let answer = match fault {
            Some((false, answer)) => answer,
            Some((true, answer)) => {
                self.effect(&call);
                answer
            }
            None => self.effect(&call),
        };
        self.calls.push(call);
        answer
    }

    fn effect(&mut self, call: &Call) -> Answer {
        let body = call.json();
        match call.operation.as_str() {
            "PutItem" => self.put(&body),
            "UpdateItem" => self.update(&body),
            "TransactWriteItems" => self.transact(&body),
            "BatchWriteItem" => self.batch_write(&body),
            "BatchGetItem" => self.batch_get(&body),
            "SendMessageBatch" => {
                let sent = list(&body, "Entries").iter();
                let sent =
                    sent.map(|entry| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "5"}));
                Answer::ok(json!({"Successful": sent.collect::<Vec<_>>(), "Failed": []}))
            }
            "SendMessage" => Answer::ok(json!({"MessageId": "m"})),
            "Publish" => Answer::ok(
                "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>",
            ),
            "CreateLogStream" => self.create_stream(&body),
            "DescribeLogStreams" => Answer::ok(self.describe_streams(&body)),
            "PutLogEvents" => self.put_events(&body),
            "GetLogEvents" => Answer::ok(self.get_events(&body)),
            "GetItem" => Answer::ok(self.get(&body)),
            other => self.object(other, call),
        }
    }

    /// The calls of S3, by method and path.
    fn object(&mut self, operation: &str, call: &Call) -> Answer {
        match operation.split_once(' ') {
            Some(("PUT", path)) => {
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

    fn get(&self, body: &Value) -> Value {
        let item = body["Key"].as_object().and_then(|key| self.items.get(&item_key(key)));
        item.map_or(json!({}), |item| json!({"Item": item}))
    }

    fn put(&mut self, body: &Value) -> Answer {
        let Some(item) = body["Item"].as_object() else { return validation("no item") };
        let key = item_key(item);
        let held = self.items.get(&key);
        match holds(body, held) {
            Err(what) => validation(&what),
            Ok(false) => failed(held),
            Ok(true) => {
                self.items.insert(key, item.clone());
                Answer::ok("{}")
            }
        }
    }

    /// `UpdateItem` that sets attributes.
    fn update(&mut self, body: &Value) -> Answer {
        let expression = text(body, "UpdateExpression");
        let Some(sets) = expression.strip_prefix("SET ") else { return validation(expression) };
        let Some(key) = body["Key"].as_object() else { return validation("no key") };
        match holds(body, self.items.get(&item_key(key))) {
            Err(what) => return validation(&what),
            Ok(false) => return failed(self.items.get(&item_key(key))),
            Ok(true) => {}
        }
        let item = self.items.entry(item_key(key)).or_insert_with(|| key.clone());
        for (alias, value) in sets.split(", ").filter_map(|set| set.split_once(" = ")) {
            let name = text(&body["ExpressionAttributeNames"], alias).to_owned();
            item.insert(name, body["ExpressionAttributeValues"][value].clone());
        }
        Answer::ok("{}")
    }

    /// `TransactWriteItems` of puts: all of them, or none and why.
    fn transact(&mut self, body: &Value) -> Answer {
        let puts: Vec<&Value> = list(body, "TransactItems").iter().map(|item| &item["Put"]).collect();
        let keys: BTreeSet<_> = puts.iter().filter_map(|put| put["Item"].as_object()).map(item_key).collect();
        if puts.is_empty() || puts.len() > 100 || keys.len() < puts.len() {
            return validation("a transaction has 1 to 100 puts, each of an item of its own");
        }
        let mut reasons = Vec::with_capacity(puts.len());
        for put in &puts {
            let held = put["Item"].as_object().and_then(|item| self.items.get(&item_key(item)));
            match holds(put, held) {
                Err(what) => return validation(&what),
                Ok(true) => reasons.push(json!({"Code": "None"})),
                Ok(false) => reasons.push(json!({"Code": "ConditionalCheckFailed", "Item": held})),
            }
        }
        if reasons.iter().any(|reason| reason["Code"] != "None") {
            let canceled = "TransactionCanceledException";
            let body = json!({"__type": canceled, "message": "canceled", "CancellationReasons": reasons});
            return Answer::error(400, canceled, body);
        }
        for item in puts.iter().filter_map(|put| put["Item"].as_object()) {
            self.items.insert(item_key(item), item.clone());
        }
        Answer::ok("{}")
    }

    /// `BatchWriteItem` of puts.
    fn batch_write(&mut self, body: &Value) -> Answer {
        let requests = body["RequestItems"].as_object().into_iter().flatten();
        let requests: Vec<&Value> = requests.filter_map(|(_, list)| list.as_array()).flatten().collect();
        if requests.len() > 25 {
            return validation("a batch writes 25 items at most");
        }
        let items: Vec<_> =
            requests.iter().filter_map(|request| request["PutRequest"]["Item"].as_object()).collect();
        let keys: BTreeSet<_> = items.iter().map(|item| item_key(item)).collect();
        if keys.len() < items.len() {
            return validation("Provided list of item keys contains duplicates");
        }
        for item in items {
            self.items.insert(item_key(item), item.clone());
        }
        Answer::ok(json!({"UnprocessedItems": {}}))
    }

    fn batch_get(&self, body: &Value) -> Answer {
        let mut found = BTreeMap::new();
        for (table, asked) in body["RequestItems"].as_object().into_iter().flatten() {
            let asked = list(asked, "Keys");
            let keys: BTreeSet<_> = asked.iter().filter_map(Value::as_object).map(item_key).collect();
            if keys.len() < asked.len() {
                return validation("Provided list of item keys contains duplicates");
            }
            let items: Vec<_> = keys.iter().filter_map(|key| self.items.get(key)).collect();
            found.insert(table.clone(), items);
        }
        Answer::ok(json!({"Responses": found, "UnprocessedKeys": {}}))
    }

    fn create_stream(&mut self, body: &Value) -> Answer {
        let name = text(body, "logStreamName");
        if self.streams.contains_key(name) {
            return Answer::error(400, "ResourceAlreadyExistsException", json!({"message": "it exists"}));
        }
        self.streams.insert(name.to_owned(), Stream { created: self.now, events: Vec::new() });
        Answer::ok("{}")
    }

    fn describe_streams(&self, body: &Value) -> Value {
        let prefix = text(body, "logStreamNamePrefix");
        let limit = body["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(50);
        let found = self.streams.iter().filter(|(name, _)| name.starts_with(prefix)).take(limit);
        let found = found.map(|(name, s)| json!({"logStreamName": name, "creationTime": s.created.0}));
        json!({"logStreams": found.collect::<Vec<_>>()})
    }

    fn put_events(&mut self, body: &Value) -> Answer {
        let name = text(body, "logStreamName");
        let Some(stream) = self.streams.get_mut(name) else {
            return Answer::error(400, "ResourceNotFoundException", json!({"message": "no such stream"}));
        };
        stream.events.extend(list(body, "logEvents").iter().map(|event| text(event, "message").to_owned()));
        Answer::ok("{}")
    }

    /// `GetLogEvents` from the head, three events a page: the last page repeats its token, as AWS says.
    fn get_events(&self, body: &Value) -> Value {
        let from: usize = text(body, "nextToken").trim_start_matches("f/").parse().unwrap_or_default();
        let stream = self.streams.get(text(body, "logStreamName"));
        let events: Vec<Value> = stream
            .into_iter()
            .flat_map(|stream| stream.events.iter().skip(from).take(3))
            .map(|message| json!({"message": message, "timestamp": self.now.0}))
            .collect();
        json!({"nextForwardToken": format!("f/{}", from + events.len()), "nextBackwardToken": "b/0", "events": events})
    }
}

fn is_call_of(call: &Call, operation: &str) -> bool {
    let rest = call.operation.strip_prefix(operation);
    rest.is_some_and(|rest| operation.is_empty() || rest.is_empty() || rest.starts_with(' '))
}

fn entries(body: &Value) -> Vec<String> {
    let single = body.get("MessageBody").and_then(Value::as_str);
    let many = list(body, "Entries").iter().map(|entry| text(entry, "MessageBody"));
    single.into_iter().chain(many).map(ToOwned::to_owned).collect()
}

fn item_key(item: &Attributes) -> (String, String) {
    let part = |name: &str| item.get(name).map(plain).and_then(|v| v.as_str().map(ToOwned::to_owned));
    (part("pk").unwrap_or_default(), part("sk").unwrap_or_default())
}

/// DynamoDB's `{"S": "text"}` and `{"N": "1"}` as plain JSON.
fn plain(value: &Value) -> Value {
    match value.get("N") {
        Some(_) => number(value).into(),
        None => value["S"].clone(),
    }
}

fn number(value: &Value) -> i64 {
    text(value, "N").parse().unwrap_or_default()
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A condition that does not hold, with the item as it is.
fn failed(held: Option<&Attributes>) -> Answer {
    let failed = "ConditionalCheckFailedException";
    Answer::error(400, failed, json!({"__type": failed, "message": "the condition failed", "Item": held}))
}

fn validation(what: &str) -> Answer {
    Answer::error(400, "ValidationException", json!({"message": what}))
}
