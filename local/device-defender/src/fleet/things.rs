//! The things behind device certificates: how many each has, what they are called, and what is known of them.
//!
//! A thing is the certificate that it came with and its place among that certificate's things, and everything about
//! it is drawn from the seed, so a million of them need no storage. Most certificates have one thing; some have
//! none, as after a registration that was never finished; a shared one may have up to three. What the control makes,
//! attaches and detaches later is kept beside that, in [`Registered`].

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::Check;
use crate::fleet::examine::{Entry, has};
use crate::fleet::posts::{POSTS, Post};
use crate::fleet::{Fleet, flag};
use crate::paging::Key;
use crate::random::{domain, draw, uuid};

/// Tenths of the things that are of each thing type.
const TYPES: [(&str, u64); 3] = [("sensor", 7), ("gateway", 2), ("camera", 1)];

const FIRMWARE: [&str; 4] = ["2.4.1", "2.4.0", "2.3.7", "1.9.12"];

/// A thing. Things are in the order of their certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Thing {
    certificate: u32,
    slot: u32,
}

/// What the things that were made later have for a certificate. They stand behind all others.
const LATER: u32 = u32::MAX;

/// A thing that was made later.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// What has changed in the registry of things since the fleet was made, thing groups left out.
#[derive(Debug, Default)]
pub(crate) struct Registered {
    made: Vec<Made>,
    /// Things that were attached to another certificate than their first, by certificate.
    attached: BTreeMap<u32, BTreeSet<Thing>>,
    /// Things that were detached from their first certificate.
    detached: BTreeSet<Thing>,
}

impl Thing {
    /// Where it stands in a list of things.
    pub(crate) fn key(self) -> Key {
        (self.certificate.into(), self.slot.into())
    }

    /// The thing at a place in a list. The last there could be, when there is no such place.
    pub(crate) fn at((certificate, slot): Key) -> Self {
        Self {
            certificate: u32::try_from(certificate).unwrap_or(u32::MAX),
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
        }
    }

    /// Whether it was made after the fleet.
    pub(crate) const fn is_made_later(self) -> bool {
        self.certificate == LATER
    }

    pub(crate) const fn number(self) -> u64 {
        ((self.certificate as u64) << 8) + self.slot as u64
    }
}

impl Fleet {
    fn slots(&self, certificate: u32) -> u32 {
        if !usize::try_from(certificate).is_ok_and(|index| index < self.devices.len()) {
            return 0;
        }
        let drawn = draw(self.seed, domain::ATTACHED, certificate.into());
        if !has(&self.devices, certificate, flag::SHARED) {
            return u32::from(!drawn.is_multiple_of(20));
        }
        match drawn % 4 {
            0 => 1,
            1 | 2 => 2,
            _ => 3,
        }
    }

    /// The things that came with a device certificate.
    fn first_things(&self, certificate: u32) -> impl Iterator<Item = Thing> + use<> {
        (0..self.slots(certificate)).map(move |slot| Thing { certificate, slot })
    }

    /// The things that a device certificate is attached to.
    pub(crate) fn things_of(&self, certificate: u32) -> impl Iterator<Item = Thing> {
        let stayed = self.first_things(certificate).filter(|thing| !self.registered.detached.contains(thing));
        stayed.chain(self.registered.attached.get(&certificate).into_iter().flatten().copied())
    }

    /// The device certificates that a thing is attached to, in their order.
    pub(crate) fn certificates_of(&self, thing: Thing) -> BTreeSet<u32> {
        let first = thing.certificate != LATER && !self.registered.detached.contains(&thing);
        let attached = self.registered.attached.iter().filter(|(_, things)| things.contains(&thing));
        first.then_some(thing.certificate).into_iter().chain(attached.map(|(own, _)| *own)).collect()
    }

