//! What Detect watches: the things of the registry, and clients that are not in it.

use crate::fleet::Fleet;
use crate::fleet::things::Thing;

/// A device. Detect calls each by a thing name; that of an unregistered one is its client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Device {
    /// A thing of the registry.
    Thing(Thing),
    /// A client that connects without being one.
    Client(u32),
}

impl Device {
    /// A number that no other device has.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Thing(thing) => {
                let (certificate, slot) = thing.key();
                (certificate << 16) | slot
            }
            Self::Client(index) => (1 << 62) | u64::from(index),
        }
    }

    /// Its `thingName`.
    pub(crate) fn name(self, fleet: &Fleet) -> String {
        match self {
            Self::Thing(thing) => fleet.thing_name(thing),
            Self::Client(index) => fleet.client_id(index),
        }
    }

    /// The device with a name. A name that is both is the thing's.
    pub(crate) fn named(name: &str, fleet: &Fleet) -> Option<Self> {
        let client = || {
            let index: u32 = name.rsplit('-').next()?.parse().ok()?;
            (index < fleet.clients.total && fleet.client_id(index) == name).then_some(Self::Client(index))
        };
        fleet.thing_named(name).map(Self::Thing).or_else(client)
    }

    /// All devices, registered ones first.
    pub(crate) fn all(fleet: &Fleet) -> impl Iterator<Item = Self> {
        Self::registered(fleet).chain(Self::unregistered(fleet))
    }

    /// The things of the registry.
    pub(crate) fn registered(fleet: &Fleet) -> impl Iterator<Item = Self> {
        fleet.things_after(None).map(Self::Thing)
    }

    /// The clients that are not in it.
    pub(crate) fn unregistered(fleet: &Fleet) -> impl Iterator<Item = Self> + use<> {
        (0..fleet.clients.total).map(Self::Client)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fleet::sample;

    #[test]
    fn every_name_and_number_is_of_one_device() {
        let fleet = sample(500);
        let all: Vec<Device> = Device::all(&fleet).collect();
        assert!(all.iter().all(|device| Device::named(&device.name(&fleet), &fleet) == Some(*device)));
        let numbers: BTreeSet<u64> = all.iter().map(|device| device.number()).collect();
        assert_eq!(numbers.len(), all.len());
        assert!(Device::unregistered(&fleet).count() > 5);
        assert_eq!(Device::named("sensor-0000-99999", &fleet), None);
        assert_eq!(Device::named("é", &fleet), None);
    }
}
