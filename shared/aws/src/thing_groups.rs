//! The thing groups that a mitigation action adds things to, and those that a thing is in.
//!
//! Only groups that a thing is in directly count: one above them is none that it could be taken out of.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use aws_sdk_iot::Client;
use aws_sdk_iot::operation::describe_mitigation_action::DescribeMitigationActionOutput;
use aws_sdk_iot::types::AddThingsToThingGroupParams;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::untrusted::visible;

use crate::Error;
use crate::mitigations::Additions;

/// The error code of what does not exist.
const NOT_FOUND: &str = "ResourceNotFoundException";
/// How many groups are asked for at once.
const PAGE: i32 = 250;

/// Thing groups, by way of the typed client of AWS IoT.
#[derive(Clone, Debug)]
pub struct ThingGroups {
    iot: Client,
}

/// What a mitigation action adds a thing to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionGroups {
    /// To these groups, at least one.
    Groups(Vec<String>),
    /// To none, and why: there is no such action, or it is of another type.
    None(String),
}

impl ThingGroups {
    /// By this client.
    pub const fn new(iot: Client) -> Self {
        Self { iot }
    }

    /// `DescribeMitigationAction`: the groups that an action adds things to.
    ///
    /// # Errors
    /// If the service does not answer, or with nothing.
    pub async fn of_action(&self, action: &str) -> Result<ActionGroups, Error> {
        let operation = "DescribeMitigationAction";
        let described = self.iot.describe_mitigation_action().action_name(action).send().await;
        match described.map_err(Error::aws(operation, action)) {
            Err(error) if error.is_code(NOT_FOUND) => {
                Ok(ActionGroups::None(format!("there is no mitigation action '{action}'")))
            }
            described => groups_of(&described?, action),
        }
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

    /// Of each action the groups that it adds things to.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn of_actions(&self, actions: &[String]) -> Result<Result<GroupsByAction, String>, Error> {
        let mut groups = BTreeMap::new();
        for action in actions {
            match self.of_action(action).await? {
                ActionGroups::Groups(of_action) => drop(groups.insert(action.clone(), of_action)),
                ActionGroups::None(why) => return Ok(Err(why)),
            }
        }
        Ok(Ok(groups))
    }

    /// What actions would add to things: of each violation and its thing the groups that the thing is not in. None of
    /// a thing that is not registered, or is in all of the groups.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn additions<'v>(
        &self,
        actions: &GroupsByAction,
        violations: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) -> Result<Additions, Error> {
        let mut additions = Additions::new();
        for (violation, thing) in violations {
            let Some(present) = self.of_thing(thing).await? else { continue };
            let missing = missing(actions, &present);
            if !missing.is_empty() {
                additions.insert(violation.to_owned(), missing);
            }
        }
        Ok(additions)
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

fn groups_of(described: &DescribeMitigationActionOutput, action: &str) -> Result<ActionGroups, Error> {
    let kind = described.action_type().map_or("no type", |kind| kind.as_str());
    let adds = described.action_params().and_then(|params| params.add_things_to_thing_group_params());
    Ok(match adds.map(AddThingsToThingGroupParams::thing_group_names) {
        Some(groups) if !groups.is_empty() => ActionGroups::Groups(groups.to_vec()),
        Some(_) => ActionGroups::None(format!("mitigation action '{action}' names no thing group")),
        None if kind == "ADD_THINGS_TO_THING_GROUP" || described.action_type().is_none() => {
            return Err(Error::Later(format!(
                "DescribeMitigationAction on {action}: an answer without content"
            )));
        }
        None => ActionGroups::None(format!(
            "mitigation action '{action}' is of type {kind}: an alarm is mitigated only by ADD_THINGS_TO_THING_GROUP"
        )),
    })
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
