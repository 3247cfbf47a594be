//! The table of the scenarios: what each had to show, and what happened.

use super::outcome::Account;
use crate::output::{BAD, Cell, GOOD, Kind, Layout, Painted, Table};

/// The scenarios, one each, and all events at the end.
pub(super) fn table(account: &Account, layout: Layout) -> Painted {
    let mut table = Table::new(["scenario", "what happened", ""]).with(Kind::Word, [2]);
    for scenario in &account.scenarios {
        let ended = if scenario.faults.is_empty() {
            Cell::styled("as it should", GOOD)
        } else {
            Cell::styled("OTHERWISE", BAD)
        };
        table.row([scenario.name.into(), (&scenario.happened).into(), ended]);
    }
    table.render(layout)
}
