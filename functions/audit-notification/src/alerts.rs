//! The alerts: on checks that did not complete, and on notifications that do not agree with their audit.
//!
//! A check that failed has no findings, so without its alert it looks like a compliant one.

use std::collections::BTreeSet;

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::api::notification::AuditEnded;
use fleetwarden_core::api::notification::CheckEnded;
use fleetwarden_core::api::notification::CheckStatus;
use fleetwarden_core::message::Audit;
use fleetwarden_core::model::check::advice::remedy;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;

use crate::checks::Checks;
use crate::mismatch::Mismatch;
use crate::mismatch::listed;

/// The alert on an audit, if it or any of its checks failed or was canceled. One for each audit.
pub(crate) fn failure_alert(audit: &Audit, ended: &AuditEnded, checks: &Checks<'_>) -> Option<Alert> {
    let failed: Vec<&CheckEnded> = checks.failed().collect();
    let whole = match ended.task_status.as_str() {
        "FAILED" => Some("failed"),
        "CANCELED" => Some("was canceled"),
        _ => None,
    };
    if failed.is_empty() && whole.is_none() {
        return None;
    }
    let (sentence, name) = match &audit.schedule {
        Some(schedule) => (text!("Audit {}", schedule), text!("audit {}", schedule)),
        None => (text!("On-demand audit {}", audit.task_id), text!("on-demand audit {}", audit.task_id)),
    };
    let (bad, all) = (failed.len(), checks.all().count());
    let title = match whole {
        Some(how) if bad == 0 => text!("{} {}", sentence, Text::own(how)),
        Some(how) => text!("{} {}: {} of {} checks did not complete", sentence, Text::own(how), bad, all),
        None => text!("{} of {} checks of {} did not complete", bad, all, name),
    };
    let lines = failed.iter().map(|check| line(check));
    let sum =
        |count: fn(&CheckEnded) -> Option<u64>| checks.all().filter_map(count).fold(0, u64::saturating_add);
    let intro = text!(
        "Audit task `{}`, account {} in {}, started {}. The findings of these checks are unknown; findings of earlier \
         audits are unchanged. Non-compliant resources: {}; suppressed: {}.",
        audit.task_id,
        audit.account,
        audit.region,
        audit.started_at,
        sum(|check| check.non_compliant_resources_count),
        sum(|check| check.suppressed_non_compliant_resources_count),
    );
    let canceled = |check: &&CheckEnded| check.status == CheckStatus::Canceled && check.error_code.is_none();
    let only_canceled = ended.task_status != "FAILED" && failed.iter().all(canceled);
    Some(Alert {
        kind: Kind::AuditFailed,
        severity: if only_canceled { AlertSeverity::Medium } else { AlertSeverity::High },
        about: "checks".into(),
        thread: format!("audit {}", audit.task_id),
        title,
        description: Text::joined([intro].into_iter().chain(lines), "\n"),
        next_steps: next_steps(&failed, only_canceled),
        subject: Subject::Audit { task_id: audit.task_id.to_string() },
    })
}

fn line(check: &CheckEnded) -> Text {
    let ended = match check.status {
        CheckStatus::Failed => "failed",
        CheckStatus::Canceled => "canceled",
        _ => "ended with an error",
    };
    let code = check.error_code.as_deref().map(|code| text!(", {}", code)).unwrap_or_default();
    let message = check.message.as_deref().map(|said| text!(": {}", said)).unwrap_or_default();
    text!("- **{}** {}{}{}", check.check, Text::own(ended), code, message)
}

/// What to do: each step once, for all errors that it fixes.
fn next_steps(failed: &[&CheckEnded], only_canceled: bool) -> Vec<Text> {
    if failed.is_empty() {
        return vec![Text::own(remedy(None, only_canceled))];
    }
    let mut steps: Vec<(&'static str, BTreeSet<&str>)> = Vec::new();
    for check in failed {
        let code = check.error_code.as_deref();
        let step = remedy(code, check.status == CheckStatus::Canceled);
        match steps.iter_mut().find(|(known, _)| *known == step) {
            Some((_, codes)) => codes.extend(code),
            None => steps.push((step, code.into_iter().collect())),
        }
    }
    let text = |(step, codes): (&'static str, BTreeSet<&str>)| {
        let codes = Text::joined(codes, ", ");
        if codes.is_empty() { Text::own(step) } else { text!("{}: {}", codes, Text::own(step)) }
    };
    steps.into_iter().map(text).collect()
}

/// The alert on a notification that does not agree with its audit.
///
/// At most one a day of each kind: whoever may publish to the topic could raise thousands. Each message is parked, or
/// tried again, with its reason.
pub(crate) fn mismatch_alert(mismatch: &Mismatch, notified: &AuditEnded, region: &str, now: Millis) -> Alert {
    let AuditEnded { account_id, task_id, .. } = notified;
    let (kind, title, what) = match mismatch {
        Mismatch::NoSuchTask => (
            "no such task",
            text!("A notification names audit task {}, which does not exist", task_id),
            Text::own(
                "`DescribeAuditTask` finds no such audit task. Nothing was written or triaged; the message is \
                 parked. An audit of another region, or of more than 90 days ago, does not exist here either.",
            ),
        ),
        Mismatch::NotEnded(why) => (
            "not ended",
            text!("A notification says that audit task {} ended, and it has not", task_id),
            text!(
                "In the answer of `DescribeAuditTask`, {}. Nothing was written or triaged. The message is tried \
                 again for some minutes and then parked. When the audit has ended, its own notification or the next \
                 review starts its triage.",
                why
            ),
        ),
        Mismatch::Different(differences) => (
            "different",
            text!("A notification of audit task {} differs from the audit", task_id),
            text!(
                "The audit is triaged by the answer of `DescribeAuditTask`; the message is parked. In that answer:\n- {}",
                listed(differences, "\n- ")
            ),
        ),
    };
    Alert {
        kind: Kind::AuditUnconfirmed,
        severity: AlertSeverity::High,
        about: format!("{kind} on {}", now.day()),
        thread: "audit topic".into(),
        title,
        description: text!(
            "Account {} in {}: a message on the audit topic is not confirmed by Device Defender. \
             {}\n\nFurther messages of this kind raise no alert today.",
            account_id,
            region,
            what
        ),
        next_steps: vec![
            "Find the sender: with data events of Amazon SNS, CloudTrail records who calls Publish on the audit topic. \
             Only the role in the stack's output AuditTopicPublisherRoleArn and audit-watch announce audits."
                .into(),
            "Take sns:Publish on the audit topic from all others, then read what was parked in \
             NotificationDeadLetterQueue: the attribute `reason` says what differs."
                .into(),
        ],
        subject: Subject::Log,
    }
}

#[cfg(test)]
mod tests;
