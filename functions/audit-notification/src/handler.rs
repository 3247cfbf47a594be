//! An invocation: every record ends as done, retried, or parked with its reason, and none takes another along.
//!
//! SNS gives one record an invocation today and promises nothing. Lambda can retry only the invocation as a
//! whole, so it fails if any record is to be tried again, after all others are done: their claims in the
//! ledger make the repeat harmless. After its retries Lambda puts the event on the dead-letter queue.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::invocation;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::api::notification::AuditEnded;
use fleetwarden_core::api::notification::Notification;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::metrics::invocation::Invocation;
use fleetwarden_core::timestamp::Millis;
use futures_util::StreamExt as _;
use futures_util::future;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use serde_json::json;

use crate::alerts::failure_alert;
use crate::alerts::mismatch_alert;
use crate::checks::Checks;
use crate::confirm::Confirmation;
use crate::confirm::Confirmed;
use crate::dispatch::Dispatch;
use crate::event;
use crate::mismatch::Mismatch;
use crate::validate::validate;

/// The function's name.
pub(crate) const FUNCTION: &str = "audit-notification";
/// No audit is begun when less than this is left of the invocation.
const MARGIN: Duration = Duration::from_secs(5);
/// How many audits are handled side by side.
const PARALLEL: usize = 8;

/// The function with all that it talks to.
pub struct Handler {
    /// 12 digits: notifications of another account are refused.
    pub account: String,
    /// Where the function runs. The notification names no region.
    pub region: String,
    /// Where triage waits.
    pub checks: Queue,
    /// Where audits are described.
    pub iot: IotApi,
    /// Where a record goes that can never be handled.
    pub parking: Queue,
    /// What was done before.
    pub ledger: Ledger,
    /// Where alerts go.
    pub alerts: Alerts,
    /// The time.
    pub clock: Clock,
    /// Takes a metric line.
    pub emit: fn(&str),
}

/// How many records ended how.
#[derive(Default)]
struct Count {
    failed: usize,
    parked: usize,
}

/// Why a record is not done, and what people should know of it.
struct Failure {
    error: Error,
    alert: Option<Alert>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, alert: None }
    }
}

impl Handler {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing.
    pub fn from_env() -> Result<Self, Error> {
        let (aws, common, clock) = (Shared::from_env()?, Common::from_env()?, Clock::system());
        let ledger = Ledger::new(aws.dynamodb(), common.ledger_table);
        Ok(Self {
            checks: Queue::new(aws.sqs(), required("CHECK_QUEUE_URL")?),
            iot: aws.iot_api(),
            parking: Queue::new(aws.sqs(), common.dead_letter_queue),
            alerts: Alerts::new(aws.sns(), common.alert_topic, ledger.clone(), clock.clone()),
            account: common.account,
            region: common.region,
            emit: telemetry::emit,
            ledger,
            clock,
        })
    }

