//! A mitigation task as the ledger has it: what `mitigation-commands` answers and the command line prints.
//!
//! Times are RFC 3339 in UTC, to the second. What the ledger does not have is left out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::model::mitigation::Outcomes;
use crate::model::mitigation::approval::Approval;
use crate::model::mitigation::impact::Impact;
use crate::model::mitigation::verification::Verdict;
use crate::model::resource::ResourceIdentifier;

/// A mitigation task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Task {
    /// Its id at Device Defender, also if it has not been started there.
    pub task_id: String,
    /// Its state: one of [`STATES`](super::STATES).
    pub state: String,
    /// Why it is in this state, where that needs a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who asked for it: `rule` or `command`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The rule of the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The audit with the findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_task_id: Option<String>,
    /// What it does, by check. Empty: it mitigates alarms.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, CheckTask>,
    /// The security profile of the alarms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The behavior of the alarms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behavior: Option<String>,
    /// The mitigation actions on the alarms, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// After how many seconds without an alarm the things are taken out of the groups again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_after_seconds: Option<i64>,
    /// On how many findings or violations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How many more were asked for and are left out, for the reason that is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<u64>,
    /// What became of the findings, once the task has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<Outcomes>,
    /// How hard it is to take each of its actions back, by name, as far as it was known at the claim: the word of a
    /// [`Grade`](super::grade::Grade).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub grades: BTreeMap<String, String>,
    /// What the guards said when it was claimed or held last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<GuardAnswer>,
    /// The canary of its rule, check and audit, as it stands now. Only of one task that is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// How many devices it concerns, if a guard has asked. A list has the numbers in all alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact: Option<Impact>,
    /// When it was claimed, held, superseded, refused or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
    /// When the windows open for which it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_until: Option<String>,
    /// When it was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
}

/// The canary of a rule in one check and audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Canary {
    /// `running`, `void` (its task never started), `passed` or `stopped`.
    pub state: String,
    /// The task that goes first.
    pub task_id: String,
    /// The findings that go first.
    pub first: Vec<String>,
    /// How many findings the rule mitigates of the check.
    pub of: u64,
    /// Why it has passed or was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of one that was stopped, whether what it changed is put back: `no`, `due` or `done`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// What a guard said of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GuardAnswer {
    /// The guard: `pause`, `windows`, `devices`, `connections`, `canary`, or a budget in words.
    pub guard: String,
    /// Whether it lets the task start.
    pub passed: bool,
    /// Why, where that needs a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a task does about the findings of one check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckTask {
    /// The mitigation actions, in order.
    pub actions: Vec<String>,
    /// Whether it takes all findings of the check, not some that are named.
    pub whole_check: bool,
    /// Of the whole check, the reason codes that it takes. Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reason_codes: Vec<String>,
    /// On how many findings.
    pub count: u64,
    /// What became of them, once the task has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<Outcomes>,
}

/// What became of a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Finding {
    /// Its id in its audit.
    pub finding_id: String,
    /// Its identity across audits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding_key: Option<String>,
    /// The check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// What became of it: `completed`, `failed`, `canceled`, `skipped` or `unknown`. Before the task has ended, the state
    /// of the task.
    pub state: String,
    /// Whether the next audit found it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceIdentifier>,
    /// The things behind it, as far as they were known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub things: Option<Vec<String>>,
    /// What became of each mitigation action.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionResult>,
}

/// What became of a violation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Violation {
    /// Its id.
    pub violation_id: String,
    /// The thing.
    pub thing: String,
    /// When the alarm was raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raised_at: Option<String>,
    /// What became of it: `completed`, `failed`, `skipped`, `not-in-alarm` (the task did not touch it) or `unknown`. Before
    /// the task has ended, the state of the task.
    pub state: String,
    /// What became of each mitigation action.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionResult>,
    /// The groups that the thing was put into.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What came of the release from these groups: `released`, `undone` if a person did it before, or `kept` if people
    /// have to do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// What became of one mitigation action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ActionResult {
    /// The mitigation action's name.
    pub action: String,
    /// The service's word: of findings `COMPLETED`, of violations `SUCCESSFUL`, else `FAILED`, `SKIPPED`, `CANCELED`.
    pub status: String,
    /// The service's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// What the service said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl ActionResult {
    /// An action of this name that succeeded on a finding.
    pub fn completed(action: &str) -> Self {
        Self { action: action.to_owned(), status: "COMPLETED".to_owned(), error_code: None, message: None }
    }
}

/// The answer of `MitigationShow`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Shown {
    /// The task.
    pub task: Task,
    /// Its approval, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Findings of it: first those that did not succeed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Violations of it: first those that did not succeed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// The token of the next page. A page can be empty and have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// The answer of `MitigationList`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Listed {
    /// Tasks, newest first.
    pub tasks: Vec<Task>,
    /// The token of the next page. A page can be empty and have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}
