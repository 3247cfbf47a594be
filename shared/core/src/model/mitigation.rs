//! Mitigation tasks: their limits, their states, how their findings ended, what was
//! there before them ([`before`]), how many devices they
//! concern ([`impact`]), and a task as the ledger has it ([`view`]).

pub mod before;
pub mod budget;
pub mod grade;
pub mod impact;
pub mod pause;
pub mod undo;
pub mod verification;
pub mod view;

use serde::Deserialize;
use serde::Serialize;

/// How many finding ids one task takes (`AuditMitigationActionsTaskTarget.findingIds`).
pub const MAX_FINDINGS: usize = 25;
/// How many violations one task takes (`DetectMitigationActionsTaskTarget.violationIds`).
pub const MAX_VIOLATIONS: usize = 25;
/// How many reason codes a check can be filtered by (`auditCheckToReasonCodeFilter`).
pub const MAX_REASON_CODES: usize = 25;

/// The states of a mitigation task in the ledger. docs/operate.md says what they mean.
pub const STATES: [&str; 11] = [
    "claimed",
    "observed",
    "held",
    "superseded",
    "started",
    "completed",
    "failed",
    "canceled",
    "lost",
    "refused",
    "given-up",
];

/// What became of the findings of a mitigation task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the service's own words")]
pub struct Outcomes {
    pub total: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub skipped: u64,
    pub canceled: u64,
}
