//! Sending to SQS: packed to the service's limits, and every entry accounted for.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageAttributeValue;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use fleetwarden_core::pack;
use fleetwarden_core::untrusted::xml;

use crate::Error;

/// How often what the service did not take is sent again.
const ROUNDS: u32 = 4;

/// A queue to send to.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: String,
}

/// A message to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The body.
    pub body: String,
    /// `DelaySeconds` of the message: for how long it is not delivered, at most 900.
    pub delay_seconds: u32,
}

impl From<String> for Outgoing {
    fn from(body: String) -> Self {
        Self { body, delay_seconds: 0 }
    }
}

impl Queue {
    /// The queue with this URL.
    pub const fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Sends all messages, in as few calls as the limits allow.
    ///
    /// # Errors
    /// If any message was not taken after some rounds; those before it may have been.
    pub async fn send(&self, messages: &[Outgoing]) -> Result<(), Error> {
        for run in pack::runs(messages, pack::SQS, |m| m.body.len()) {
            self.send_run(run).await?;
        }
        Ok(())
    }

    async fn send_run(&self, run: &[Outgoing]) -> Result<(), Error> {
        let mut left: Vec<usize> = (0..run.len()).collect();
        for round in 0..ROUNDS {
            let entries =
                left.iter().filter_map(|at| run.get(*at).map(|m| entry(*at, m))).collect::<Result<_, _>>()?;
            let sent =
                self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await;
            let sent = sent.map_err(Error::aws("SendMessageBatch", &self.url))?;
            // A message that is the sender's fault is refused again however often it is sent.
            if let Some(refused) = sent.failed().iter().find(|f| f.sender_fault()) {
                return Err(Error::Aws {
                    operation: "SendMessageBatch",
                    on: self.url.clone(),
                    code: refused.code().to_owned(),
                    message: refused.message().unwrap_or_default().to_owned(),
                });
            }
            left = sent.failed().iter().filter_map(|f| f.id().parse().ok()).collect();
            if left.is_empty() {
                return Ok(());
            }
            if round + 1 < ROUNDS {
                tokio::time::sleep(Duration::from_millis(100) * 4_u32.pow(round)).await;
            }
        }
        Err(Error::Later(format!(
            "SendMessageBatch on {}: {} messages were not taken in {ROUNDS} rounds",
            self.url,
            left.len()
        )))
    }

    /// Parks a record with the reason, as the attribute `reason`: it is done here, and a person decides.
    ///
    /// # Errors
    /// If the queue does not take it: then the record is not done.
    pub async fn park(&self, body: &str, reason: &str) -> Result<(), Error> {
        // An attribute counts towards the message's size, and its text is XML: only what can stand there.
        let reason: String = xml(reason).chars().take(1000).collect();
        let reason = MessageAttributeValue::builder().data_type("String").string_value(reason).build();
        let reason = reason.map_err(|e| Error::Input(e.to_string()))?;
        // SQS takes no empty body, and a record may have one.
        let body = if body.is_empty() { "(empty)" } else { body };
        let parked = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .message_attributes("reason", reason);
        parked.send().await.map(drop).map_err(Error::aws("SendMessage", &self.url))
    }
}

fn entry(at: usize, message: &Outgoing) -> Result<SendMessageBatchRequestEntry, Error> {
    let delay = i32::try_from(message.delay_seconds.min(900)).unwrap_or(900);
    let entry = SendMessageBatchRequestEntry::builder().id(at.to_string()).message_body(&message.body);
    let entry = if delay > 0 { entry.delay_seconds(delay) } else { entry };
    entry.build().map_err(|e| Error::Input(e.to_string()))
}
