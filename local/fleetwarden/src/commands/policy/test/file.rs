//! A file of cases as the operator writes it. Its words are those of the policy language where that has one.

use super::super::short::{self, OneOr};
use super::super::things::Said;
use fleetwarden_core::policy::yaml::Spanned;
use serde::Deserialize;

/// Cases for a policy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    /// The policy, by its path from this file's folder. Left out: the file of the same name in the folder above.
    pub(super) policy: Option<Spanned<String>>,
    /// The cases, in the order in which they are told.
    pub(super) cases: Spanned<Vec<Case>>,
}

/// A finding, and what the policy should decide on it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    /// What the case shows, in words that no other case of the file has.
    pub(super) name: Spanned<String>,
    /// When the audit began. Left out: 2026-01-01T00:00:00Z.
    pub(super) at: Option<Spanned<String>>,
    /// The finding.
    pub(super) finding: short::Finding,
    /// The things behind its resource, all of them, or `unknown`. Left out: there are none.
    pub(super) things: Option<Spanned<Said>>,
    /// What should come out. Only what is written is compared.
    pub(super) expect: Spanned<Expect>,
}

/// What should come out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expect {
    /// The rule that decides, or `none`.
    pub(super) rule: Option<Spanned<String>>,
    /// `suppress`, `mitigate`, `report` or `suppressed`.
    pub(super) outcome: Option<Spanned<String>>,
    /// The mitigation actions in their order, or `none`.
    pub(super) actions: Option<Spanned<OneOr<Vec<String>>>>,
    /// When the suppression ends, or `indefinitely`, or `none`.
    pub(super) until: Option<Spanned<String>>,
    /// How severe the alert is, or `silent`, or `none`.
    pub(super) alert: Option<Spanned<String>>,
    /// What keeps the rule from acting: `protectedBy`, `protectionUnknown`, `ruleUnknown` or `none`; the first and
    /// the third also with what, as in an explanation.
    pub(super) held: Option<Spanned<OneOr<Held>>>,
    /// The rule in shadow that would decide, or `none`.
    pub(super) shadow: Option<Spanned<String>>,
    /// When a mitigation can begin that is decided at `at`, or `at once`, `never` or `none`.
    pub(super) opens: Option<Spanned<String>>,
}

/// What keeps a rule from acting.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Held {
    /// The protection, by its kind and pattern.
    pub(super) protected_by: Option<Protection>,
    /// The earlier rule of which nobody knows whether it matches.
    pub(super) rule_unknown: Option<String>,
}

/// A protection, by the pattern that stands in the policy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Protection {
    pub(super) thing: Option<String>,
    pub(super) group: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) policy: Option<String>,
}
