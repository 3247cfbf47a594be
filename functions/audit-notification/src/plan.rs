//! What is sent and written for an audit. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_core::api::notification::AuditEnded;
use fleetwarden_core::api::notification::CheckEnded;
use fleetwarden_core::api::notification::CheckStatus;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::checks::Checks;
use crate::checks::Verdict;

/// The messages to triage: of each check with findings, and of each compliant check whose record has to be brought up to
/// date, because it has suppressed findings or had open ones at the audit before.
pub(crate) fn messages(
    audit: &Audit,
    checks: &Checks<'_>,
    open_before: &BTreeSet<CheckName>,
) -> Result<Vec<Outgoing>, Error> {
    let is_stale = |check: &&CheckEnded| has_suppressed(check) || open_before.contains(&check.check);
    let checks = checks.with(Verdict::NonCompliant).chain(checks.with(Verdict::Compliant).filter(is_stale));
    let messages = checks.map(|check| serde_json::to_string(&message(audit, check)).map(Outgoing::from));
    messages.collect::<Result<_, _>>().map_err(|e| Error::Input(e.to_string()))
}

/// The message to triage on a check.
fn message(audit: &Audit, check: &CheckEnded) -> CheckMessage {
    CheckMessage {
        audit: audit.clone(),
        check: check.check.clone(),
        non_compliant: check.non_compliant_resources_count.unwrap_or(0),
        suppressed: check.suppressed_non_compliant_resources_count,
        resume: None,
    }
}

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

/// Whether a check has suppressed findings: triage brings their record up to date.
pub(crate) fn has_suppressed(check: &CheckEnded) -> bool {
    check.suppressed_non_compliant_resources_count.is_some_and(|count| count > 0)
}

/// The audit's item; an audit without findings has one, too.
pub(crate) fn item(audit: &Audit, ended: &AuditEnded, checks: &Checks<'_>, now: Millis) -> Item {
    let records: BTreeMap<&str, CheckRecord<'_>> = checks
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
    let count = |verdict| i64::try_from(checks.with(verdict).count()).unwrap_or(i64::MAX);
    let item = Item::new(&keys::audit(audit), "audit", now)
        .text("account", &audit.account)
        .text("region", &audit.region)
        .text("task_id", &audit.task_id)
        .text("status", &ended.task_status)
        .text("type", &ended.task_type)
        .number("started_at", audit.started_at.0)
        .number("notified_at", now.0)
        .number("non_compliant_checks", count(Verdict::NonCompliant))
        .number("compliant_checks", count(Verdict::Compliant))
        .number("failed_checks", count(Verdict::Failed))
        .number("unclear_checks", count(Verdict::Unclear))
        .json("checks", &records);
    match &audit.schedule {
        Some(schedule) => item.text("schedule", schedule),
        None => item,
    }
}
