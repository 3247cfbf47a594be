//! What came of undoing suppressions: what `mitigation-commands` answers and the command line prints.

use serde::Deserialize;
use serde::Serialize;

use crate::model::resource::ResourceIdentifier;

/// The answer of `SuppressionUndo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Undone {
    /// Whether nothing was changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The suppressions, the newest first.
    pub suppressions: Vec<UndoneSuppression>,
    /// What the next audit does, by rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next_audit: Vec<NextAudit>,
    /// The token of what comes next. Without it, all is done that can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// What came of undoing a suppression.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UndoneSuppression {
    /// The check.
    pub check: String,
    /// The resource.
    pub resource: ResourceIdentifier,
    /// The rule that made it, or changed it.
    pub rule: String,
    /// In which audit.
    pub audit_task_id: String,
    /// `undone`, `as-before` (there was nothing to do), `would-undo` of a dry run, `refused` or `failed`.
    pub result: String,
    /// Why, where that needs a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The call that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

/// What the next audit does about what a rule had suppressed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NextAudit {
    /// The rule.
    pub rule: String,
    /// Whether it suppresses again. None: the policy cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppresses_again: Option<bool>,
    /// The same in words, with what to do.
    pub next: String,
}

impl UndoneSuppression {
    /// Whether the suppression is as it was before.
    pub fn is_good(&self) -> bool {
        matches!(self.result.as_str(), "undone" | "as-before" | "would-undo")
    }
}
