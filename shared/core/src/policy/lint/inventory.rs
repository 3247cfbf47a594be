//! Names that are nowhere in the fleet.

use std::collections::BTreeSet;
use std::fmt;

use super::super::Diagnostic;
use super::super::Members;
use super::super::Policy;
use super::super::glob::Glob;
use super::super::legal::is_of_policy;
use super::Inventory;
use crate::ids::CheckName;
use crate::model::resource::ResourceType;
use crate::nearest::did_you_mean;

/// A list of names in an inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Things,
    Groups,
    Certificates,
    Policies,
    /// The policies, each with any version.
    PolicyVersions,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Things => "things",
            Self::Groups => "groups",
            Self::Certificates => "certificates",
            Self::Policies | Self::PolicyVersions => "policies",
        })
    }
}

impl Policy {
    /// Finds the patterns that match nothing in the fleet. A fleet changes: all of it is a warning.
    pub(super) fn lint_inventory(&self, inventory: &Inventory, found: &mut Vec<Diagnostic>) {
        let mut look = |globs: &[Glob], list: List, verb: &str| {
            // What can match nothing at all is said already.
            let doubted = |glob: &Glob| self.doubts.iter().any(|doubt| doubt.place == glob.place());
            let globs = globs.iter().filter(|glob| !doubted(glob));
            found.extend(globs.filter_map(|glob| inventory.lacks(glob, list, verb)));
        };
        let protect = &self.protect;
        look(&protect.things, List::Things, "protects");
        look(&protect.groups, List::Groups, "protects");
        look(&protect.certificates, List::Certificates, "protects");
        look(&protect.policies, List::Policies, "protects");
        for rule in &self.rules {
            let except = rule.except.iter().map(|except| (&**except, "excepts"));
            for (matcher, verb) in [(&rule.matcher, "matches")].into_iter().chain(except) {
                let taken = |check: &CheckName| matcher.may_take(check) && rule.matcher.may_take(check);
                let resources = list_of(&CheckName::known().filter(taken).collect::<Vec<_>>());
                if let (Some(globs), Some(list)) = (&matcher.resources, resources) {
                    look(globs, list, verb);
                }
                if let Some(things) = &matcher.things {
                    look(things.names.as_deref().unwrap_or_default(), List::Things, verb);
                    look(things.groups.as_deref().unwrap_or_default(), List::Groups, verb);
                }
            }
        }
        for rule in &self.alarm_rules {
            let except = rule.except.iter().map(|except| (&**except, "excepts"));
            for (matcher, verb) in [(&rule.matcher, "matches")].into_iter().chain(except) {
                // The name of a device that is not registered is no thing's.
                if matcher.registered != Some(false) {
                    look(matcher.names.as_deref().unwrap_or_default(), List::Things, verb);
                }
                if let Some(things) = &matcher.things {
                    look(things.groups.as_deref().unwrap_or_default(), List::Groups, verb);
                }
            }
        }
        for standing in &self.standing {
            match &standing.members {
                Members::Things(patterns) => look(&patterns.0, List::Things, "matches"),
                Members::Resources(patterns) => {
                    if let Some(list) = list_of(&standing.checks) {
                        look(&patterns.0, list, "matches");
                    }
                }
                Members::Groups(names) => {
                    let globs: Vec<_> =
                        names.iter().filter_map(|name| Glob::new(name, standing.place).ok()).collect();
                    look(&globs, List::Groups, "matches");
                }
                // An inventory does not list types.
                Members::Types(_) => {}
            }
        }
    }
}

/// The list that has the resources of all these checks, if one has.
fn list_of(checks: &[CheckName]) -> Option<List> {
    let list = |of: &ResourceType| match of {
        ResourceType::DeviceCertificate | ResourceType::CaCertificate => Some(List::Certificates),
        ResourceType::IotPolicy => Some(List::PolicyVersions),
        _ => None,
    };
    let mut lists = checks.iter().filter_map(CheckName::facts).flat_map(|facts| facts.types).map(list);
    let first = lists.next()?;
    lists.all(|list| list == first).then_some(first)?
}

impl Inventory {
    /// Says that a pattern matches none of a list, if the list is known.
    fn lacks(&self, glob: &Glob, list: List, verb: &str) -> Option<Diagnostic> {
        let names: &Option<BTreeSet<String>> = match list {
            List::Things => &self.things,
            List::Groups => &self.groups,
            List::Certificates => &self.certificates,
            List::Policies | List::PolicyVersions => &self.policies,
        };
        let names = names.as_ref()?;
        let is = |name: &String| match list {
            List::PolicyVersions => is_of_policy(glob.text(), name),
            _ => glob.matches(name),
        };
        if names.iter().any(is) {
            return None;
        }
        let near = did_you_mean(glob.text(), names.iter().map(String::as_str));
        let what =
            format!("'{}' {verb} nothing: none of the {list} in the inventory matches{near}", glob.text());
        Some(Diagnostic::warning(glob.place(), what))
    }
}
