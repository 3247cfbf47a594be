//! A pause for people: whether mitigation is paused, what waits, and what runs on with the command that cancels it.

use super::words::names;
use crate::output::{Cell, Kind, Layout, Painted, Table, counted, moment, wrapped};
use fleetwarden_core::model::mitigation::pause::{Concerned, Pause, Switched};
use fleetwarden_core::untrusted::visible;

/// All of it.
pub(super) fn text(switched: &Switched, layout: Layout) -> Painted {
    let mut out = Painted::default();
    let told = told(switched);
    out.push(wrapped(&told, layout.of_text())).push("\n");
    if switched.waiting.is_empty() && switched.running.is_empty() {
        out.push("\nNo mitigation waits, and none runs.");
    }
    let waits =
        if switched.paused { "Waits until mitigation is resumed" } else { "Goes on within 15 minutes" };
    list(&mut out, waits, &switched.waiting, layout);
    list(&mut out, "Runs at Device Defender and is not stopped by a pause", &switched.running, layout);
    for cancel in switched.running.iter().filter_map(|task| task.cancel.as_ref()) {
        out.push(format!("\n  {}", visible(cancel)));
    }
    if switched.more {
        out.push("\n\nThere are more: fleetwarden mitigation list --state held, claimed or started.");
    }
    out
}

fn told(switched: &Switched) -> String {
    let Switched { dry_run, paused, pause, .. } = switched;
    let what = match (pause, paused, dry_run) {
        (None, _, _) => return "Mitigation is not paused.".to_owned(),
        (Some(_), true, false) => "Mitigation is paused",
        (Some(_), true, true) => "Dry run: nothing was changed. Mitigation would be paused",
        (Some(_), false, false) => "Mitigation goes on. It was paused",
        (Some(_), false, true) => "Dry run: nothing was changed. Mitigation would go on. It is paused",
    };
    let Pause { reason, by, since, suppressions, .. } = pause.clone().unwrap_or_default();
    let by = by.map(|by| format!(" by {}", names(&[by]))).unwrap_or_default();
    let with = if suppressions { ", suppressions too" } else { "" };
    format!("{what} since {}{by}{with}: {}", moment(&since), names(&[reason]))
}

fn list(out: &mut Painted, title: &str, tasks: &[Concerned], layout: Layout) {
    if tasks.is_empty() {
        return;
    }
    let mut table = Table::new(["since", "state", "task"]).with(Kind::Word, [0, 1]);
    for task in tasks {
        let since = task.decided_at.as_deref().map(moment).unwrap_or_default();
        let asker =
            task.rule.as_ref().map_or("a command".to_owned(), |rule| format!("rule {}", visible(rule)));
        let count = task.count.map(|count| format!(": {count}")).unwrap_or_default();
        let cell = format!("{}\nby {asker}\n{}{count}", visible(&task.task_id), visible(&task.about));
        table.row([since.into(), Cell::state(&task.state), cell.into()]);
    }
    let count = counted(tasks.len() as u64, "task");
    out.push(format!("\n{title}, {count}:\n\n")).append(&table.render(layout)).push("\n");
}
