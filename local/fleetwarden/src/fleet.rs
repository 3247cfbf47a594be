//! What is in a fleet, as its operator lists it in a file: things with their groups and certificates, and the tree of
//! groups.
//!
//! A list or a member that is left out is not known, and not to know never means "none".

use crate::input;
use anyhow::{Context as _, Result, bail};
use fleetwarden_core::policy::{Inventory, yaml};
use fleetwarden_core::resource::ResourceIdentifier;
use fleetwarden_core::thing::{Behind, Description, Thing, Things};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Listed {
    things: Option<Vec<Entry>>,
    groups: Option<Vec<Group>>,
    certificates: Option<Vec<String>>,
    policies: Option<Vec<String>>,
}

/// A thing, by its name or with what is known of it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Entry {
    Name(String),
    Described(Described),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: String,
    r#type: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
    /// The groups that it is in; those above them may be left out.
    groups: Option<Vec<String>>,
    /// The ids of the certificates that it is attached to.
    certificates: Option<Vec<String>>,
}

/// A group, by its name or with the group above it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Group {
    Name(String),
    Below(Below),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Below {
    name: String,
    parent: Option<String>,
}

/// What is in a fleet.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// None if the file has no list of them.
    things: Option<Vec<Thing>>,
    by_name: HashMap<String, usize>,
    by_certificate: HashMap<String, Vec<usize>>,
    /// Whether each thing says its certificates, so that a certificate that none has is attached to none.
    all_attached: bool,
    inventory: Inventory,
}

