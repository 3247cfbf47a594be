//! An invocation: every record ends as done, retried, or parked with its reason, and none takes another along.
//!
//! SNS gives one record an invocation today and promises nothing. Lambda can retry only the invocation as a
//! whole, so it fails if any record is to be tried again, after all others are done: their claims in the
//! ledger make the repeat harmless. After its retries Lambda puts the event on the dead-letter queue.

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::about;
use fleetwarden_aws::queue::Queue;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::message::Audit;
use fleetwarden_core::metrics;
use fleetwarden_core::notification::AuditEnded;
use fleetwarden_core::notification::Notification;
use fleetwarden_core::timestamp::Millis;
use futures_util::StreamExt as _;
use futures_util::future;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use serde_json::json;

use crate::event;
use crate::outcome;
use crate::outcome::Outcome;
use crate::trouble;

/// The function's name.
pub(crate) const FUNCTION: &str = "audit-notification";
/// No audit is begun when less than this is left of the invocation, in milliseconds.
const MARGIN_MS: i64 = 5_000;
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
    /// Where a record goes that can never be handled.
    pub parking: Queue,
    /// What was done before.
    pub ledger: Ledger,
    /// Where people are told.
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

impl Handler {
    /// Handles an SNS event.
    ///
    /// # Errors
    /// If the event is none of SNS, or the first failure for which Lambda should try again.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<(), Error> {
        let deadline = Millis(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
        let records = event::records(&event.payload)?;
        let mut audits = Vec::new();
        let (mut bad, mut published, mut seen) = (Vec::new(), 0_usize, BTreeSet::new());
        for (at, record) in records.iter().enumerate() {
            match self.read(at, record) {
                // SNS delivers at least once, so one audit is handled once. Only what was verified counts as
                // the first: a bad record with the audit's id must not stand in its way.
                Ok(Some((audit, ended))) => {
                    if seen.insert(audit.task_id.clone()) {
                        audits.push((record, audit, ended));
                    }
                }
                Ok(None) => published += 1,
                Err(error) => bad.push((record, error)),
            }
        }
        let (repeats, audits_seen) = (records.len() - audits.len() - bad.len() - published, audits.len());
        let tried = futures_util::stream::iter(audits)
            .map(async |(record, audit, ended)| (record, self.audit(&audit, &ended, deadline).await))
            .buffer_unordered(PARALLEL);
        let tried: Vec<(&Value, Result<(), Error>)> = tried.collect().await;
        bad.extend(tried.into_iter().filter_map(|(record, tried)| tried.err().map(|error| (record, error))));
        let (count, outcome) = self.settle(bad, deadline).await;
        tracing::info!(
            records = records.len(),
            audits = audits_seen,
            repeats,
            published_findings = published,
            failed = count.failed,
            parked = count.parked,
            "the event is handled"
        );
        let [total, failed, parked] = [records.len(), count.failed, count.parked].map(|n| n as u64);
        (self.emit)(&metrics::invocation_line(FUNCTION, self.clock.now(), total, failed, parked));
        outcome
    }

    /// The audit that a record tells of; none if it is a finding that was published, which triage handled.
    fn read(&self, at: usize, record: &Value) -> Result<Option<(Audit, Box<AuditEnded>)>, Error> {
        let message = event::message(at, record)?;
        let wrong = |what: &dyn std::fmt::Display| Error::Input(format!("Records[{at}]: {what}"));
        match Notification::parse(message).map_err(|error| wrong(&error))? {
            Notification::PublishedFinding(_) => Ok(None),
            Notification::AuditEnded(ended) => {
                let audit = outcome::audit(&ended, &self.account, &self.region, self.clock.now());
                audit.map_err(|what| wrong(&what)).map(|audit| Some((audit, ended)))
            }
        }
    }

    /// One audit. The messages to triage and the alert to people do not wait for each other.
    async fn audit(&self, audit: &Audit, ended: &AuditEnded, deadline: Millis) -> Result<(), Error> {
        if self.clock.now().0 > deadline.0 - MARGIN_MS {
            return Err(Error::Later(format!("audit {}: no time is left for it", audit.task_id)));
        }
        let outcome = Outcome::of(ended);
        let told = async {
            match trouble::alert(audit, ended, &outcome) {
                Some(alert) => self.alerts.raise(&alert).await,
                None => Ok(()),
            }
        };
        let (dispatched, told) =
            future::join(self.dispatch_once(audit, ended, &outcome, deadline), told).await;
        Error::of_both(dispatched, told)
    }

    /// Parks what can never be handled, and gives back the first failure that a retry may heal.
    async fn settle(&self, bad: Vec<(&Value, Error)>, deadline: Millis) -> (Count, Result<(), Error>) {
        let (mut count, mut outcome) = (Count::default(), Ok(()));
        for (record, error) in bad {
            let retry = if error.is_permanent() {
                tracing::error!(error.name = error.name(), %error, "a record is parked");
                match self.park(record, &error, deadline).await {
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

    /// Parks a record, as an event of its own that the function can be invoked with again. Once: if another
    /// record makes Lambda repeat the event, this one is on the dead-letter queue already.
    async fn park(&self, record: &Value, reason: &Error, deadline: Millis) -> Result<(), Error> {
        let body = json!({"Records": [record]}).to_string();
        let about = about::parked(&Digest::new(FUNCTION).part(&body).hex());
        let reason = reason.to_string();
        let work = self.parking.park(&body, &reason);
        self.ledger.once(&about, self.clock.now(), deadline, work).await
    }
}
