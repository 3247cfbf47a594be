//! One check over the whole fleet: how many resources it looked at, and which are non-compliant.
//!
//! An inactive certificate is not looked at, which is how a mitigation shows in the next audit.

use crate::checks::Check;
use crate::fleet::{Counted, Fleet, flag};
use crate::random::{domain, draw};

const DAY_MS: i64 = 86_400_000;

/// A non-compliant resource in eight bytes: which one, and what was true of it at the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The resource's number among those of its kind.
    pub(crate) resource: u32,
    /// The default version, for a policy.
    pub(crate) version: u16,
    /// The number of the check's reason code.
    pub(crate) reason: u8,
}

/// What a check found. Entries are in the order of their resources.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    pub(crate) total: u64,
    pub(crate) defects: Vec<Entry>,
}

impl Fleet {
    /// Runs a check at `at_ms`; `threshold_days` is used by the two checks that have a threshold.
    pub(crate) fn examine(&self, check: Check, at_ms: i64, threshold_days: i64) -> Examined {
        let soon = at_ms.saturating_add(threshold_days.saturating_mul(DAY_MS));
        let expiry_reason = |expiry: i64| u8::from(expiry <= at_ms);
        match check {
            Check::DeviceExpiring => examine_certificates(&self.devices, |index, _| {
                let expiry = self.device_expiry(index);
                (expiry <= soon).then(|| expiry_reason(expiry))
            }),
            Check::CaExpiring => examine_certificates(&self.authorities, |index, _| {
                let expiry = self.authority_expiry(index);
                (expiry <= soon).then(|| expiry_reason(expiry))
            }),
            Check::DeviceAge => {
                let limit = at_ms.saturating_sub(threshold_days.saturating_mul(DAY_MS));
                examine_certificates(&self.devices, |index, _| {
                    (self.device_created(index) <= limit).then_some(0)
                })
            }
            Check::DeviceRevoked => self.flagged(check, &self.devices, flag::REVOKED),
            Check::DeviceShared => self.flagged(check, &self.devices, flag::SHARED),
            Check::DeviceKeyQuality => self.flagged(check, &self.devices, flag::WEAK),
            Check::CaRevoked => self.flagged(check, &self.authorities, flag::REVOKED),
            Check::CaKeyQuality => self.flagged(check, &self.authorities, flag::WEAK),
            Check::PolicyPermissive | Check::PolicyMisconfigured => self.policies(check),
            Check::IntermediateRevoked => Examined {
                total: (self.intermediates.len() + 2) as u64,
                defects: (0_u32..)
                    .zip(&self.intermediates)
                    .filter(|(_, issuer)| self.any_active(issuer.first, issuer.count))
                    .map(|(resource, _)| Entry { resource, version: 0, reason: 0 })
                    .collect(),
            },
            Check::LoggingDisabled => Examined {
                total: 1,
                defects: if self.logging.is_enabled() {
                    Vec::new()
                } else {
                    vec![Entry { resource: 0, version: 0, reason: 0 }]
                },
            },
            Check::ConflictingClients => self.counted(check, self.clients),
            Check::UnauthenticatedPool => self.counted(check, self.unauthenticated_pools),
            Check::AuthenticatedPool => self.counted(check, self.authenticated_pools),
            Check::AliasPermissive => self.counted(check, self.permissive_aliases),
            Check::AliasUnused => self.counted(check, self.unused_aliases),
        }
    }

    /// When a device certificate expires, in epoch milliseconds.
    pub(crate) fn device_expiry(&self, index: u32) -> i64 {
        self.expiry(domain::DEVICE, index, has(&self.devices, index, flag::EXPIRING))
    }

    /// When a CA certificate expires, in epoch milliseconds.
    pub(crate) fn authority_expiry(&self, index: u32) -> i64 {
        self.expiry(domain::AUTHORITY, index, has(&self.authorities, index, flag::EXPIRING))
    }

    /// A quarter of the expiring ones have expired; the healthy ones last for more than a year.
    fn expiry(&self, kind: u64, index: u32, expiring: bool) -> i64 {
        let drawn = draw(self.seed ^ kind, domain::EXPIRY, index.into());
        let hours = i64::try_from(drawn >> 32).unwrap_or(0);
        let from_epoch = match (expiring, drawn % 4) {
            (true, 0) => -1 - hours % (60 * 24),
            (true, _) => 24 + hours % (28 * 24),
            (false, _) => 400 * 24 + hours % (3_200 * 24),
        };
        self.epoch_ms.saturating_add(from_epoch * 3_600_000)
    }

    /// When a device certificate was made. The old ones are older than the default threshold of a year.
    pub(crate) fn device_created(&self, index: u32) -> i64 {
        self.created(domain::CREATED, index, has(&self.devices, index, flag::OLD))
    }

