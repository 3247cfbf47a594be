//! How many devices the targets of a security profile are.
//!
//! A target is a thing group, or all things of a kind. A group's things are counted once a look; of all things the fleet
//! index has the number, if the account has one. Devices that are not registered are not counted.

use std::collections::HashMap;

use fleetwarden_aws::Error;

use crate::MlModelStatus;

/// What was counted in this look, by the ARN of the target.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    targets: HashMap<String, Option<u64>>,
}

impl MlModelStatus {
    /// How many devices these targets are. None: not known. A device of two groups counts twice, which makes a forecast
    /// more careful and a share smaller.
    ///
    /// What is refused is not known, and fails nothing: only forecast and share need it.
    pub(crate) async fn devices(&self, targets: &[String], counted: &mut Counted) -> Option<u64> {
        let mut sum = 0_u64;
        for arn in targets {
            let count = if let Some(count) = counted.targets.get(arn) {
                *count
            } else {
                let count = self.count(arn).await.unwrap_or_else(|error| {
                    tracing::warn!(error.name = error.name(), %error, "the devices of a target are not counted");
                    None
                });
                counted.targets.insert(arn.clone(), count);
                count
            };
            sum = sum.saturating_add(count?);
        }
        Some(sum)
    }

    async fn count(&self, arn: &str) -> Result<Option<u64>, Error> {
        // arn:aws:iot:REGION:ACCOUNT:thinggroup/NAME, or …:all/registered-things.
        let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
        match resource.split_once('/') {
            Some(("thinggroup", group)) => self.things_in(group).await,
            Some(("all", "registered-things" | "things")) => self.all_things().await,
            _ => Ok(None),
        }
    }
}
