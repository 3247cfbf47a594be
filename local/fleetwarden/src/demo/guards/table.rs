//! A scene for people: what it shows, what happened step by step, and what people were alerted of or have typed.

use super::outcome::Scene;
use crate::output::{BAD, Cell, Kind, Layout, Painted, Table, wrapped};

/// One scene.
pub(super) fn text(scene: &Scene, layout: Layout) -> Painted {
    let mut out = Painted::default();
    out.push("\n").push(wrapped(&scene.shows, layout.of_text())).push("\n\n");
    let mut table = Table::new(["when", "state", "certificates", "why"]).with(Kind::Word, [1]);
    for step in &scene.steps {
        let cells: [Cell; 4] = [
            step.when.as_str().into(),
            Cell::state(&step.state),
            step.certificates.as_str().into(),
            step.why.as_str().into(),
        ];
        table.row(cells);
    }
    out.append(&table.render(layout));
    for command in &scene.commands {
        out.push(format!("\n$ {command}"));
    }
    if let Some(alert) = &scene.alert {
        out.push("\n").push(wrapped(&format!("alert: {alert}"), layout.of_text()));
    }
    for fault in &scene.faults {
        out.push("\n").push_styled(BAD, wrapped(&format!("OTHERWISE: {fault}"), layout.of_text()));
    }
    out
}
