//! A check that was triaged to its end: metrics, the check's record in the ledger, an alert.
//!
//! The record replaces itself, the alert is told once, and the metrics are gauges: a repeat changes nothing.

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::about;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::Tally;
use fleetwarden_core::metrics;

use crate::handler::Handler;
use crate::report;
use crate::report::Places;

impl Handler {
    /// Tells the counts of a check.
    pub(crate) async fn summarize(
        &self,
        audit: &Audit,
        check: &CheckName,
        tally: &Tally,
    ) -> Result<(), Error> {
        for line in metrics::check_lines(audit, check, tally) {
            (self.emit)(&line);
        }
        let now = self.clock.now();
        let record = Item::new(&about::audit(audit), &format!("check#{check}"), now)
            .text("state", "done")
            .text("check", check.as_str())
            .text("task_id", &audit.task_id)
            .number("started_at", audit.started_at.0)
            .number("done_at", now.0)
            .json("tally", tally);
        self.ledger.put(record).await?;
        let places = Places { log_group: self.log.group(), archive: &self.archive };
        match report::alert(audit, check, tally, &places) {
            Some(alert) => self.alerts.raise(&alert).await,
            None => Ok(()),
        }
    }
}
