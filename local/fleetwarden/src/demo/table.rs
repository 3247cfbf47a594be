//! The table of a run: what the first audit found, what was decided on it and what was done, and what the second still
//! found.

use super::summary::Observed;
use comfy_table::{CellAlignment, Table, presets};
use std::collections::BTreeSet;

const COLUMNS: [&str; 9] = [
    "check",
    "findings",
    "to suppress",
    "to mitigate",
    "reported",
    "mitigated",
    "second audit",
    "of them suppressed",
    "gone",
];

/// The table for two audits.
pub(crate) fn table(first: &Observed, second: &Observed) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(COLUMNS);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut total = [0; 8];
    let checks: BTreeSet<&String> = first.found.checks.keys().chain(second.found.checks.keys()).collect();
    for check in checks {
        let found = first.found.checks.get(check).copied().unwrap_or_default();
        let again = second.found.checks.get(check).copied().unwrap_or_default();
        let exported = first.exported.checks.get(check).copied().unwrap_or_default();
        let row = [
            found.all(),
            exported.suppress,
            exported.mitigate,
            exported.reported,
            first.confirmed(check),
            again.all(),
            again.suppressed,
            found.all().saturating_sub(again.all()),
        ];
        for (sum, number) in total.iter_mut().zip(row) {
            *sum += number;
        }
        table.add_row(cells(check, row));
    }
    table.add_row(cells("all", total));
    table.to_string()
}

fn cells(name: &str, numbers: [u64; 8]) -> Vec<String> {
    let mut cells = vec![name.to_owned()];
    cells.extend(numbers.map(|number| number.to_string()));
    cells
}