impl Fleet {
    /// Reads a file: YAML, or JSON for what is larger than a policy may be.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file = input::read(path)?;
        Self::parse(&file.name, &file.text)
    }

    /// Reads the text of a file of this name.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self> {
        let listed: Listed = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).with_context(|| format!("{file} does not describe a fleet"))?
        } else {
            match yaml::read(text.as_bytes()) {
                Ok(listed) => listed,
                Err(error) => bail!("{}", error.render(file, text)),
            }
        };
        Self::of(listed).with_context(|| format!("{file} does not describe a fleet"))
    }

    fn of(listed: Listed) -> Result<Self> {
        let Listed { things, groups, certificates, policies } = listed;
        let mut inventory = Inventory {
            things: things.is_some().then(Default::default),
            groups: groups.is_some().then(Default::default),
            certificates: certificates.map(|ids| ids.into_iter().collect()),
            policies: policies.map(|names| names.into_iter().collect()),
        };
        let parents = parents(groups.unwrap_or_default(), &mut inventory)?;
        let mut fleet = Self {
            things: things.is_some().then(Vec::new),
            by_name: HashMap::new(),
            by_certificate: HashMap::new(),
            all_attached: things.is_some(),
            inventory,
        };
        for entry in things.into_iter().flatten() {
            let entry = match entry {
                Entry::Name(name) => Described { name, ..Described::default() },
                Entry::Described(entry) => entry,
            };
            fleet.add(entry, &parents)?;
        }
        Ok(fleet)
    }

    fn add(&mut self, entry: Described, parents: &BTreeMap<String, String>) -> Result<()> {
        let Described { name, r#type, attributes, groups, certificates } = entry;
        let things = self.things.get_or_insert_default();
        let place = things.len();
        if self.by_name.insert(name.clone(), place).is_some() {
            bail!("the thing '{name}' is listed twice");
        }
        self.all_attached &= certificates.is_some();
        for id in certificates.into_iter().flatten() {
            if let Some(known) = &mut self.inventory.certificates {
                known.insert(id.clone());
            }
            self.by_certificate.entry(id).or_default().push(place);
        }
        let groups = groups.map(|groups| with_parents(groups, parents));
        if let Some(groups) = &groups {
            self.inventory.groups.get_or_insert_default().extend(groups.iter().cloned());
        }
        self.inventory.things.get_or_insert_default().insert(name.clone());
        let known = r#type.is_some() || attributes.is_some();
        let described =
            known.then(|| Description { thing_type: r#type, attributes: attributes.unwrap_or_default() });
        things.push(Thing { name, described, groups });
        Ok(())
    }

    /// The names in it, to look for those of a policy.
    pub(crate) const fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// All its things, if none of them says its certificates: then they are those behind one resource.
    pub(crate) fn of_one_resource(&self) -> Option<&[Thing]> {
        self.things.as_deref().filter(|_| self.by_certificate.is_empty())
    }

    /// Adds to what is known of the things behind a resource what the fleet knows of them.
    pub(crate) fn complete(&self, identifier: &ResourceIdentifier, things: &mut Things) {
        match things {
            Things::NotAsked | Things::Unknown { .. } => {
                if let Some(known) = self.behind(identifier) {
                    *things = Things::Known(known);
                }
            }
            Things::Known(known) => {
                for thing in known {
                    let Some(listed) = self.thing(&thing.name) else { continue };
                    thing.described = thing.described.take().or_else(|| listed.described.clone());
                    thing.groups = thing.groups.take().or_else(|| listed.groups.clone());
                }
            }
        }
    }

    /// The things behind a resource, if they are known.
    fn behind(&self, identifier: &ResourceIdentifier) -> Option<Vec<Thing>> {
        let things = self.things.as_deref()?;
        match identifier.behind() {
            Behind::Certificate(certificate) => {
                // An ARN ends with the certificate's id.
                let id = certificate.rsplit('/').next().unwrap_or(certificate);
                match self.by_certificate.get(id) {
                    Some(places) => Some(places.iter().filter_map(|at| things.get(*at).cloned()).collect()),
                    None => self.all_attached.then(Vec::new),
                }
            }
            Behind::Client(name) => Some(self.thing(name).cloned().into_iter().collect()),
            Behind::Many | Behind::Nothing => None,
        }
    }

    fn thing(&self, name: &str) -> Option<&Thing> {
        self.things.as_deref()?.get(*self.by_name.get(name)?)
    }
}

/// The group above each group, if it has one.
fn parents(groups: Vec<Group>, inventory: &mut Inventory) -> Result<BTreeMap<String, String>> {
    let mut parents = BTreeMap::new();
    for group in groups {
        let (name, parent) = match group {
            Group::Name(name) => (name, None),
            Group::Below(Below { name, parent }) => (name, parent),
        };
        let known = inventory.groups.get_or_insert_default();
        known.extend(parent.clone());
        if !known.insert(name.clone()) && parents.contains_key(&name) {
            bail!("the group '{name}' is listed twice");
        }
        if let Some(parent) = parent {
            parents.insert(name, parent);
        }
    }
    for group in parents.keys() {
        let above = std::iter::successors(parents.get(group), |group| parents.get(*group));
        if above.take(parents.len() + 1).any(|above| above == group) {
            bail!("the group '{group}' is above itself");
        }
    }
    Ok(parents)
}

/// Groups with those above them, each once.
fn with_parents(groups: Vec<String>, parents: &BTreeMap<String, String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::with_capacity(groups.len());
    for group in groups {
        for group in std::iter::successors(Some(&group), |group| parents.get(*group)) {
            if !all.contains(group) {
                all.push(group.clone());
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: &str = "
things:
  - { name: pump-1, type: pump, groups: [lab], certificates: [1f00, 2a00] }
  - { name: pump-2, certificates: [1f00] }
  - gate-1
groups:
  - { name: lab, parent: plant }
  - { name: plant, parent: fleet }
  - spare
certificates: [1f00]
";

    fn fleet(text: &str) -> Fleet {
        Fleet::parse("fleet.yaml", text).unwrap()
    }

    fn certificate(id: &str) -> ResourceIdentifier {
        ResourceIdentifier { device_certificate_id: Some(id.to_owned()), ..ResourceIdentifier::default() }
    }

    fn completed(fleet: &Fleet, identifier: &ResourceIdentifier, mut things: Things) -> Things {
        fleet.complete(identifier, &mut things);
        things
    }

    #[test]
    fn a_thing_is_in_the_groups_above_its_own() {
        let Things::Known(things) = completed(&fleet(FLEET), &certificate("2a00"), Things::NotAsked) else {
            panic!("it is listed");
        };
        assert_eq!(things[0].groups.as_deref().unwrap().join(" "), "lab plant fleet");
    }

    #[test]
    fn what_the_file_leaves_out_stays_unknown() {
        let of = fleet(FLEET);
        let unknown = Things::Unknown { unknown: "throttled".to_owned() };
        // The certificate of gate-1 may be this one.
        assert_eq!(completed(&of, &certificate("3b00"), unknown.clone()), unknown);
        let Things::Known(two) = completed(&of, &certificate("1f00"), unknown) else {
            panic!("it is listed")
        };
        assert_eq!((two.len(), &two[1].groups, &two[1].described), (2, &None, &None));
        let client = |name: &str| ResourceIdentifier {
            client_id: Some(name.to_owned()),
            ..ResourceIdentifier::default()
        };
        assert_eq!(completed(&of, &client("nowhere"), Things::NotAsked), Things::Known(Vec::new()));
        let all = fleet("things: [{ name: pump-1, certificates: [1f00] }]");
        assert_eq!(completed(&all, &certificate("3b00"), Things::NotAsked), Things::Known(Vec::new()));
        assert_eq!(completed(&fleet("groups: [a]"), &client("a"), Things::NotAsked), Things::NotAsked);
    }

    #[test]
    fn what_was_recorded_is_completed_and_not_replaced() {
        let named = |groups: Option<Vec<String>>| {
            Things::Known(vec![Thing { name: "pump-1".to_owned(), described: None, groups }])
        };
        let then = named(Some(vec!["then".to_owned()]));
        let Things::Known(things) = completed(&fleet(FLEET), &certificate("1f00"), then) else { panic!() };
        assert_eq!(things[0].groups.as_deref().unwrap(), ["then"]);
        assert_eq!(things[0].described.as_ref().unwrap().thing_type.as_deref(), Some("pump"));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let texts = [
            "things: [a, { name: a }]",
            "groups: [{ name: a, parent: b }, { name: b, parent: a }]",
            "groups: [{ name: a, parent: a }]",
            "groups: [{ name: a, parent: b }, { name: a, parent: c }]",
        ];
        let said = texts.map(|text| format!("{:#}", Fleet::parse("f.yaml", text).unwrap_err()));
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let json = r#"{"things": [{"name": "pump-1", "groups": ["lab", "fleet"]}, "gate-1"], "certificates": ["1f00"]}"#;
        let yaml = "things:\n  - { name: pump-1, groups: [lab, fleet] }\n  - gate-1\ncertificates: [1f00]\n";
        let inventory = fleet(yaml).inventory().clone();
        assert_eq!(&inventory, fleet(json).inventory());
        let names = |names: &Option<std::collections::BTreeSet<String>>| {
            names.as_ref().map(|names| names.iter().cloned().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(names(&inventory.things).as_deref(), Some("gate-1 pump-1"));
        assert_eq!(names(&inventory.groups).as_deref(), Some("fleet lab"));
        assert_eq!(names(&inventory.certificates).as_deref(), Some("1f00"));
        assert_eq!(inventory.policies, None);
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        let error = Fleet::parse("fleet.yaml", "thigns: []\n").unwrap_err().to_string();
        assert!(
            error.starts_with("fleet.yaml:1:1: error: unknown key 'thigns'; did you mean 'things'?"),
            "{error}"
        );
        assert!(Fleet::parse("fleet.json", "{\"thigns\": []}").is_err());
    }
}
