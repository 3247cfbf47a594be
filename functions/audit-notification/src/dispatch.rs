//! What is done once for each audit: a message for each check that triage has to look at, zeros for each compliant check,
//! and the audit's item in the ledger, which says that all of it is sent.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::queue::Queue;
use fleetwarden_core::api::notification::AuditEnded;
use fleetwarden_core::api::notification::CheckEnded;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::Tally;
use fleetwarden_core::metrics::check::check_lines;
use fleetwarden_core::timestamp::Millis;
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;

use crate::checks::Checks;
use crate::checks::Verdict;
use crate::plan;

/// The sort key of a check's latest history.
const LATEST: &str = "latest";
/// The history's attribute that counts the findings that were there at the last audit.
const OPEN: &str = "open";

/// How many checks are recorded at once.
const RECORDS: usize = 8;

/// Where an audit is dispatched to.
#[derive(Clone, Copy)]
pub(crate) struct Dispatch<'h> {
    /// Where triage waits.
    pub(crate) queue: &'h Queue,
    /// What was done before.
    pub(crate) ledger: &'h Ledger,
    /// The time.
    pub(crate) clock: &'h Clock,
    /// Takes a metric line.
    pub(crate) emit: fn(&str),
}

impl Dispatch<'_> {
    /// Dispatches an audit, unless an earlier delivery of the notification did.
    ///
    /// The claim lasts as long as this invocation can live; a try that fails releases it, so that the next
    /// need not wait. Triage claims each check for itself: a send that half failed repeats harmlessly.
    pub(crate) async fn run_once(
        &self,
        audit: &Audit,
        checks: &Checks<'_>,
        deadline: Millis,
    ) -> Result<(), Error> {
        let work = self.run(audit, checks);
        self.ledger.run_once(&keys::notification(audit), self.clock.now(), deadline, work).await.map(drop)
    }

    async fn run(&self, audit: &Audit, checks: &Checks<'_>) -> Result<(), Error> {
        let messages = plan::messages(audit, checks, &self.open_before(checks).await?)?;
        // Before the messages: what triage decides for this audit must not look overtaken by an earlier one.
        let complete = checks.with(Verdict::NonCompliant).chain(checks.with(Verdict::Compliant));
        let record = async |check: &CheckEnded| self.ledger.record_audit_of_check(audit, &check.check).await;
        stream::iter(complete).map(record).buffer_unordered(RECORDS).try_for_each(async |_| Ok(())).await?;
        self.queue.send(&messages).await?;
        for check in checks.with(Verdict::Compliant) {
            // Without severities: a severity that was never seen would be a metric that is paid for.
            for line in check_lines(audit, &check.check, &Tally::new()) {
                (self.emit)(&line);
            }
        }
        for check in checks.with(Verdict::Unclear) {
            tracing::warn!(
                audit.task_id = %audit.task_id,
                check = check.check.as_str(),
                "the check has an unknown status and no findings"
            );
        }
        tracing::info!(
            audit.task_id = %audit.task_id,
            audit.checks = checks.all().count(),
            audit.checks_to_triage = messages.len(),
            "an audit ended"
        );
        Ok(())
    }

    /// Writes the audit's item. The watch on audits counts an audit that has one as handled, so it comes last.
    pub(crate) async fn record(
        &self,
        audit: &Audit,
        ended: &AuditEnded,
        checks: &Checks<'_>,
    ) -> Result<(), Error> {
        self.ledger.put(plan::item(audit, ended, checks, self.clock.now())).await
    }

    /// The compliant checks that had findings at the audit before: those are fixed now, and triage says so.
    async fn open_before(&self, checks: &Checks<'_>) -> Result<BTreeSet<CheckName>, Error> {
        let asked: BTreeMap<String, &CheckName> = checks
            .with(Verdict::Compliant)
            .filter(|check| !plan::has_suppressed(check))
            .map(|check| (keys::history(&check.check), &check.check))
            .collect();
        let keys: Vec<(String, &str)> = asked.keys().map(|pk| (pk.clone(), LATEST)).collect();
        let items = self.ledger.get_all(&keys).await?;
        let open = items.iter().filter(|item| item.get_number(OPEN).is_some_and(|open| open > 0));
        Ok(open.filter_map(|item| asked.get(item.get_text("pk")?).map(|c| (*c).clone())).collect())
    }
}
