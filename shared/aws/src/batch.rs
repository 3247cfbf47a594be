//! A batch of SQS records: each ends as done, retried, or parked with its reason, and none takes another along.

use std::time::Duration;

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::sqs::SqsEvent;
use aws_lambda_events::sqs::SqsMessage;
use fleetwarden_core::json;
use fleetwarden_core::message::OfAccount;
use fleetwarden_core::message::read_own;
use fleetwarden_core::metrics;
use fleetwarden_core::timestamp::Millis;
use futures_util::StreamExt as _;
use lambda_runtime::Context;
use serde::Deserialize;

use crate::Error;
use crate::clock::Clock;
use crate::invocation;
use crate::queue::Queue;
use crate::telemetry;

/// No record is begun when less than this is left of the invocation.
const MARGIN: Duration = Duration::from_secs(5);

/// How a function takes its batches.
pub struct Consumer {
    /// The function's name.
    pub function: &'static str,
    /// Where it parks what can never be handled.
    pub parking: Queue,
    /// Its clock.
    pub clock: Clock,
    /// How many records are handled side by side.
    pub parallel: usize,
}

/// What became of a record.
enum Disposition {
    Done,
    Retried,
    Parked,
}

impl Consumer {
    /// Handles each record of an event. `handle` gets the body and the moment at which it should have ended.
    ///
    /// # Errors
    /// If every record is to be retried: then the whole invocation counts as failed, so that metrics say so.
    pub async fn consume(
        &self,
        event: SqsEvent,
        context: &Context,
        handle: impl AsyncFn(&str, Millis) -> Result<(), Error>,
    ) -> Result<SqsBatchResponse, Error> {
        let deadline = invocation::deadline(context);
        let total = event.records.len();
        let dispositions = futures_util::stream::iter(event.records).map(async |record| {
            let disposition = self.record(&record, deadline, &handle).await;
            (record.message_id.unwrap_or_default(), disposition)
        });
        let dispositions: Vec<(String, Disposition)> =
            dispositions.buffer_unordered(self.parallel).collect().await;
        let parked =
            dispositions.iter().filter(|(_, disposition)| matches!(disposition, Disposition::Parked)).count();
        let mut response = SqsBatchResponse::default();
        for (id, _) in
            dispositions.into_iter().filter(|(_, disposition)| matches!(disposition, Disposition::Retried))
        {
            response.add_failure(id);
        }
        let failed = response.batch_item_failures.len();
        let count = |n: usize| n as u64;
        let now = self.clock.now();
        telemetry::emit(
            &metrics::invocation::Invocation {
                function: self.function,
                at: now,
                records: count(total),
                failed: count(failed),
                parked: count(parked),
            }
            .line(),
        );
        if failed > 0 && failed == total {
            return Err(Error::Later(format!(
                "all {total} records are retried; the log has the reason of each"
            )));
        }
        Ok(response)
    }

    async fn record(
        &self,
        record: &SqsMessage,
        deadline: Millis,
        handle: &impl AsyncFn(&str, Millis) -> Result<(), Error>,
    ) -> Disposition {
        let id = record.message_id.as_deref().unwrap_or_default();
        if !invocation::has_time(self.clock.now(), deadline, MARGIN) {
            tracing::info!(message.id = id, "no time is left for the record: it is retried");
            return Disposition::Retried;
        }
        let body = record.body.as_deref().unwrap_or_default();
        let error = match handle(body, deadline).await {
            Ok(()) => return Disposition::Done,
            Err(error) => error,
        };
        if !error.is_permanent() {
            tracing::warn!(message.id = id, error.name = error.name(), %error, "the record is retried");
            return Disposition::Retried;
        }
        match self.parking.park(body, &error.to_string()).await {
            Ok(()) => {
                tracing::error!(message.id = id, error.name = error.name(), %error, "the record is parked");
                Disposition::Parked
            }
            Err(failure) => {
                tracing::error!(message.id = id, %error, parking.error = %failure, "the record could not be parked: it is retried");
                Disposition::Retried
            }
        }
    }
}

/// Reads a record's body that is of this account.
///
/// # Errors
/// [`Error::Input`] with the path of the member that is wrong: also that of the account, if it is another.
pub fn parse_own<'b, M: OfAccount + Deserialize<'b>>(
    kind: &str,
    body: &'b str,
    account: &str,
) -> Result<M, Error> {
    read_own(body, account).map_err(|e| Error::Input(format!("{} of the {kind}: {}", e.path, e.reason)))
}

/// Reads a record's body.
///
/// # Errors
/// [`Error::Input`] with the path of the member that is wrong.
pub fn parse<'b, M: Deserialize<'b>>(kind: &str, body: &'b str) -> Result<M, Error> {
    json::read(body).map_err(|e| Error::Input(format!("{} of the {kind}: {}", e.path, e.reason)))
}
