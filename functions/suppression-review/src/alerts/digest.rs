//! The weekly alert: how much is suppressed, by whom, and which suppressions nobody needs.

use std::cmp::Reverse;

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;

use crate::alerts::alert;
use crate::alerts::plural;
use crate::alerts::week;
use crate::alerts::whose;
use crate::plan::standing_of;
use crate::state::State;
use crate::summary::Summary;
use crate::summary::Tally;

/// How many makers a digest names.
const NAMED: usize = 10;

/// The digest of a review.
pub(crate) fn debt(mode: Mode, state: &State, summary: &Summary, without_members: &[&str]) -> Alert {
    let week = week(state.began);
    let Summary { debt, tallies, .. } = summary;
    let mut description = Text::default();
    let mut line = |count: u64, what: &'static str| {
        if count > 0 {
            description.push(text!("- {}: {}\n", Text::own(what), count));
        }
    };
    line(debt.indefinite, "Never expire");
    line(debt.ownerless, "No owner");
    line(debt.by_hand, "Made by hand");
    line(debt.idle, "Hid nothing in the last audit");
    line(debt.ending, "Expire within 30 days");
    line(debt.lapsed, "Expired");
    if let Some(share) = debt.hidden_share() {
        description.push(text!(
            "\n{} of {} findings of the last audits are hidden ({}%).\n",
            debt.hidden,
            debt.non_compliant,
            share * 100.0
        ));
    }
    if let Some(oldest) = debt.oldest {
        description.push(text!("The oldest was first seen on {}.\n", oldest.day()));
    }
    let mut section = |title: &'static str, counts: Vec<(Text, u64)>| {
        if counts.is_empty() {
            return;
        }
        description.push(text!("\n**{}**\n", Text::own(title)));
        let further = counts.len().saturating_sub(NAMED);
        for (whose, count) in counts.into_iter().take(NAMED) {
            description.push(text!("- {}: {}\n", whose, count));
        }
        if further > 0 {
            description.push(text!("- and {} more\n", further));
        }
    };
    let mut owners: Vec<(Text, u64)> = (debt.owners.iter())
        .map(|(owner, owned)| {
            (if owner.is_empty() { "(no owner)".into() } else { text!("{}", owner) }, owned.suppressions)
        })
        .collect();
    owners.sort_by_key(|(_, count)| Reverse(*count));
    section("By owner", owners);
    let of = |count: fn(&Tally) -> u64| {
        let some = tallies.iter().filter(move |tally| count(tally) > 0);
        some.map(|tally| (whose(&tally.by, tally.owner.as_deref()), count(tally))).collect::<Vec<_>>()
    };
    section("Never expire", of(|tally| tally.indefinite));
    section("No owner", of(|tally| if tally.owner.is_none() { tally.suppressions } else { 0 }));
    // A standing suppression exists before anything is found: that it hides nothing yet is as it should be.
    let idle = |tally: &Tally| {
        if standing_of(&tally.by).is_some() { 0 } else { tally.idle }
    };
    section("Hid nothing", of(idle));
    let examples: Vec<&str> = tallies
        .iter()
        .filter(|tally| idle(tally) > 0)
        .flat_map(|tally| tally.idle_examples.iter().map(String::as_str))
        .take(NAMED)
        .collect();
    if !examples.is_empty() {
        description.push(text!("Examples: {}\n", Text::joined(examples, ", ")));
    }
    if !without_members.is_empty() {
        description.push(text!(
            "\nStanding suppressions without members: {}\n",
            Text::joined(without_members, ", ")
        ));
    }
    for gap in &state.gaps {
        description.push(text!("\nUnknown: {}\n", gap));
    }
    if mode == Mode::Observe {
        description.push(
            "\nThe policy is in mode observe: standing suppressions are reported and not reconciled.\n",
        );
    }
    Alert {
        title: text!("{} in the week of {}", plural(debt.suppressions, "suppression"), week),
        description,
        next_steps: vec![
            "Give an end and an owner to those without one, and delete what hides nothing.".into(),
            "List them with `fleetwarden audit list-audit-suppressions`.".into(),
        ],
        ..alert(Kind::SuppressionDebt, AlertSeverity::Low, format!("week of {week}"))
    }
}
