//! Which findings and violations count in the budgets of a thing group: those with a thing in it, and those of which nobody
//! knows whether they have one.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Budget;
use super::Policy;
use crate::model::resource::ResourceIdentifier;
use crate::model::thing::Behind;
use crate::model::thing::Things;
use crate::model::thing::Wanted;

/// What counts in budgets of a group, by the names of the groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InGroups {
    groups: BTreeMap<String, BTreeSet<String>>,
    /// Of these a look-up has failed, and why.
    unknown: BTreeMap<String, String>,
}

impl InGroups {
    /// Takes a finding or a violation with the things behind it, for the budgets that its task has to fit into.
    pub fn add<'b>(&mut self, budgets: impl Iterator<Item = &'b Budget>, part: &str, things: &Things) {
        for budget in budgets {
            let Some(group) = &budget.group else { continue };
            let of_group = self.groups.entry(group.clone()).or_default();
            if budget.counts(things) {
                of_group.insert(part.to_owned());
            }
            if let Things::Unknown { unknown } = things {
                self.unknown.insert(part.to_owned(), unknown.clone());
            }
        }
    }

    /// Those that count in budgets of a group. A group that nobody asked about has none.
    #[must_use]
    pub fn of(&self, group: &str) -> BTreeSet<String> {
        self.groups.get(group).cloned().unwrap_or_default()
    }

    /// How many of some count in budgets of a group.
    pub fn count<'p>(&self, group: &str, parts: impl Iterator<Item = &'p str>) -> u64 {
        let of_group = self.groups.get(group);
        let is_in = |part: &&str| of_group.is_some_and(|of_group| of_group.contains(*part));
        parts.filter(is_in).count() as u64
    }

    /// Of how many a look-up has failed, and why of the first. None: of none.
    #[must_use]
    pub fn unknown(&self) -> Option<String> {
        let (_, why) = self.unknown.first_key_value()?;
        Some(format!("of {} it is not known, so that they count: {why}", self.unknown.len()))
    }
}

impl Budget {
    /// Whether a finding or a violation with these things behind it counts. What is not known counts.
    #[must_use]
    pub fn counts(&self, things: &Things) -> bool {
        let (Some(group), Things::Known(known)) = (&self.group, things) else { return true };
        known.iter().any(|thing| thing.groups.as_ref().is_none_or(|groups| groups.contains(group)))
    }
}

impl Policy {
    /// What has to be known of the things behind a finding or a violation, for the budgets of a group that its task has to fit
    /// into.
    pub fn budgets_want(&self, rule: Option<&str>, actions: &[String], things: &Things) -> Wanted {
        let mut budgets = self.budgets.iter().filter(|budget| budget.concerns(rule, actions));
        if !budgets.any(|budget| budget.group.is_some()) {
            return Wanted::default();
        }
        match things {
            Things::NotAsked => Wanted { names: true, groups: true, ..Wanted::default() },
            Things::Known(known) if known.iter().any(|thing| thing.groups.is_none()) => {
                Wanted { groups: true, ..Wanted::default() }
            }
            Things::Known(_) | Things::Unknown { .. } => Wanted::default(),
        }
    }
}

/// Whether nobody can look up the things behind a resource: any number of them uses it.
#[must_use]
pub fn used_by_many(resource: Option<&ResourceIdentifier>) -> bool {
    resource.is_none_or(|resource| resource.behind() == Behind::Many || resource.ca_certificate_id.is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::thing::Thing;

    fn budget(group: &str) -> Budget {
        Budget { group: Some(group.to_owned()), ..Budget::default() }
    }

    fn thing(groups: Option<&[&str]>) -> Thing {
        let groups = groups.map(|groups| groups.iter().map(|group| (*group).to_owned()).collect());
        Thing { name: "t".into(), groups, ..Thing::default() }
    }

    #[test]
    fn one_thing_of_the_group_counts_and_so_does_what_nobody_knows() {
        let of = |things: &Things| budget("pumps").counts(things);
        let known = |things: &[Thing]| Things::Known(things.to_vec());
        let (inside, outside) = (thing(Some(&["plant", "pumps"])), thing(Some(&["pump", "pumps-2"])));
        assert!(of(&known(&[outside.clone(), inside])) && of(&known(&[outside.clone(), thing(None)])));
        assert!(of(&Things::NotAsked) && of(&Things::Unknown { unknown: "throttled".into() }));
        assert!(!of(&known(&[outside])) && !of(&known(&[])));
        assert!(Budget::default().counts(&known(&[])));
    }

    #[test]
    fn what_many_use_is_never_known() {
        let policy = ResourceIdentifier {
            policy_version_identifier: Some(crate::model::resource::PolicyVersionIdentifier {
                policy_name: Some("p".into()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let ca = ResourceIdentifier { ca_certificate_id: Some("c".into()), ..Default::default() };
        let one = ResourceIdentifier { client_id: Some("pump".into()), ..Default::default() };
        let account = ResourceIdentifier { account: Some("123456789012".into()), ..Default::default() };
        assert!([None, Some(&policy), Some(&ca)].into_iter().all(used_by_many));
        assert!(![Some(&one), Some(&account)].into_iter().any(used_by_many));
    }

    #[test]
    fn only_what_a_budget_of_a_group_needs_is_wanted() {
        let rule = "rules: [{ name: r, match: {}, mitigate: { actions: A } }]";
        let of = |budgets: &str| {
            let text = format!("version: 1\nbudgets: {budgets}\n{rule}\n");
            let policy = Policy::parse(text.as_bytes()).unwrap();
            policy.budgets_want(Some("r"), &["A".to_owned()], &Things::NotAsked).groups
        };
        assert!(of("[{ most: 1, within: 1h, group: pumps }]"));
        assert!(!of("[{ most: 1, within: 1h }]"));
        assert!(!of("[{ most: 1, within: 1h, group: pumps, actions: B }]"));
    }

    proptest! {
        /// A task never counts less than the parts that are in the group for certain, nor more than those with the unknown ones.
        #[test]
        fn what_counts_is_between_what_is_known_and_what_may_be(
            parts in proptest::collection::vec((0_u8..3, any::<bool>()), 0..30),
        ) {
            let budgets = [budget("pumps"), budget("valves"), Budget::default()];
            let mut all = InGroups::default();
            let ids: Vec<String> = (0..parts.len()).map(|n| format!("f-{n}")).collect();
            for (id, (kind, of_valves)) in ids.iter().zip(&parts) {
                let groups: &[&str] = if *of_valves { &["valves"] } else { &[] };
                let things = match kind {
                    0 => Things::Unknown { unknown: "throttled".into() },
                    1 => Things::Known(vec![thing(Some(&["pumps"])), thing(Some(groups))]),
                    _ => Things::Known(vec![thing(Some(groups))]),
                };
                all.add(budgets.iter(), id, &things);
            }
            let of = |is: &dyn Fn(&(u8, bool)) -> bool| parts.iter().filter(|part| is(part)).count() as u64;
            let count = |group| all.count(group, ids.iter().map(String::as_str));
            prop_assert_eq!(count("pumps"), of(&|(kind, _)| *kind < 2));
            prop_assert_eq!(count("valves"), of(&|(kind, of_valves)| *kind == 0 || *of_valves));
            prop_assert_eq!(count("none"), 0);
            prop_assert_eq!(all.of("pumps").len() as u64, count("pumps"));
            prop_assert_eq!(all.unknown().is_some(), of(&|(kind, _)| *kind == 0) > 0);
        }
    }
}
