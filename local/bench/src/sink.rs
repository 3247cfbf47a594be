//! The services that the functions write to, as little of them as answers rightly: no time is spent here, so
//! that what a function costs is not hidden behind what it waits for.
//!
//! Every conditional write succeeds. What has to be read back is kept: the place of a history in the ledger,
//! the history in the archive, and the bodies of messages while somebody wants them. Where everything has to be read back
//! there is a [`Ledger`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ledger::Ledger;

/// The name under which messages are kept that were published.
pub(crate) const PUBLISHED: &str = "published";

/// An answer: status, content type, body.
pub(crate) type Reply = (u16, &'static str, Bytes);

/// What DynamoDB and SQS answer.
pub(crate) const JSON: &str = "application/x-amz-json-1.0";
const XML: &str = "application/xml";
const TAKEN: &str = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
    <MessageId>b0b8bbd7-0000-0000-0000-000000000000</MessageId></PublishResult></PublishResponse>";
const NO_SUCH_KEY: &str =
    "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>There is no such key</Message></Error>";

/// A request, as far as it matters here.
pub(crate) struct Asked<'r> {
    pub(crate) method: &'r str,
    pub(crate) path: &'r str,
    /// The header `x-amz-target`, or nothing.
    pub(crate) target: &'r str,
    /// The header `content-encoding`, or nothing.
    pub(crate) encoding: &'r str,
    pub(crate) body: &'r Bytes,
}

#[derive(Default)]
struct Kept {
    items: HashMap<String, Value>,
    objects: HashMap<String, Bytes>,
    messages: HashMap<String, Vec<String>>,
    keeps_messages: bool,
    ledger: Option<Ledger>,
}

