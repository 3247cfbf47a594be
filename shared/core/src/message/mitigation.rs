//! Mitigation queue: mitigation tasks on findings, to start or to follow, and the identity of each.

use std::num::NonZeroU32;

use serde::Deserialize;
use serde::Serialize;

use super::audit::Audit;
use super::finding::FindingRef;
use crate::digest::Digest;
use crate::ids::CheckName;
use crate::ids::MitigationTaskId;
use crate::ids::check::valid_check;
use crate::ids::valid;
use crate::policy::BudgetKey;
use crate::policy::Mode;
use crate::timestamp::Millis;
use crate::untrusted::shown;

/// Mitigation queue: one mitigation task to start, or one to follow to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MitigationMessage {
    /// What is to be mitigated, and how.
    pub request: MitigationRequest,
    /// What comes next.
    pub step: Step,
    /// How often this step has been put off.
    #[serde(default)]
    pub waits: u32,
    /// Since when this step is put off. None: it has not been.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Millis>,
    /// Which message of its chain this is, if the step sent it to itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub round: Option<Round>,
}

/// A message in the chain by which a step waits: each one sends the next. A message can be delivered twice and then
/// sends twice, so the ledger gives each number to one id, and what has another id ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// Its number, from 1.
    pub number: NonZeroU32,
    /// Which of the messages with this number it is. A message that is delivered again has the same id.
    pub id: String,
}

impl MitigationMessage {
    /// A message that nothing has put off.
    pub const fn new(request: MitigationRequest, step: Step) -> Self {
        Self { request, step, waits: 0, since: None, round: None }
    }
}

/// A mitigation of one check's findings. A task that a command asks for may have several checks: then there is one
/// request for each of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MitigationRequest {
    /// The audit. If a command names findings, it is that of the first.
    pub audit: Audit,
    /// The check.
    #[serde(deserialize_with = "valid_check")]
    pub check: CheckName,
    /// Who asks for it: a member of its own, `rule` or `command`.
    #[serde(flatten)]
    pub origin: Origin,
    /// The policy's mode when it was decided.
    pub mode: Mode,
    /// The hash of the policy by which a rule decided. None of a command, which is no policy's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// One to five mitigation actions, in order.
    pub actions: Vec<String>,
    /// On which findings.
    pub target: Target,
    /// Its part in the canary of its rule. None: the policy that decided has none for the rule, or a command asks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub canary: Option<CanaryPart>,
}

/// The part that a request wishes to have in the canary of its rule, check and audit. Which it has, the ledger says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CanaryPart {
    /// It has the findings from which the first ones are taken, the best first.
    First {
        /// How many findings the rule mitigates of the check in the audit.
        of: u64,
    },
    /// It has some of the others.
    Rest,
}

/// Who asks for a mitigation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// The rule of the policy that has this name.
    Rule(String),
    /// A person or a workflow, by a command that gave the task this id.
    Command(#[serde(deserialize_with = "valid::<MitigationTaskId, _>")] String),
}

impl Origin {
    /// The rule's name, if it is one.
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::Command(_) => None,
        }
    }
}

/// On which findings a mitigation task works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// On these, 1 to 25.
    Findings(Vec<FindingRef>),
    /// On all of the check that are not suppressed, named by their reason codes, 1 to 25.
    #[serde(rename_all = "camelCase")]
    WholeCheck {
        /// Every reason code that the check's findings had; of a command, those that it names: none are all.
        reason_codes: Vec<String>,
        /// How many findings that was.
        count: u64,
    },
}

/// What is to be done with a mitigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Start the task.
    Start,
    /// Start the task: a guard has held it.
    Held(Held),
    /// See whether the task has ended.
    Follow,
    /// See whether the rest may follow the task, which is a canary.
    Watch,
}

/// What the ledger says of a mitigation that a guard holds: carried along, so that it is written once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// Since when it is held.
    pub since: Millis,
    /// Until when, if that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Millis>,
    /// If mitigation is paused: since when.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub paused: Option<Millis>,
    /// Whether it goes over a budget.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub over_budget: bool,
    /// If that is the budget of a thing group: how much of it counts there, so that nobody looks that up to see that there is
    /// still no room.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub in_group: Option<CountInGroup>,
    /// Whether it waits for the approval of a person.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub approval: bool,
    /// Whether it waits for the canary.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub canary: bool,
}

/// How many findings or violations of a mitigation count in a budget of a thing group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountInGroup {
    /// The budget.
    pub budget: BudgetKey,
    /// How many.
    pub count: u64,
}

