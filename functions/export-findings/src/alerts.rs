//! The alert on the findings of a check: how many, how severe, and where they are.

use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::archive::findings_prefix;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::Counts;
use fleetwarden_core::message::Tally;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;

/// Where the findings themselves are.
pub(crate) struct Places<'h> {
    pub(crate) log_group: &'h str,
    pub(crate) archive: &'h Archive,
}

/// The alert on a check of an audit, if it has findings that are not silent, and critical, high, new or returned.
pub(crate) fn findings_alert(
    audit: &Audit,
    check: &CheckName,
    tally: &Tally,
    places: &Places<'_>,
) -> Option<Alert> {
    let is_due = |counts: &Counts| {
        let is_severe = counts.loudest.is_some_and(|alert| alert <= AlertSeverity::High);
        counts.alerted() > 0 && (is_severe || counts.new + counts.returned > 0)
    };
    if !tally.values().any(is_due) {
        return None;
    }
    let total = tally.values().fold(Counts::default(), Counts::plus);
    let findings = if total.alerted() == 1 { "finding" } else { "findings" };
    let need = if total.alerted() == 1 { "needs" } else { "need" };
    let changes = changes(&total).map(|changes| text!(" ({})", changes)).unwrap_or_default();
    Some(Alert {
        kind: Kind::FindingsReported,
        severity: total.loudest?,
        about: check.as_str().to_owned(),
        thread: format!("audit {}", audit.task_id),
        title: text!("{} {} of {} {} attention{}", total.alerted(), findings, check, need, changes),
        description: description(audit, tally),
        next_steps: vec![
            text!("Query the log group `{}` with Logs Insights: {}", places.log_group, query(audit, check)),
            text!(
                "Or read the archive: `s3://{}/{}-*.ndjson.gz`.",
                places.archive.bucket(),
                findings_prefix(audit, check)
            ),
            text!(
                "For what the findings mean and how to fix them, run `fleetwarden audit audit-report --task-id {}`.",
                audit.task_id
            ),
            "Add a rule to the policy for findings that you accept or want to mitigate.".into(),
        ],
        subject: Subject::Findings { task_id: audit.task_id.to_string(), check: check.clone() },
    })
}

/// The query that lists what is reported.
fn query(audit: &Audit, check: &CheckName) -> Text {
    text!(
        "`fields severity, status, reasonCode, reason, key | filter kind = \"finding\" and taskId = \"{}\" and check = \
         \"{}\" and decision.outcome = \"report\" | sort severity, status`",
        audit.task_id,
        check
    )
}

fn description(audit: &Audit, tally: &Tally) -> Text {
    let of = audit.schedule.as_deref().map(|name| text!(" of audit {}", name)).unwrap_or_default();
    let head = text!(
        "Audit task `{}`{}, account {} in {}, started {}.",
        audit.task_id,
        of,
        audit.account,
        audit.region,
        audit.started_at
    );
    let lines = tally.iter().map(|(severity, counts)| line(*severity, counts));
    Text::joined([head].into_iter().chain(lines), "\n")
}

fn line(severity: Severity, counts: &Counts) -> Text {
    let changes = changes(counts).map(|changes| text!(" ({})", changes)).unwrap_or_default();
    let observed = |outcome| counts.observed(outcome);
    let others = [
        (counts.mitigate.saturating_sub(observed("mitigate")), "to be mitigated"),
        (counts.suppress.saturating_sub(observed("suppress")), "to be suppressed"),
        (observed("mitigate"), "would be mitigated (mode is observe)"),
        (observed("suppress"), "would be suppressed (mode is observe)"),
        (counts.suppressed, "suppressed"),
        (counts.fixed, "fixed"),
    ];
    let others = others.into_iter().filter(|(n, _)| *n > 0);
    let others = Text::joined(others.map(|(n, what)| text!("{} {}", n, Text::own(what))), ", ");
    let others = if others.is_empty() { others } else { text!("; {}", others) };
    text!("- **{}**: {} reported of {}{}{}", severity, counts.reported, counts.non_compliant, changes, others)
}

/// How many findings are new or returned.
fn changes(counts: &Counts) -> Option<Text> {
    match (counts.new, counts.returned) {
        (0, 0) => None,
        (new, 0) => Some(text!("{} new", new)),
        (0, returned) => Some(text!("{} returned", returned)),
        (new, returned) => Some(text!("{} new, {} returned", new, returned)),
    }
}

#[cfg(test)]
mod tests;
