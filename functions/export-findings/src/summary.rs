//! The summary of a check that was triaged to its end: metrics, the check's record in the ledger, an alert.
//!
//! The record replaces itself, the alert goes out once, and the metrics are gauges: a repeat changes nothing.

use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::Tally;
use fleetwarden_core::metrics::check::check_lines;

use crate::alerts::Places;
use crate::alerts::findings_alert;

/// Where summaries go.
pub(crate) struct Summaries<'h> {
    /// The log group of the findings.
    pub(crate) log_group: &'h str,
    /// The archive of the findings.
    pub(crate) archive: &'h Archive,
    /// Where the check's record is.
    pub(crate) ledger: &'h Ledger,
    /// Where alerts go.
    pub(crate) alerts: &'h Alerts,
    /// The time.
    pub(crate) clock: &'h Clock,
    /// Takes a metric line.
    pub(crate) emit: fn(&str),
}

impl Summaries<'_> {
    /// Exports the counts of a check.
    pub(crate) async fn export(&self, audit: &Audit, check: &CheckName, tally: &Tally) -> Result<(), Error> {
        for line in check_lines(audit, check, tally) {
            (self.emit)(&line);
        }
        let now = self.clock.now();
        let record = Item::new(&keys::audit(audit), &format!("check#{check}"), now)
            .text("state", "done")
            .text("check", check.as_str())
            .text("task_id", &audit.task_id)
            .number("started_at", audit.started_at.0)
            .number("done_at", now.0)
            .json("tally", tally);
        self.ledger.put(record).await?;
        let places = Places { log_group: self.log_group, archive: self.archive };
        match findings_alert(audit, check, tally, &places) {
            Some(alert) => self.alerts.raise(&alert).await,
            None => Ok(()),
        }
    }
}
