//! SNS: a queue that gets what is published to a topic.

use super::{Cloud, refused};
use anyhow::Result;

impl Cloud {
    /// Subscribes a queue to a topic, with SNS's envelope around each message.
    pub(crate) async fn subscribe(&self, topic_arn: &str, queue_arn: &str) -> Result<()> {
        let subscribe = self.sns.subscribe().topic_arn(topic_arn).protocol("sqs").endpoint(queue_arn);
        subscribe.send().await.map_err(refused(format!("cannot subscribe to {topic_arn}")))?;
        Ok(())
    }
}
