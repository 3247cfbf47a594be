//! A finding as other messages name it.

use serde::Deserialize;
use serde::Serialize;

use crate::model::finding::FindingKey;
use crate::model::suppression::FirstSuppressed;
use crate::timestamp::Millis;

/// A finding by its two names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingRef {
    /// Its id in this audit.
    pub finding_id: String,
    /// Its identity across audits.
    pub key: FindingKey,
    /// Its past, by which a rule decided. None if a command names it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub past: Option<Past>,
}

/// What the audits up to this one know of a finding, for a policy that decides on it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// When it was first seen.
    pub first_seen: Millis,
    /// In how many audits it was seen.
    pub times_seen: u32,
    /// Since when a rule had suppressed it for a length of time, before this audit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_suppressed: Option<FirstSuppressed>,
}
