//! SQS: how full the queues are, how soon a retry comes, and what was parked.

use super::Cloud;
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Duration;

/// How many messages a queue holds, by where they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Waiting for a consumer.
    pub(crate) visible: u64,
    /// With a consumer now.
    pub(crate) in_flight: u64,
    /// Sent with a delay that has not passed.
    pub(crate) delayed: u64,
}

impl Depth {
    /// Everything that the queue still has to deliver.
    pub(crate) fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

impl Cloud {
    /// How full a queue is.
    pub(crate) async fn depth(&self, queue_url: &str) -> Result<Depth> {
        let body = json!({ "QueueUrl": queue_url, "AttributeNames": ["All"] });
        let answer = self.json("sqs", "AmazonSQS.GetQueueAttributes", &body).await?;
        let count = |name: &str| {
            let value = answer.pointer(&format!("/Attributes/{name}")).and_then(Value::as_str);
            value.and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        Ok(Depth {
            visible: count("ApproximateNumberOfMessages"),
            in_flight: count("ApproximateNumberOfMessagesNotVisible"),
            delayed: count("ApproximateNumberOfMessagesDelayed"),
        })
    }

    /// Sets how long a message stays hidden after a consumer took it and did not delete it.
    pub(crate) async fn set_visibility(&self, queue_url: &str, timeout: Duration) -> Result<()> {
        let seconds = timeout.as_secs().to_string();
        let body = json!({ "QueueUrl": queue_url, "Attributes": { "VisibilityTimeout": seconds } });
        self.json("sqs", "AmazonSQS.SetQueueAttributes", &body).await?;
        Ok(())
    }

    /// Looks at up to ten messages of a queue without taking them off.
    pub(crate) async fn peek(&self, queue_url: &str) -> Result<Vec<Value>> {
        let body = json!({
            "QueueUrl": queue_url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0,
            "MessageAttributeNames": ["All"], "AttributeNames": ["All"],
        });
        let answer = self.json("sqs", "AmazonSQS.ReceiveMessage", &body).await?;
        Ok(answer.get("Messages").and_then(Value::as_array).cloned().unwrap_or_default())
    }
}
