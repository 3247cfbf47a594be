//! CloudWatch Logs: the streams of a group and every event of a stream.

use super::Cloud;
use anyhow::Result;
use serde_json::{Value, json};

impl Cloud {
    /// The names of all streams of a group.
    pub(crate) async fn log_streams(&self, group: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut token = Value::Null;
        loop {
            let body = with_token(json!({ "logGroupName": group, "limit": 50 }), &token);
            let answer = self.json("logs", "Logs_20140328.DescribeLogStreams", &body).await?;
            let streams = answer.get("logStreams").and_then(Value::as_array);
            let page = streams.into_iter().flatten().filter_map(|stream| stream.get("logStreamName"));
            names.extend(page.filter_map(Value::as_str).map(str::to_owned));
            let next = answer.get("nextToken").cloned().unwrap_or_default();
            // The same token again is the end in some services, an endless loop in others.
            if next.is_null() || next == token {
                return Ok(names);
            }
            token = next;
        }
    }

    /// Every event of a stream, oldest first.
    pub(crate) async fn log_events(&self, group: &str, stream: &str) -> Result<Vec<String>> {
        let mut messages = Vec::new();
        let mut token = Value::Null;
        loop {
            let body = json!({
                "logGroupName": group, "logStreamName": stream, "startFromHead": true, "limit": 10_000,
            });
            let body = with_token(body, &token);
            let answer = self.json("logs", "Logs_20140328.GetLogEvents", &body).await?;
            let events = answer.get("events").and_then(Value::as_array);
            let page = events.into_iter().flatten().filter_map(|event| event.get("message"));
            messages.extend(page.filter_map(Value::as_str).map(str::to_owned));
            let next = answer.get("nextForwardToken").cloned().unwrap_or_default();
            if next.is_null() || next == token {
                return Ok(messages);
            }
            token = next;
        }
    }
}

/// The request for the page that a token stands for; null stands for the first.
fn with_token(mut body: Value, token: &Value) -> Value {
    if let Some(members) = body.as_object_mut().filter(|_| !token.is_null()) {
        members.insert("nextToken".to_owned(), token.clone());
    }
    body
}
