//! SQS: how full the queues are, how soon a retry comes, what was parked, and a queue of one's own.

use super::{Cloud, refused};
use anyhow::{Context as _, Result};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
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
        let attributes = self.attributes(queue_url).await?;
        let count = |name: QueueAttributeName| {
            attributes.get(&name).and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        Ok(Depth {
            visible: count(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        })
    }

    /// Sets how long a message stays hidden after a consumer took it and did not delete it.
    pub(crate) async fn set_visibility(&self, queue_url: &str, timeout: Duration) -> Result<()> {
        let set = self.sqs.set_queue_attributes().queue_url(queue_url);
        let set = set.attributes(QueueAttributeName::VisibilityTimeout, timeout.as_secs().to_string());
        set.send().await.map_err(refused(format!("cannot configure {queue_url}")))?;
        Ok(())
    }

    /// Looks at up to ten messages of a queue without taking them off: their bodies and attributes.
    pub(crate) async fn peek(&self, queue_url: &str) -> Result<Vec<Value>> {
        let look = self.sqs.receive_message().queue_url(queue_url).max_number_of_messages(10);
        let look = look
            .visibility_timeout(0)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All);
        let found = look.send().await.map_err(refused(format!("cannot read {queue_url}")))?;
        Ok(found.messages.unwrap_or_default().into_iter().map(content).collect())
    }

    /// Makes a queue and gives its URL.
    pub(crate) async fn create_queue(&self, name: &str) -> Result<String> {
        let create = self.sqs.create_queue().queue_name(name).send().await;
        create
            .map_err(refused(format!("cannot create queue {name}")))?
            .queue_url
            .context("the queue has no address")
    }

    /// The ARN of a queue.
    pub(crate) async fn queue_arn(&self, queue_url: &str) -> Result<String> {
        let mut attributes = self.attributes(queue_url).await?;
        attributes.remove(&QueueAttributeName::QueueArn).context("the queue has no ARN")
    }

    /// Takes up to ten messages off a queue and gives their bodies.
    pub(crate) async fn take(&self, queue_url: &str) -> Result<Vec<String>> {
        let take = self.sqs.receive_message().queue_url(queue_url).max_number_of_messages(10);
        let taken = take.wait_time_seconds(0).send().await;
        let taken = taken.map_err(refused(format!("cannot read {queue_url}")))?;
        let mut bodies = Vec::new();
        for message in taken.messages.unwrap_or_default() {
            let delete = self.sqs.delete_message().queue_url(queue_url);
            let deleted = delete.set_receipt_handle(message.receipt_handle).send().await;
            deleted.map_err(refused(format!("cannot delete a message of {queue_url}")))?;
            bodies.extend(message.body);
        }
        Ok(bodies)
    }

    async fn attributes(&self, queue_url: &str) -> Result<HashMap<QueueAttributeName, String>> {
        let get = self.sqs.get_queue_attributes().queue_url(queue_url);
        let got = get.attribute_names(QueueAttributeName::All).send().await;
        let got = got.map_err(refused(format!("cannot read the attributes of {queue_url}")))?;
        Ok(got.attributes.unwrap_or_default())
    }
}

/// What a message holds, as JSON.
fn content(message: Message) -> Value {
    let attributes = message.message_attributes.unwrap_or_default();
    let attributes: BTreeMap<_, _> =
        attributes.into_iter().map(|(name, attribute)| (name, attribute.string_value)).collect();
    json!({ "Body": message.body, "MessageAttributes": attributes })
}
