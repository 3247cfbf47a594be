//! A file of cases as the operator writes it. Its words are those of the policy language where that has one.

use super::super::guards::Used;
use super::super::short::alarm::Alarm;
use super::super::short::{self, OneOr};
use super::super::things::Said;
use fleetwarden_core::policy::yaml::Spanned;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Cases for a policy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    /// The policy, by its path from this file's folder. Left out: the file of the same name in the folder above.
    pub(super) policy: Option<Spanned<String>>,
    /// The file of things and groups, by its path from this file's folder: what a case does not say of things is as it has
    /// them.
    pub(super) things: Option<String>,
    /// The cases, in the order in which they are told.
    pub(super) cases: Spanned<Vec<Case>>,
}

/// A finding or an alarm, and what the policy should decide on it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    /// What the case shows, in words that no other case of the file has.
    pub(super) name: Spanned<String>,
    /// When the audit began, or when the alarm is decided on. Left out: 2026-01-01T00:00:00Z.
    pub(super) at: Option<Spanned<String>>,
    /// The finding, unless there is an alarm.
    pub(super) finding: Option<short::Finding>,
    /// The alarm, unless there is a finding.
    pub(super) alarm: Option<Alarm>,
    /// The things behind its resource, all of them, or `unknown`. Left out: there are none. Of an alarm, the thing with the
    /// name of the device, or none if it is not registered. Left out: it is registered, and in no group.
    pub(super) things: Option<Spanned<Said>>,
    /// The things that are connected, by their names. Left out: all count as connected.
    pub(super) connected: Option<Vec<Spanned<String>>>,
    /// How many findings and alarms are used of each budget, or of those that are named, as `mitigation budget` names them.
    /// Left out: none.
    pub(super) budget_used: Option<BudgetUsed>,
    /// What should come out. Only what is written is compared.
    pub(super) expect: Spanned<Expect>,
}

/// Cases, or one alone, of which `policy explain` says what comes out, whatever they expect.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ToExplain {
    pub(super) things: Option<String>,
    #[serde(rename = "policy")]
    _policy: Option<IgnoredAny>,
    pub(super) cases: Vec<CaseToExplain>,
}

/// A case without what is expected of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CaseToExplain {
    pub(super) name: Option<String>,
    pub(super) at: Option<Spanned<String>>,
    pub(super) finding: Option<short::Finding>,
    pub(super) alarm: Option<Alarm>,
    pub(super) things: Option<Spanned<Said>>,
    pub(super) connected: Option<Vec<Spanned<String>>>,
    pub(super) budget_used: Option<BudgetUsed>,
    #[serde(rename = "expect")]
    _expect: Option<IgnoredAny>,
}

/// What tells cases from other files.
#[derive(Debug, Deserialize)]
pub(super) struct Shape {
    pub(super) cases: Option<IgnoredAny>,
    pub(super) finding: Option<FindingShape>,
    pub(super) alarm: Option<IgnoredAny>,
}

/// What tells the finding of a case from one of the AWS CLI.
#[derive(Debug, Deserialize)]
pub(super) struct FindingShape {
    pub(super) check: Option<IgnoredAny>,
}

/// What should come out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expect {
    /// The rule that decides, or `none`.
    pub(super) rule: Option<Spanned<String>>,
    /// `suppress`, `mitigate`, `report` or `suppressed`; of an alarm `mitigate`, `report` or `verify`.
    pub(super) outcome: Option<Spanned<String>>,
    /// The mitigation actions in their order, or `none`.
    pub(super) actions: Option<Spanned<OneOr<Vec<String>>>>,
    /// When the suppression ends, or `indefinitely`, or `none`.
    pub(super) until: Option<Spanned<String>>,
    /// How severe the alert is, or `silent`, or `none`; of an alarm also `usual`, where no rule says how severe it is.
    pub(super) alert: Option<Spanned<String>>,
    /// What keeps the rule from acting: `protectedBy`, `protectionUnknown`, `ruleUnknown` or `none`; the first and
    /// the third also with what, as in an explanation. Of an alarm also `registrationUnknown`, `ended`,
    /// `nothingToMitigate`, `nothingToVerify` or `verified`.
    pub(super) held: Option<Spanned<OneOr<Held>>>,
    /// The rule in shadow that would decide, or `none`.
    pub(super) shadow: Option<Spanned<String>>,
    /// The guard that stops the mitigation first: `windows`, `devices`, `connections`, `approval`, `budget`, `unknown` where that
    /// is not known here, or `none`. Approval and budget also with why or which.
    pub(super) guard: Option<Spanned<OneOr<Guard>>>,
    /// When a mitigation can begin that is decided at `at`, or `at once`, `never` or `none`.
    pub(super) opens: Option<Spanned<String>>,
    /// Of an alarm: after which time what was added to a group is released, as `24h`, or `none`.
    pub(super) release: Option<Spanned<String>>,
    /// Of an alarm: its new verification state, or `none`.
    pub(super) state: Option<Spanned<String>>,
    /// Of an alarm: how long it has lasted when it is decided on again, as `1h`, or `none`.
    pub(super) again: Option<Spanned<String>>,
}

/// How much is used of budgets.
#[derive(Debug)]
pub(super) struct BudgetUsed(pub(super) Used);

impl<'de> Deserialize<'de> for BudgetUsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = BudgetUsed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or budgets with one each")
            }
            fn visit_u64<E: de::Error>(self, used: u64) -> Result<BudgetUsed, E> {
                Ok(BudgetUsed(Used::Each(used)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<BudgetUsed, E> {
                let wrong = |_| {
                    E::custom(format!(
                        "a whole number, or budgets with one each, is expected here, not '{text}'"
                    ))
                };
                text.parse().map(Used::Each).map(BudgetUsed).map_err(wrong)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<BudgetUsed, A::Error> {
                let mut used = BTreeMap::new();
                while let Some((budget, count)) = members.next_entry()? {
                    used.insert(budget, count);
                }
                Ok(BudgetUsed(Used::By(used)))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// The guard that stops a mitigation, with what stops it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Guard {
    /// What asks for the approval, by its key in the rule.
    pub(super) approval: Option<OneOr<Vec<String>>>,
    /// The budget that has no room, as `mitigation budget` names it.
    pub(super) budget: Option<String>,
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
