//! The debt of suppressions: how much is hidden, by whom, and for how long still.
//!
//! `suppression-review` counts it, the ledger keeps the latest, and metrics, alert and report tell it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::timestamp::Millis;

/// The suppressions of an account and region at one review.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Debt {
    /// When the review that counted it began.
    pub reviewed_at: Millis,
    /// All suppressions that there are, lapsed ones included.
    pub suppressions: u64,
    /// Of these, without an end.
    pub indefinite: u64,
    /// Of these, whose end is past.
    pub lapsed: u64,
    /// Of these, that end within the next 30 days.
    pub ending: u64,
    /// Of these, that nobody answers for.
    pub ownerless: u64,
    /// Of these, that people made by hand.
    pub by_hand: u64,
    /// Of these, whose resource the last audit of their check did not find, so that they hide nothing.
    pub idle: u64,
    /// When the oldest was first seen by a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Millis>,
    /// What does not comply in the last audit of each check, the suppressed included.
    pub non_compliant: u64,
    /// Of that, what is suppressed.
    pub hidden: u64,
    /// By who answers for it; those without an owner under the empty name.
    pub owners: BTreeMap<String, Owned>,
}

/// The suppressions of one owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owned {
    /// How many.
    pub suppressions: u64,
    /// Of these, without an end.
    pub indefinite: u64,
    /// When the oldest was first seen by a review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Millis>,
}

impl Debt {
    /// What share of non-compliance is hidden, from 0 to 1. None if everything complies.
    pub fn hidden_share(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts of resources are far below 2^52")]
        (self.non_compliant > 0).then(|| self.hidden as f64 / self.non_compliant as f64)
    }
}
