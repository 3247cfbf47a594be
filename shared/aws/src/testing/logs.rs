//! CloudWatch Logs in memory: streams that only grow.

use std::collections::BTreeMap;

use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use super::Answer;
use super::cloud::list;
use super::cloud::text;

/// A log stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// When it was created.
    pub created: Millis,
    /// The messages in it.
    pub events: Vec<String>,
}

/// The streams of a log group, by name.
pub(super) type Streams = BTreeMap<String, Stream>;

/// Answers a call, if it is one of CloudWatch Logs.
pub(super) fn answer(streams: &mut Streams, operation: &str, body: &Value, now: Millis) -> Option<Answer> {
    Some(match operation {
        "CreateLogStream" => create(streams, body, now),
        "DescribeLogStreams" => Answer::ok(describe(streams, body)),
        "PutLogEvents" => put(streams, body),
        "GetLogEvents" => Answer::ok(get(streams, body, now)),
        _ => return None,
    })
}

fn create(streams: &mut Streams, body: &Value, now: Millis) -> Answer {
    let name = text(body, "logStreamName");
    if streams.contains_key(name) {
        return Answer::error(400, "ResourceAlreadyExistsException", json!({"message": "it exists"}));
    }
    streams.insert(name.to_owned(), Stream { created: now, events: Vec::new() });
    Answer::ok("{}")
}

fn describe(streams: &Streams, body: &Value) -> Value {
    let prefix = text(body, "logStreamNamePrefix");
    let limit = body["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(50);
    let found = streams.iter().filter(|(name, _)| name.starts_with(prefix)).take(limit);
    let found = found.map(|(name, s)| json!({"logStreamName": name, "creationTime": s.created.0}));
    json!({"logStreams": found.collect::<Vec<_>>()})
}

fn put(streams: &mut Streams, body: &Value) -> Answer {
    let Some(stream) = streams.get_mut(text(body, "logStreamName")) else {
        return Answer::error(400, "ResourceNotFoundException", json!({"message": "no such stream"}));
    };
    stream.events.extend(list(body, "logEvents").iter().map(|event| text(event, "message").to_owned()));
    Answer::ok("{}")
}

/// `GetLogEvents` from the head, three events a page: the last page repeats its token, as AWS documents it.
fn get(streams: &Streams, body: &Value, now: Millis) -> Value {
    let from: usize = text(body, "nextToken").trim_start_matches("f/").parse().unwrap_or_default();
    let events: Vec<Value> = streams
        .get(text(body, "logStreamName"))
        .into_iter()
        .flat_map(|stream| stream.events.iter().skip(from).take(3))
        .map(|message| json!({"message": message, "timestamp": now.0}))
        .collect();
    let next = format!("f/{}", from + events.len());
    json!({"nextForwardToken": next, "nextBackwardToken": "b/0", "events": events})
}
