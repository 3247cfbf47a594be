//! The simulated fleet: what exists, what is wrong with it, and what mitigation has changed.
//!
//! A device certificate is one byte; its id, dates and connections are computed from the seed when they are
//! asked for. A million defects fit in a few megabytes and are made in milliseconds. [`plan`] decides how
//! many defects each check gets, [`examine`] finds them, [`names`] turns a resource into words and back,
//! [`things`], [`posts`] and [`groups`] say what is behind a certificate, [`connections`] what is behind a policy and a CA
//! certificate and what is connected, [`policies`] and [`logging`] what can be put back
//! by other calls, and [`change`] is what mitigation actions do to all that.

pub(crate) mod change;
pub(crate) mod connections;
pub(crate) mod examine;
pub(crate) mod groups;
pub(crate) mod logging;
pub(crate) mod names;
pub(crate) mod plan;
pub(crate) mod policies;
pub(crate) mod posts;
pub(crate) mod things;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use crate::checks::Check;
use crate::random::{Cipher, domain, draw};
use logging::Logging;
use plan::Plan;
use policies::Versions;
use serde_json::Value;
use things::{Registered, Thing};

/// Bits of a certificate.
pub(crate) mod flag {
    pub(crate) const ACTIVE: u8 = 1;
    pub(crate) const REVOKED: u8 = 2;
    pub(crate) const SHARED: u8 = 4;
    pub(crate) const WEAK: u8 = 8;
    pub(crate) const OLD: u8 = 16;
    pub(crate) const EXPIRING: u8 = 32;
    /// Of a CA certificate: device certificates are registered by themselves.
    pub(crate) const REGISTERS: u8 = 64;
    /// Its status is `REVOKED`, which is not [`REVOKED`]: that one its CA revoked.
    pub(crate) const WITHDRAWN: u8 = 128;
}

/// A policy: its versions and what its default version does wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// The number of the default version.
    pub(crate) default_version: u16,
    /// How many versions exist. A policy holds at most five (`CreatePolicyVersion`).
    pub(crate) versions: u8,
    pub(crate) permissive: bool,
    pub(crate) misconfigured: bool,
}

/// A revoked intermediate CA: the device certificates `first..first + count` are under it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intermediate {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// Resources that are only counted: the first `defective` of `total` are what the check finds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) total: u32,
    pub(crate) defective: u32,
}

/// The fleet.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) seed: u64,
    /// The moment that certificate dates are relative to.
    pub(crate) epoch_ms: i64,
    pub(crate) account: String,
    pub(crate) arn_prefix: String,
    pub(crate) ids: Cipher,
    pub(crate) devices: Vec<u8>,
    pub(crate) authorities: Vec<u8>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) intermediates: Vec<Intermediate>,
    pub(crate) clients: Counted,
    pub(crate) unauthenticated_pools: Counted,
    pub(crate) authenticated_pools: Counted,
    pub(crate) permissive_aliases: Counted,
    pub(crate) unused_aliases: Counted,
    pub(crate) logging: Logging,
    /// The versions of policies that were changed since the fleet was made.
    pub(crate) versions: BTreeMap<u32, Versions>,
    /// The `registrationConfig` that CA certificates were given.
    pub(crate) registrations: BTreeMap<u32, Value>,
    /// The thing groups that are dynamic.
    pub(crate) dynamic: BTreeSet<String>,
    /// Things that were added to thing groups, by group name.
    pub(crate) groups: BTreeMap<String, BTreeSet<Thing>>,
    /// Things that were taken out of a group that they had been in from the start.
    pub(crate) left: BTreeSet<(Thing, &'static str)>,
    pub(crate) registered: Registered,
    /// The connections that were ordered, each with its time.
    pub(crate) connections: BTreeMap<Thing, (bool, i64)>,
    /// Whether the fleet index is ready.
    pub(crate) indexed: bool,
    /// What [`Fleet::devices_by_age`] gives.
    by_age: OnceLock<Vec<u32>>,
    /// One more with each change of which things there are or which groups they are in.
    pub(crate) revision: u64,
    /// Changes that mitigation made, repeats that changed nothing left out.
    pub(crate) changes: u64,
}

/// Where a fleet is: the words that its names and ARNs are made of.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) partition: String,
    pub(crate) region: String,
    pub(crate) account: String,
}

