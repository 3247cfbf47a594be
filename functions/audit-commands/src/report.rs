//! `AuditReport`: what an audit came to, from the service and the ledger.
//!
//! The audit itself must be readable. Any other source may fail: what it has is then listed as a gap of the report. On the
//! way: [`audit`] (which one, by [`latest`] if it is not named, and how its checks ended)
//! → [`checks`] (what triage counted, examples), [`mitigations`] (and [`not_started`]) and [`suppressions`], side by side.

mod audit;
mod checks;
mod latest;
mod mitigations;
mod not_started;
mod sources;
mod suppressions;

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::invocation;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::report::AuditReport;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;
use serde_json::value::to_raw_value;

use crate::MakeLedger;
use crate::report::sources::Sources;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_commands::calls::answer;

/// What is kept of the time to write the report down. What has not answered by then is a gap.
const WRITING: Duration = Duration::from_secs(5);

/// `AuditReport`.
pub(crate) async fn report(
    service: &Service,
    ledger: &MakeLedger,
    command: &Command,
    deadline: Millis,
) -> Result<Box<RawValue>, Failure> {
    let now = service.clock.now();
    let sources = Sources::new(service, ledger, invocation::time_left(now, deadline, WRITING));
    let (task_id, task) = sources.audit(command).await?;
    let mut report = sources.begin(task_id, &task, now);
    let place = (report.account.as_str(), report.region.as_str());
    let audit = Audit::new(place, &report.task_id, report.schedule.clone(), report.started_at);
    let audit = audit.map_err(|invalid| Error::Input(invalid.to_string()))?;
    let ended = report.task_status != "IN_PROGRESS";
    let AuditReport { checks, mitigations, not_started, confirmed, suppressed, debt, .. } = &mut report;
    let hidden: Vec<CheckName> =
        checks.iter().filter(|check| check.suppressed > 0).map(|check| check.check.clone()).collect();
    let ((), unknown, ()) = tokio::join!(
        sources.checks(&audit, ended, checks, debt),
        sources.mitigations(&audit, now, mitigations, not_started, confirmed),
        sources.suppressions(&audit, &hidden, suppressed),
    );
    report.mitigations_unknown = unknown;
    report.sum();
    report.suppressed.findings = report.totals.suppressed;
    report.gaps = sources.into_gaps();
    written(&report, command.text("format"))
}

/// The report in a format.
fn written(report: &AuditReport, format: &str) -> Result<Box<RawValue>, Failure> {
    let (content_type, body) = match format {
        "markdown" => ("text/markdown", report.markdown()),
        "html" => ("text/html", report.html()),
        _ => return to_raw_value(report).map_err(|e| Error::Input(e.to_string()).into()),
    };
    answer(&json!({"taskId": report.task_id, "contentType": content_type, "body": body}))
}

/// A count of an answer.
fn count(value: &Value, member: &str) -> Option<u64> {
    value.get(member).and_then(Value::as_u64)
}
