//! What was decided on a finding, and why.

use serde::Serialize;
use serde::ser::SerializeStruct;
use serde::ser::Serializer;

use super::Effect;
use super::Mitigate;
use super::Mode;
use super::Report;
use super::Suppress;

/// A decision with its explanation. It borrows from the policy: making one allocates only for the rules that
/// were passed over.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<'p> {
    /// What happens.
    pub outcome: Outcome<'p>,
    /// The rule that decided. None if Device Defender had suppressed the finding, or if no rule matched.
    pub rule: Option<&'p str>,
    /// The earlier rules for this check, each with the first condition that it failed on.
    pub passed_over: Vec<PassedOver<'p>>,
    /// The policy's mode.
    pub mode: Mode,
    /// The policy's hash.
    pub policy: &'p str,
}

/// What happens with a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'p> {
    /// A suppression was in force when the audit ran: nothing to decide.
    Suppressed,
    /// Suppress the resource.
    Suppress(&'p Suppress),
    /// Mitigate the finding.
    Mitigate(&'p Mitigate),
    /// Say it.
    Report(Report),
}

impl Outcome<'_> {
    /// The outcome's word, as it stands in records and logs.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Suppressed => "suppressed",
            Self::Suppress(_) => "suppress",
            Self::Mitigate(_) => "mitigate",
            Self::Report(_) => "report",
        }
    }
}

impl<'p> From<&'p Effect> for Outcome<'p> {
    fn from(effect: &'p Effect) -> Self {
        match effect {
            Effect::Suppress(suppress) => Self::Suppress(suppress),
            Effect::Mitigate(mitigate) => Self::Mitigate(mitigate),
            Effect::Report(report) => Self::Report(*report),
        }
    }
}

/// A rule that did not decide, and the first condition that kept it from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PassedOver<'p> {
    /// The rule's name.
    pub rule: &'p str,
    /// The condition.
    pub failed_on: Condition,
}

/// The conditions of a rule, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// The check's name.
    Check,
    /// The severity.
    Severity,
    /// The reason code.
    Reason,
    /// The resource, or that there is none.
    Resource,
}

impl Serialize for Decision<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let actions = match self.outcome {
            Outcome::Mitigate(mitigate) => Some(&mitigate.actions),
            _ => None,
        };
        let mut out = serializer.serialize_struct("Decision", 6)?;
        out.serialize_field("outcome", self.outcome.word())?;
        out.serialize_field("rule", &self.rule)?;
        match actions {
            Some(actions) => out.serialize_field("actions", actions)?,
            None => out.skip_field("actions")?,
        }
        out.serialize_field("passedOver", &self.passed_over)?;
        out.serialize_field("mode", &self.mode)?;
        out.serialize_field("policy", self.policy)?;
        out.end()
    }
}
