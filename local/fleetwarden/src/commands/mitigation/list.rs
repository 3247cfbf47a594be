//! Mitigation tasks for people, two or more lines each.

use super::words::{asker, check, counted, laid_out, moment, names, table};
use crate::output::wrapped;
use fleetwarden_core::model::mitigation::view::{Listed, Task};
use fleetwarden_core::untrusted::visible;

/// The most columns of a task's cell.
const CELL: usize = 60;
/// As `2026-11-23 08:00`.
const TO_THE_MINUTE: usize = 16;

/// All of them.
pub(super) fn told(listed: &Listed) -> String {
    if listed.tasks.is_empty() {
        return "There are no such mitigations.".to_owned();
    }
    let mut table = table();
    table.set_header(["decided, state", "task"]);
    for task in &listed.tasks {
        let decided = task.decided_at.as_deref().map(moment).unwrap_or_default();
        let decided: String = decided.chars().take(TO_THE_MINUTE).collect();
        table.add_row([format!("{decided}\n{}", visible(&task.state)), cell(task)]);
    }
    laid_out(&table)
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
    lines.iter().map(|line| wrapped(line, CELL)).collect::<Vec<_>>().join("\n")
}
