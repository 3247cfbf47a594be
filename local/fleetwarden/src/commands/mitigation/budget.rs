//! Budgets for people: how much is used of each, by which tasks, and when there is room again.

use crate::output::{Kind, Layout, Painted, Table, moment, wrapped};
use fleetwarden_core::model::mitigation::budget::{Budgets, Used};
use fleetwarden_core::untrusted::visible;

/// All of them.
pub(super) fn text(told: &Budgets, layout: Layout) -> Painted {
    let mut out = Painted::default();
    if let Some(pause) = &told.pause {
        out.push(wrapped(&visible(&pause.why()), layout.of_text())).push("\n\n");
    }
    if told.budgets.is_empty() {
        out.push("The policy has no budgets: any number may be mitigated.");
        return out;
    }
    let mut table = Table::new(["used", "of", "budget"]).with(Kind::Word, [0, 1]);
    for used in &told.budgets {
        table.row([used.used.to_string(), used.limit.to_string(), cell(used)]);
    }
    out.append(&table.render(layout));
    if let Some(fleet) = told.fleet {
        out.push(format!("\n\nThe fleet index has {fleet} things."));
    }
    out
}

fn cell(used: &Used) -> String {
    let mut lines = vec![visible(&used.budget).into_owned()];
    lines.extend(used.room_from.as_ref().map(|from| format!("room from {}", moment(from))));
    lines.extend(
        used.tasks
            .iter()
            .map(|task| format!("{} until {}: {}", task.count, moment(&task.until), visible(&task.task_id))),
    );
    lines.join("\n")
}
