//! Mitigation tasks for people, two or more lines each.

use super::words::{asker, check, names};
use crate::output::{Cell, Kind, Layout, Painted, Table, counted, moment};
use fleetwarden_core::model::mitigation::view::{Listed, Task};
use fleetwarden_core::untrusted::visible;

/// All of them.
pub(super) fn text(listed: &Listed, layout: Layout) -> Painted {
    if listed.tasks.is_empty() {
        return Painted::from("There are no such mitigations.");
    }
    let mut table = Table::new(["decided", "state", "task"]).with(Kind::Word, [0, 1]);
    for task in &listed.tasks {
        let decided = task.decided_at.as_deref().map(moment).unwrap_or_default();
        table.row([decided.into(), Cell::state(&task.state), Cell::from(cell(task))]);
    }
    table.render(layout)
}

fn cell(task: &Task) -> String {
    let mut lines = vec![visible(&task.task_id).into_owned()];
    lines.extend(asker(task).map(|asker| format!("by {asker}")));
    for (name, of) in &task.checks {
        lines.push(check(name, of));
        lines.push(names(&of.actions));
    }
    if let (Some(profile), Some(behavior)) = (&task.profile, &task.behavior) {
        let devices = counted(task.count.unwrap_or_default(), "device");
        lines.push(format!("{}, {}: {devices}", visible(profile), visible(behavior)));
        lines.push(names(&task.actions));
    }
    lines.extend(task.outcomes.map(super::words::outcomes));
    lines.extend(task.reason.as_ref().map(|reason| visible(reason).into_owned()));
    lines.join("\n")
}
