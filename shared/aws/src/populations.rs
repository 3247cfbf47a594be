//! How many devices a security profile watches, as far as an incident needs it: what a share of them is a share of.
//!
//! Counted only up to the number that matters: of a larger fleet the share is too small. A count is valid for an hour in
//! the ledger, and for some minutes in the process. If the service does not answer, the number is unknown, and only the
//! absolute limit counts.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use fleetwarden_core::digest::Digest;
use fleetwarden_core::model::alarm::Alarm;
use fleetwarden_core::model::alarm::Source;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

use crate::Error;
use crate::alarms::Alarms;
use crate::ledger::Item;
use crate::ledger::Ledger;
use crate::ledger::keys;
use crate::profile_devices::ProfileDevices;
use crate::profile_devices::Target;
use crate::profile_devices::resource;

/// How long a count is valid, in the ledger and in the process, in seconds.
const LEDGER_SECONDS: i64 = 3_600;
const PROCESS_SECONDS: i64 = 300;
/// For a report a count is valid for longer, in seconds.
const REPORT_SECONDS: i64 = 86_400;
/// The sort key, and the attribute.
const POPULATION: &str = "population";

/// The populations of security profiles, with those that this process knows.
#[derive(Debug)]
pub struct Populations {
    ledger: Ledger,
    devices: ProfileDevices,
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    at: Millis,
    population: Population,
}

/// What a profile watches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Population {
    /// How many devices: at least so many. None: unknown.
    devices: Option<u64>,
    /// Whether they are all.
    all: bool,
    /// What the profile is attached to: the resource of each ARN, as `thinggroup/lights` or `all/things`.
    targets: Vec<String>,
}

impl Population {
    /// Whether this tells if there are more than `limit`.
    fn is_enough(&self, limit: u64) -> bool {
        self.all || self.devices.is_none_or(|devices| devices >= limit)
    }
}

impl Populations {
    /// Counted by `devices`, remembered in the ledger.
    pub fn new(ledger: Ledger, devices: ProfileDevices) -> Self {
        Self { ledger, devices, known: Mutex::default() }
    }

    /// What a profile is attached to, as far as this process knows.
    pub fn targets(&self, profile: &str) -> Vec<String> {
        self.with(|known| known.get(profile).map(|known| known.population.targets.clone()))
            .unwrap_or_default()
    }

    /// How many devices the profile of an alarm watches, or at least `limit`. None: unknown.
    pub async fn of(&self, alarm: &Alarm, limit: u64, now: Millis) -> Option<u64> {
        if alarm.source != Source::DeviceDefender {
            return None;
        }
        let fresh = |known: &&Known| {
            known.at.plus_seconds(PROCESS_SECONDS) > now && known.population.is_enough(limit)
        };
        let known = self.with(|known| known.get(&alarm.profile).filter(fresh).cloned());
        if let Some(known) = known {
            return known.population.devices;
        }
        let population = self.look_up(alarm, limit, now).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "how many devices the security profile watches is unknown");
            Population::default()
        });
        let devices = population.devices;
        self.with(|known| known.insert(alarm.profile.clone(), Known { at: now, population }));
        devices
    }

    /// From the ledger, or else from the service.
    async fn look_up(&self, alarm: &Alarm, limit: u64, now: Millis) -> Result<Population, Error> {
        let key = key((&alarm.account, &alarm.region), &alarm.profile);
        let stored = self.ledger.get(&key, POPULATION).await?;
        let stored = stored.as_ref().and_then(|item| read(item, now, LEDGER_SECONDS));
        if let Some(population) = stored.filter(|population| population.is_enough(limit)) {
            return Ok(population);
        }
        let population = self.count(&alarm.profile, limit).await?;
        let item = Item::new(&key, POPULATION, now).number("at", now.0);
        self.ledger.put(item.json(POPULATION, &population).until(now.plus_seconds(LEDGER_SECONDS))).await?;
        Ok(population)
    }

    async fn count(&self, profile: &str, limit: u64) -> Result<Population, Error> {
        let arns = self.devices.targets(profile).await?;
        let targets: Vec<String> = arns.iter().map(|arn| resource(arn).to_owned()).collect();
        let groups = arns.iter().map(|arn| match Target::of(arn) {
            Target::Group(group) => Some(group),
            // The list of all things of an account is too long to be read for a share.
            _ => None,
        });
        let Some(groups) = groups.collect::<Option<Vec<&str>>>() else {
            return Ok(Population { devices: None, all: false, targets });
        };
        let (mut things, mut all) = (BTreeSet::new(), true);
        for group in groups {
            all &= self.devices.add_group(group, limit, &mut things).await?;
        }
        Ok(Population { devices: Some(things.len() as u64), all, targets })
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, Known>) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Alarms {
    /// How many devices a profile watches, if the ledger has a count of all of them from the last day. The service is not
    /// asked.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn population(
        &self,
        of: (&str, &str),
        profile: &str,
        now: Millis,
    ) -> Result<Option<u64>, Error> {
        let item = self.ledger().get(&key(of, profile), POPULATION).await?;
        let population = item.as_ref().and_then(|item| read(item, now, REPORT_SECONDS));
        Ok(population.filter(|population| population.all).and_then(|population| population.devices))
    }
}

fn key((account, region): (&str, &str), profile: &str) -> String {
    keys::profile(&Digest::new("profile").part(account).part(region).part(profile).hex())
}

fn read(item: &Item, now: Millis, valid_seconds: i64) -> Option<Population> {
    let is_valid = item.get_number("at").is_some_and(|at| at >= now.plus_seconds(-valid_seconds).0);
    item.get_json(POPULATION).filter(|_| is_valid)
}
