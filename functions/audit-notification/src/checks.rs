//! The checks of an audit, by what each asks for. Pure.

use std::collections::BTreeMap;

use fleetwarden_core::api::notification::AuditEnded;
use fleetwarden_core::api::notification::CheckEnded;
use fleetwarden_core::api::notification::CheckStatus;

/// What a check asks for. If an audit also has a check under its old name, the greater one counts: then
/// nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Its status is unknown, and it has no findings.
    Unclear,
    /// All of its resources comply, or are suppressed.
    Compliant,
    /// It did not complete: its findings are unknown.
    Failed,
    /// It has findings.
    NonCompliant,
}

impl Verdict {
    fn of(check: &CheckEnded) -> Self {
        let found = check.non_compliant_resources_count.unwrap_or(0) > 0;
        match check.status {
            CheckStatus::CompletedNonCompliant => Self::NonCompliant,
            // Findings that are half there would make triage take all others as fixed.
            CheckStatus::Failed | CheckStatus::Canceled => Self::Failed,
            // Whatever word it ended with: what was found is looked at.
            CheckStatus::CompletedCompliant | CheckStatus::Unknown if found => Self::NonCompliant,
            _ if check.error_code.is_some() => Self::Failed,
            CheckStatus::CompletedCompliant => Self::Compliant,
            CheckStatus::Unknown => Self::Unclear,
        }
    }
}

/// The checks of an audit, each once, in the order of their names.
pub(crate) struct Checks<'n>(Vec<(Verdict, &'n CheckEnded)>);

impl<'n> Checks<'n> {
    /// The checks of an audit.
    pub(crate) fn of(ended: &'n AuditEnded) -> Self {
        let mut checks: BTreeMap<_, (Verdict, &CheckEnded)> = BTreeMap::new();
        for check in &ended.audit_details {
            let verdict = Verdict::of(check);
            let entry = checks.entry(&check.check).or_insert((verdict, check));
            if verdict > entry.0 {
                *entry = (verdict, check);
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

    /// The checks to alert on: they failed, were canceled, or have an error code.
    pub(crate) fn failed(&self) -> impl Iterator<Item = &'n CheckEnded> {
        self.all().filter(|check| {
            matches!(check.status, CheckStatus::Failed | CheckStatus::Canceled) || check.error_code.is_some()
        })
    }
}
