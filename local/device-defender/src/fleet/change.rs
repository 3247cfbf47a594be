//! What mitigation actions do to the fleet, and why one can fail.
//!
//! Each function says how many changes it made: a repeat that finds nothing to change makes none, except
//! where AWS's own call is not idempotent (a new policy version is made every time).

use crate::checks::Check;
use crate::fleet::examine::Entry;
use crate::fleet::groups::related;
use crate::fleet::logging::Options;
use crate::fleet::policies::{BLANK, Document, Refused};
use crate::fleet::things::Thing;
use crate::fleet::{Fleet, flag};

/// A thing is in at most ten groups ("Static thing groups" in the IoT guide).
const MOST_GROUPS: usize = 10;

/// Why an action failed on a finding: an error code and a message, as an execution reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    NotApplicable,
    VersionsLimitExceeded,
    NoSuchResource,
    NoSuchGroup,
    NoSuchThing,
    SameHierarchy,
    GroupsLimitExceeded,
}

impl Trouble {
    /// The execution's `errorCode` and `message`. AWS publishes no list of codes; these are of its style.
    pub(crate) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NotApplicable => (
                "INVALID_MITIGATION_ACTION",
                "The mitigation action cannot be applied to findings of this audit check.",
            ),
            Self::VersionsLimitExceeded => (
                "VersionsLimitExceededException",
                "The policy already has 5 versions. Delete a version and try again.",
            ),
            Self::NoSuchResource => ("ResourceNotFoundException", "The resource does not exist."),
            Self::NoSuchThing => ("ResourceNotFoundException", "The thing does not exist."),
            Self::NoSuchGroup => ("ResourceNotFoundException", "The thing group does not exist."),
            Self::SameHierarchy => (
                "InvalidRequestException",
                "The thing is already in another thing group of the same hierarchy.",
            ),
            Self::GroupsLimitExceeded => {
                ("LimitExceededException", "The thing is already in 10 thing groups.")
            }
        }
    }
}

impl Fleet {
    /// The device certificates behind a finding: the one itself, or those under an intermediate CA.
    pub(crate) fn certificates_behind(&self, check: Check, entry: Entry) -> std::ops::Range<u32> {
        if check != Check::IntermediateRevoked {
            return entry.resource..entry.resource.saturating_add(1);
        }
        let issuer = usize::try_from(entry.resource).ok().and_then(|index| self.intermediates.get(index));
        issuer.map_or(0..0, |issuer| issuer.first..issuer.first.saturating_add(issuer.count))
    }

    /// `UPDATE_DEVICE_CERTIFICATE`, action DEACTIVATE.
    pub(crate) fn deactivate_devices(&mut self, check: Check, entry: Entry) -> u64 {
        let behind = self.certificates_behind(check, entry);
        let changed = behind.map(|index| deactivate(&mut self.devices, index)).sum();
        self.changed(changed)
    }

    /// `UPDATE_CA_CERTIFICATE`, action DEACTIVATE.
    pub(crate) fn deactivate_authority(&mut self, entry: Entry) -> u64 {
        let changed = deactivate(&mut self.authorities, entry.resource);
        self.changed(changed)
    }

    /// `ADD_THINGS_TO_THING_GROUP`. The certificates stay as they are, so the finding comes again. Things that
    /// were added before one that could not be stay in the group.
    pub(crate) fn add_things(
        &mut self,
        check: Check,
        entry: Entry,
        group: &str,
        overrides: bool,
    ) -> Result<u64, Trouble> {
        self.groups.entry(group.to_owned()).or_default();
        let mut changed = 0;
        for thing in self.things_behind(check, entry) {
            changed += self.join(thing, group, overrides)?;
        }
        Ok(changed)
    }

    /// Puts a thing into a group, which is made if it is not there. A thing that is in as many groups as may be leaves the
    /// last dynamic one of them, if that is wanted (`overrideDynamicGroups`).
    pub(crate) fn join(&mut self, thing: Thing, group: &str, overrides: bool) -> Result<u64, Trouble> {
        let already = self.groups_of(thing);
        if already.contains(&group) {
            return Ok(0);
        }
        if already.iter().any(|other| related(other, group)) {
            return Err(Trouble::SameHierarchy);
        }
        if already.len() >= MOST_GROUPS {
            let last = already.iter().rev().find(|name| overrides && self.dynamic.contains(**name));
            let last = last.ok_or(Trouble::GroupsLimitExceeded)?.to_string();
            self.leave(thing, &last);
        }
        self.groups.entry(group.to_owned()).or_default().insert(thing);
        self.revision += 1;
        Ok(self.changed(1))
    }

    /// `REPLACE_DEFAULT_POLICY_VERSION` with `BLANK_POLICY`.
    pub(crate) fn replace_policy(&mut self, entry: Entry, at: i64) -> Result<u64, Trouble> {
        let document = Document::Given(BLANK.to_owned());
        self.create_version(entry.resource, document, true, at).map_err(Refused::trouble)?;
        Ok(self.changed(1))
    }

