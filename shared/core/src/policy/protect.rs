//! What no rule may mitigate.

use std::fmt;

use serde::Serialize;

use super::glob::Glob;
use super::matcher::Condition;
use crate::ids::CheckName;
use crate::model::resource::ResourceIdentifier;
use crate::model::thing::Behind;
use crate::model::thing::Things;
use crate::model::thing::Wanted;
use crate::text;
use crate::untrusted::Piece;
use crate::untrusted::Text;

/// The protections of a policy.
#[derive(Debug, Default)]
pub(super) struct Protections {
    pub(super) things: Box<[Glob]>,
    pub(super) groups: Box<[Glob]>,
    pub(super) certificates: Box<[Glob]>,
    pub(super) policies: Box<[Glob]>,
}

/// What keeps a mitigation from a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Protection<'p> {
    /// A thing behind it is protected, by this pattern.
    Thing(&'p str),
    /// A group that a thing behind it is in is protected, by this pattern.
    Group(&'p str),
    /// The certificate is protected, by this pattern.
    Certificate(&'p str),
    /// The policy is protected, by this pattern.
    Policy(&'p str),
}

impl<'p> Protection<'p> {
    const fn parts(&self) -> (&'static str, &'p str) {
        match self {
            Self::Thing(pattern) => ("things", pattern),
            Self::Group(pattern) => ("groups", pattern),
            Self::Certificate(pattern) => ("certificates", pattern),
            Self::Policy(pattern) => ("policies", pattern),
        }
    }
}

impl fmt::Display for Protection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, pattern) = self.parts();
        write!(f, "'{pattern}' of {kind}")
    }
}

impl Piece for Protection<'_> {
    fn text(&self) -> Text {
        let (kind, pattern) = self.parts();
        text!("`{}` of {}", pattern, kind)
    }
}

/// What the protections say of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protected<'p> {
    No,
    By(Protection<'p>),
    /// Things or groups are protected, and nobody knows what is behind the resource.
    Unknown(Wanted),
}

impl Protections {
    /// Whether some resource of a check could be protected.
    pub(super) fn may_concern(&self, check: &CheckName) -> bool {
        let name = check.as_str();
        // By what the names of the service's checks say they look at; an unknown check can look at anything.
        let things = !self.things.is_empty() || !self.groups.is_empty() || !self.certificates.is_empty();
        let policies = !self.policies.is_empty();
        match check.is_known() {
            false => things || policies,
            true if name.contains("LOGGING") || name.contains("COGNITO") || name.contains("ROLE_ALIAS") => {
                false
            }
            true if name.contains("POLICY") => things || policies,
            true => things,
        }
    }

    /// Whether findings of a check are never mitigated, because nobody can look up all that stands behind their
    /// resources and something of it may be protected.
    pub(super) fn holds_all_of(&self, check: &CheckName) -> bool {
        let things = !self.things.is_empty() || !self.groups.is_empty();
        let name = check.as_str();
        name.starts_with("IOT_POLICY_") && things
            || name.starts_with("INTERMEDIATE_CA_") && (things || !self.certificates.is_empty())
    }

    /// Whether a resource is protected, given what is known of the things behind it.
    pub(super) fn judge(&self, identifier: &ResourceIdentifier, things: &Things) -> Protected<'_> {
        let certificate = identifier
            .device_certificate_id
            .as_deref()
            .or(identifier.ca_certificate_id.as_deref())
            // An ARN ends with the certificate's id.
            .or(identifier.device_certificate_arn.as_deref().and_then(|arn| arn.rsplit('/').next()));
        let policy = identifier.policy_version_identifier.as_ref().and_then(|id| id.policy_name.as_deref());
        if let Some(glob) = first(&self.certificates, certificate) {
            return Protected::By(Protection::Certificate(glob));
        }
        if let Some(glob) = first(&self.policies, policy) {
            return Protected::By(Protection::Policy(glob));
        }
        let behind = identifier.behind();
        // An issuer stands for its certificates, and any of those may be protected.
        let certificates = behind == Behind::Many && policy.is_none() && !self.certificates.is_empty();
        match (behind, things) {
            (Behind::Nothing, _) => Protected::No,
            (_, Things::Unknown { .. } | Things::NotAsked) if certificates => {
                Protected::Unknown(Condition::Thing.wanted(things))
            }
            _ => self.of_things(things),
        }
    }

    /// Whether any of some things is protected.
    pub(super) fn of_things(&self, things: &Things) -> Protected<'_> {
        if self.things.is_empty() && self.groups.is_empty() {
            return Protected::No;
        }
        let Things::Known(known) = things else {
            return Protected::Unknown(Condition::Thing.wanted(things));
        };
        let mut wanted = None;
        for thing in known {
            if let Some(glob) = first(&self.things, Some(&thing.name)) {
                return Protected::By(Protection::Thing(glob));
            }
            if self.groups.is_empty() {
                continue;
            }
            match &thing.groups {
                None => wanted = Some(Condition::Group.wanted(things)),
                Some(groups) => {
                    if let Some(glob) = groups.iter().find_map(|group| first(&self.groups, Some(group))) {
                        return Protected::By(Protection::Group(glob));
                    }
                }
            }
        }
        wanted.map_or(Protected::No, Protected::Unknown)
    }
}

fn first<'p>(globs: &'p [Glob], text: Option<&str>) -> Option<&'p str> {
    globs.iter().find(|glob| text.is_some_and(|text| glob.matches(text))).map(Glob::text)
}
