//! What a security profile can be attached to, and the devices that it then watches.
//!
//! A target is a static thing group or one of three that are the account's: all things, those in the registry, those
//! that are not. A profile on a group watches the groups below it too. AWS does not say so; group policies reach
//! them, and `ListSecurityProfilesForTarget` can be asked for them.

use std::collections::{BTreeMap, BTreeSet};

use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::fleet::groups::above;
use crate::fleet::things::Thing;
use crate::settings::Settings;

/// Device Defender quotas: security profiles per target.
pub(crate) const MOST_PROFILES_PER_TARGET: usize = 5;

/// What a profile can be attached to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A static thing group.
    Group(String),
    /// `all/registered-things`.
    Registered,
    /// `all/unregistered-things`.
    Unregistered,
    /// `all/things`.
    All,
}

/// A device that a profile watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Device {
    /// A thing of the registry.
    Thing(Thing),
    /// A client that is no thing, by its number in the fleet.
    Client(u32),
}

impl Target {
    /// The target of an ARN. A group has to exist.
    pub(crate) fn read(arn: &str, settings: &Settings, fleet: &Fleet) -> Result<Self, Failure> {
        let resource = arn.strip_prefix(&settings.arn("")).unwrap_or_default();
        match resource.split_once('/') {
            Some(("all", "things")) => Ok(Self::All),
            Some(("all", "registered-things")) => Ok(Self::Registered),
            Some(("all", "unregistered-things")) => Ok(Self::Unregistered),
            Some(("thinggroup", name)) if fleet.has_group(name) => Ok(Self::Group(name.to_owned())),
            Some(("thinggroup", name)) => {
                Err(Failure::not_found(format!("Thing group {name} does not exist")))
            }
            _ => Err(Failure::invalid(
                "securityProfileTargetArn must be the ARN of a static thing group, all/things, \
                 all/registered-things or all/unregistered-things of this account and region",
            )),
        }
    }

    /// Its ARN.
    pub(crate) fn arn(&self, settings: &Settings) -> String {
        match self {
            Self::Group(name) => settings.arn(&format!("thinggroup/{name}")),
            Self::Registered => settings.arn("all/registered-things"),
            Self::Unregistered => settings.arn("all/unregistered-things"),
            Self::All => settings.arn("all/things"),
        }
    }

    /// Whether it is this target or, with `recursive`, a group below it.
    pub(crate) fn is_within(&self, other: &Self, recursive: bool) -> bool {
        match (self, other) {
            (Self::Group(name), Self::Group(parent)) if recursive => {
                name == parent || above(name).contains(&parent.as_str())
            }
            _ => self == other,
        }
    }
}

/// The devices of targets, each once, in their order: things, then clients that are no things.
pub(crate) fn devices(fleet: &Fleet, targets: &BTreeMap<Target, u32>) -> BTreeSet<Device> {
    let mut devices = BTreeSet::new();
    for target in targets.keys() {
        match target {
            Target::Group(name) => devices.extend(fleet.members(name, true, None).map(Device::Thing)),
            Target::Registered => devices.extend(fleet.things_after(None).map(Device::Thing)),
            Target::Unregistered => devices.extend(fleet.unregistered().map(Device::Client)),
            Target::All => {
                devices.extend(fleet.things_after(None).map(Device::Thing));
                devices.extend(fleet.unregistered().map(Device::Client));
            }
        }
    }
    devices
}

impl Fleet {
    /// What a device is called: the name of its thing, or its client id.
    pub(crate) fn name_of(&self, device: Device) -> String {
        match device {
            Device::Thing(thing) => self.thing_name(thing),
            Device::Client(number) => self.client_id(number),
        }
    }

    /// The device with a name, if there is one: a thing before a client.
    pub(crate) fn device_named(&self, name: &str) -> Option<Device> {
        let client = || {
            let number = name.rsplit('-').next()?.parse().ok()?;
            let exists = number < self.clients.total && self.client_id(number) == name;
            exists.then_some(Device::Client(number))
        };
        self.thing_named(name).map(Device::Thing).or_else(client)
    }

