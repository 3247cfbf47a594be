//! Standing suppressions: what is suppressed for as long as it is what it is, before any audit finds it.
//!
//! A rule suppresses what an audit has found. A standing suppression names things or resources, and
//! `suppression-review` keeps one suppression in Device Defender for each of them: whoever joins gets theirs, whoever
//! leaves loses it, and all end at the same time.

use super::Place;
use super::Suppress;
use super::glob::Glob;
use super::glob::any;
use crate::ids::CheckName;

/// A policy with more standing suppressions is refused.
pub const MAX_STANDING: usize = 200;

/// A standing suppression.
#[derive(Debug)]
pub struct Standing {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) checks: Vec<CheckName>,
    pub(super) members: Members,
    pub(super) suppress: Suppress,
    pub(super) places: Places,
    pub(super) adopt: bool,
    pub(super) live: bool,
}

/// Where parts of a standing suppression stand in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// Its end.
    pub(super) ends: Place,
    /// Its reason, its owner and its ticket.
    pub(super) words: [Place; 3],
}

/// What a standing suppression is about, and so how it is found.
#[derive(Debug)]
pub enum Members {
    /// The things in any of these groups, also by way of a group below (`ListThingsInThingGroup`).
    Groups(Vec<String>),
    /// The things of any of these types (`ListThings`).
    Types(Vec<String>),
    /// The things whose names match any of these patterns (`ListThings`).
    Things(Patterns),
    /// The resources whose names, as a rule's `resource` has them, match any of these patterns.
    Resources(Patterns),
}

/// Patterns of names, ready to be asked.
#[derive(Debug)]
pub struct Patterns(pub(super) Box<[Glob]>);

impl Members {
    /// Whether a name is one of these: of a group, a type, a thing, or a resource by its
    /// [label](crate::model::resource::ResourceIdentifier::label).
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Groups(names) | Self::Types(names) => names.iter().any(|one| one == name),
            Self::Things(patterns) | Self::Resources(patterns) => any(&patterns.0, name),
        }
    }

    /// The names, if they are all that it takes: then nobody needs to look at what else there is.
    pub fn literals(&self) -> Option<Vec<&str>> {
        match self {
            Self::Groups(_) | Self::Types(_) => None,
            Self::Things(patterns) | Self::Resources(patterns) => {
                patterns.0.iter().map(Glob::exact).collect()
            }
        }
    }

    /// The key under which they stand in a policy file.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Groups(_) => "group",
            Self::Types(_) => "thingType",
            Self::Things(_) => "thing",
            Self::Resources(_) => "resource",
        }
    }
}

impl Standing {
    /// Its name, which no rule and no other standing suppression of the policy has.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands in the file.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// The checks that it suppresses.
    pub fn checks(&self) -> &[CheckName] {
        &self.checks
    }

    /// What it is about.
    pub const fn members(&self) -> &Members {
        &self.members
    }

    /// Its end, why, and who answers for it. The end is a time or never: all of its members share it.
    pub const fn suppress(&self) -> &Suppress {
        &self.suppress
    }

    /// Whether suppressions that people made by hand for its members become its own.
    pub const fn adopts(&self) -> bool {
        self.adopt
    }

    /// Whether it is kept, or is in shadow: then only what would change is said.
    pub const fn is_live(&self) -> bool {
        self.live
    }
}