impl Fleet {
    /// A fleet in which the first audit of all checks finds exactly `findings` non-compliant resources.
    pub(crate) fn new(findings: u32, seed: u64, epoch_ms: i64, place: &Place) -> Self {
        let plan = Plan::new(findings);
        let mut devices = Ranges::default();
        devices.mark(plan.count(Check::DeviceExpiring), flag::EXPIRING);
        devices.mark(plan.count(Check::DeviceAge), flag::OLD);
        devices.mark(plan.count(Check::DeviceRevoked), flag::REVOKED);
        devices.mark(plan.count(Check::DeviceShared), flag::SHARED);
        devices.mark(plan.count(Check::DeviceKeyQuality), flag::WEAK);
        let intermediates = (0..plan.count(Check::IntermediateRevoked))
            .map(|index| {
                let count = 8 + u32::try_from(draw(seed, domain::ISSUER, index.into()) % 33).unwrap_or(0);
                Intermediate { first: devices.append(count), count }
            })
            .collect();
        devices.append(devices.len() / 10 + 50);

        let mut authorities = Ranges::default();
        authorities.mark(plan.count(Check::CaExpiring), flag::EXPIRING);
        authorities.mark(plan.count(Check::CaRevoked), flag::REVOKED);
        authorities.mark(plan.count(Check::CaKeyQuality), flag::WEAK);
        authorities.append(3);
        for (index, authority) in (0_u64..).zip(&mut authorities.bytes) {
            if draw(seed, domain::REGISTRATION, index).is_multiple_of(3) {
                *authority |= flag::REGISTERS;
            }
        }

        let permissive = plan.count(Check::PolicyPermissive);
        let misconfigured = plan.count(Check::PolicyMisconfigured);
        let policies = (0..permissive.saturating_add(misconfigured).saturating_add(10))
            .map(|index| {
                // One policy in eight is full, so replacing its default version fails as it does at AWS.
                let drawn = draw(seed, domain::VERSIONS, index.into());
                let versions = match drawn % 8 {
                    0 => 5,
                    other => 1 + u8::try_from(other % 3).unwrap_or(0),
                };
                Policy {
                    default_version: versions.into(),
                    versions,
                    permissive: index < permissive,
                    misconfigured: (permissive..permissive + misconfigured).contains(&index),
                }
            })
            .collect();
        let counted = |check| {
            let defective = plan.count(check);
            Counted { total: defective + defective / 5 + 5, defective }
        };
        Self {
            seed,
            epoch_ms,
            account: place.account.clone(),
            arn_prefix: format!("arn:{}:iot:{}:{}", place.partition, place.region, place.account),
            ids: Cipher::new(seed, domain::CERTIFICATE),
            devices: devices.bytes,
            authorities: authorities.bytes,
            policies,
            intermediates,
            clients: counted(Check::ConflictingClients),
            unauthenticated_pools: counted(Check::UnauthenticatedPool),
            authenticated_pools: counted(Check::AuthenticatedPool),
            permissive_aliases: counted(Check::AliasPermissive),
            unused_aliases: counted(Check::AliasUnused),
            logging: Logging::first(plan.count(Check::LoggingDisabled) == 0, &place.account),
            versions: BTreeMap::new(),
            registrations: BTreeMap::new(),
            dynamic: BTreeSet::new(),
            groups: BTreeMap::new(),
            left: BTreeSet::new(),
            registered: Registered::default(),
            connections: BTreeMap::new(),
            indexed: true,
            by_age: OnceLock::new(),
            revision: 0,
            changes: 0,
        }
    }

    /// Device certificates that are not active.
    pub(crate) fn inactive_devices(&self) -> usize {
        self.devices.iter().filter(|flags| **flags & flag::ACTIVE == 0).count()
    }
}

/// Certificates laid out so that one in ten of a defect's certificates also has the defect before it: one
/// deactivation then cures two findings, as in a real fleet.
#[derive(Default)]
struct Ranges {
    bytes: Vec<u8>,
    previous: u32,
}

impl Ranges {
    fn len(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    fn append(&mut self, count: u32) -> u32 {
        let first = self.len();
        self.bytes.extend(std::iter::repeat_n(flag::ACTIVE, usize::try_from(count).unwrap_or(0)));
        first
    }

    fn mark(&mut self, count: u32, defect: u8) {
        let overlap = count.min(self.previous) / 10;
        let first = self.len() - overlap;
        self.append(count - overlap);
        for byte in self.bytes.iter_mut().skip(usize::try_from(first).unwrap_or(0)) {
            *byte |= defect;
        }
        self.previous = count;
    }
}

#[cfg(test)]
pub(crate) fn sample(findings: u32) -> Fleet {
    let place = Place { partition: "aws".into(), region: "eu-west-1".into(), account: "123456789012".into() };
    Fleet::new(findings, 7, 1_700_000_000_000, &place)
}
