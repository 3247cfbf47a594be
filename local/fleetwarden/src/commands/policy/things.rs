//! The things behind a resource, as an operator writes them for `policy explain` and `policy test`.

use super::short::OneOr;
use crate::fleet::Fleet;
use crate::input::{self, Input};
use anyhow::{Result, anyhow};
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::{Description, Thing, Things};
use fleetwarden_core::policy::yaml;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What an operator says of the things behind a resource: a list of all of them, or `unknown`.
#[derive(Clone, Debug)]
pub(crate) struct Said(pub(crate) Things);

/// A thing. What is left out is as the fleet has it, if there is a file of the fleet that lists it; else it does not have it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    /// Its name.
    name: String,
    /// Its type.
    r#type: Option<String>,
    /// Every group that it is in; those above them too, unless the fleet has them.
    groups: Option<Vec<String>>,
    /// Its attributes, by name.
    attributes: Option<BTreeMap<String, String>>,
}

impl From<OneOr<Entry>> for Thing {
    fn from(entry: OneOr<Entry>) -> Self {
        let entry = match entry {
            OneOr::One(name) => return Self { name, ..Self::default() },
            OneOr::More(entry) => entry,
        };
        let Entry { name, r#type: thing_type, groups, attributes } = entry;
        let described = (thing_type.is_some() || attributes.is_some())
            .then(|| Description { thing_type, attributes: attributes.unwrap_or_default() });
        Self { name, described, groups }
    }
}

impl Said {
    /// The things with all that the fleet knows of them.
    pub(crate) fn settled(self, fleet: Option<&Fleet>) -> Things {
        let Self(Things::Known(mut things)) = self else { return self.0 };
        for thing in &mut things {
            let listed = fleet.and_then(|fleet| fleet.thing(&thing.name));
            let groups = match (thing.groups.take(), fleet) {
                (Some(groups), Some(fleet)) => Some(fleet.with_parents(groups)),
                (groups, _) => groups,
            };
            let (described, listed_groups) = match listed {
                Some(listed) => (listed.described.clone(), listed.groups.clone()),
                None => (Some(Description::default()), Some(Vec::new())),
            };
            thing.groups = groups.or(listed_groups);
            thing.described = thing.described.take().or(described);
        }
        Things::Known(things)
    }
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Said;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of things, or unknown")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Said, E> {
                match word {
                    "unknown" => Ok(unknown("the lookup failed".to_owned())),
                    _ => Err(E::custom(format!(
                        "a list of things or 'unknown' is expected here, not '{word}'"
                    ))),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Said, A::Error> {
                let mut things = Vec::new();
                while let Some(entry) = items.next_element::<OneOr<Entry>>()? {
                    things.push(entry.into());
                }
                Ok(Said(Things::Known(things)))
            }
            // As a record has it.
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Said, A::Error> {
                match members.next_entry::<String, String>()? {
                    Some((key, why)) if key == "unknown" => Ok(unknown(why)),
                    _ => Err(de::Error::custom("a list of things or 'unknown' is expected here")),
                }
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn unknown(why: String) -> Said {
    Said(Things::Unknown { unknown: why })
}

/// The things of a file: those behind a resource, or those of the fleet, among which they are.
#[derive(Debug)]
pub(crate) enum Given {
    Behind(Things),
    Fleet(Box<Fleet>),
}

impl Given {
    /// Reads a file, in YAML or JSON: a list of things or `unknown`, or a mapping as a fleet is described.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let Input { name, text } = input::read(path)?;
        Self::parse(&name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        if is_fleet(text) {
            return Fleet::parse(name, text).map(|fleet| Self::Fleet(Box::new(fleet)));
        }
        match yaml::read::<Said>(text.as_bytes()) {
            Ok(said) => Ok(Self::Behind(said.settled(None))),
            Err(error) => Err(anyhow!(error.render(name, text))),
        }
    }

    /// The fleet, if it is one.
    pub(crate) fn into_fleet(self) -> Option<Fleet> {
        match self {
            Self::Behind(_) => None,
            Self::Fleet(fleet) => Some(*fleet),
        }
    }

    /// The things behind a resource, of which so much was known.
    pub(crate) fn behind(&self, identifier: Option<&ResourceIdentifier>, known: Option<Things>) -> Things {
        match self {
            Self::Behind(things) => things.clone(),
            Self::Fleet(fleet) => {
                if let Some(things) = fleet.of_one_resource() {
                    return Things::Known(things.to_vec());
                }
                let mut things = known.unwrap_or_default();
                if let Some(identifier) = identifier {
                    fleet.complete(identifier, &mut things);
                }
                things
            }
        }
    }
}

/// Whether a text begins as a mapping with lists of a fleet.
fn is_fleet(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.find(|line| *line != "---").unwrap_or_default();
    let first = first.trim_start_matches(['{', '"', '\'', ' ']);
    !first.starts_with(['-', '[']) && !first.starts_with("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(text: &str) -> String {
        let given = Given::parse("things.yaml", text).unwrap();
        let certificate = ResourceIdentifier {
            device_certificate_id: Some("1f00".to_owned()),
            ..ResourceIdentifier::default()
        };
        let things = given.behind(Some(&certificate), None);
        serde_json::to_string(&things).unwrap()
    }

    #[test]
    fn a_list_has_the_things_behind_the_resource_and_a_mapping_may_have_the_tree_of_groups() {
        let tree = "groups: [{ name: lab, parent: plant }]\nthings:\n";
        insta::assert_snapshot!(
            [
                groups("# things\n- { name: a, groups: [lab] }"),
                groups("unknown"),
                groups(r#"{"unknown": "throttled"}"#),
                groups(&format!("{tree}  - {{ name: a, groups: [lab] }}")),
                groups(&format!("{tree}  - {{ name: a, groups: [lab], certificates: [1f00] }}\n  - b")),
                groups(r#"{"things": [{"name": "a", "certificates": ["2a00"]}]}"#),
            ]
            .join("\n")
        );
    }
}
