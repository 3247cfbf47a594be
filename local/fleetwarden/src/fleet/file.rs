//! The file of things and groups: what people write and `things export` makes, in one form.

use fleetwarden_core::policy::schema_of;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is in a fleet, as far as it is known. A list or a member that is left out is not known, which never means that
/// there is none.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Things and groups")]
pub(super) struct Listed {
    /// From where and when `fleetwarden things export` made the file. Nothing is decided by it.
    pub(super) exported: Option<Exported>,
    /// All things.
    pub(super) things: Option<Vec<Entry>>,
    /// All thing groups.
    pub(super) groups: Option<Vec<Group>>,
    /// The ids of all certificates.
    pub(super) certificates: Option<Vec<String>>,
    /// The names of all policies of AWS IoT.
    pub(super) policies: Option<Vec<String>>,
}

/// From where and when a file was exported.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Exported {
    /// Partition, region and account, as `arn:aws:iot:eu-central-1:123456789012`.
    pub(super) from: String,
    /// When the export began, in RFC 3339.
    pub(super) begun: String,
    /// Whether each thing has its certificates.
    pub(super) certificates: bool,
}

/// A thing, by its name or with what is known of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Entry {
    /// Its name.
    Name(String),
    /// What is known of it.
    Described(Described),
}

/// A thing.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    /// Its name.
    pub(super) name: String,
    /// The name of its type. With attributes and no type it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) r#type: Option<String>,
    /// All its attributes, by name. With a type and no attributes it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attributes: Option<BTreeMap<String, String>>,
    /// All groups that it is in; those above them may be left out if `groups` names the parents. Left out, they are those
    /// that list it, if each group lists its things.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) groups: Option<Vec<String>>,
    /// The ids of all certificates that it is attached to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificates: Option<Vec<String>>,
}

/// A thing group, by its name or with what is known of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Group {
    /// Its name.
    Name(String),
    /// What is known of it.
    Below(Below),
}

/// A thing group.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Below {
    /// Its name.
    pub(super) name: String,
    /// The group above it, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<String>,
    /// The names of all things that are in it directly, not by way of a group below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) things: Option<Vec<String>>,
}

/// The JSON Schema of the file.
pub(crate) fn schema() -> Value {
    schema_of::<Listed>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_that_ships_is_that_of_the_types() {
        let shipped = include_str!("../../../../docs/things.schema.json");
        let same = shipped == serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        assert!(same, "run: cargo run -p fleetwarden -- things schema > docs/things.schema.json");
    }
}
