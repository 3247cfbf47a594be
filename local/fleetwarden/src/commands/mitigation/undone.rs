//! What came of an undo, for people: each resource, first those that are not as they were.

use super::words::names;
use crate::output::{Cell, Kind, Layout, Painted, Table, counted, wrapped};
use fleetwarden_core::model::mitigation::undo::{Undone, UndoneResource, UndoneTask};
use fleetwarden_core::untrusted::visible;

/// All of it.
pub(super) fn text(undone: &Undone, layout: Layout) -> Painted {
    if undone.tasks.is_empty() {
        return Painted::from("No mitigation was started since then: there is nothing to undo.");
    }
    let mut out = Painted::default();
    if undone.dry_run {
        out.push("Dry run: nothing was changed.\n\n");
    }
    for (at, task) in undone.tasks.iter().enumerate() {
        if at > 0 {
            out.push("\n\n");
        }
        out.append(&of_task(task, layout));
    }
    out
}

fn of_task(task: &UndoneTask, layout: Layout) -> Painted {
    let mut out = Painted::from(format!("Mitigation {}: {}", visible(&task.task_id), sum(&task.resources)));
    if let Some(reason) = &task.reason {
        out.push("\n").push(wrapped(&visible(reason), layout.of_text()));
    }
    if task.resources.is_empty() {
        return out;
    }
    let mut resources: Vec<&UndoneResource> = task.resources.iter().collect();
    resources.sort_by_key(|resource| resource.is_good());
    let mut table = Table::new(["result", "resource, what was done"]).with(Kind::Word, [0]);
    for resource in resources {
        table.row([Cell::state(&resource.result), Cell::from(cell(resource))]);
    }
    out.push("\n\n").append(&table.render(layout));
    out
}

/// How many resources came to what.
fn sum(resources: &[UndoneResource]) -> String {
    let bad = resources.iter().filter(|resource| !resource.is_good()).count();
    let all = counted(resources.len() as u64, "resource");
    match bad {
        0 if resources.is_empty() => "nothing is undone".to_owned(),
        0 => format!("{all}, each as before"),
        bad => format!("{bad} of {all} not as before"),
    }
}

fn cell(resource: &UndoneResource) -> String {
    let mut lines = vec![format!("{} {}", resource.kind, visible(&resource.name)).trim_end().to_owned()];
    lines.extend(resource.reason.as_ref().map(|reason| visible(reason).into_owned()));
    if !resource.steps.is_empty() {
        lines.push(names(&resource.steps));
    }
    lines.join("\n")
}
