//! Whether mitigation helped.

use serde::Deserialize;
use serde::Serialize;

/// What the next audit of a check says of a mitigated finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The audit does not list it: the mitigation is verified.
    Gone,
    /// The audit lists it again.
    StillThere,
    /// The audit lists it as suppressed, which says nothing of the mitigation.
    Suppressed,
}

impl Verdict {
    /// The word in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::StillThere => "still-there",
            Self::Suppressed => "suppressed",
        }
    }

    /// From the word in the ledger.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Gone, Self::StillThere, Self::Suppressed].into_iter().find(|verdict| verdict.as_str() == word)
    }
}
