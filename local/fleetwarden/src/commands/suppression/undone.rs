//! What came of undoing suppressions, for people: each suppression, first those that are not as they were, and what the
//! next audit does.

use crate::output::{Cell, Kind, Layout, Painted, Table, counted, wrapped};
use fleetwarden_core::model::suppression::undo::{Undone, UndoneSuppression};
use fleetwarden_core::untrusted::visible;

/// All of it.
pub(super) fn text(undone: &Undone, layout: Layout) -> Painted {
    if undone.suppressions.is_empty() {
        return Painted::from("No rule has changed such a suppression: there is nothing to undo.");
    }
    let mut out = Painted::default();
    if undone.dry_run {
        out.push("Dry run: nothing was changed.\n\n");
    }
    out.push(sum(undone)).push("\n\n");
    let mut suppressions: Vec<&UndoneSuppression> = undone.suppressions.iter().collect();
    suppressions.sort_by_key(|suppression| suppression.is_good());
    let mut table = Table::new(["result", "check, resource, what was done"]).with(Kind::Word, [0]);
    for suppression in suppressions {
        table.row([Cell::state(&suppression.result), Cell::from(cell(suppression))]);
    }
    out.append(&table.render(layout));
    for next in &undone.next_audit {
        let told = format!("Rule {}: {}.", visible(&next.rule), visible(&next.next));
        out.push("\n\n").push(wrapped(&told, layout.of_text()));
    }
    out
}

/// How many suppressions came to what.
fn sum(undone: &Undone) -> String {
    let bad = undone.suppressions.iter().filter(|suppression| !suppression.is_good()).count();
    let all = counted(undone.suppressions.len() as u64, "suppression");
    let would = if undone.dry_run { " would be" } else { "" };
    match bad {
        0 => format!("{all}: each{would} as before"),
        bad => format!("{bad} of {all}{would} not as before"),
    }
}

fn cell(suppression: &UndoneSuppression) -> String {
    let UndoneSuppression { check, resource, rule, audit_task_id, .. } = suppression;
    let by = format!("by rule {} in audit {}", visible(rule), visible(audit_task_id));
    let mut lines = vec![visible(check).into_owned(), visible(&resource.label()).into_owned(), by];
    let more = [&suppression.reason, &suppression.step].into_iter().flatten();
    lines.extend(more.map(|text| visible(text).into_owned()));
    lines.join("\n")
}
