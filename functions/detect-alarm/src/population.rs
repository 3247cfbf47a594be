//! How many devices a security profile watches: what a share of them is a share of.
//!
//! Asked of the service only when a share can count, and only up to the number that matters: of a larger fleet the share
//! is too small. Kept in the ledger for an hour, and in the process for some minutes. Whatever keeps the answer away
//! leaves the number unknown, and then only the absolute limit holds.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::about;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::model::alarm::Alarm;
use fleetwarden_core::model::alarm::Source;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

use crate::DetectAlarm;

/// How long an answer counts, in the ledger and in the process, in seconds.
const LEDGER_SECONDS: i64 = 3_600;
const PROCESS_SECONDS: i64 = 300;
/// The sort key, and the attribute.
const POPULATION: &str = "population";

/// What profiles watch, as far as this process has asked.
#[derive(Debug, Default)]
pub struct Populations(Mutex<HashMap<String, Known>>);

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
    /// The groups that the profile is attached to, by name, or what their ARNs end with.
    targets: Vec<String>,
}

impl Population {
    /// Whether this says enough of whether there are more than so many.
    fn is_enough(&self, most: u64) -> bool {
        self.all || self.devices.is_none_or(|devices| devices >= most)
    }
}

impl Populations {
    /// What a profile is attached to, as far as this process knows.
    pub(crate) fn targets(&self, profile: &str) -> Vec<String> {
        self.with(|known| known.get(profile).map(|known| known.population.targets.clone()))
            .unwrap_or_default()
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, Known>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl DetectAlarm {
    /// How many devices the profile of an alarm watches, or at least `most`. None: unknown.
    pub(crate) async fn population(&self, alarm: &Alarm, most: u64, now: Millis) -> Option<u64> {
        if alarm.source != Source::DeviceDefender {
            return None;
        }
        let fresh =
            |known: &&Known| known.at.plus_seconds(PROCESS_SECONDS) > now && known.population.is_enough(most);
        let known = self.populations.with(|known| known.get(&alarm.profile).filter(fresh).cloned());
        if let Some(known) = known {
            return known.population.devices;
        }
        let population = self.look_up(alarm, most, now).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "how many devices the profile watches stays unknown");
            Population::default()
        });
        let devices = population.devices;
        self.populations.with(|known| known.insert(alarm.profile.clone(), Known { at: now, population }));
        devices
    }

    /// From the ledger, or else from the service.
    async fn look_up(&self, alarm: &Alarm, most: u64, now: Millis) -> Result<Population, Error> {
        let ledger = self.alarms.ledger();
        let key = Digest::new("profile").part(&alarm.account).part(&alarm.region).part(&alarm.profile).hex();
        let kept = ledger.get(&about::profile(&key), POPULATION).await?;
        let fresh =
            |item: &Item| item.get_number("at").is_some_and(|at| at > now.plus_seconds(-LEDGER_SECONDS).0);
        let kept = kept.filter(fresh).and_then(|item| item.get_json::<Population>(POPULATION));
        if let Some(population) = kept.filter(|population| population.is_enough(most)) {
            return Ok(population);
        }
        let population = self.ask(alarm, most).await?;
        let item = Item::new(&about::profile(&key), POPULATION, now).number("at", now.0);
        ledger.put(item.json(POPULATION, &population).until(now.plus_seconds(LEDGER_SECONDS))).await?;
        Ok(population)
    }

    /// `ListTargetsForSecurityProfile`, and `ListThingsInThingGroup` of each group.
    async fn ask(&self, alarm: &Alarm, most: u64) -> Result<Population, Error> {
        let targets = self.targets(&alarm.profile).await?;
        let mut things = BTreeSet::new();
        let mut groups = Vec::new();
        for target in &targets {
            match target.strip_prefix("thinggroup/") {
                Some(group) => groups.push(group),
                // All things of an account, or all that are not registered: nobody lists those.
                None => return Ok(Population { devices: None, all: false, targets }),
            }
        }
        let mut all = true;
        for group in groups {
            all &= self.list_things(group, most, &mut things).await?;
        }
        Ok(Population { devices: Some(things.len() as u64), all, targets })
    }

    /// What a profile is attached to: the resource of each ARN, as `thinggroup/lights` or `all/things`.
    async fn targets(&self, profile: &str) -> Result<Vec<String>, Error> {
        let name = "ListTargetsForSecurityProfile";
        let (mut targets, mut pages) = (Vec::new(), Pages::default());
        loop {
            let list = self.iot.list_targets_for_security_profile().security_profile_name(profile);
            let page = list.set_next_token(pages.token().map(Into::into)).send().await;
            let page = page.map_err(Error::aws(name, profile))?;
            let arns = page.security_profile_targets.unwrap_or_default();
            targets.extend(arns.iter().map(|target| target_of(&target.arn).to_owned()));
            if !pages.turn(page.next_token).map_err(|e| Error::Later(format!("{name}: {e}")))? {
                return Ok(targets);
            }
        }
    }

    /// Adds the things of a group and of those below it, until there are so many. Says whether these are all.
    async fn list_things(
        &self,
        group: &str,
        most: u64,
        things: &mut BTreeSet<String>,
    ) -> Result<bool, Error> {
        let name = "ListThingsInThingGroup";
        let mut pages = Pages::default();
        while (things.len() as u64) < most {
            let list = self.iot.list_things_in_thing_group().thing_group_name(group);
            let list = list.recursive(true).max_results(250);
            let page = list.set_next_token(pages.token().map(Into::into)).send().await;
            let page = page.map_err(Error::aws(name, group))?;
            things.extend(page.things.unwrap_or_default());
            if !pages.turn(page.next_token).map_err(|e| Error::Later(format!("{name}: {e}")))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The resource of a target's ARN: the sixth part and all after it, since a group's name can have colons.
fn target_of(arn: &str) -> &str {
    arn.splitn(6, ':').last().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_the_resource_of_its_arn_with_all_colons() {
        let of = |resource: &str| format!("arn:aws:iot:us-east-1:123456789012:{resource}");
        for resource in ["all/things", "thinggroup/lights", "thinggroup/site:7:lights", "thinggroup/:"] {
            assert_eq!(target_of(&of(resource)), resource);
        }
        assert_eq!(target_of("odd"), "odd");
    }
}