    /// Attaches a thing to a device certificate, or detaches it.
    pub(crate) fn attach(&mut self, thing: Thing, certificate: u32, attached: bool) {
        let registered = &mut self.registered;
        if thing.certificate == certificate {
            if attached {
                registered.detached.remove(&thing)
            } else {
                registered.detached.insert(thing)
            };
            return;
        }
        let things = registered.attached.entry(certificate).or_default();
        if attached {
            things.insert(thing)
        } else {
            things.remove(&thing)
        };
    }

    /// Makes a thing that is attached to nothing and in no group. None: there is one of that name.
    pub(crate) fn make_thing(&mut self, made: Made) -> Option<()> {
        self.thing_named(&made.name).is_none().then(|| {
            self.registered.made.push(made);
            self.revision += 1;
        })
    }

    fn made(&self, thing: Thing) -> Option<&Made> {
        let slot = usize::try_from(thing.slot).ok().filter(|_| thing.certificate == LATER)?;
        self.registered.made.get(slot)
    }

    /// The things that stand behind `after` in the list of all things, in its order.
    pub(crate) fn things_after(&self, after: Option<Thing>) -> impl Iterator<Item = Thing> {
        let first = after.map_or(0, |after| after.certificate);
        let end = u32::try_from(self.devices.len()).unwrap_or(u32::MAX);
        let later = (0..).zip(&self.registered.made).map(|(slot, _)| Thing { certificate: LATER, slot });
        (first..end)
            .flat_map(|certificate| self.first_things(certificate))
            .chain(later)
            .filter(move |thing| after.is_none_or(|after| *thing > after))
    }

    /// The things attached to the device certificates behind a finding.
    pub(crate) fn things_behind(&self, check: Check, entry: Entry) -> Vec<Thing> {
        self.certificates_behind(check, entry).flat_map(|certificate| self.things_of(certificate)).collect()
    }

    /// The name of a thing: that of its device, and a number when the certificate has several.
    pub(crate) fn thing_name(&self, thing: Thing) -> String {
        if let Some(made) = self.made(thing) {
            return made.name.clone();
        }
        let device = device_name(thing.certificate);
        if self.slots(thing.certificate) > 1 { format!("{device}-{}", thing.slot) } else { device }
    }

    /// The thing with a name, if there is one.
    pub(crate) fn thing_named(&self, name: &str) -> Option<Thing> {
        let made = (0..).zip(&self.registered.made).find(|(_, made)| made.name == name);
        if let Some((slot, _)) = made {
            return Some(Thing { certificate: LATER, slot });
        }
        let numbers = name.strip_prefix("device-")?;
        let (certificate, slot) = numbers.split_once('-').unwrap_or((numbers, "0"));
        let thing = Thing { certificate: certificate.parse().ok()?, slot: slot.parse().ok()? };
        let exists = thing.slot < self.slots(thing.certificate) && self.thing_name(thing) == name;
        exists.then_some(thing)
    }

    /// The `thingId`.
    pub(crate) fn thing_id(&self, thing: Thing) -> String {
        uuid(self.seed, domain::THING_ID, thing.number())
    }

    fn drawn(&self, thing: Thing) -> u64 {
        draw(self.seed, domain::THING, thing.number())
    }

    /// What a thing is for. One that was made later is for nothing yet.
    pub(crate) fn post(&self, thing: Thing) -> &'static Post {
        let [most, .., new] = &POSTS;
        if thing.certificate == LATER {
            return new;
        }
        pick(&POSTS, |post| post.share, self.drawn(thing) % 100).unwrap_or(most)
    }

    /// Whether a thing must never stop: it is in `critical` too.
    pub(crate) fn is_critical(&self, thing: Thing) -> bool {
        (self.drawn(thing) >> 16).is_multiple_of(25) && self.post(thing).stage == "production"
    }

    /// The thing type. A thing without a site has none yet.
    pub(crate) fn thing_type(&self, thing: Thing) -> Option<&str> {
        if let Some(made) = self.made(thing) {
            return made.kind.as_deref();
        }
        self.post(thing).site?;
        pick(&TYPES, |(_, share)| *share, (self.drawn(thing) >> 32) % 10).map(|(name, _)| *name)
    }

    /// The attributes.
    pub(crate) fn attributes(&self, thing: Thing) -> Vec<(&str, &str)> {
        if let Some(made) = self.made(thing) {
            return made.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        }
        let post = self.post(thing);
        let firmware = usize::try_from((self.drawn(thing) >> 48) % 4).ok().and_then(|at| FIRMWARE.get(at));
        let site = post.site.map(|site| ("site", site));
        let firmware = firmware.filter(|_| site.is_some()).map(|firmware| ("firmware", *firmware));
        [Some(("stage", post.stage)), site, firmware].into_iter().flatten().collect()
    }
}