    /// `ENABLE_IOT_LOGGING`.
    pub(crate) fn enable_logging(&mut self, role: &str, level: &str) -> u64 {
        let options = Options { role: Some(role.to_owned()), level: level.to_owned(), ..Options::default() };
        let changed = u64::from(!self.logging.is_enabled());
        self.logging.set(options);
        self.changed(changed)
    }

    const fn changed(&mut self, count: u64) -> u64 {
        self.changes += count;
        count
    }
}

fn deactivate(certificates: &mut [u8], index: u32) -> u64 {
    let flags = usize::try_from(index).ok().and_then(|index| certificates.get_mut(index));
    flags.map_or(0, |flags| {
        let was = *flags & flag::ACTIVE;
        *flags &= !flag::ACTIVE;
        u64::from(was)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::sample;

    #[test]
    fn a_deactivated_certificate_is_found_no_more() {
        let mut fleet = sample(200);
        let at = fleet.epoch_ms;
        let before = fleet.examine(Check::DeviceRevoked, at, 0).defects;
        assert_eq!(fleet.deactivate_devices(Check::DeviceRevoked, before[0]), 1);
        assert_eq!(fleet.deactivate_devices(Check::DeviceRevoked, before[0]), 0);
        assert_eq!(fleet.examine(Check::DeviceRevoked, at, 0).defects, before[1..]);
        assert_eq!((fleet.changes, fleet.inactive_devices()), (1, 1));
    }

    #[test]
    fn an_issuer_is_cured_by_deactivating_what_is_under_it() {
        let mut fleet = sample(200);
        let at = fleet.epoch_ms;
        let issuer = fleet.examine(Check::IntermediateRevoked, at, 0).defects[0];
        assert!(fleet.deactivate_devices(Check::IntermediateRevoked, issuer) >= 8);
        assert!(!fleet.examine(Check::IntermediateRevoked, at, 0).defects.contains(&issuer));
    }

    #[test]
    fn a_policy_takes_versions_until_it_is_full() {
        let mut fleet = sample(200);
        let at = fleet.epoch_ms;
        let found = fleet.examine(Check::PolicyPermissive, at, 0).defects;
        let entry =
            *found.iter().find(|entry| fleet.policies[entry.resource as usize].versions == 1).unwrap();
        for _ in 0..4 {
            assert_eq!(fleet.replace_policy(entry, at), Ok(1));
        }
        assert_eq!(fleet.replace_policy(entry, at), Err(Trouble::VersionsLimitExceeded));
        assert_eq!(fleet.examine(Check::PolicyPermissive, at, 0).defects.len(), found.len() - 1);
    }

    #[test]
    fn a_group_counts_a_thing_once() {
        let mut fleet = sample(200);
        for entry in fleet.examine(Check::DeviceShared, fleet.epoch_ms, 0).defects {
            let things = fleet.things_behind(Check::DeviceShared, entry);
            let count = u64::try_from(things.len()).unwrap();
            assert_eq!(fleet.add_things(Check::DeviceShared, entry, "quarantine", false), Ok(count));
            assert_eq!(fleet.add_things(Check::DeviceShared, entry, "quarantine", false), Ok(0));
            assert!(things.iter().all(|thing| fleet.groups_of(*thing).contains(&"quarantine")));
        }
        let mut enable = || fleet.enable_logging("arn:aws:iam::123456789012:role/Logs", "INFO");
        assert!(enable() == 1 && enable() == 0);
    }

    #[test]
    fn a_thing_is_in_one_group_of_a_hierarchy_and_in_ten_groups() {
        let mut fleet = sample(2_000);
        let check = Check::DeviceShared;
        let behind = |fleet: &Fleet, stage: &str| {
            let all = fleet.examine(check, fleet.epoch_ms, 0).defects;
            let fits = |entry: &Entry| {
                let things = fleet.things_behind(check, *entry);
                things.iter().all(|thing| fleet.post(*thing).stage == stage && !fleet.is_critical(*thing))
            };
            all.into_iter().find(fits).unwrap()
        };
        let (made, new) = (behind(&fleet, "production"), behind(&fleet, "new"));
        assert_eq!(fleet.add_things(check, made, "lab", false), Err(Trouble::SameHierarchy));
        let changes = fleet.changes;
        assert!(fleet.add_things(check, new, "lab", false).unwrap() > 0 && fleet.changes > changes);
        for number in 1..MOST_GROUPS {
            assert!(fleet.add_things(check, made, &format!("group-{number}"), false).unwrap() > 0);
        }
        assert_eq!(fleet.add_things(check, made, "critical", false), Err(Trouble::GroupsLimitExceeded));
    }

    #[test]
    fn a_certificate_without_things_adds_none() {
        let mut fleet = sample(500);
        let all = fleet.examine(Check::DeviceRevoked, fleet.epoch_ms, 0).defects;
        let bare = all.into_iter().find(|entry| fleet.things_behind(Check::DeviceRevoked, *entry).is_empty());
        assert_eq!(fleet.add_things(Check::DeviceRevoked, bare.unwrap(), "quarantine", false), Ok(0));
        assert!(fleet.has_group("quarantine"));
    }
}
