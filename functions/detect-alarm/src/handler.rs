//! An invocation: each record is an event to hear of or a violation to decide on.

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::Error;
use fleetwarden_core::message::Incoming;
use lambda_runtime::Context;

use crate::DetectAlarm;

impl DetectAlarm {
    /// Takes a batch of the alarm queue.
    ///
    /// # Errors
    /// If none of it could be handled.
    pub async fn handle(&self, event: SqsEvent, context: &Context) -> Result<SqsBatchResponse, Error> {
        self.consumer.consume(event, context, async |body, _| self.message(body).await).await
    }

    /// Handles one record.
    ///
    /// # Errors
    /// [`Error::Input`] if it is no alarm of this account and region; otherwise it is to be delivered again.
    pub async fn message(&self, body: &str) -> Result<(), Error> {
        let incoming = Incoming::parse(body, &self.account, &self.region);
        match incoming.map_err(|error| Error::Input(error.to_string()))? {
            // On the heap: each of them holds the futures of all calls that it may make.
            Incoming::Event(event) => Box::pin(self.hear(&event)).await,
            Incoming::Settle(settle) => Box::pin(self.settle(&settle)).await,
        }
    }
}
