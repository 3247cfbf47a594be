//! How many devices a security profile watches, as `detect-alarm` has last counted them.

use std::time::Duration;

use fleetwarden_core::digest::Digest;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;

use super::Alarms;
use crate::Error;
use crate::ledger::keys;

/// The sort key, and the attribute.
const POPULATION: &str = "population";
/// An older count says nothing.
const MAX_AGE: Duration = Duration::from_hours(24);

/// What is needed here of a count.
#[derive(Deserialize)]
struct Population {
    /// How many devices: at least so many.
    devices: Option<u64>,
    /// Whether they are all.
    all: bool,
}

impl Alarms {
    /// How many devices a profile watches, if all of them were counted within the last day. Nobody is asked.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn population(
        &self,
        (account, region): (&str, &str),
        profile: &str,
        now: Millis,
    ) -> Result<Option<u64>, Error> {
        let key = Digest::new("profile").part(account).part(region).part(profile).hex();
        let Some(item) = self.ledger.get(&keys::profile(&key), POPULATION).await? else { return Ok(None) };
        let is_old = item.get_number("at").is_none_or(|at| at < now.minus(MAX_AGE).0);
        let population =
            item.get_json::<Population>(POPULATION).filter(|population| population.all && !is_old);
        Ok(population.and_then(|population| population.devices))
    }
}
