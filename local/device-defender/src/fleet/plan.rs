//! How many defects of each kind a fleet of N findings has.
//!
//! Every check gets one, in the order of how interesting it is, so that even a small fleet shows most of
//! them; the rest go to the checks that are large in real fleets. The sum is always exactly N.

use crate::checks::Check;

/// Check, its share of the rest in thousandths, and the most it may have.
const SHARES: [(Check, u32, u32); 17] = [
    (Check::DeviceExpiring, 0, u32::MAX),
    (Check::DeviceRevoked, 140, u32::MAX),
    (Check::PolicyPermissive, 60, u32::MAX),
    (Check::LoggingDisabled, 0, 1),
    (Check::DeviceShared, 120, u32::MAX),
    (Check::DeviceAge, 180, u32::MAX),
    (Check::ConflictingClients, 100, u32::MAX),
    (Check::CaExpiring, 5, 20),
    (Check::DeviceKeyQuality, 40, u32::MAX),
    (Check::AliasPermissive, 5, 25),
    (Check::PolicyMisconfigured, 20, u32::MAX),
    (Check::IntermediateRevoked, 2, 5),
    (Check::CaRevoked, 2, 8),
    (Check::UnauthenticatedPool, 3, 10),
    (Check::AuthenticatedPool, 3, 10),
    (Check::AliasUnused, 5, 25),
    (Check::CaKeyQuality, 2, 6),
];

/// Defects by check.
#[derive(Debug)]
pub(crate) struct Plan {
    counts: [u32; 17],
}

impl Plan {
    /// A plan whose counts add up to `findings`.
    pub(crate) fn new(findings: u32) -> Self {
        let mut plan = Self { counts: [0; 17] };
        let mut left = findings;
        for (check, _, _) in SHARES {
            let one = left.min(1);
            plan.add(check, one);
            left -= one;
        }
        let rest = left;
        for (check, share, most) in SHARES {
            let wanted = u64::from(rest) * u64::from(share) / 1000;
            let more = u32::try_from(wanted).unwrap_or(u32::MAX).min(most.saturating_sub(plan.count(check)));
            plan.add(check, more);
            left -= more;
        }
        plan.add(Check::DeviceExpiring, left);
        plan
    }

    /// How many resources this check finds.
    pub(crate) fn count(&self, check: Check) -> u32 {
        self.counts.get(usize::from(check.number())).copied().unwrap_or(0)
    }

    fn add(&mut self, check: Check, more: u32) {
        if let Some(count) = self.counts.get_mut(usize::from(check.number())) {
            *count += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_counts_add_up(findings in 0_u32..5_000_000) {
            let plan = Plan::new(findings);
            prop_assert_eq!(plan.counts.iter().sum::<u32>(), findings);
            prop_assert!(plan.count(Check::LoggingDisabled) <= 1);
        }
    }

    #[test]
    fn a_hundred_findings_touch_every_check() {
        let plan = Plan::new(100);
        assert!(plan.counts.iter().all(|count| *count > 0));
    }
}