impl MitigationRequest {
    /// The mitigation task's id. What a rule asks for has one that is also the token of the call that starts it:
    /// made from audit, check, rule, actions and findings, so that a repeat names the same task. 35 characters of
    /// `[a-z0-9-]`.
    pub fn task_id(&self) -> String {
        let rule = match &self.origin {
            Origin::Rule(rule) => rule,
            Origin::Command(task_id) => return task_id.clone(),
        };
        let digest = Digest::new("mitigation")
            .part(&self.audit.account)
            .part(&self.audit.region)
            .part(&self.audit.task_id)
            .part(self.check.as_str())
            .part(rule)
            .parts(self.actions.iter().map(String::as_str));
        let digest = match &self.target {
            Target::Findings(findings) => {
                let mut ids: Vec<&str> = findings.iter().map(|f| f.finding_id.as_str()).collect();
                ids.sort_unstable();
                digest.parts(ids.into_iter())
            }
            Target::WholeCheck { reason_codes, .. } => {
                digest.part("whole check").parts(reason_codes.iter().map(String::as_str))
            }
        };
        format!("fw-{}", digest.hex())
    }

    /// Checks that it is of this account.
    ///
    /// # Errors
    /// If it is of another.
    pub fn check_account(&self, account: &str) -> Result<(), String> {
        if self.audit.account != account {
            let what = format!("this is account {account}, not '{}'", shown(&self.audit.account));
            return Err(format!("audit.account: {what}"));
        }
        Ok(())
    }

    /// How many findings the mitigation is for.
    pub fn count(&self) -> u64 {
        self.target.count()
    }
}

impl Target {
    /// How many findings that is.
    pub fn count(&self) -> u64 {
        match self {
            Self::Findings(findings) => findings.len() as u64,
            Self::WholeCheck { count, .. } => *count,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use serde_json::json;

    use super::*;

    fn request() -> Value {
        let finding = |id: &str| json!({"findingId": id, "key": "0".repeat(32)});
        json!({
            "audit": {"account": "123456789012", "region": "us-east-1", "taskId": "t", "startedAt": 1},
            "check": "LOGGING_DISABLED_CHECK", "rule": "r", "mode": "enforce", "policy": "p",
            "actions": ["A", "B"], "target": {"findings": [finding("f-1"), finding("f-2")]},
        })
    }

    fn read(request: Value) -> MitigationRequest {
        serde_json::from_value(request).unwrap()
    }

    #[test]
    fn a_task_is_named_by_all_that_it_is_about_and_by_nothing_else() {
        let changed = |pointer: &str, to: Value| {
            let mut request = request();
            *request.pointer_mut(pointer).unwrap() = to;
            read(request).task_id()
        };
        let own = read(request()).task_id();
        assert_eq!(own.len(), 35, "{own}");
        assert!(own.starts_with("fw-"), "{own}");
        let reversed: Vec<Value> =
            request()["target"]["findings"].as_array().unwrap().iter().rev().cloned().collect();
        let whole = |codes: &[&str]| json!({"wholeCheck": {"reasonCodes": codes, "count": 2}});
        let same = [
            changed("/mode", json!("observe")),
            changed("/policy", json!("q")),
            changed("/target/findings", json!(reversed)),
        ];
        assert_eq!(same, [own.clone(), own.clone(), own.clone()]);
        let others = [
            own,
            changed("/audit/account", json!("210987654321")),
            changed("/audit/region", json!("eu-west-1")),
            changed("/audit/taskId", json!("u")),
            changed("/check", json!("CA_CERTIFICATE_EXPIRING_CHECK")),
            changed("/rule", json!("s")),
            changed("/actions", json!(["B", "A"])),
            changed("/target/findings/0/findingId", json!("f-3")),
            changed("/target", whole(&["X"])),
            changed("/target", whole(&["X", "Y"])),
        ];
        assert_eq!(others.iter().collect::<BTreeSet<_>>().len(), others.len(), "{others:?}");
    }

    #[test]
    fn a_request_knows_its_rule_its_account_and_how_many_findings_it_is_for() {
        let by_rule = read(request());
        assert_eq!((by_rule.origin.rule(), by_rule.count()), (Some("r"), 2));
        assert_eq!(by_rule.check_account("123456789012"), Ok(()));
        let foreign = by_rule.check_account("210987654321").unwrap_err();
        assert_eq!(foreign, "audit.account: this is account 210987654321, not '123456789012'");
        let mut command = request();
        command.as_object_mut().unwrap().remove("rule");
        command["command"] = json!("by-kim");
        command["target"] = json!({"wholeCheck": {"reasonCodes": ["X"], "count": 7}});
        let command = read(command);
        assert_eq!((command.origin.rule(), command.count()), (None, 7));
        assert_eq!(command.task_id(), "by-kim");
    }
}
