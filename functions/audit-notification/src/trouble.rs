//! The alert on checks that could not be done. Without it nobody would hear of them: a check that failed has
//! no findings, and looks as well as one that is.

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
use fleetwarden_core::untrusted::Text;

use crate::outcome::Outcome;

/// The alert of an audit, if anything of it failed or was canceled. One for each audit.
pub(crate) fn alert(audit: &Audit, ended: &AuditEnded, outcome: &Outcome<'_>) -> Option<Alert> {
    let troubled: Vec<&CheckEnded> = outcome.troubled().collect();
    let whole = match ended.task_status.as_str() {
        "FAILED" => Some("failed"),
        "CANCELED" => Some("was canceled"),
        _ => None,
    };
    if troubled.is_empty() && whole.is_none() {
        return None;
    }
    let (at_first, name) = match &audit.schedule {
        Some(schedule) => (text!("Audit {}", schedule), text!("audit {}", schedule)),
        None => {
            (text!("The audit on demand {}", audit.task_id), text!("the audit on demand {}", audit.task_id))
        }
    };
    let (bad, all) = (troubled.len(), outcome.all().count());
    let were = if bad == 1 { "was" } else { "were" };
    let title = match whole {
        Some(how) if bad == 0 => text!("{} {}", at_first, Text::own(how)),
        Some(how) => {
            text!("{} {}: {} of {} checks {} not done", at_first, Text::own(how), bad, all, were)
        }
        None => text!("{} of {} checks of {} {} not done", bad, all, name, were),
    };
    let checks = troubled.iter().map(|check| line(check));
    let sum =
        |count: fn(&CheckEnded) -> Option<u64>| outcome.all().filter_map(count).fold(0, u64::saturating_add);
    let intro = text!(
        "Audit task `{}` of account {} in {}, begun {}. What these checks would have found is not known; findings of \
         earlier audits stay as they are. Resources that do not comply: {}; suppressed ones: {}.",
        audit.task_id,
        audit.account,
        audit.region,
        audit.started_at,
        sum(|check| check.non_compliant_resources_count),
        sum(|check| check.suppressed_non_compliant_resources_count),
    );
    let canceled = |check: &&CheckEnded| check.status == CheckStatus::Canceled && check.error_code.is_none();
    let only_canceled = ended.task_status != "FAILED" && troubled.iter().all(canceled);
    Some(Alert {
        kind: Kind::AuditFailed,
        severity: if only_canceled { AlertSeverity::Medium } else { AlertSeverity::High },
        about: "checks".into(),
        thread: format!("audit {}", audit.task_id),
        title,
        description: Text::joined([intro].into_iter().chain(checks), "\n"),
        next_steps: next_steps(&troubled, only_canceled),
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

/// What to do, once for all errors that it mends.
fn next_steps(troubled: &[&CheckEnded], only_canceled: bool) -> Vec<Text> {
    if troubled.is_empty() {
        return vec![Text::own(remedy(None, only_canceled))];
    }
    let mut steps: Vec<(&'static str, BTreeSet<&str>)> = Vec::new();
    for check in troubled {
        let code = check.error_code.as_deref();
        let step = remedy(code, check.status == CheckStatus::Canceled);
        match steps.iter_mut().find(|(known, _)| *known == step) {
            Some((_, codes)) => codes.extend(code),
            None => steps.push((step, code.into_iter().collect())),
        }
    }
    let told = |(step, codes): (&'static str, BTreeSet<&str>)| {
        let codes = Text::joined(codes, ", ");
        if codes.is_empty() { Text::own(step) } else { text!("{}: {}", codes, Text::own(step)) }
    };
    steps.into_iter().map(told).collect()
}
