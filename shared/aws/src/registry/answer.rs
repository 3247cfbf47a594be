//! The answers of AWS IoT, with the members that are used.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A page of `ListPrincipalThings`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThingsPage {
    pub(super) things: Option<Vec<String>>,
    pub(super) next_token: Option<String>,
}

/// `DescribeThing`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThingAnswer {
    pub(super) thing_name: Option<String>,
    pub(super) thing_type_name: Option<String>,
    pub(super) attributes: Option<BTreeMap<String, String>>,
}

/// A page of `ListThingGroupsForThing`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupsPage {
    pub(super) thing_groups: Option<Vec<Group>>,
    pub(super) next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    pub(super) group_name: Option<String>,
}

/// `DescribeThingGroup`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupAnswer {
    pub(super) thing_group_metadata: Option<GroupMetadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupMetadata {
    pub(super) root_to_parent_thing_groups: Option<Vec<Group>>,
}

/// The names of groups. None if one has no name.
pub(super) fn names_of(groups: Vec<Group>) -> Option<Vec<String>> {
    groups.into_iter().map(|group| group.group_name).collect()
}
