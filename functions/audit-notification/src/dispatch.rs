//! What is done once for each audit: a message for each check that triage is to look at, a zero for each check that is
//! well; and the audit's item in the ledger, which says that all of it is on its way.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::about;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_core::api::notification::AuditEnded;
use fleetwarden_core::api::notification::CheckEnded;
use fleetwarden_core::api::notification::CheckStatus;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::Tally;
use fleetwarden_core::metrics;
use fleetwarden_core::timestamp::Millis;
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use serde::Serialize;

use crate::handler::Handler;
use crate::outcome::Outcome;
use crate::outcome::Verdict;
use crate::outcome::message;

/// The sort key of a check's latest history.
const LATEST: &str = "latest";
/// The history's attribute that counts the findings that were there at the last audit.
const OPEN: &str = "open";

/// How many checks are recorded at once.
const RECORDS: usize = 8;

/// How a check ended, in the audit's item.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckRecord<'n> {
    status: CheckStatus,
    non_compliant: Option<u64>,
    suppressed: Option<u64>,
    total: Option<u64>,
    error_code: Option<&'n str>,
}

impl Handler {
    /// Does the audit's part, unless an earlier delivery of the notification did it.
    ///
    /// The claim lasts as long as this invocation can live; a try that fails gives it back, so that the next
    /// need not wait. Triage claims each check for itself: a send that half failed repeats harmlessly.
    pub(crate) async fn dispatch_once(
        &self,
        audit: &Audit,
        ended: &AuditEnded,
        outcome: &Outcome<'_>,
        deadline: Millis,
    ) -> Result<(), Error> {
        let work = self.dispatch(audit, ended, outcome);
        self.ledger.once(&about::notification(audit), self.clock.now(), deadline, work).await.map(drop)
    }

    async fn dispatch(&self, audit: &Audit, ended: &AuditEnded, outcome: &Outcome<'_>) -> Result<(), Error> {
        let open = self.open_before(outcome).await?;
        let stale = |check: &&CheckEnded| has_suppressed(check) || open.contains(&check.check);
        let to_triage = outcome
            .with(Verdict::NonCompliant)
            .chain(outcome.with(Verdict::Compliant).filter(stale))
            .map(|check| serde_json::to_string(&message(audit, check)).map(Outgoing::from));
        let to_triage: Vec<Outgoing> =
            to_triage.collect::<Result<_, _>>().map_err(|e| Error::Input(e.to_string()))?;
        // Before the messages: what triage decides for this audit must not look overtaken by an earlier one.
        let looked_at = outcome.with(Verdict::NonCompliant).chain(outcome.with(Verdict::Compliant));
        let record = async |check: &CheckEnded| self.ledger.record_audit_of_check(audit, &check.check).await;
        stream::iter(looked_at).map(record).buffer_unordered(RECORDS).try_for_each(async |_| Ok(())).await?;
        self.checks.send(&to_triage).await?;
        for check in outcome.with(Verdict::Compliant) {
            // Without severities: a severity that was never seen would be a metric that is paid for.
            for line in metrics::check_lines(audit, &check.check, &Tally::new()) {
                (self.emit)(&line);
            }
        }
        for check in outcome.with(Verdict::Unclear) {
            tracing::warn!(
                task.id = %audit.task_id,
                check = check.check.as_str(),
                "the check ended in a way that is not known here, with nothing found"
            );
        }
        let triaged = to_triage.len();
        tracing::info!(
            task.id = %audit.task_id,
            checks = ended.audit_details.len(),
            triaged,
            "an audit ended"
        );
        Ok(())
    }

    /// Writes the audit's item. The watch on audits counts an audit that has one as handled, so it comes last.
    pub(crate) async fn record(
        &self,
        audit: &Audit,
        ended: &AuditEnded,
        outcome: &Outcome<'_>,
    ) -> Result<(), Error> {
        self.ledger.put(item(audit, ended, outcome, self.clock.now())).await
    }

    /// The compliant checks that had findings at the audit before: those are fixed now, and triage says so.
    async fn open_before(&self, outcome: &Outcome<'_>) -> Result<BTreeSet<CheckName>, Error> {
        let asked: BTreeMap<String, &CheckName> = outcome
            .with(Verdict::Compliant)
            .filter(|check| !has_suppressed(check))
            .map(|check| (about::history(&check.check), &check.check))
            .collect();
        let keys: Vec<(String, &str)> = asked.keys().map(|pk| (pk.clone(), LATEST)).collect();
        let items = self.ledger.get_all(&keys).await?;
        let open = items.iter().filter(|item| item.get_number(OPEN).is_some_and(|open| open > 0));
        Ok(open.filter_map(|item| asked.get(item.get_text("pk")?).map(|c| (*c).clone())).collect())
    }
}

fn has_suppressed(check: &CheckEnded) -> bool {
    check.suppressed_non_compliant_resources_count.is_some_and(|count| count > 0)
}

/// The audit's item, also of one in which everything is well.
fn item(audit: &Audit, ended: &AuditEnded, outcome: &Outcome<'_>, now: Millis) -> Item {
    let checks: BTreeMap<&str, CheckRecord<'_>> = outcome
        .all()
        .map(|check| {
            let record = CheckRecord {
                status: check.status,
                non_compliant: check.non_compliant_resources_count,
                suppressed: check.suppressed_non_compliant_resources_count,
                total: check.total_resources_count,
                error_code: check.error_code.as_deref(),
            };
            (check.check.as_str(), record)
        })
        .collect();
    let count = |verdict| i64::try_from(outcome.with(verdict).count()).unwrap_or(i64::MAX);
    let item = Item::new(&about::audit(audit), "audit", now)
        .text("account", &audit.account)
        .text("region", &audit.region)
        .text("task_id", &audit.task_id)
        .text("status", &ended.task_status)
        .text("type", &ended.task_type)
        .number("started_at", audit.started_at.0)
        .number("notified_at", now.0)
        .number("non_compliant_checks", count(Verdict::NonCompliant))
        .number("compliant_checks", count(Verdict::Compliant))
        .number("failed_checks", count(Verdict::Broken))
        .number("unclear_checks", count(Verdict::Unclear))
        .json("checks", &checks);
    match &audit.schedule {
        Some(schedule) => item.text("schedule", schedule),
        None => item,
    }
}
