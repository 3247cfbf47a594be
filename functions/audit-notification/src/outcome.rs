//! What an audit came to: its checks, sorted by what each asks for. Pure.

use std::collections::BTreeMap;

use fleetwarden_core::api::notification::AuditEnded;
use fleetwarden_core::api::notification::CheckEnded;
use fleetwarden_core::api::notification::CheckStatus;
use fleetwarden_core::ids::AuditTaskId;
use fleetwarden_core::ids::InvalidId;
use fleetwarden_core::ids::names;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;

/// How far ahead of our clock an audit may have begun, in seconds: clocks differ, but not by a day.
const AHEAD_SECONDS: i64 = 86_400;

/// What a check asks for. If an audit has a check under its old name, too, the greater one counts: nothing is lost by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// It ended in a way that is not known here, with nothing found.
    Unclear,
    /// All of its resources comply, or are suppressed.
    Compliant,
    /// It could not be done: nobody knows what it would have found.
    Broken,
    /// It has findings.
    NonCompliant,
}

impl Verdict {
    fn of(check: &CheckEnded) -> Self {
        let found = check.non_compliant_resources_count.unwrap_or(0) > 0;
        match check.status {
            CheckStatus::CompletedNonCompliant => Self::NonCompliant,
            // Findings that are half there would make triage take all others as fixed.
            CheckStatus::Failed | CheckStatus::Canceled => Self::Broken,
            // Whatever word it ended with: what was found is looked at.
            CheckStatus::CompletedCompliant | CheckStatus::Unknown if found => Self::NonCompliant,
            _ if check.error_code.is_some() => Self::Broken,
            CheckStatus::CompletedCompliant => Self::Compliant,
            CheckStatus::Unknown => Self::Unclear,
        }
    }
}

/// The checks of an audit, each once, in the order of their names.
pub(crate) struct Outcome<'n>(Vec<(Verdict, &'n CheckEnded)>);

impl<'n> Outcome<'n> {
    /// Sorts the checks of an audit.
    pub(crate) fn of(ended: &'n AuditEnded) -> Self {
        let mut checks: BTreeMap<_, (Verdict, &CheckEnded)> = BTreeMap::new();
        for check in &ended.audit_details {
            let verdict = Verdict::of(check);
            let kept = checks.entry(&check.check).or_insert((verdict, check));
            if verdict > kept.0 {
                *kept = (verdict, check);
            }
        }
        Self(checks.into_values().collect())
    }

    /// Every check.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'n CheckEnded> {
        self.0.iter().map(|(_, check)| *check)
    }

    /// The checks with a verdict.
    pub(crate) fn with(&self, verdict: Verdict) -> impl Iterator<Item = &'n CheckEnded> {
        self.0.iter().filter(move |(v, _)| *v == verdict).map(|(_, check)| *check)
    }

    /// The checks that people should hear of: they failed, were canceled, or carry an error.
    pub(crate) fn troubled(&self) -> impl Iterator<Item = &'n CheckEnded> {
        self.all().filter(|check| {
            matches!(check.status, CheckStatus::Failed | CheckStatus::Canceled) || check.error_code.is_some()
        })
    }
}

/// The audit that a notification names.
///
/// # Errors
/// The path of the member that the service of this account cannot have sent, and what is wrong with it.
pub(crate) fn audit(ended: &AuditEnded, account: &str, region: &str, now: Millis) -> Result<Audit, String> {
    let wrong = |path: &str, what: String| Err(format!("{path} of the audit notification: {what}"));
    if ended.account_id != account {
        return wrong("accountId", format!("this is account {account}, not '{}'", shown(&ended.account_id)));
    }
    let task_id = match ended.task_id.parse::<AuditTaskId>() {
        Ok(task_id) => task_id,
        Err(invalid) => return wrong("taskId", invalid.to_string()),
    };
    if let Some(name) = ended.scheduled_audit_name.as_deref().filter(|name| !names::is_name(name)) {
        return wrong("scheduledAuditName", format!("'{}' is no name of a scheduled audit", shown(name)));
    }
    if !(0..=now.plus_seconds(AHEAD_SECONDS).0).contains(&ended.task_start_time.0) {
        let Millis(start) = ended.task_start_time;
        return wrong("taskStartTime", format!("{start} is no time in milliseconds at which an audit began"));
    }
    for (at, CheckEnded { check, .. }) in ended.audit_details.iter().enumerate() {
        if !names::is_check_name(check.as_str()) {
            let what = format!("'{}' is no check name", shown(check.as_str()));
            return wrong(&format!("auditDetails[{at}].checkName"), what);
        }
    }
    let own = |invalid: InvalidId| format!("the function's own settings: {invalid}");
    Ok(Audit {
        account: account.parse().map_err(own)?,
        region: region.parse().map_err(own)?,
        task_id,
        schedule: ended.scheduled_audit_name.clone(),
        started_at: ended.task_start_time,
    })
}

/// What triage is told of a check.
pub(crate) fn message(audit: &Audit, check: &CheckEnded) -> CheckMessage {
    CheckMessage {
        audit: audit.clone(),
        check: check.check.clone(),
        non_compliant: check.non_compliant_resources_count.unwrap_or(0),
        suppressed: check.suppressed_non_compliant_resources_count,
        resume: None,
    }
}
