//! SQS: how full the queues are, how soon a retry comes, what was parked, and a queue of one's own.

use super::Cloud;
use anyhow::{Context as _, Result};
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

    /// Makes a queue and gives its URL.
    pub(crate) async fn create_queue(&self, name: &str) -> Result<String> {
        let answer = self.json("sqs", "AmazonSQS.CreateQueue", &json!({ "QueueName": name })).await?;
        let url = answer.get("QueueUrl").and_then(Value::as_str);
        url.map(str::to_owned).context("the queue has no address")
    }

    /// The ARN of a queue.
    pub(crate) async fn queue_arn(&self, queue_url: &str) -> Result<String> {
        let body = json!({ "QueueUrl": queue_url, "AttributeNames": ["QueueArn"] });
        let answer = self.json("sqs", "AmazonSQS.GetQueueAttributes", &body).await?;
        let arn = answer.pointer("/Attributes/QueueArn").and_then(Value::as_str);
        arn.map(str::to_owned).context("the queue has no ARN")
    }

    /// Takes up to ten messages off a queue and gives their bodies.
    pub(crate) async fn take(&self, queue_url: &str) -> Result<Vec<String>> {
        let body = json!({ "QueueUrl": queue_url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0 });
        let answer = self.json("sqs", "AmazonSQS.ReceiveMessage", &body).await?;
        let mut bodies = Vec::new();
        for message in answer.get("Messages").and_then(Value::as_array).into_iter().flatten() {
            let receipt = message.get("ReceiptHandle").cloned().unwrap_or_default();
            let body = json!({ "QueueUrl": queue_url, "ReceiptHandle": receipt });
            self.json("sqs", "AmazonSQS.DeleteMessage", &body).await?;
            bodies.extend(message.get("Body").and_then(Value::as_str).map(str::to_owned));
        }
        Ok(bodies)
    }
}
