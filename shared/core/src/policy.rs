//! The operator's policy: ordered rules, first match wins, one outcome a rule.
//!
//! [`Policy::parse`] reads the file and refuses it as a whole if anything in it is wrong; what exists as a
//! [`Policy`] is valid. [`Policy::decide`] is pure: the same policy and finding give the same bytes again.

mod decision;
mod file;
mod matcher;

pub use decision::Condition;
pub use decision::Decision;
pub use decision::Outcome;
pub use decision::PassedOver;
pub use file::PolicyError;

use serde::Deserialize;
use serde::Serialize;

use crate::check::CheckName;
use crate::digest::Digest;
use crate::finding::Finding;
use crate::finding::Severity;
use matcher::Matcher;

/// Whether Fleetwarden may change anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Do everything up to the last call that would change something, and say what it would have done.
    #[default]
    Observe,
    /// Act.
    Enforce,
}

impl Mode {
    /// The safer of two modes. A message decided in one mode and handled in another acts only if both allow it.
    #[must_use]
    pub fn safer(self, other: Self) -> Self {
        self.min(other)
    }
}

/// A valid policy.
#[derive(Debug)]
pub struct Policy {
    mode: Mode,
    hash: String,
    rules: Vec<Rule>,
}

/// One rule: what it matches and what then happens.
#[derive(Debug)]
pub struct Rule {
    name: String,
    matcher: Matcher,
    effect: Effect,
}

/// What a rule does with a finding that it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Have Device Defender pass over the resource in the audits to come.
    Suppress(Suppress),
    /// Apply mitigation actions.
    Mitigate(Mitigate),
    /// Say it and do nothing.
    Report(Report),
}

/// How to suppress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppress {
    /// For how long.
    pub end: SuppressEnd,
    /// Why this is right; people read it in the suppression's description.
    pub reason: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where it was agreed.
    pub ticket: Option<String>,
}

/// When a suppression ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressEnd {
    /// This many seconds after the audit that found the resource.
    After(i64),
    /// At this second since the epoch.
    At(i64),
    /// Never, until someone deletes it.
    Never,
}

/// How to mitigate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mitigate {
    /// One to five names of mitigation actions, applied in this order (`StartAuditMitigationActionsTask`).
    pub actions: Vec<String>,
}

/// How loud a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// Counted and exported, no alert.
    Silent,
    /// Counted, exported, and part of the check's alert.
    Alert,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and column.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let (mode, rules) = file::read(text)?;
        Ok(Self { mode, hash: Digest::new("policy").part(text).hex(), rules })
    }

    /// What the operator allows.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The identity of the file's text: 32 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Decides on one finding.
    pub fn decide(&self, finding: &Finding) -> Decision<'_> {
        let mut passed_over = Vec::new();
        let decided = |outcome, rule, passed_over| Decision {
            outcome,
            rule,
            passed_over,
            mode: self.mode,
            policy: &self.hash,
        };
        if finding.suppressed {
            return decided(Outcome::Suppressed, None, passed_over);
        }
        for rule in &self.rules {
            match rule.fails_on(finding) {
                None => return decided(Outcome::from(&rule.effect), Some(rule.name.as_str()), passed_over),
                // A rule for other checks is not worth a word: nobody expects it to match.
                Some(Condition::Check) => {}
                Some(condition) => passed_over.push(PassedOver { rule: &rule.name, failed_on: condition }),
            }
        }
        decided(Outcome::Report(Report::Alert), None, passed_over)
    }

    /// The mitigation that takes every finding of a check that is not suppressed, if there is one: then the
    /// whole set can be mitigated as one task instead of 25 findings at a time.
    pub fn takes_whole_check(&self, check: &CheckName) -> Option<(&str, &Mitigate)> {
        let rule = self.rules.iter().find(|rule| rule.matcher.may_take(check))?;
        match &rule.effect {
            Effect::Mitigate(mitigate) if rule.matcher.takes_all_of(check) => Some((&rule.name, mitigate)),
            _ => None,
        }
    }
}

impl Rule {
    /// The first condition that a finding fails, or none if the rule matches.
    fn fails_on(&self, finding: &Finding) -> Option<Condition> {
        // What names no resource can only be reported: there is nothing to suppress or to mitigate.
        let acts = !matches!(self.effect, Effect::Report(_));
        self.matcher
            .fails_on(finding)
            .or_else(|| (acts && finding.identifier().is_none()).then_some(Condition::Resource))
    }
}

impl Suppress {
    /// The end of a suppression that is made for an audit that began at a second since the epoch.
    pub fn ends_at(&self, audit_started: i64) -> Option<i64> {
        match self.end {
            SuppressEnd::After(seconds) => Some(audit_started.saturating_add(seconds)),
            SuppressEnd::At(at) => Some(at),
            SuppressEnd::Never => None,
        }
    }
}

/// The severity that an operator can name in a rule.
fn severity(word: &str) -> Option<Severity> {
    let severity = Severity::parse(word);
    (severity != Severity::Unknown).then_some(severity)
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