/// The services.
#[derive(Default)]
pub(crate) struct Sink(Mutex<Kept>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<'b> {
    #[serde(borrow)]
    queue_url: Cow<'b, str>,
    #[serde(borrow)]
    entries: Vec<Entry<'b>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'b> {
    #[serde(borrow)]
    id: Cow<'b, str>,
    #[serde(borrow)]
    message_body: &'b serde_json::value::RawValue,
}

impl Sink {
    /// Forgets everything. `keeps_messages`: whether messages that are sent from now on can be taken.
    pub(crate) fn reset(&self, keeps_messages: bool) {
        *self.kept() = Kept { keeps_messages, ..Kept::default() };
    }

    /// Keeps all that is written to DynamoDB from now on, until everything is forgotten.
    pub(crate) fn keep(&self, ledger: Ledger) {
        self.kept().ledger = Some(ledger);
    }

    /// The bodies of the messages sent to a queue, in their order; of those that were published, for [`PUBLISHED`].
    pub(crate) fn take_messages(&self, queue: &str) -> Vec<String> {
        self.kept().messages.remove(queue).unwrap_or_default()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> Option<Ledger> {
        self.kept().ledger.clone()
    }

    /// Answers a request.
    pub(crate) fn answer(&self, asked: &Asked<'_>) -> Reply {
        let operation = asked.target.rsplit('.').next();
        if let Some(operation) = operation.filter(|_| asked.target.starts_with("DynamoDB"))
            && let Some(ledger) = self.ledger()
        {
            return ledger.answer(operation, asked.body);
        }
        match operation {
            Some("SendMessageBatch") => self.send(asked.body),
            Some("PutItem") => self.put_item(asked.body),
            Some("GetItem") => self.get_item(asked.body),
            Some("") | None if asked.body.starts_with(b"Action=Publish&") => self.publish(asked.body),
            Some("") | None => self.object(asked),
            // UpdateItem, CreateLogStream, PutLogEvents: what they answer is not looked at.
            Some(_) => (200, JSON, "{}".into()),
        }
    }

    fn send(&self, body: &[u8]) -> Reply {
        let Ok(batch) = serde_json::from_slice::<Batch<'_>>(body) else { return bad() };
        let taken: Vec<Value> = batch
            .entries
            .iter()
            .map(|entry| json!({ "Id": entry.id, "MessageId": entry.id, "MD5OfMessageBody": "0" }))
            .collect();
        let mut kept = self.kept();
        if kept.keeps_messages {
            let queue = batch.queue_url.rsplit('/').next().unwrap_or_default().to_owned();
            let bodies = batch.entries.iter().filter_map(|e| serde_json::from_str(e.message_body.get()).ok());
            kept.messages.entry(queue).or_default().extend(bodies);
        }
        (200, JSON, json!({ "Successful": taken, "Failed": [] }).to_string().into())
    }

    fn publish(&self, body: &[u8]) -> Reply {
        let mut kept = self.kept();
        if kept.keeps_messages {
            let message = String::from_utf8_lossy(body).into_owned();
            kept.messages.entry(PUBLISHED.to_owned()).or_default().push(message);
        }
        (200, "text/xml", TAKEN.into())
    }

    fn put_item(&self, body: &[u8]) -> Reply {
        // Only the place of a history is ever asked for.
        if contains(body, br#"{"S":"latest"}"#) {
            let Ok(mut put) = serde_json::from_slice::<Value>(body) else { return bad() };
            let Some(item) = put.get_mut("Item").map(Value::take) else { return bad() };
            self.kept().items.insert(key(&item), item);
        }
        (200, JSON, "{}".into())
    }

    fn get_item(&self, body: &[u8]) -> Reply {
        let Ok(get) = serde_json::from_slice::<Value>(body) else { return bad() };
        let item = get.get("Key").and_then(|wanted| self.kept().items.get(&key(wanted)).cloned());
        (200, JSON, item.map_or(json!({}), |item| json!({ "Item": item })).to_string().into())
    }

    fn object(&self, asked: &Asked<'_>) -> Reply {
        match asked.method {
            "PUT" => {
                // Findings are never read back.
                if !asked.path.contains("/findings/") {
                    let body = if asked.encoding == "aws-chunked" {
                        unchunked(asked.body)
                    } else {
                        asked.body.clone()
                    };
                    self.kept().objects.insert(asked.path.to_owned(), body);
                }
                (200, XML, Bytes::new())
            }
            "GET" => match self.kept().objects.get(asked.path) {
                Some(object) => (200, "binary/octet-stream", object.clone()),
                None => (404, XML, NO_SUCH_KEY.into()),
            },
            "DELETE" => (204, XML, Bytes::new()),
            _ => bad(),
        }
    }
}

fn bad() -> Reply {
    (400, JSON, r#"{"__type":"ValidationException","message":"not understood"}"#.into())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn key(item: &Value) -> String {
    let text = |name| item.get(name).and_then(|v| v.get("S")).and_then(Value::as_str).unwrap_or_default();
    format!("{}\n{}", text("pk"), text("sk"))
}

/// The data of a body that is sent in chunks, each with its length in hexadecimal before it (Amazon S3,
/// "Signature calculations for the Authorization header: transferring a payload in multiple chunks").
fn unchunked(body: &Bytes) -> Bytes {
    let (mut rest, mut data) = (body.as_ref(), Vec::with_capacity(body.len()));
    while let Some(end) = rest.iter().position(|byte| *byte == b'\r') {
        let (head, after) = rest.split_at(end);
        let head = std::str::from_utf8(head).unwrap_or_default().split(';').next().unwrap_or_default();
        let length = usize::from_str_radix(head, 16).unwrap_or(0);
        let Some(chunk) = after.get(2..2 + length).filter(|chunk| !chunk.is_empty()) else { break };
        data.extend_from_slice(chunk);
        rest = after.get(4 + length..).unwrap_or_default();
    }
    data.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(sink: &Sink, method: &str, path: &str, target: &str, body: &'static str) -> (u16, String) {
        let body = Bytes::from_static(body.as_bytes());
        let (status, _, body) = sink.answer(&Asked { method, path, target, encoding: "", body: &body });
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn chunks_become_what_they_carry() {
        let chunked = Bytes::from_static(
            b"3\r\nabc\r\n2;chunk-signature=f\r\nde\r\n0\r\nx-amz-checksum-crc32:AA==\r\n\r\n",
        );
        assert_eq!(unchunked(&chunked), "abcde");
    }

    #[test]
    fn a_history_is_found_again() {
        let sink = Sink::default();
        let item = r#"{"Item":{"pk":{"S":"history#C"},"sk":{"S":"latest"},"object":{"S":"k"}}}"#;
        ask(&sink, "POST", "/", "DynamoDB_20120810.PutItem", item);
        let get = r#"{"Key":{"sk":{"S":"latest"},"pk":{"S":"history#C"}}}"#;
        assert!(
            ask(&sink, "POST", "/", "DynamoDB_20120810.GetItem", get).1.contains(r#""object":{"S":"k"}"#)
        );
        assert_eq!(ask(&sink, "GET", "/b/snapshots/k", "", "").0, 404);
        ask(&sink, "PUT", "/b/snapshots/k", "", "records");
        assert_eq!(ask(&sink, "GET", "/b/snapshots/k", "", ""), (200, "records".into()));
    }

    #[test]
    fn a_ledger_keeps_what_the_sink_does_not() {
        let sink = Sink::default();
        let item = r#"{"Item":{"pk":{"S":"a"},"sk":{"S":"b"}}}"#;
        let get = r#"{"Key":{"pk":{"S":"a"},"sk":{"S":"b"}}}"#;
        let found = || {
            ask(&sink, "POST", "/", "DynamoDB_20120810.PutItem", item);
            ask(&sink, "POST", "/", "DynamoDB_20120810.GetItem", get).1 != "{}"
        };
        assert!(!found());
        sink.keep(Ledger::default());
        assert!(found());
        sink.reset(false);
        assert!(!found());
    }

    #[test]
    fn messages_are_kept_for_who_wants_them() {
        let sink = Sink::default();
        sink.reset(true);
        let batch = r#"{"QueueUrl":"http://h/1/finding","Entries":[{"Id":"0","MessageBody":"{\"a\":1}"}]}"#;
        assert!(ask(&sink, "POST", "/", "AmazonSQS.SendMessageBatch", batch).1.contains(r#""Id":"0""#));
        assert_eq!(sink.take_messages("finding"), ["{\"a\":1}"]);
    }
}
