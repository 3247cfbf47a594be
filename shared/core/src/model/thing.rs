//! The things behind a resource: what a policy can ask of them, and that nobody may know.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::model::resource::ResourceIdentifier;

/// What is known of the things behind a resource. Not to know is a value of its own, and never means "none".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Things {
    /// All of them, also none.
    Known(Vec<Thing>),
    /// They were asked for, and nobody could say.
    Unknown {
        /// Why not.
        unknown: String,
    },
    /// Nobody asked, because no rule needed them.
    #[default]
    NotAsked,
}

/// A thing (`DescribeThing`, `ListThingGroupsForThing`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thing {
    /// `[a-zA-Z0-9:_-]{1,128}`.
    pub name: String,
    /// What the thing says of itself. None if nobody asked.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Description>,
    /// Every group that the thing is in, with those above them. None if nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
}

/// What a thing says of itself (`DescribeThing`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The name of its type, if it has one.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub thing_type: Option<String>,
    /// Its attributes, by name.
    pub attributes: BTreeMap<String, String>,
}

/// What has to be looked up before a decision is final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Which things are behind the resource.
    pub names: bool,
    /// Type and attributes of each.
    pub descriptions: bool,
    /// Groups of each, with those above them.
    pub groups: bool,
}

impl Wanted {
    /// Whether nothing is.
    pub const fn is_nothing(self) -> bool {
        !self.names && !self.descriptions && !self.groups
    }
}

/// What kind of resource it is that things may be behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind<'a> {
    /// The things that a device certificate is attached to; its id or its ARN.
    Certificate(&'a str),
    /// The thing with the name of an MQTT client, if there is one.
    Client(&'a str),
    /// As many things as use a policy or an issuer: too many to look up.
    Many,
    /// No things: a mitigation of this resource cuts none off.
    Nothing,
}

impl ResourceIdentifier {
    /// Where the things behind the resource are found.
    pub fn behind(&self) -> Behind<'_> {
        let certificate = self.device_certificate_id.as_deref().or(self.device_certificate_arn.as_deref());
        match (certificate, &self.client_id) {
            (Some(certificate), _) => Behind::Certificate(certificate),
            (None, Some(client)) => Behind::Client(client),
            (None, None) => {
                let many =
                    self.policy_version_identifier.is_some() || self.issuer_certificate_identifier.is_some();
                if many { Behind::Many } else { Behind::Nothing }
            }
        }
    }
}

impl Things {
    /// Whether nobody asked.
    pub const fn is_not_asked(&self) -> bool {
        matches!(self, Self::NotAsked)
    }
}