    /// The clients that are no things, by number.
    pub(crate) fn unregistered(&self) -> impl Iterator<Item = u32> {
        (0..self.clients.total).filter(|number| self.thing_named(&self.client_id(*number)).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::sample;
    use crate::fleet::things::Made;

    fn on(targets: &[Target]) -> BTreeMap<Target, u32> {
        targets.iter().cloned().zip(1..).collect()
    }

    #[test]
    fn an_arn_is_a_target_or_refused() {
        let (settings, fleet) = (Settings::default(), sample(10));
        let read = |arn: &str| Target::read(arn, &settings, &fleet);
        for target in [Target::Group("lab".into()), Target::Registered, Target::Unregistered, Target::All] {
            assert_eq!(read(&target.arn(&settings)).ok(), Some(target));
        }
        let prefix = "arn:aws:iot:us-east-1:123456789012";
        for (arn, code) in [
            (format!("{prefix}:thinggroup/none"), "ResourceNotFoundException"),
            (format!("{prefix}:thing/device-0000000"), "InvalidRequestException"),
            (format!("{prefix}:all/device"), "InvalidRequestException"),
            ("arn:aws:iot:eu-west-1:123456789012:all/things".to_owned(), "InvalidRequestException"),
            ("arn:aws:iot:us-east-1:000000000000:all/things".to_owned(), "InvalidRequestException"),
            ("all/things".to_owned(), "InvalidRequestException"),
            (String::new(), "InvalidRequestException"),
        ] {
            assert_eq!(read(&arn).err().map(|failure| failure.code.name()), Some(code), "{arn}");
        }
    }

    #[test]
    fn a_profile_watches_the_devices_of_its_targets_each_once() {
        let fleet = sample(1_000);
        let of = |targets: &[Target]| devices(&fleet, &on(targets));
        let group = |name: &str| Target::Group(name.to_owned());
        assert!(of(&[]).is_empty());
        let (lab, north) = (of(&[group("lab")]), of(&[group("production-north")]));
        assert!(!lab.is_empty() && lab.is_disjoint(&north));
        let whole = of(&[group("fleet")]);
        assert!(
            whole.is_superset(&lab)
                && whole.is_superset(&north)
                && whole.is_superset(&of(&[group("critical")]))
        );
        assert_eq!(of(&[group("fleet"), group("lab"), group("critical")]), whole);
        let (registered, unregistered) = (of(&[Target::Registered]), of(&[Target::Unregistered]));
        assert!(registered.is_superset(&whole) && registered.len() > whole.len());
        assert_eq!(unregistered.len(), usize::try_from(fleet.clients.total).unwrap());
        assert_eq!(of(&[Target::All]).len(), registered.len() + unregistered.len());
    }

    #[test]
    fn a_device_has_a_name_and_a_client_can_become_a_thing() {
        let mut fleet = sample(300);
        for device in devices(&fleet, &on(&[Target::All])) {
            assert_eq!(fleet.device_named(&fleet.name_of(device)), Some(device));
        }
        assert_eq!(fleet.device_named("sensor-0000-9999999"), None);
        let before = fleet.unregistered().count();
        let name = fleet.name_of(Device::Client(0));
        fleet.make_thing(Made { name: name.clone(), kind: None, attributes: BTreeMap::new() }).unwrap();
        assert_eq!(fleet.unregistered().count(), before - 1);
        assert!(matches!(fleet.device_named(&name), Some(Device::Thing(_))));
    }

    #[test]
    fn a_group_is_within_those_above_it() {
        let group = |name: &str| Target::Group(name.to_owned());
        assert!(group("production-north").is_within(&group("fleet"), true));
        assert!(!group("production-north").is_within(&group("fleet"), false));
        assert!(!group("fleet").is_within(&group("lab"), true));
        assert!(
            Target::All.is_within(&Target::All, true) && !Target::Registered.is_within(&Target::All, true)
        );
    }
}
