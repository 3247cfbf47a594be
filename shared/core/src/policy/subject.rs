//! What is decided on: a finding, its past, and what is known of the things behind it.

use std::borrow::Cow;

use crate::model::finding::Finding;
use crate::model::resource::ResourceIdentifier;
use crate::model::suppression::FirstSuppressed;
use crate::model::suppression::Terms;
use crate::model::thing::Things;
use crate::timestamp::Millis;

/// Everything that a decision depends on besides the policy.
#[derive(Clone, Debug)]
pub struct Subject<'s> {
    /// The finding.
    pub finding: &'s Finding,
    /// The account of the audit: 12 digits.
    pub account: &'s str,
    /// The region of the audit.
    pub region: &'s str,
    /// The time of the decision: the start of the audit, so that a repeat decides alike.
    pub at: Millis,
    /// When the finding was first seen.
    pub first_seen: Millis,
    /// In how many audits it was seen, this one included.
    pub times_seen: u32,
    /// Since when a rule has suppressed it for a length of time, by what was decided before.
    pub first_suppressed: Option<FirstSuppressed>,
    /// The things behind its resource.
    pub things: &'s Things,
}

impl Subject<'_> {
    /// How long ago it was first seen, in milliseconds.
    pub(super) fn age(&self) -> i64 {
        self.at.0.saturating_sub(self.first_seen.0)
    }

    /// Since when it is suppressed on these terms: since this decision if it was not before.
    pub(super) fn suppressed_since(&self, terms: Terms) -> FirstSuppressed {
        let before = self.first_suppressed.filter(|first| first.terms == terms);
        before.unwrap_or(FirstSuppressed { at: self.at, terms })
    }

    /// How long until the resource expires, in milliseconds; negative if it has expired.
    ///
    /// Source: `EXPIRATION_TIME` of `NonCompliantResource.additionalInfo`, epoch milliseconds.
    pub(super) fn expires_in(&self) -> Option<i64> {
        let info = &self.finding.resource.as_ref()?.additional_info;
        let at: i64 = info.get("EXPIRATION_TIME")?.parse().ok()?;
        Some(at.saturating_sub(self.at.0))
    }
}

/// The label of a resource for patterns, without allocation: that of a policy is joined from two texts.
pub(super) enum Label<'s> {
    Whole(Cow<'s, str>),
    Joined { bytes: [u8; ROOM], length: usize },
}

/// A policy's name has at most 128 bytes, and its version is a number.
const ROOM: usize = 160;

impl<'s> Label<'s> {
    pub(super) fn new(identifier: &'s ResourceIdentifier) -> Self {
        let Some(policy) = &identifier.policy_version_identifier else {
            return Self::Whole(identifier.label());
        };
        let part = |part: &'s Option<String>| part.as_deref().unwrap_or_default();
        let (name, version) = (part(&policy.policy_name), part(&policy.policy_version_id));
        let length = name.len() + 1 + version.len();
        if length > ROOM {
            return Self::Whole(identifier.label());
        }
        let mut bytes = [0; ROOM];
        let joined = name.bytes().chain([b':']).chain(version.bytes());
        bytes.iter_mut().zip(joined).for_each(|(to, from)| *to = from);
        Self::Joined { bytes, length }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Whole(text) => text,
            Self::Joined { bytes, length } => {
                std::str::from_utf8(bytes.get(..*length).unwrap_or_default()).unwrap_or_default()
            }
        }
    }
}
