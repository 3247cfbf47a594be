//! An SNS topic that a function publishes to in place of Device Defender.

use crate::Error;
use crate::clients::Sns;

/// A topic of Amazon SNS.
#[derive(Clone, Debug)]
pub struct Topic {
    sns: Sns,
    arn: String,
}

impl Topic {
    /// The topic with this ARN.
    pub const fn new(sns: Sns, arn: String) -> Self {
        Self { sns, arn }
    }

    /// Its ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Publishes a message without subject or attributes, as Device Defender's are.
    ///
    /// # Errors
    /// If the topic does not take it.
    pub async fn publish(&self, message: &str) -> Result<(), Error> {
        let publish = self.sns.client().publish().topic_arn(&self.arn).message(message);
        publish.send().await.map(drop).map_err(Error::aws("Publish", &self.arn))
    }
}