    /// Handles an SNS event.
    ///
    /// # Errors
    /// If the event is none of SNS, or the first failure for which Lambda should try again.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<(), Error> {
        let deadline = invocation::deadline(&event.context);
        let records = event::records(&event.payload)?;
        let mut audits = Vec::new();
        let (mut bad, mut published, mut seen) = (Vec::new(), 0_usize, BTreeSet::new());
        for (at, record) in records.iter().enumerate() {
            match self.read(at, record) {
                // SNS delivers at least once, so one audit is handled once. What cannot name an audit of this account
                // does not count as the first.
                Ok(Some(notified)) => {
                    if seen.insert(notified.task_id.clone()) {
                        audits.push((record, notified));
                    }
                }
                Ok(None) => published += 1,
                Err(error) => bad.push((record, error.into())),
            }
        }
        let (repeats, audits_seen) = (records.len() - audits.len() - bad.len() - published, audits.len());
        let tried = futures_util::stream::iter(audits)
            .map(async |(record, notified)| (record, self.audit(&notified, deadline).await))
            .buffer_unordered(PARALLEL);
        let tried: Vec<(&Value, Result<(), Failure>)> = tried.collect().await;
        bad.extend(
            tried.into_iter().filter_map(|(record, tried)| tried.err().map(|failure| (record, failure))),
        );
        let (count, outcome) = self.settle(bad, &event.context.request_id, deadline).await;
        tracing::info!(
            records = records.len(),
            audits = audits_seen,
            repeats,
            published_findings = published,
            failed = count.failed,
            parked = count.parked,
            "the event is handled"
        );
        let [records, failed, parked] = [records.len(), count.failed, count.parked].map(|n| n as u64);
        let invocation = Invocation { function: FUNCTION, at: self.clock.now(), records, failed, parked };
        (self.emit)(&invocation.line());
        outcome
    }

    /// The notification in a record; none if it is a finding that was published, which triage handled.
    fn read(&self, at: usize, record: &Value) -> Result<Option<Box<AuditEnded>>, Error> {
        let message = event::message(at, record)?;
        let wrong = |what: &dyn std::fmt::Display| Error::Input(format!("Records[{at}]: {what}"));
        match Notification::parse(message).map_err(|error| wrong(&error))? {
            Notification::PublishedFinding(_) => Ok(None),
            Notification::AuditEnded(notified) => {
                let audit = validate(&notified, &self.account, &self.region, self.clock.now());
                audit.map_err(|what| wrong(&what)).map(|_| Some(notified))
            }
        }
    }

    /// One audit, as the service describes it. The messages to triage and the alert to people do not wait for each
    /// other; the audit's item waits for both.
    async fn audit(&self, notified: &AuditEnded, deadline: Millis) -> Result<(), Failure> {
        if !invocation::has_time(self.clock.now(), deadline, MARGIN) {
            return Err(Error::Later(format!("audit {}: no time is left for it", notified.task_id)).into());
        }
        let disagrees = |mismatch: &Mismatch| Failure {
            error: mismatch.error(&notified.task_id),
            alert: Some(mismatch_alert(mismatch, notified, &self.region, self.clock.now())),
        };
        let confirmed = self.confirmation().confirm(notified, deadline).await?;
        let Confirmed { audit, ended, differences } = confirmed.map_err(|mismatch| disagrees(&mismatch))?;
        let (checks, dispatch) = (Checks::of(&ended), self.dispatch());
        let alert = async {
            match failure_alert(&audit, &ended, &checks) {
                Some(alert) => self.alerts.raise(&alert).await,
                None => Ok(()),
            }
        };
        let (sent, alerted) = future::join(dispatch.run_once(&audit, &checks, deadline), alert).await;
        Error::of_both(sent, alerted)?;
        dispatch.record(&audit, &ended, &checks).await?;
        if differences.is_empty() { Ok(()) } else { Err(disagrees(&Mismatch::Different(differences))) }
    }

    fn confirmation(&self) -> Confirmation<'_> {
        let Self { iot, account, region, clock, .. } = self;
        Confirmation { iot, account, region, clock, margin: MARGIN }
    }

    fn dispatch(&self) -> Dispatch<'_> {
        let Self { checks, ledger, clock, emit, .. } = self;
        Dispatch { queue: checks, ledger, clock, emit: *emit }
    }

    /// Raises the alerts, parks what can never be handled, and gives back the first failure that a retry may heal.
    async fn settle(
        &self,
        bad: Vec<(&Value, Failure)>,
        request_id: &str,
        deadline: Millis,
    ) -> (Count, Result<(), Error>) {
        let (mut count, mut outcome) = (Count::default(), Ok(()));
        let mut raised = BTreeSet::new();
        for (record, Failure { error, alert }) in bad {
            let failed = match alert.filter(|alert| !raised.contains(&alert.id())) {
                Some(alert) => {
                    let tried = self.alerts.raise(&alert).await;
                    raised.extend(tried.is_ok().then(|| alert.id()));
                    // It is not parked before the alert is out.
                    Error::of_both(tried, Err(error))
                }
                None => Err(error),
            };
            let Err(error) = failed else { continue };
            let retry = if error.is_permanent() {
                tracing::error!(error.name = error.name(), %error, "a record is parked");
                match self.park(record, &error, request_id, deadline).await {
                    Ok(()) => {
                        count.parked += 1;
                        continue;
                    }
                    Err(unparked) => unparked,
                }
            } else {
                error
            };
            tracing::warn!(error.name = retry.name(), error = %retry, "the event is to be tried again");
            count.failed += 1;
            outcome = outcome.and(Err(retry));
        }
        (count, outcome)
    }

    /// Parks a record, as an event of its own that the function can be invoked with again. Once for each request: if
    /// another record makes Lambda repeat the event, under the same request id, this one is on the dead-letter queue
    /// already. One that was moved back and is still bad is parked again.
    async fn park(
        &self,
        record: &Value,
        reason: &Error,
        request_id: &str,
        deadline: Millis,
    ) -> Result<(), Error> {
        let body = json!({"Records": [record]}).to_string();
        let about = keys::parked(&Digest::new(FUNCTION).part(&body).part(request_id).hex());
        let reason = reason.to_string();
        let work = self.parking.park(&body, &reason);
        self.ledger.run_once(&about, self.clock.now(), deadline, work).await.map(drop)
    }
}