    /// When a CA certificate was registered. All of them are older than any device.
    pub(crate) fn authority_created(&self, index: u32) -> i64 {
        self.created(domain::REGISTERED, index, false).saturating_sub(1_500 * DAY_MS)
    }

    fn created(&self, domain: u64, index: u32, old: bool) -> i64 {
        let drawn = draw(self.seed, domain, index.into());
        let hours = i64::try_from(drawn >> 32).unwrap_or(0);
        let age = if old { 366 * 24 + hours % (1_100 * 24) } else { 24 + hours % (200 * 24) };
        self.epoch_ms.saturating_sub(age * 3_600_000)
    }

    /// The device certificates, the oldest first. No date changes, so they are sorted once.
    pub(crate) fn devices_by_age(&self) -> &[u32] {
        self.by_age.get_or_init(|| {
            let mut all: Vec<u32> = (0..u32::try_from(self.devices.len()).unwrap_or(u32::MAX)).collect();
            all.sort_by_cached_key(|index| (self.device_created(*index), *index));
            all
        })
    }

    pub(crate) fn any_active(&self, first: u32, count: u32) -> bool {
        (first..first.saturating_add(count)).any(|index| has(&self.devices, index, flag::ACTIVE))
    }

    fn reason(&self, check: Check, index: u32) -> u8 {
        let drawn = draw(self.seed, domain::REASON ^ (u64::from(check.number()) << 8), index.into());
        u8::try_from(drawn % check.facts().reasons.len() as u64).unwrap_or(0)
    }

    fn flagged(&self, check: Check, certificates: &[u8], defect: u8) -> Examined {
        examine_certificates(certificates, |index, flags| {
            (flags & defect != 0).then(|| self.reason(check, index))
        })
    }

    fn policies(&self, check: Check) -> Examined {
        let defects = (0_u32..)
            .zip(&self.policies)
            .filter(|(_, policy)| match check {
                Check::PolicyPermissive => policy.permissive,
                _ => policy.misconfigured,
            })
            .map(|(resource, policy)| Entry {
                resource,
                version: policy.default_version,
                reason: self.reason(check, resource),
            })
            .collect();
        Examined { total: self.policies.len() as u64, defects }
    }

    fn counted(&self, check: Check, resources: Counted) -> Examined {
        let defects = (0..resources.defective)
            .map(|resource| Entry { resource, version: 0, reason: self.reason(check, resource) })
            .collect();
        Examined { total: resources.total.into(), defects }
    }
}

/// Whether a certificate has a flag. One that does not exist has none.
pub(crate) fn has(certificates: &[u8], index: u32, wanted: u8) -> bool {
    usize::try_from(index)
        .ok()
        .and_then(|index| certificates.get(index))
        .is_some_and(|flags| flags & wanted != 0)
}

fn examine_certificates(certificates: &[u8], judge: impl Fn(u32, u8) -> Option<u8>) -> Examined {
    let mut examined = Examined::default();
    for (resource, flags) in (0_u32..).zip(certificates) {
        if flags & flag::ACTIVE == 0 {
            continue;
        }
        examined.total += 1;
        if let Some(reason) = judge(resource, *flags) {
            examined.defects.push(Entry { resource, version: 0, reason });
        }
    }
    examined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::sample;

    fn found(fleet: &Fleet, check: Check) -> usize {
        let threshold = check.threshold().map_or(30, |(_, days)| days);
        fleet.examine(check, fleet.epoch_ms + 60_000, threshold).defects.len()
    }

    #[test]
    fn the_first_audit_finds_exactly_what_was_ordered() {
        for findings in [0, 1, 2, 9, 17, 18, 100, 1_000, 54_321] {
            let fleet = sample(findings);
            let sum: usize = Check::ALL.iter().map(|check| found(&fleet, *check)).sum();
            assert_eq!(sum, usize::try_from(findings).unwrap());
        }
        assert_eq!(found(&sample(1_000), Check::LoggingDisabled), 1);
    }

    #[test]
    fn thresholds_and_time_are_real() {
        let fleet = sample(1_000);
        let at = fleet.epoch_ms + 60_000;
        let with = |days| fleet.examine(Check::DeviceExpiring, at, days).defects.len();
        assert!(with(3_652) > with(30));
        let later = at + 600 * DAY_MS;
        assert!(fleet.examine(Check::DeviceExpiring, later, 30).defects.len() > with(30));
        let reasons: Vec<u8> =
            fleet.examine(Check::DeviceExpiring, at, 30).defects.iter().map(|entry| entry.reason).collect();
        assert!(reasons.contains(&0) && reasons.contains(&1));
    }

    #[test]
    fn some_certificates_have_two_defects() {
        let fleet = sample(1_000);
        assert!(fleet.devices.iter().any(|flags| (flags & !flag::ACTIVE).count_ones() > 1));
    }
}
