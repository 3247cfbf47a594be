//! The thing groups that a mitigation action adds things to, and those that a thing is in.
//!
//! Only groups that a thing is in directly count: one above them is none that it could be taken out of.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use aws_sdk_iot::Client;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::untrusted::visible;

use crate::Error;

/// The error code of what does not exist.
const NOT_FOUND: &str = "ResourceNotFoundException";
/// How many groups are asked for at once.
const PAGE: i32 = 250;

/// Thing groups, by way of the typed client of AWS IoT.
#[derive(Clone, Debug)]
pub struct ThingGroups {
    iot: Client,
}

impl ThingGroups {
    /// By this client.
    pub const fn new(iot: Client) -> Self {
        Self { iot }
    }

    /// `DescribeMitigationAction`: whether there is such an action, of whatever type.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn exists(&self, action: &str) -> Result<bool, Error> {
        let described = self.iot.describe_mitigation_action().action_name(action).send().await;
        match described.map_err(Error::aws("DescribeMitigationAction", action)) {
            Err(error) if error.is_code(NOT_FOUND) => Ok(false),
            described => described.map(|_| true),
        }
    }

    /// `ListThingGroupsForThing`: the groups that a thing is in directly. None if there is no such thing.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn of_thing(&self, thing: &str) -> Result<Option<BTreeSet<String>>, Error> {
        let operation = "ListThingGroupsForThing";
        let (mut groups, mut pages) = (BTreeSet::new(), Pages::default());
        loop {
            let list = self.iot.list_thing_groups_for_thing().thing_name(thing).max_results(PAGE);
            let list = list.set_next_token(pages.token().map(ToOwned::to_owned));
            let page = match list.send().await.map_err(Error::aws(operation, &visible(thing))) {
                Err(error) if error.is_code(NOT_FOUND) => return Ok(None),
                page => page?,
            };
            let named = page.thing_groups.unwrap_or_default();
            groups.extend(named.into_iter().filter_map(|group| group.group_name));
            match pages.turn(page.next_token) {
                Ok(true) => {}
                Ok(false) => return Ok(Some(groups)),
                Err(endless) => return Err(Error::Later(format!("{operation}: {endless}"))),
            }
        }
    }

    /// `RemoveThingFromThingGroup`. What is gone already is no error.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn remove(&self, thing: &str, group: &str) -> Result<(), Error> {
        let remove = self.iot.remove_thing_from_thing_group().thing_name(thing).thing_group_name(group);
        match remove.send().await.map_err(Error::aws("RemoveThingFromThingGroup", &visible(thing))) {
            Err(error) if error.is_code(NOT_FOUND) => Ok(()),
            removed => removed.map(drop),
        }
    }
}

/// The groups that things are added to, by the name of the mitigation action.
pub type GroupsByAction = BTreeMap<String, Vec<String>>;

/// Of each action the groups that a thing is not in; nothing of an action that adds it to no further one.
pub fn missing(actions: &GroupsByAction, present: &BTreeSet<String>) -> GroupsByAction {
    let missing = |groups: &Vec<String>| -> Vec<String> {
        groups.iter().filter(|group| !present.contains(*group)).cloned().collect()
    };
    let missing = actions.iter().map(|(action, groups)| (action.clone(), missing(groups)));
    missing.filter(|(_, groups)| !groups.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_thing_is_not_in_is_missing() {
        let groups = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let actions = GroupsByAction::from([
            ("A".to_owned(), groups(&["q", "r"])),
            ("B".to_owned(), groups(&["q"])),
            ("C".to_owned(), groups(&["r", "s"])),
        ]);
        let present = BTreeSet::from(["q".to_owned(), "s".to_owned(), "other".to_owned()]);
        let expected =
            GroupsByAction::from([("A".to_owned(), groups(&["r"])), ("C".to_owned(), groups(&["r"]))]);
        assert_eq!(missing(&actions, &present), expected);
        assert_eq!(missing(&actions, &BTreeSet::new()), actions);
    }
}
