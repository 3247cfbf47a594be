//! The approval of a mitigation by a person: what is explained, what an approval is bound to, and what came of it.
//!
//! A person approves just what was explained. What would be done now is compared with that ([`Explanation::beyond`]): less
//! is approved too, and more or something else is not. Pure.
//!
//! Times are RFC 3339 in UTC, to the second. What the ledger does not have is left out.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;

use super::grade::Grade;
use super::pause::Pause;
use crate::digest::Digest;

/// How many hexadecimal digits name an explanation.
const ID_DIGITS: usize = 12;

/// What asks for an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// The rule asks for it always.
    Always,
    /// An action cannot be taken back, or nobody can say how.
    Irreversible,
    /// A finding is as severe as the rule says.
    Severity,
    /// More devices stand behind it than the rule says.
    Devices,
    /// More devices are connected than the rule says.
    Connected,
    /// It would start outside of the policy's windows.
    OutsideOfWindow,
    /// It would go over a budget.
    OverBudget,
    /// A command asks for it, and the policy wants two persons.
    TwoPersons,
}

impl Need {
    /// Whether it can pass by itself: a window opens, or a budget has room.
    #[must_use]
    pub const fn can_pass(self) -> bool {
        matches!(self, Self::OutsideOfWindow | Self::OverBudget)
    }
}

/// A mitigation action as it was explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedAction {
    /// Its name.
    pub name: String,
    /// What it does: its type and parameters.
    pub does: String,
    /// How hard it is to take back.
    pub grade: Grade,
}

/// Why an approval is asked for, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// What asks for it.
    pub need: Need,
    /// In words.
    pub why: String,
}

/// What is explained to the one who approves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Explanation {
    /// Why.
    pub reasons: Vec<Reason>,
    /// The actions, in order.
    pub actions: Vec<ExplainedAction>,
    /// The findings or violations; of a whole check the reason codes of its findings.
    pub parts: BTreeSet<String>,
    /// How many findings or violations.
    pub count: u64,
    /// How many devices stand behind them. None: nobody has asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<u64>,
    /// How many of these are connected. None: nobody has asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<u64>,
    /// The hash of the policy. None: a command asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

impl Explanation {
    /// Its name: a digest of all that a person approves, without the policy, and without words and numbers that change
    /// with time.
    #[must_use]
    pub fn id(&self) -> String {
        let needs: BTreeSet<String> = self.reasons.iter().map(|of| format!("{:?}", of.need)).collect();
        let digest = Digest::new("explanation").parts(self.parts.iter().map(String::as_str));
        let digest = digest.parts(self.actions.iter().map(|action| action.name.as_str()));
        let digest = digest.parts(self.actions.iter().map(|action| action.does.as_str()));
        let digest = digest.parts(needs.iter().map(String::as_str));
        let number = |of: Option<u64>| of.map(|of| of.to_string()).unwrap_or_default();
        let digest = digest.part(&self.count.to_string()).part(&number(self.devices));
        digest.hex().chars().take(ID_DIGITS).collect()
    }

    /// Whether it names a need.
    #[must_use]
    pub fn has(&self, need: Need) -> bool {
        self.reasons.iter().any(|reason| reason.need == need)
    }

    /// Its reasons as one text.
    #[must_use]
    pub fn why(&self) -> String {
        self.reasons.iter().map(|reason| reason.why.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// How what would be done now goes beyond what was explained, if it does. Less is no more than was explained.
    #[must_use]
    pub fn beyond(&self, approved: &Self) -> Option<String> {
        if self.policy != approved.policy {
            return Some("the policy is another one".to_owned());
        }
        if self.actions != approved.actions {
            return Some("its actions or what they do have changed".to_owned());
        }
        if self.count > approved.count || !self.parts.is_subset(&approved.parts) {
            return Some("it is for more than was explained".to_owned());
        }
        if let Some(reason) = self.reasons.iter().find(|reason| !approved.has(reason.need)) {
            return Some(format!("there is a further reason: {}", reason.why));
        }
        // What nobody has counted is more than any number.
        let grows =
            |now: Option<u64>, then: Option<u64>| then.is_some_and(|then| now.is_none_or(|now| now > then));
        if grows(self.devices, approved.devices) {
            return Some("more devices stand behind it than was explained".to_owned());
        }
        if self.has(Need::Connected) && grows(self.connected, approved.connected) {
            return Some("more devices are connected than was explained".to_owned());
        }
        None
    }
}

/// Where the approval of a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// A person has to decide.
    Waiting,
    /// A person has approved.
    Approved,
    /// A person has rejected it.
    Rejected,
    /// Nobody has approved in time, or what was approved did not start in time: it is rejected.
    Lapsed,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Approved, Self::Rejected, Self::Lapsed];

