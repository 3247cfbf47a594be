//! The alert on a check's findings: how many need somebody, how bad they are, and where to look.

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

/// The alert of a check in an audit, if people should look: findings are reported aloud that are critical or
/// high, or some of a severity that has news. What was reported before and is neither needs no second telling.
pub(crate) fn alert(audit: &Audit, check: &CheckName, tally: &Tally, places: &Places<'_>) -> Option<Alert> {
    let loud = |counts: &Counts| {
        let grave = counts.loudest.is_some_and(|alert| alert <= AlertSeverity::High);
        counts.aloud() > 0 && (grave || counts.new + counts.returned > 0)
    };
    if !tally.values().any(loud) {
        return None;
    }
    let total = tally.values().fold(Counts::default(), Counts::plus);
    let findings = if total.aloud() == 1 { "finding" } else { "findings" };
    let need = if total.aloud() == 1 { "needs" } else { "need" };
    let news = news(&total).map(|news| text!(" ({})", news)).unwrap_or_default();
    Some(Alert {
        kind: Kind::FindingsReported,
        severity: total.loudest?,
        about: check.as_str().to_owned(),
        thread: format!("audit {}", audit.task_id),
        title: text!("{} {} of {} {} attention{}", total.aloud(), findings, check, need, news),
        description: description(audit, tally),
        next_steps: vec![
            text!(
                "Read them in the log group `{}` with Logs Insights: {}",
                places.log_group,
                query(audit, check)
            ),
            text!(
                "Or in the archive: `s3://{}/{}-*.ndjson.gz`.",
                places.archive.bucket(),
                findings_prefix(audit, check)
            ),
            text!(
                "What it means and how to comply: `fleetwarden audit audit-report --task-id {}`.",
                audit.task_id
            ),
            "What is accepted, or can be mitigated: give it a rule in the policy.".into(),
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
        "Audit task `{}`{}, account {} in {}, begun {}.",
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
    let news = news(counts).map(|news| text!(" ({})", news)).unwrap_or_default();
    let observed = |outcome| counts.observed(outcome);
    let others = [
        (counts.mitigate.saturating_sub(observed("mitigate")), "to be mitigated"),
        (counts.suppress.saturating_sub(observed("suppress")), "to be suppressed"),
        (observed("mitigate"), "would be mitigated, but the mode is observe"),
        (observed("suppress"), "would be suppressed, but the mode is observe"),
        (counts.suppressed, "suppressed"),
        (counts.fixed, "fixed since"),
    ];
    let others = others.into_iter().filter(|(n, _)| *n > 0);
    let others = Text::joined(others.map(|(n, what)| text!("{} {}", n, Text::own(what))), ", ");
    let others = if others.is_empty() { others } else { text!("; {}", others) };
    text!("- **{}**: {} reported of {}{}{}", severity, counts.reported, counts.non_compliant, news, others)
}

fn news(counts: &Counts) -> Option<Text> {
    match (counts.new, counts.returned) {
        (0, 0) => None,
        (new, 0) => Some(text!("{} new", new)),
        (0, returned) => Some(text!("{} returned", returned)),
        (new, returned) => Some(text!("{} new, {} returned", new, returned)),
    }
}
