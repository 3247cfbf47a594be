//! What is in a fleet, as its operator lists it in a file: things with their groups and certificates, and the tree of
//! groups.
//!
//! A list or a member that is left out is not known, and not to know never means "none".

pub(crate) mod export;
mod file;
mod part;

pub(crate) use self::file::schema;
use self::file::{Below, Described, Entry, Group, Listed};
use crate::input::{self, looks_like_json};
use anyhow::{Context as _, Result, bail};
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::{Behind, Description, Thing, Things};
use fleetwarden_core::policy::{Inventory, yaml};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// What is in a fleet.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// None if the file has no list of them.
    things: Option<Vec<Thing>>,
    by_name: HashMap<String, usize>,
    by_certificate: HashMap<String, Vec<usize>>,
    /// Whether each thing says its certificates, so that a certificate that none has is attached to none.
    all_attached: bool,
    tree: Tree,
    inventory: Inventory,
}

/// The thing groups.
#[derive(Debug, Default)]
struct Tree {
    /// The group above each group that has one.
    parents: BTreeMap<String, String>,
    /// The groups that list a thing.
    of_thing: HashMap<String, Vec<String>>,
    /// Whether each group lists its things, so that a thing that none lists is in none.
    is_whole: bool,
}

impl Fleet {
    /// Reads a file: YAML, or JSON for what is larger than a policy may be.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file = input::read(path)?;
        Self::parse(&file.name, &file.text)
    }

    /// Reads the text of a file of this name.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self> {
        let listed: Listed = if looks_like_json(text) {
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
        let Listed { things, groups, certificates, policies, exported: _ } = listed;
        let mut inventory = Inventory {
            things: things.is_some().then(Default::default),
            groups: groups.is_some().then(Default::default),
            certificates: certificates.map(|ids| ids.into_iter().collect()),
            policies: policies.map(|names| names.into_iter().collect()),
        };
        let tree = Tree::of(groups, &mut inventory)?;
        let mut fleet = Self {
            things: things.is_some().then(Vec::new),
            by_name: HashMap::new(),
            by_certificate: HashMap::new(),
            all_attached: things.is_some(),
            tree,
            inventory,
        };
        for entry in things.into_iter().flatten() {
            let entry = match entry {
                Entry::Name(name) => Described { name, ..Described::default() },
                Entry::Described(entry) => entry,
            };
            fleet.add(entry)?;
        }
        Ok(fleet)
    }

    fn add(&mut self, entry: Described) -> Result<()> {
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
        let groups = self.tree.groups_of(&name, groups);
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

    /// What is known of a thing, if it is listed.
    pub(crate) fn thing(&self, name: &str) -> Option<&Thing> {
        self.things.as_deref()?.get(*self.by_name.get(name)?)
    }

    /// Groups with those above them, each once.
    pub(crate) fn with_parents(&self, groups: Vec<String>) -> Vec<String> {
        self.tree.with_parents(groups)
    }
}

impl Tree {
    /// The tree of listed groups.
    fn of(groups: Option<Vec<Group>>, inventory: &mut Inventory) -> Result<Self> {
        let mut tree = Self { is_whole: groups.is_some(), ..Self::default() };
        let mut described = BTreeSet::new();
        for group in groups.into_iter().flatten() {
            let Below { name, parent, things } = match group {
                Group::Name(name) => Below { name, ..Below::default() },
                Group::Below(below) => below,
            };
            let known = inventory.groups.get_or_insert_default();
            known.extend(parent.clone());
            known.insert(name.clone());
            let says_more = parent.is_some() || things.is_some();
            if says_more && !described.insert(name.clone()) {
                bail!("the group '{name}' is listed twice");
            }
            tree.is_whole &= things.is_some();
            for thing in things.into_iter().flatten() {
                tree.of_thing.entry(thing).or_default().push(name.clone());
            }
            if let Some(parent) = parent {
                tree.parents.insert(name, parent);
            }
        }
        tree.refuse_circles()?;
        Ok(tree)
    }

    fn refuse_circles(&self) -> Result<()> {
        for group in self.parents.keys() {
            let above = std::iter::successors(self.parents.get(group), |group| self.parents.get(*group));
            if above.take(self.parents.len() + 1).any(|above| above == group) {
                bail!("the group '{group}' is above itself");
            }
        }
        Ok(())
    }

    /// Every group that a thing is in, if that is known: what it says itself, and what the groups say.
    fn groups_of(&self, thing: &str, said: Option<Vec<String>>) -> Option<Vec<String>> {
        let listed = self.of_thing.get(thing);
        let groups = match said {
            Some(groups) => groups.into_iter().chain(listed.into_iter().flatten().cloned()).collect(),
            None if self.is_whole => listed.cloned().unwrap_or_default(),
            None => return None,
        };
        Some(self.with_parents(groups))
    }

    /// Groups with those above them, each once.
    fn with_parents(&self, groups: Vec<String>) -> Vec<String> {
        let mut all: Vec<String> = Vec::with_capacity(groups.len());
        for group in groups {
            for group in std::iter::successors(Some(&group), |group| self.parents.get(*group)) {
                if !all.contains(group) {
                    all.push(group.clone());
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests;
