//! Which things are connected. Most are; some are not, and some never were: of those the fleet index has seen nothing.
//! What the control orders is kept beside what is drawn from the seed.
//!
//! A thing without an active certificate is not connected: AWS IoT disconnects the client of a certificate that is off.

use crate::fleet::examine::has;
use crate::fleet::things::Thing;
use crate::fleet::{Fleet, flag};
use crate::random::{domain, draw};

const HOUR_MS: i64 = 3_600_000;

/// The connection of a thing, as the fleet index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// It never was connected, as far as the index knows.
    Never,
    /// It is connected, or is not, since this time in epoch milliseconds and, if not, for this reason.
    Since { connected: bool, at: i64, reason: &'static str },
}

impl Fleet {
    /// The connection of a thing.
    pub(crate) fn connection(&self, thing: Thing) -> Connection {
        let drawn = draw(self.seed, domain::CONNECTED, thing.number());
        let hours = i64::try_from((drawn >> 32) % 240).unwrap_or(0) + 1;
        let at = self.epoch_ms.saturating_sub(hours * HOUR_MS);
        let off = |at, reason| Connection::Since { connected: false, at, reason };
        let connection = match self.connections.get(&thing) {
            Some((true, at)) => Connection::Since { connected: true, at: *at, reason: "NONE" },
            Some((false, at)) => off(*at, "CLIENT_INITIATED_DISCONNECT"),
            None if thing.is_made_later() => Connection::Never,
            None => match drawn % 20 {
                0 => Connection::Never,
                1..=4 => off(at, "MQTT_KEEP_ALIVE_TIMEOUT"),
                _ => Connection::Since { connected: true, at, reason: "NONE" },
            },
        };
        let is_on = |certificate: u32| has(&self.devices, certificate, flag::ACTIVE);
        match connection {
            Connection::Since { connected: true, at, .. }
                if !self.certificates_of(thing).into_iter().any(is_on) =>
            {
                off(at, "SERVER_INITIATED_DISCONNECT")
            }
            connection => connection,
        }
    }

    /// The device certificates that a policy is attached to: each certificate has one policy.
    pub(crate) fn certificates_under(&self, policy: u32) -> impl Iterator<Item = u32> + use<> {
        every(policy, self.policies.len(), self.devices.len())
    }

    /// The thing group that a policy is attached to as well, if it is.
    pub(crate) fn group_under(&self, policy: u32) -> Option<&'static str> {
        ["lab", "production-north"].get(usize::try_from(policy % 16).ok()?).copied()
    }

    /// The device certificates that a CA certificate has signed: each certificate has one.
    pub(crate) fn signed_by(&self, authority: u32) -> impl Iterator<Item = u32> + use<> {
        every(authority, self.authorities.len(), self.devices.len())
    }
}

/// The numbers below `end` that leave `first` when they are divided by `step`.
fn every(first: u32, step: usize, end: usize) -> impl Iterator<Item = u32> {
    let end = u32::try_from(end).unwrap_or(u32::MAX);
    (first..end).step_by(step.max(1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fleet::sample;

    #[test]
    fn most_things_are_connected_and_none_without_an_active_certificate() {
        let mut fleet = sample(2_000);
        let all: Vec<Thing> = fleet.things_after(None).collect();
        let of = |fleet: &Fleet| {
            let connections = all.iter().map(|thing| fleet.connection(*thing));
            connections.fold([0, 0, 0], |[on, off, never], connection| match connection {
                Connection::Since { connected: true, .. } => [on + 1, off, never],
                Connection::Since { .. } => [on, off + 1, never],
                Connection::Never => [on, off, never + 1],
            })
        };
        let [on, off, never] = of(&fleet);
        assert!(on > 2 * off && off > never && never > 0, "{on} {off} {never}");
        fleet.devices.fill(0);
        assert_eq!(of(&fleet), [0, on + off, never]);
    }

    #[test]
    fn each_certificate_has_one_policy_and_one_ca() {
        let fleet = sample(500);
        let all: BTreeSet<u32> = (0..u32::try_from(fleet.devices.len()).unwrap()).collect();
        let policies = 0..u32::try_from(fleet.policies.len()).unwrap();
        let under: Vec<u32> = policies.clone().flat_map(|policy| fleet.certificates_under(policy)).collect();
        assert_eq!((under.len(), under.into_iter().collect::<BTreeSet<_>>()), (all.len(), all.clone()));
        let authorities = 0..u32::try_from(fleet.authorities.len()).unwrap();
        let signed: Vec<u32> = authorities.flat_map(|authority| fleet.signed_by(authority)).collect();
        assert_eq!((signed.len(), signed.into_iter().collect::<BTreeSet<_>>()), (all.len(), all));
        let groups = policies.filter_map(|policy| fleet.group_under(policy)).count();
        assert!(groups > 0 && groups < fleet.policies.len() / 4);
    }
}
