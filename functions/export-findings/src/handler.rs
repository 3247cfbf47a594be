//! A batch of the finding queue: each message read, verified and exported.

use std::time::Duration;

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::batch;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::invocation;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use fleetwarden_core::message::Export;
use fleetwarden_core::message::ExportMessage;
use fleetwarden_core::message::alarm_record::AlarmExportMessage;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::alarm;
use crate::log::FindingsLog;
use crate::page::Page;
use crate::summary::Summaries;

/// The function's name.
const FUNCTION: &str = "export-findings";
/// How many messages are handled side by side: all that the queue hands out at once.
const PARALLEL: usize = 10;

/// The function with all that it talks to.
pub struct Handler {
    /// 12 digits: what is of another account is refused.
    pub account: String,
    /// Where each finding becomes an event.
    pub log: FindingsLog,
    /// Where the findings are in full, and each event of an alarm becomes an object.
    pub archive: Archive,
    /// Where the check's record is.
    pub ledger: Ledger,
    /// Where alerts go.
    pub alerts: Alerts,
    /// Where a record goes that can never be handled.
    pub parking: Queue,
    /// The time.
    pub clock: Clock,
    /// Takes a metric line.
    pub emit: fn(&str),
}

/// What tells the kinds of message apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    #[serde(default)]
    alarm_record: Option<IgnoredAny>,
}

/// Whether a message is an alarm's. A page of findings is large, and only read as a whole if the word is somewhere in it.
fn is_alarm(body: &str) -> Result<bool, Error> {
    let there = body.contains("\"alarmRecord\"");
    Ok(there && batch::parse::<Kind>("export message", body)?.alarm_record.is_some())
}

impl Handler {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing.
    pub fn from_env() -> Result<Self, Error> {
        let (aws, common, clock) = (Shared::from_env()?, Common::from_env()?, Clock::system());
        let log_group = required("FINDINGS_LOG_GROUP")?;
        let ledger = Ledger::new(aws.dynamodb(), common.ledger_table);
        Ok(Self {
            account: common.account,
            log: FindingsLog::new(aws.logs(), log_group, ledger.clone(), clock.clone()),
            archive: Archive::new(aws.s3(), required("ARCHIVE_BUCKET")?),
            alerts: Alerts::new(aws.sns(), common.alert_topic, ledger.clone(), clock.clone()),
            parking: Queue::new(aws.sqs(), common.dead_letter_queue),
            emit: telemetry::emit,
            ledger,
            clock,
        })
    }

    /// Handles an SQS event.
    ///
    /// # Errors
    /// If every record is to be delivered again.
    pub async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
        let deadline = invocation::deadline(&event.context);
        let time_out = deadline.since(self.clock.now());
        let export = async |body: &str, _: Millis| self.export(body, time_out).await;
        let consumer = Consumer {
            function: FUNCTION,
            parking: self.parking.clone(),
            clock: self.clock.clone(),
            parallel: PARALLEL,
        };
        consumer.consume(event.payload, &event.context, export).await
    }

    /// Exports what one message holds. `time_out` is how long an invocation can live.
    async fn export(&self, body: &str, time_out: Duration) -> Result<(), Error> {
        if is_alarm(body)? {
            let message: AlarmExportMessage<'_> = batch::parse_own("export message", body, &self.account)?;
            return alarm::export(&message, &self.log, &self.archive, time_out).await;
        }
        let message: ExportMessage<'_> = batch::parse_own("export message", body, &self.account)?;
        let ExportMessage { audit, check, export } = &message;
        match export {
            Export::Page { page, part, findings } => {
                let page = Page { audit, check, number: *page, part: *part, findings };
                page.export(&self.log, time_out).await
            }
            Export::Summary(tally) => self.summaries().export(audit, check, tally).await,
        }
    }
    fn summaries(&self) -> Summaries<'_> {
        let Self { log, archive, ledger, alerts, clock, emit, .. } = self;
        Summaries { log_group: log.group(), archive, ledger, alerts, clock, emit: *emit }
    }
}
