//! What is used of the budgets: what `mitigation-commands` answers and the command line prints.
//!
//! Times are RFC 3339 in UTC, to the second. What the ledger does not have is left out.

use serde::Deserialize;
use serde::Serialize;

use super::pause::Pause;

/// The answer of `MitigationBudget`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Budgets {
    /// The pause, if mitigation is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// How many things the fleet has, as far as the ledger knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<u64>,
    /// The budgets of the policy, in its order. Empty: the policy lifts them.
    pub budgets: Vec<Used>,
}

/// What is used of a budget now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Used {
    /// The budget in words, as `10 or 1% of the fleet in 1h`.
    pub budget: String,
    /// How many findings and violations it lets through.
    pub limit: u64,
    /// How many are used.
    pub used: u64,
    /// When the first of them is over. None: nothing is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_from: Option<String>,
    /// By which tasks, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Part>,
}

/// What a task uses of a budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Part {
    /// The mitigation task.
    pub task_id: String,
    /// How many findings or violations.
    pub count: u64,
    /// Since when it counts.
    pub since: String,
    /// Until when.
    pub until: String,
}
