//! The table of the scenarios: what each had to show, and what happened.

use super::outcome::Account;
use crate::output::wrapped;
use comfy_table::{Table, presets};

/// Columns of a line of text in the table: with the others it fits a terminal of 100 columns.
const WIDTH: usize = 52;

/// The scenarios, one each, and all events at the end.
pub(super) fn table(account: &Account) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["scenario", "what happened", ""]);
    for scenario in &account.scenarios {
        let ended = if scenario.faults.is_empty() { "as it should" } else { "OTHERWISE" };
        table.add_row([wrapped(scenario.name, 22), wrapped(&scenario.happened, WIDTH), ended.to_owned()]);
    }
    table.to_string()
}