/// The item in whose share a number falls, when the shares are laid end to end.
fn pick<T>(items: &[T], share: fn(&T) -> u64, mut number: u64) -> Option<&T> {
    items.iter().find(|item| {
        let falls = number < share(item);
        number = number.saturating_sub(share(item));
        falls
    })
}

/// What the device that a certificate was made for is called.
pub(crate) fn device_name(certificate: u32) -> String {
    format!("device-{certificate:07}")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::fleet::sample;

    #[test]
    fn most_certificates_have_one_thing_and_only_shared_ones_several() {
        let fleet = sample(10_000);
        let mut counts = BTreeMap::<usize, u32>::new();
        for certificate in 0..u32::try_from(fleet.devices.len()).unwrap() {
            let things = fleet.things_of(certificate).count();
            assert!(things < 2 || has(&fleet.devices, certificate, flag::SHARED));
            *counts.entry(things).or_default() += 1;
        }
        let all: u32 = counts.values().sum();
        assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(counts[&1] > all * 3 / 4 && counts[&0] > all / 50 && counts[&0] < all / 10);
    }

    #[test]
    fn every_name_leads_back_and_others_lead_nowhere() {
        let fleet = sample(2_000);
        let things: Vec<Thing> = fleet.things_after(None).collect();
        let names: BTreeSet<String> = things.iter().map(|thing| fleet.thing_name(*thing)).collect();
        assert_eq!(names.len(), things.len());
        for thing in &things {
            assert_eq!(fleet.thing_named(&fleet.thing_name(*thing)), Some(*thing));
            assert_eq!(Thing::at(thing.key()), *thing);
        }
        let mut certificates = 0..u32::try_from(fleet.devices.len()).unwrap();
        let bare = certificates.find(|certificate| fleet.things_of(*certificate).next().is_none()).unwrap();
        for name in ["", "device-", "device-1", "device-9999999", "device-0000000-9", "thing-0000000", "é"] {
            assert_eq!(fleet.thing_named(name), None, "{name}");
        }
        assert_eq!(fleet.thing_named(&device_name(bare)), None);
    }

    #[test]
    fn a_list_goes_on_behind_any_thing() {
        let fleet = sample(300);
        let things: Vec<Thing> = fleet.things_after(None).collect();
        for (position, thing) in things.iter().enumerate() {
            assert!(fleet.things_after(Some(*thing)).eq(things[position + 1..].iter().copied()));
        }
        assert_eq!(fleet.things_after(Some(Thing::at((u64::MAX, u64::MAX)))).count(), 0);
    }

    #[test]
    fn every_post_and_type_is_taken() {
        let fleet = sample(2_000);
        assert_eq!(POSTS.iter().map(|post| post.share).sum::<u64>(), 100);
        let all = || fleet.things_after(None);
        let types: BTreeSet<Option<&str>> = TYPES.iter().map(|(name, _)| Some(*name)).chain([None]).collect();
        assert_eq!(all().map(|thing| fleet.thing_type(thing)).collect::<BTreeSet<_>>(), types);
        let groups: BTreeSet<Option<&str>> = all().map(|thing| fleet.post(thing).group).collect();
        assert_eq!(groups.len(), POSTS.len());
        let new = fleet.things_after(None).find(|thing| fleet.post(*thing).group.is_none()).unwrap();
        assert_eq!(fleet.attributes(new), [("stage", "new")]);
    }
}
