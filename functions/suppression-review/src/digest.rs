//! What people are told once a week: how much is suppressed, by whom, and what of it nobody needs.

use std::cmp::Reverse;

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;

use crate::outcome::Outcome;
use crate::outcome::Tally;
use crate::plan::standing_of;
use crate::state::State;
use crate::told::alert;
use crate::told::plural;
use crate::told::week;
use crate::told::whose;

/// How many makers a digest names.
const NAMED: usize = 10;

/// The digest of a review.
pub(crate) fn debt(mode: Mode, state: &State, outcome: &Outcome, without_members: &[&str]) -> Alert {
    let week = week(state.began);
    let Outcome { debt, tallies, .. } = outcome;
    let mut told = Text::default();
    let mut line = |count: u64, what: &'static str| {
        if count > 0 {
            told.push(text!("- {} {}\n", count, Text::own(what)));
        }
    };
    line(debt.indefinite, "without an end");
    line(debt.ownerless, "that nobody answers for");
    line(debt.by_hand, "made by hand");
    line(debt.idle, "that hid nothing in the last audit");
    line(debt.ending, "end within 30 days");
    line(debt.lapsed, "have ended");
    if let Some(share) = debt.hidden_share() {
        told.push(text!(
            "\n{} of {} findings of the last audits are hidden ({}%).\n",
            debt.hidden,
            debt.non_compliant,
            share * 100.0
        ));
    }
    if let Some(oldest) = debt.oldest {
        told.push(text!("The oldest was first seen on {}.\n", oldest.day()));
    }
    let mut section = |title: &'static str, counts: Vec<(Text, u64)>| {
        if counts.is_empty() {
            return;
        }
        told.push(text!("\n**{}**\n", Text::own(title)));
        let further = counts.len().saturating_sub(NAMED);
        for (whose, count) in counts.into_iter().take(NAMED) {
            told.push(text!("- {}: {}\n", whose, count));
        }
        if further > 0 {
            told.push(text!("- and {} more\n", further));
        }
    };
    let mut owners: Vec<(Text, u64)> = (debt.owners.iter())
        .map(|(owner, owned)| {
            (if owner.is_empty() { "(nobody)".into() } else { text!("{}", owner) }, owned.suppressions)
        })
        .collect();
    owners.sort_by_key(|(_, count)| Reverse(*count));
    section("By owner", owners);
    let of = |count: fn(&Tally) -> u64| {
        let some = tallies.iter().filter(move |tally| count(tally) > 0);
        some.map(|tally| (whose(&tally.by, tally.owner.as_deref()), count(tally))).collect::<Vec<_>>()
    };
    section("Without an end", of(|tally| tally.indefinite));
    section("Without an owner", of(|tally| if tally.owner.is_none() { tally.suppressions } else { 0 }));
    // A standing suppression is there before anything is found: what it hides not yet is as it should be.
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
        told.push(text!("For example: {}\n", Text::joined(examples, ", ")));
    }
    if !without_members.is_empty() {
        told.push(text!("\nStanding, and nothing matches: {}\n", Text::joined(without_members, ", ")));
    }
    for gap in &state.gaps {
        told.push(text!("\nNot known: {}\n", gap));
    }
    if mode == Mode::Observe {
        told.push("\nThe policy observes: standing suppressions are not kept, only told.\n");
    }
    Alert {
        title: text!("{} in the week of {}", plural(debt.suppressions, "suppression"), week),
        description: told,
        next_steps: vec![
            "Give an end and an owner to those without; delete what hides nothing.".into(),
            "To list them: fleetwarden audit list-audit-suppressions.".into(),
        ],
        ..alert(Kind::SuppressionDebt, AlertSeverity::Low, format!("week of {week}"))
    }
}
