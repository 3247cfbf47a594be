//! The devices that a security profile watches: its targets, and the things of those.
//!
//! AWS counts neither, so things are listed, a page of 250 a call, up to the number that matters. Devices that are not
//! registered are in no list.

use std::collections::BTreeSet;

use aws_sdk_iot::Client;
use fleetwarden_core::api::Operation;
use fleetwarden_core::pages::Pages;

use crate::Error;
use crate::pace::Pace;

/// The largest page of these lists.
const PAGE: i32 = 250;

/// An operation with its rate, as far as waiting for a turn needs it.
const fn rate(name: &'static str, per_second: u32) -> Operation {
    Operation { name, method: "GET", path: "", per_second, members: &[] }
}

static TARGETS: Operation = rate("ListTargetsForSecurityProfile", 10);
static GROUP: Operation = rate("ListThingsInThingGroup", 25);
static THINGS: Operation = rate("ListThings", 10);
static STATISTICS: Operation = rate("GetStatistics", 20);

/// Asks AWS IoT for the devices of security profiles.
#[derive(Debug)]
pub struct ProfileDevices {
    iot: Client,
    pace: Pace,
}

/// What a security profile is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'t> {
    /// A thing group, with the groups below it.
    Group(&'t str),
    /// All registered things of the account.
    Registered,
    /// All clients of the account, registered or not.
    Everything,
    /// All clients that are not registered, or a target that is new here.
    Uncounted,
}

impl<'t> Target<'t> {
    /// From its ARN, as `arn:aws:iot:us-east-1:123456789012:thinggroup/lights`.
    pub fn of(arn: &'t str) -> Self {
        match resource(arn).split_once('/') {
            Some(("thinggroup", group)) => Self::Group(group),
            Some(("all", "registered-things")) => Self::Registered,
            Some(("all", "things")) => Self::Everything,
            _ => Self::Uncounted,
        }
    }
}

/// The resource of an ARN: the sixth part and all after it, since a group's name can have colons.
pub fn resource(arn: &str) -> &str {
    arn.splitn(6, ':').last().unwrap_or(arn)
}

impl ProfileDevices {
    /// By this client, at this pace.
    pub const fn new(iot: Client, pace: Pace) -> Self {
        Self { iot, pace }
    }

    /// The ARNs of the targets of a security profile (`ListTargetsForSecurityProfile`).
    ///
    /// # Errors
    /// If the service does not answer, or has no such profile.
    pub async fn targets(&self, profile: &str) -> Result<Vec<String>, Error> {
        let (mut targets, mut pages) = (Vec::new(), Pages::default());
        loop {
            let list = self.iot.list_targets_for_security_profile().security_profile_name(profile);
            let list = list.max_results(PAGE).set_next_token(pages.token().map(ToOwned::to_owned));
            let call = async || list.clone().send().await.map_err(Error::aws(TARGETS.name, profile));
            let page = self.pace.call(&TARGETS, call).await?;
            targets.extend(
                page.security_profile_targets.unwrap_or_default().into_iter().map(|target| target.arn),
            );
            if !turn(&TARGETS, &mut pages, page.next_token)? {
                return Ok(targets);
            }
        }
    }

    /// Adds the names of the things of a group and of the groups below it (`ListThingsInThingGroup`), until there are
    /// `limit` of them. Says whether these are all.
    ///
    /// # Errors
    /// If the service does not answer, or has no such group.
    pub async fn add_group(
        &self,
        group: &str,
        limit: u64,
        things: &mut BTreeSet<String>,
    ) -> Result<bool, Error> {
        let mut pages = Pages::default();
        while (things.len() as u64) < limit {
            let list = self.iot.list_things_in_thing_group().thing_group_name(group).recursive(true);
            let list = list.max_results(PAGE).set_next_token(pages.token().map(ToOwned::to_owned));
            let call = async || list.clone().send().await.map_err(Error::aws(GROUP.name, group));
            let page = self.pace.call(&GROUP, call).await?;
            things.extend(page.things.unwrap_or_default());
            if !turn(&GROUP, &mut pages, page.next_token)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds the names of all registered things (`ListThings`), until there are `limit` of them. Says whether these are
    /// all.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn add_registered(&self, limit: u64, things: &mut BTreeSet<String>) -> Result<bool, Error> {
        let mut pages = Pages::default();
        while (things.len() as u64) < limit {
            let list = self.iot.list_things().max_results(PAGE);
            let list = list.set_next_token(pages.token().map(ToOwned::to_owned));
            let call = async || list.clone().send().await.map_err(Error::aws(THINGS.name, "all things"));
            let page = self.pace.call(&THINGS, call).await?;
            things.extend(page.things.unwrap_or_default().into_iter().filter_map(|thing| thing.thing_name));
            if !turn(&THINGS, &mut pages, page.next_token)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many registered things there are by the fleet index (`GetStatistics`): one call for any number, but not every
    /// account has an index.
    ///
    /// # Errors
    /// If the service does not answer, or has no index.
    pub async fn indexed(&self) -> Result<Option<u64>, Error> {
        let get = self.iot.get_statistics().query_string("thingName:*");
        let call = async || get.clone().send().await.map_err(Error::aws(STATISTICS.name, "all things"));
        let answer = self.pace.call(&STATISTICS, call).await?;
        Ok(answer.statistics.and_then(|all| u64::try_from(all.count).ok()))
    }
}

fn turn(operation: &Operation, pages: &mut Pages, token: Option<String>) -> Result<bool, Error> {
    pages.turn(token).map_err(|endless| Error::Later(format!("{}: {endless}", operation.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_the_resource_of_its_arn_with_all_colons() {
        let of = |resource: &str| format!("arn:aws:iot:us-east-1:123456789012:{resource}");
        for (text, target) in [
            ("all/registered-things", Target::Registered),
            ("all/things", Target::Everything),
            ("all/unregistered-things", Target::Uncounted),
            ("thinggroup/lights", Target::Group("lights")),
            ("thinggroup/site:7:lights", Target::Group("site:7:lights")),
            ("thinggroup/:", Target::Group(":")),
        ] {
            let arn = of(text);
            assert_eq!((resource(&arn), Target::of(&arn)), (text, target));
        }
        assert_eq!((resource("odd"), Target::of("odd")), ("odd", Target::Uncounted));
    }
}
