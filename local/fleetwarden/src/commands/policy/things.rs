//! The things behind a resource, as an operator writes them for `policy explain` and `policy test`.

use anyhow::{Context as _, Result, anyhow};
use fleetwarden_core::policy::yaml;
use fleetwarden_core::thing::{Description, Thing, Things};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What an operator says of the things behind a resource: a list of all of them, or `unknown`.
#[derive(Debug)]
pub(crate) struct Said(pub(crate) Things);

/// A thing. What is left out it does not have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    /// Its name.
    name: String,
    /// Its type.
    r#type: Option<String>,
    /// Every group that it is in, with those above them.
    #[serde(default)]
    groups: Vec<String>,
    /// Its attributes, by name.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

impl From<Entry> for Thing {
    fn from(entry: Entry) -> Self {
        let described = Description { thing_type: entry.r#type, attributes: entry.attributes };
        Self { name: entry.name, described: Some(described), groups: Some(entry.groups) }
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
                while let Some(entry) = items.next_element::<Entry>()? {
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

/// Reads a file that holds nothing but things, in YAML or JSON.
pub(crate) fn read(path: &Path) -> Result<Things> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    match yaml::read::<Said>(&bytes) {
        Ok(Said(things)) => Ok(things),
        Err(error) => Err(anyhow!(error.render(&shown.to_string(), &String::from_utf8_lossy(&bytes)))),
    }
}
