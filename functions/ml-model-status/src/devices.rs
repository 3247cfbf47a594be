//! How many devices the targets of a security profile are.
//!
//! A group's things are counted once a run; of all things the fleet index has the number, if the account has one. Devices
//! that are not registered are not counted.

use std::collections::BTreeSet;
use std::collections::HashMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::profile_devices::ProfileDevices;
use fleetwarden_aws::profile_devices::Target;

use crate::detect::if_there;

/// A group with more things is not counted.
const MOST_THINGS: u64 = 20_000;

/// Counts devices, and remembers those of each target, by its ARN.
pub(crate) struct DeviceCounts<'a> {
    devices: &'a ProfileDevices,
    counted: HashMap<String, Option<u64>>,
}

impl<'a> DeviceCounts<'a> {
    pub(crate) fn new(devices: &'a ProfileDevices) -> Self {
        Self { devices, counted: HashMap::new() }
    }

    /// How many devices these targets are. None: unknown. A device of two groups counts twice, which makes a forecast more
    /// careful and a share smaller.
    ///
    /// If a call is refused the number is unknown, and nothing fails: only forecast and share need it.
    pub(crate) async fn of(&mut self, targets: &[String]) -> Option<u64> {
        let mut sum = 0_u64;
        for arn in targets {
            let count = if let Some(count) = self.counted.get(arn) {
                *count
            } else {
                let count = self.count(arn).await.unwrap_or_else(|error| {
                    tracing::warn!(error.name = error.name(), %error, "the devices of a target are not counted");
                    None
                });
                self.counted.insert(arn.clone(), count);
                count
            };
            sum = sum.saturating_add(count?);
        }
        Some(sum)
    }

    async fn count(&self, arn: &str) -> Result<Option<u64>, Error> {
        match Target::of(arn) {
            Target::Group(group) => {
                let mut things = BTreeSet::new();
                let all = self.devices.add_group(group, MOST_THINGS, &mut things).await;
                Ok(if_there(all)?.filter(|all| *all).map(|_| things.len() as u64))
            }
            Target::Registered | Target::Everything => self.devices.indexed().await,
            Target::Uncounted => Ok(None),
        }
    }
}
