//! Thing groups: the hierarchies of the fleet, which things are in them, and which mitigation has added.
//!
//! `fleet` is the root of what things are for, and a thing is in at most one group of that hierarchy, as AWS
//! demands. `critical` is a root of its own. Groups that mitigation actions make are roots too. Only what was added
//! or taken out later is stored; everything else is drawn from the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::fleet::Fleet;
use crate::fleet::things::Thing;

/// A group that the fleet has from the start.
struct Group {
    name: &'static str,
    parent: Option<&'static str>,
    description: &'static str,
}

const fn group(name: &'static str, parent: Option<&'static str>, description: &'static str) -> Group {
    Group { name, parent, description }
}

static GROUPS: [Group; 6] = [
    group("fleet", None, "Every device that is in use"),
    group("lab", Some("fleet"), "Devices on a bench"),
    group("production", Some("fleet"), "Devices at customers"),
    group("production-north", Some("production"), "Devices at customers, northern plant"),
    group("production-south", Some("production"), "Devices at customers, southern plant"),
    group("critical", None, "Devices that must never stop"),
];

/// The groups above a group, from the root to its parent. None for a root and for groups made later.
pub(crate) fn above(name: &str) -> Vec<&'static str> {
    let mut path = Vec::new();
    let mut parent = find(name).and_then(|group| group.parent);
    while let Some(name) = parent {
        path.insert(0, name);
        parent = find(name).and_then(|group| group.parent);
    }
    path
}

/// The `thingGroupDescription`.
pub(crate) fn description(name: &str) -> Option<&'static str> {
    find(name).map(|group| group.description)
}

/// Whether two groups are in one hierarchy.
pub(crate) fn related(one: &str, other: &str) -> bool {
    fn root(name: &str) -> &str {
        above(name).first().copied().unwrap_or(name)
    }
    root(one) == root(other)
}

/// Whether every fleet has this group from the start.
pub(crate) fn is_first(name: &str) -> bool {
    find(name).is_some()
}

fn find(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

impl Fleet {
    /// Whether there is such a group.
    pub(crate) fn has_group(&self, name: &str) -> bool {
        find(name).is_some() || self.groups.contains_key(name)
    }

    /// The names of all groups.
    pub(crate) fn group_names(&self) -> BTreeSet<&str> {
        GROUPS.iter().map(|group| group.name).chain(self.groups.keys().map(String::as_str)).collect()
    }

    /// The groups that a thing has been in from the start, and has not left.
    fn first_groups(&self, thing: Thing) -> impl Iterator<Item = &'static str> {
        let critical = self.is_critical(thing).then_some("critical");
        let first = self.post(thing).group.into_iter().chain(critical);
        first.filter(move |name| !self.left.contains(&(thing, name)))
    }

    /// The groups that a thing is in directly.
    pub(crate) fn groups_of(&self, thing: Thing) -> Vec<&str> {
        let added = self.groups.iter().filter(|(_, members)| members.contains(&thing));
        let mut groups: Vec<&str> = self.first_groups(thing).collect();
        groups.extend(added.map(|(name, _)| name.as_str()));
        groups
    }

    /// The things in a group that stand behind `after`, in the order of things; with `recursive`, those in
    /// the groups below it too.
    pub(crate) fn members<'a>(
        &'a self,
        name: &'a str,
        recursive: bool,
        after: Option<Thing>,
    ) -> Box<dyn Iterator<Item = Thing> + 'a> {
        let wanted = move |group: &str| group == name || (recursive && above(group).contains(&name));
        let first: Vec<&str> = GROUPS.iter().map(|group| group.name).filter(|name| wanted(name)).collect();
        let added: Vec<&BTreeSet<Thing>> =
            self.groups.iter().filter(|(name, _)| wanted(name)).map(|(_, members)| members).collect();
        if first.is_empty() {
            // A group made later has no groups below it, so there is one set at most, and it is in order.
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            return Box::new(
                added.into_iter().flat_map(move |members| members.range((from, Bound::Unbounded)).copied()),
            );
        }
        Box::new(self.things_after(after).filter(move |thing| {
            self.first_groups(*thing).any(|group| first.contains(&group))
                || added.iter().any(|members| members.contains(thing))
        }))
    }

    /// Takes a thing out of a group. Whether it was in it.
    pub(crate) fn leave(&mut self, thing: Thing, name: &str) -> bool {
        let first = self.first_groups(thing).find(|group| *group == name);
        let added = self.groups.get_mut(name).is_some_and(|members| members.remove(&thing));
        let left = first.is_some_and(|group| self.left.insert((thing, group))) || added;
        self.revision += u64::from(left);
        left
    }

    /// How many things are in each group directly.
    pub(crate) fn group_sizes(&self) -> BTreeMap<&str, usize> {
        let mut sizes: BTreeMap<&str, usize> = GROUPS.iter().map(|group| (group.name, 0)).collect();
        for (name, members) in &self.groups {
            *sizes.entry(name).or_default() += members.len();
        }
        for name in self.things_after(None).flat_map(|thing| self.first_groups(thing)) {
            *sizes.entry(name).or_default() += 1;
        }
        sizes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::sample;

    #[test]
    fn hierarchies_have_roots_parents_and_no_cycle() {
        assert!(above("fleet").is_empty() && above("quarantine").is_empty());
        assert_eq!(above("production-north"), ["fleet", "production"]);
        assert!(related("lab", "production-south") && related("fleet", "lab"));
        assert!(!related("lab", "critical") && !related("quarantine", "other"));
        for group in &GROUPS {
            assert!(group.parent.is_none_or(|parent| find(parent).is_some()));
        }
    }

    #[test]
    fn a_group_holds_what_the_groups_below_it_hold() {
        let fleet = sample(1_000);
        let all = |name, recursive| fleet.members(name, recursive, None).collect::<BTreeSet<_>>();
        let mut below = all("production", false);
        assert!(!below.is_empty());
        for child in ["production-north", "production-south"] {
            assert_eq!(all(child, true), all(child, false));
            below.append(&mut all(child, false));
        }
        assert_eq!(all("production", true), below);
        for child in ["fleet", "lab"] {
            below.append(&mut all(child, false));
        }
        assert_eq!(all("fleet", true), below);
        assert!(all("critical", true).is_subset(&below) && !all("critical", true).is_empty());
        assert!(below.len() < fleet.things_after(None).count());
    }

    #[test]
    fn sizes_groups_and_members_agree_also_after_an_addition() {
        let mut fleet = sample(500);
        let things: Vec<Thing> = fleet.things_after(None).collect();
        let new = *things.iter().find(|thing| fleet.groups_of(**thing).is_empty()).unwrap();
        for (name, thing) in [("lab", new), ("quarantine", new), ("quarantine", things[0])] {
            fleet.groups.entry(name.to_owned()).or_default().insert(thing);
        }
        assert_eq!(fleet.groups_of(new), ["lab", "quarantine"]);
        let sizes = fleet.group_sizes();
        assert_eq!((sizes.len(), sizes["quarantine"]), (7, 2));
        for (name, size) in sizes {
            let members: Vec<Thing> = fleet.members(name, false, None).collect();
            assert_eq!(members.len(), size, "{name}");
            assert!(members.iter().all(|thing| fleet.groups_of(*thing).contains(&name)));
            for (position, thing) in members.iter().enumerate() {
                assert!(fleet.members(name, false, Some(*thing)).eq(members[position + 1..].iter().copied()));
            }
        }
        assert!(fleet.members("fleet", true, None).any(|thing| thing == new));
        assert_eq!(fleet.members("none", true, None).count(), 0);
    }
}
