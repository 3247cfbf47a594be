//! What came of undoing mitigations: what `mitigation-commands` answers and the command line prints.

use serde::Deserialize;
use serde::Serialize;

/// The answer of `MitigationUndo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Undone {
    /// Whether nothing was changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The mitigation tasks, the newest first.
    pub tasks: Vec<UndoneTask>,
    /// The token of what comes next. Without it, all is done that can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// What came of undoing a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UndoneTask {
    /// Its id.
    pub task_id: String,
    /// Why nothing of it is undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its resources, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<UndoneResource>,
}

/// What came of putting the state of a resource back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UndoneResource {
    /// The kind: `certificate`, `ca-certificate`, `policy`, `thing` or `logging`.
    pub kind: String,
    /// The id of a certificate, the name of a thing or of a policy.
    pub name: String,
    /// `undone`, `as-before` (there was nothing to do), `would-undo` of a dry run, `refused` or `failed`.
    pub result: String,
    /// Why, where that needs a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was done, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
}

impl UndoneResource {
    /// Whether the resource is as it was before its mitigation.
    pub fn is_good(&self) -> bool {
        matches!(self.result.as_str(), "undone" | "as-before" | "would-undo")
    }
}
