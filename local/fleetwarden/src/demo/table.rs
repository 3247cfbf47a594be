//! The table of a run: what the first audit found, what was decided on it and what was done, and what the second still
//! found.

use super::summary::Observed;
use crate::output::{Kind, Layout, Painted, Table};
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
pub(crate) fn table(first: &Observed, second: &Observed, layout: Layout) -> Painted {
    let mut table = Table::new(COLUMNS).with(Kind::Number, 1..COLUMNS.len());
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
        table.row(cells(check, row));
    }
    table.row(cells("all", total));
    table.render(layout)
}

fn cells(name: &str, numbers: [u64; 8]) -> Vec<String> {
    let mut cells = vec![name.to_owned()];
    cells.extend(numbers.map(|number| number.to_string()));
    cells
}
