//! The versions of policies. A policy that nobody has changed has its first versions, which are drawn from the seed and
//! all say the same; one that was changed has its own.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fleet::change::Trouble;
use crate::fleet::{Fleet, Policy};

/// A policy holds at most five versions (`CreatePolicyVersion`, `VersionsLimitExceededException`).
const MOST_VERSIONS: usize = 5;
/// The document of `BLANK_POLICY`: AWS does not print it. It allows nothing.
pub(crate) const BLANK: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

const HOUR_MS: i64 = 3_600_000;

/// What a version says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Document {
    /// What the policy said when the fleet was made, with its fault.
    First { permissive: bool, misconfigured: bool },
    /// What somebody gave.
    Given(String),
}

/// A version of a policy.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) created: i64,
    pub(crate) document: Document,
}

/// The versions of a policy.
#[derive(Debug, Clone)]
pub(crate) struct Versions {
    pub(crate) all: BTreeMap<u16, Version>,
    /// The highest number that one had.
    last: u16,
}

/// Why a version cannot be made, chosen or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    NoPolicy,
    NoVersion,
    Full,
    IsDefault,
}

impl Refused {
    /// As an execution of a mitigation action reports it.
    pub(crate) const fn trouble(self) -> Trouble {
        match self {
            Self::Full => Trouble::VersionsLimitExceeded,
            Self::NoPolicy | Self::NoVersion | Self::IsDefault => Trouble::NoSuchResource,
        }
    }
}

impl Document {
    /// Whether it allows too much, and whether it has a wildcard that means nothing.
    fn faults(&self) -> (bool, bool) {
        match self {
            Self::First { permissive, misconfigured } => (*permissive, *misconfigured),
            Self::Given(text) => (text.contains("iot:*"), text.contains("/+/")),
        }
    }
}

impl Fleet {
    /// When a policy was made, in epoch milliseconds: they are as old as their numbers say.
    pub(crate) fn policy_created(&self, index: u32) -> i64 {
        let age = i64::try_from(self.policies.len()).unwrap_or(0) - i64::from(index);
        self.epoch_ms.saturating_sub(age.saturating_mul(HOUR_MS))
    }

    /// The versions of a policy.
    pub(crate) fn versions_of(&self, index: u32) -> Option<Versions> {
        if let Some(versions) = self.versions.get(&index) {
            return Some(versions.clone());
        }
        let policy = self.policies.get(usize::try_from(index).ok()?)?;
        let document = Document::First { permissive: policy.permissive, misconfigured: policy.misconfigured };
        let created = self.policy_created(index);
        let version = |_| Version { created, document: document.clone() };
        let all = (1..=u16::from(policy.versions)).map(|number| (number, version(number))).collect();
        Some(Versions { all, last: policy.versions.into() })
    }

    /// The document of a version.
    pub(crate) fn document(&self, version: &Version) -> String {
        let own = |resource: &str| format!("{}:{resource}", self.arn_prefix);
        let (permissive, misconfigured) = match &version.document {
            Document::Given(text) => return text.clone(),
            Document::First { permissive, misconfigured } => (*permissive, *misconfigured),
        };
        let resource = match (permissive, misconfigured) {
            (true, _) => "*".to_owned(),
            (_, true) => own("topic/fleet/+/state"),
            _ => own("topic/${iot:Connection.Thing.ThingName}/state"),
        };
        let action = if permissive { "iot:*" } else { "iot:Publish" };
        let statement: Value = json!({ "Effect": "Allow", "Action": action, "Resource": resource });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
    }

    /// Makes a version, and gives its number.
    pub(crate) fn create_version(
        &mut self,
        index: u32,
        document: Document,
        default: bool,
        at: i64,
    ) -> Result<u16, Refused> {
        let mut versions = self.versions_of(index).ok_or(Refused::NoPolicy)?;
        if versions.all.len() >= MOST_VERSIONS {
            return Err(Refused::Full);
        }
        versions.last = versions.last.saturating_add(1);
        let number = versions.last;
        versions.all.insert(number, Version { created: at, document });
        let chosen = default.then_some(number);
        self.keep(index, versions, chosen);
        Ok(number)
    }

    /// Makes a version the default.
    pub(crate) fn set_default_version(&mut self, index: u32, number: u16) -> Result<(), Refused> {
        let versions = self.versions_of(index).ok_or(Refused::NoPolicy)?;
        if !versions.all.contains_key(&number) {
            return Err(Refused::NoVersion);
        }
        self.keep(index, versions, Some(number));
        Ok(())
    }

    /// Deletes a version that is not the default.
    pub(crate) fn delete_version(&mut self, index: u32, number: u16) -> Result<(), Refused> {
        let mut versions = self.versions_of(index).ok_or(Refused::NoPolicy)?;
        if usize::try_from(index)
            .ok()
            .and_then(|at| self.policies.get(at))
            .map(|policy| policy.default_version)
            == Some(number)
        {
            return Err(Refused::IsDefault);
        }
        versions.all.remove(&number).ok_or(Refused::NoVersion)?;
        self.keep(index, versions, None);
        Ok(())
    }

    /// Keeps the versions of a policy, with another default if one is given. What a policy does wrong its default says.
    fn keep(&mut self, index: u32, versions: Versions, default: Option<u16>) {
        let policy = usize::try_from(index).ok().and_then(|at| self.policies.get_mut(at));
        let Some(policy) = policy else { return };
        let default_version = default.unwrap_or(policy.default_version);
        let faults = versions.all.get(&default_version).map(|version| version.document.faults());
        let (permissive, misconfigured) = faults.unwrap_or_default();
        let count = u8::try_from(versions.all.len()).unwrap_or(u8::MAX);
        *policy = Policy { default_version, versions: count, permissive, misconfigured };
        self.versions.insert(index, versions);
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::Check;
    use crate::fleet::examine::Entry;
    use crate::fleet::sample;

    use super::*;

    #[test]
    fn what_was_replaced_can_be_put_back() {
        let mut fleet = sample(200);
        let at = fleet.epoch_ms;
        let found = fleet.examine(Check::PolicyPermissive, at, 0).defects;
        let entry: Entry =
            *found.iter().find(|entry| fleet.policies[entry.resource as usize].versions == 2).unwrap();
        let first = fleet.versions_of(entry.resource).unwrap();
        fleet.replace_policy(entry, at).unwrap();
        assert_eq!(fleet.delete_version(entry.resource, 3), Err(Refused::IsDefault));
        fleet.set_default_version(entry.resource, 2).unwrap();
        assert_eq!(fleet.examine(Check::PolicyPermissive, at, 0).defects, found);
        fleet.delete_version(entry.resource, 3).unwrap();
        assert_eq!(fleet.delete_version(entry.resource, 3), Err(Refused::NoVersion));
        let after = fleet.versions_of(entry.resource).unwrap();
        assert_eq!(after.all.keys().collect::<Vec<_>>(), first.all.keys().collect::<Vec<_>>());
        let next = fleet.create_version(entry.resource, Document::Given(BLANK.into()), false, at);
        assert_eq!(next, Ok(4), "no number comes twice");
    }
}
