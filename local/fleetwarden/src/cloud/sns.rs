//! SNS: a queue that hears what a topic tells.

use super::Cloud;
use anyhow::Result;

const VERSION: &str = "2010-03-31";

impl Cloud {
    /// Subscribes a queue to a topic, with SNS's envelope around each message.
    pub(crate) async fn subscribe(&self, topic_arn: &str, queue_arn: &str) -> Result<()> {
        let parameters = [("TopicArn", topic_arn), ("Protocol", "sqs"), ("Endpoint", queue_arn)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.query("sns", VERSION, "Subscribe", &parameters).await?;
        Ok(())
    }
}