    /// The word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Lapsed => "lapsed",
        }
    }
}

/// An approval as `MitigationShow` answers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Approval {
    /// `waiting`, `approved`, `rejected` or `lapsed`.
    pub state: String,
    /// The name of what is explained: it is given to approve just that.
    pub explanation_id: String,
    /// What is explained.
    pub explanation: Explanation,
    /// Until when a person has to approve; of what is approved, until when it has to start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Who asked for the task, as the command says. None: a rule did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// Who approved or rejected, as the command says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in the words of that person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The invocation: its event in AWS `CloudTrail` has the caller's identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The answer of `MitigationApprove`, `MitigationReject` and `MitigationCancel`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Answered {
    /// Whether nothing was changed, because it was only tried.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The task.
    pub task_id: String,
    /// Its state now: `held` of what is approved and about to start, `rejected`, or `canceling` of what Device Defender
    /// cancels.
    pub state: String,
    /// Whether an earlier try of the same command had done it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
    /// The approval, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// What still stops it: what is approved starts when it is resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// What comes next.
    pub next: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(does: &str) -> ExplainedAction {
        ExplainedAction { name: "Quarantine".into(), does: does.into(), grade: Grade::Reversible }
    }

    fn explained(parts: &[&str], needs: &[Need]) -> Explanation {
        let reason = |need: &Need| Reason { need: *need, why: format!("{need:?}") };
        Explanation {
            reasons: needs.iter().map(reason).collect(),
            actions: vec![action("adds to q")],
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
            count: parts.len() as u64,
            policy: Some("p".into()),
            ..Explanation::default()
        }
    }

    #[test]
    fn less_is_approved_too_and_more_is_not() {
        let approved = explained(&["a", "b"], &[Need::Always, Need::OverBudget]);
        let beyond = |now: Explanation| now.beyond(&approved);
        assert_eq!(beyond(approved.clone()), None);
        assert_eq!(beyond(explained(&["b"], &[Need::Always])), None);
        let more = beyond(explained(&["a", "c"], &[Need::Always])).unwrap();
        assert_eq!(more, "it is for more than was explained");
        let reason = beyond(explained(&["a"], &[Need::OutsideOfWindow])).unwrap();
        assert_eq!(reason, "there is a further reason: OutsideOfWindow");
        let other = Explanation { actions: vec![action("adds to r")], ..approved.clone() };
        assert_eq!(beyond(other).unwrap(), "its actions or what they do have changed");
        let policy = Explanation { policy: Some("q".into()), ..approved.clone() };
        assert_eq!(beyond(policy).unwrap(), "the policy is another one");
        let counted = Explanation { count: 3, ..approved.clone() };
        assert!(beyond(counted).is_some(), "a whole check that has grown");
    }

    #[test]
    fn a_number_of_devices_that_is_not_known_any_more_is_more() {
        let with = |devices, connected, needs: &[Need]| Explanation {
            devices,
            connected,
            ..explained(&["a"], needs)
        };
        let approved = with(Some(5), Some(2), &[Need::Devices, Need::Connected]);
        let beyond = |now: Explanation| now.beyond(&approved);
        assert_eq!(beyond(with(Some(5), Some(2), &[Need::Devices, Need::Connected])), None);
        assert_eq!(beyond(with(Some(4), Some(9), &[Need::Devices])), None, "connected is no reason");
        assert!(beyond(with(Some(6), Some(2), &[Need::Devices])).is_some());
        assert!(beyond(with(None, None, &[Need::Devices])).is_some());
        assert!(beyond(with(Some(5), Some(3), &[Need::Connected])).is_some());
    }

    #[test]
    fn its_name_is_of_what_is_approved_and_not_of_words_or_policy() {
        let one = explained(&["a", "b"], &[Need::Always]);
        let mut reworded = Explanation { policy: Some("q".into()), connected: Some(1), ..one.clone() };
        reworded.reasons[0].why = "other words".into();
        assert_eq!((one.id().len(), one.id()), (ID_DIGITS, reworded.id()));
        for other in [
            explained(&["a"], &[Need::Always]),
            explained(&["a", "b"], &[Need::Severity]),
            Explanation { actions: vec![action("adds to r")], ..one.clone() },
            Explanation { count: 9, ..one.clone() },
            Explanation { devices: Some(1), ..one.clone() },
        ] {
            assert_ne!(one.id(), other.id());
        }
    }
}
