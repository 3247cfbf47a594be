//! How much of a mitigation counts in the budget of a thing group: what is in the group, as it was looked up right before the
//! start. A mitigation that such a budget holds carries the number along, so that nobody looks it up again to see that there is
//! still no room.

use fleetwarden_aws::mitigations::Spend;
use fleetwarden_core::message::CountInGroup;
use fleetwarden_core::message::Held;
use fleetwarden_core::policy::Budget;
use fleetwarden_core::policy::InGroups;

use crate::work::Decided;
use crate::work::Request;

/// How much counts of what is not claimed yet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counting<'c> {
    /// As much as when it was held, in that budget; nothing in others, which are asked when it is claimed.
    AsHeld(Option<CountInGroup>),
    /// So many of these are in the groups. Of none it is known: all count.
    Looked {
        /// What is in the groups.
        in_groups: Option<&'c InGroups>,
        /// The findings or violations.
        parts: &'c [&'c str],
        /// How many of them go at once.
        at_once: u64,
    },
}

impl Counting<'_> {
    /// As much as a message says that is held.
    pub(crate) fn of_hold(held: Option<Held>) -> Self {
        Self::AsHeld(held.and_then(|held| held.in_group))
    }

    /// What counts in the budget of a group.
    pub(crate) fn of(self, budget: &Budget, spend: Spend) -> Spend {
        match self {
            Self::AsHeld(held) => {
                let held = held.filter(|held| held.budget == budget.key());
                spend.of(held.map_or(0, |held| held.count))
            }
            Self::Looked { in_groups: None, .. } => spend,
            Self::Looked { in_groups: Some(in_groups), parts, at_once } => {
                let group = budget.group.as_deref().unwrap_or_default();
                spend.of(in_groups.count(group, parts.iter().copied()).min(at_once))
            }
        }
    }
}

impl<R: Request> Decided<R> {
    /// What of it counts in the budget of a group, when it is claimed.
    pub(crate) fn counted(&self, budget: &Budget, spend: Spend) -> Spend {
        match (&self.in_groups, &budget.group) {
            (Some(in_groups), Some(group)) => spend.among(in_groups.of(group), in_groups.unknown()),
            _ => spend,
        }
    }
}
