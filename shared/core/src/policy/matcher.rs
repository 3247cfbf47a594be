//! The conditions of a rule, made ready to be asked a million times.

use wildmatch::WildMatch;

use super::Condition;
use crate::check::CheckName;
use crate::finding::Finding;
use crate::finding::Severity;

/// Conditions on a finding: all that are set must hold, and in each any of the values.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    pub(super) checks: Option<Vec<WildMatch>>,
    pub(super) severities: Option<Vec<Severity>>,
    pub(super) reasons: Option<Vec<WildMatch>>,
    pub(super) resources: Option<Vec<WildMatch>>,
}

impl Matcher {
    /// The first condition that a finding fails.
    pub(super) fn fails_on(&self, finding: &Finding) -> Option<Condition> {
        if !self.may_take(&finding.check) {
            return Some(Condition::Check);
        }
        if self.severities.as_ref().is_some_and(|s| !s.contains(&finding.severity)) {
            return Some(Condition::Severity);
        }
        let reason = finding.reason_code.as_deref().unwrap_or_default();
        if !any(self.reasons.as_deref(), || reason) {
            return Some(Condition::Reason);
        }
        let resources = self.resources.as_deref()?;
        let label = finding.identifier().map(|id| id.label());
        let holds = label.is_some_and(|label| any(Some(resources), || &label));
        (!holds).then_some(Condition::Resource)
    }

    /// Whether a finding of the check can match at all.
    pub(super) fn may_take(&self, check: &CheckName) -> bool {
        any(self.checks.as_deref(), || check.as_str())
    }

    /// Whether every finding of the check matches, whatever it is.
    pub(super) fn takes_all_of(&self, check: &CheckName) -> bool {
        self.may_take(check)
            && self.severities.is_none()
            && self.reasons.is_none()
            && self.resources.is_none()
    }
}

fn any<'v>(patterns: Option<&[WildMatch]>, value: impl Fn() -> &'v str) -> bool {
    patterns.is_none_or(|patterns| patterns.iter().any(|p| p.matches(value())))
}
