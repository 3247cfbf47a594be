//! Standing suppressions: what is suppressed for as long as it is what it is, before any audit finds it.
//!
//! A rule suppresses what an audit has found. A standing suppression names things or resources, and
//! `suppression-review` keeps one suppression in Device Defender for each of them: whoever joins gets theirs, whoever
//! leaves loses it, and all end at the same time.

use super::Place;
use super::Suppress;
use crate::check::CheckName;

/// A standing suppression.
#[derive(Debug)]
pub struct Standing {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) checks: Vec<CheckName>,
    pub(super) members: Members,
    pub(super) suppress: Suppress,
    pub(super) adopt: bool,
    pub(super) live: bool,
}

/// What a standing suppression is about, and so how it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    /// The things in any of these groups, also by way of a group below (`ListThingsInThingGroup`).
    Groups(Vec<String>),
    /// The things of any of these types (`ListThings`).
    Types(Vec<String>),
    /// The things whose names match any of these patterns (`ListThings`).
    Things(Vec<String>),
    /// The resources whose names, as a rule's `resource` has them, match any of these patterns.
    Resources(Vec<String>),
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
