//! Suppression queue: what `apply-suppressions` suppresses.

use serde::Deserialize;
use serde::Serialize;

use super::audit::Audit;
use super::finding::FindingRef;
use crate::ids::CheckName;
use crate::ids::check::valid_check;
use crate::model::suppression::Words;
use crate::policy::Mode;

/// Suppression queue: findings of one check whose resources one rule suppresses. It is a request: the policy decides on
/// each finding again, and what it suppresses otherwise by then is left to the next audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SuppressionMessage {
    /// The audit.
    pub audit: Audit,
    /// The check.
    #[serde(deserialize_with = "valid_check")]
    pub check: CheckName,
    /// The rule that decided.
    pub rule: String,
    /// The hash of its policy.
    pub policy: String,
    /// The policy's mode when it was decided.
    pub mode: Mode,
    /// The end that was decided, in seconds since the epoch. None means indefinitely.
    pub expires_at: Option<i64>,
    /// The rule's words on the suppression.
    pub words: Words,
    /// Of which findings the resources are to be suppressed. Each has its past.
    pub findings: Vec<FindingRef>,
}
