//! Whether earlier mitigations helped: what of their findings this audit has found again.
//!
//! The alert goes out first, then the metric, and last the ledger says that this audit has looked. If the process dies in
//! between, the repeat tells the same again; if a later audit has ended by then, that one looks.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::verification::EndedTask;
use fleetwarden_aws::mitigations::verification::Mitigated;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::metrics::mitigations::Verification;
use fleetwarden_core::model::history::Record;
use fleetwarden_core::model::mitigation::verification::Verdict;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;

use crate::history::After;
use crate::step::Triage;

/// How many tasks an alert names.
const NAMED: usize = 5;

/// Looks at what was mitigated before this audit began.
pub(crate) async fn verify(triage: &Triage<'_>, message: &CheckMessage, after: &After) -> Result<(), Error> {
    let CheckMessage { audit, check, .. } = message;
    let mitigations = Mitigations::new(triage.ledger.clone());
    let tasks = mitigations.to_verify(audit, check).await?;
    if tasks.is_empty() {
        return Ok(());
    }
    // Two audits can have found, and two tasks mitigated, the same.
    let mut verdicts = BTreeMap::new();
    for finding in tasks.iter().flat_map(|task| &task.mitigated) {
        let verdict = verdict(after.look_up(finding.key)?.as_ref(), audit.started_at);
        verdicts.insert(finding.key, verdict);
    }
    let count = |of| verdicts.values().filter(|verdict| **verdict == of).count() as u64;
    let (verified, not_verified) = (count(Verdict::Gone), count(Verdict::StillThere));
    tracing::info!(
        check = %check, audit.task_id = %audit.task_id, verified, not_verified,
        "looked at what was mitigated before"
    );
    if not_verified > 0 {
        let is_still_there = |of: &&Mitigated| verdicts.get(&of.key) == Some(&Verdict::StillThere);
        let of_task = |task: &EndedTask| task.mitigated.iter().filter(is_still_there).count();
        let tasks: Vec<_> = tasks.iter().map(|task| (task.task_id.as_str(), of_task(task))).collect();
        triage.alerts.raise(&alert(message, &tasks, not_verified)).await?;
    }
    if !verdicts.is_empty() {
        (triage.emit)(&Verification { audit, check, verified, not_verified }.line());
    }
    // Each of them is there, since the same findings were looked up.
    let verdict = |finding: &Mitigated| verdicts.get(&finding.key).copied().unwrap_or(Verdict::StillThere);
    mitigations.verified(audit, tasks, verdict, triage.clock.now()).await
}

/// What an audit that began at a moment says of a finding, by the history after it. A history counts in seconds.
fn verdict(record: Option<&Record>, audit_started: Millis) -> Verdict {
    match record {
        Some(record) if record.open && record.last_seen.seconds() == audit_started.seconds() => {
            if record.suppressed { Verdict::Suppressed } else { Verdict::StillThere }
        }
        _ => Verdict::Gone,
    }
}

/// The alert on so many findings that are still there, with the tasks and of how many of them each was.
fn alert(message: &CheckMessage, tasks: &[(&str, usize)], count: u64) -> Alert {
    let CheckMessage { audit, check, .. } = message;
    let still_there: Vec<_> = tasks.iter().filter(|(_, count)| *count > 0).collect();
    let (findings, are) = if count == 1 { ("finding", "is") } else { ("findings", "are") };
    let named = still_there.iter().take(NAMED).map(|(task, count)| text!("`{}` ({})", *task, *count));
    let more = still_there.len().saturating_sub(NAMED);
    let more = if more > 0 { text!(" and {} more", more) } else { Text::default() };
    Alert {
        kind: Kind::MitigationNotVerified,
        severity: AlertSeverity::High,
        about: check.as_str().to_owned(),
        thread: format!("audit {}", audit.task_id),
        title: text!("{} mitigated {} of {} {} still there", count, findings, check, are),
        description: text!(
            "Device Defender says that every action on them succeeded, and audit task `{}` of account {} in {}, which \
             began after that, has found them again.\nMitigation tasks: {}{}.",
            audit.task_id,
            audit.account,
            audit.region,
            Text::joined(named, ", "),
            more
        ),
        next_steps: vec![
            "List the findings of each task: `fleetwarden mitigation show` with the id of the task; those with the \
             verdict `still-there` are meant."
                .into(),
            "See whether somebody took the mitigation back, or whether the resource has been set up again, in CloudTrail."
                .into(),
            text!(
                "For what the findings mean and how to fix them, run `fleetwarden audit audit-report --task-id {}`.",
                audit.task_id
            ),
        ],
        subject: Subject::Findings { task_id: audit.task_id.to_string(), check: check.clone() },
    }
}

#[cfg(test)]
mod tests {
    use fleetwarden_core::model::finding::FindingKey;
    use fleetwarden_core::model::severity::Severity;

    use super::*;

    #[test]
    fn only_what_this_audit_lists_unsuppressed_is_still_there() {
        let seen = |seconds| Record {
            key: FindingKey([7; 16]),
            first_seen: Millis::from_seconds(100),
            last_seen: Millis::from_seconds(seconds),
            times_seen: 2,
            severity: Severity::High,
            open: true,
            first_suppressed: None,
            suppressed: false,
        };
        let of = |record: Option<Record>| verdict(record.as_ref(), Millis(900_250));
        assert_eq!(of(None), Verdict::Gone);
        assert_eq!(of(Some(seen(900))), Verdict::StillThere);
        assert_eq!(of(Some(seen(800))), Verdict::Gone);
        assert_eq!(of(Some(Record { open: false, ..seen(900) })), Verdict::Gone);
        assert_eq!(of(Some(Record { suppressed: true, ..seen(900) })), Verdict::Suppressed);
    }
}
