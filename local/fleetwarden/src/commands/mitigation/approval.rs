//! An approval for people: what is explained, who has decided, and what comes next.

use super::words::names;
use crate::output::{Kind, Layout, Painted, Table, counted, moment, of_state, wrapped};
use fleetwarden_core::model::mitigation::approval::{Answered, Approval};
use fleetwarden_core::untrusted::visible;

/// What came of a word.
pub(super) fn text(answered: &Answered, layout: Layout) -> Painted {
    let mut out = Painted::default();
    if answered.dry_run {
        out.push("Dry run: nothing was changed.\n");
    }
    out.push(format!("Mitigation {}: ", visible(&answered.task_id)));
    let state = match &answered.approval {
        Some(approval) if answered.state == "held" => approval.state.as_str(),
        _ => answered.state.as_str(),
    };
    out.push_styled(of_state(state), visible(state));
    if answered.repeated {
        out.push(" (as before)");
    }
    out.push("\n").push(wrapped(&visible(&answered.next), layout.of_text())).push("\n");
    if let Some(approval) = &answered.approval {
        out.push("\n").append(&facts(approval, layout)).push("\n");
    }
    out
}

/// What there is to say of an approval.
pub(super) fn facts(approval: &Approval, layout: Layout) -> Painted {
    let mut table = Table::untitled(2).with(Kind::Word, [0]);
    for (name, what) in rows(approval) {
        table.row([name.to_owned(), what]);
    }
    table.render(layout)
}

/// It, row by row.
pub(super) fn rows(approval: &Approval) -> Vec<(&'static str, String)> {
    let Approval { explanation, explanation_id, until, requested_by, by, reason, at, state, .. } = approval;
    let mut rows = vec![("approval", visible(state).into_owned())];
    if let (Some(by), Some(at)) = (by, at) {
        rows.push(("by", format!("{}, {}", names(std::slice::from_ref(by)), moment(at))));
    }
    if let Some(reason) = reason {
        rows.push(("because", visible(reason).into_owned()));
    }
    if let Some(requested_by) = requested_by {
        rows.push(("requested by", visible(requested_by).into_owned()));
    }
    // What is rejected unasked has no explanation.
    if explanation.count == 0 && explanation.actions.is_empty() {
        return rows;
    }
    rows.push(("explanation", visible(explanation_id).into_owned()));
    for reason in &explanation.reasons {
        rows.push(("why", visible(&reason.why).into_owned()));
    }
    for action in &explanation.actions {
        let does =
            format!("{}: {} ({})", visible(&action.name), visible(&action.does), action.grade.as_str());
        rows.push(("action", does));
    }
    rows.push(("on", counted(explanation.count, "finding")));
    if let Some(devices) = explanation.devices {
        let connected =
            explanation.connected.map(|of| format!(", {of} of them connected")).unwrap_or_default();
        rows.push(("devices", format!("{devices}{connected}")));
    }
    if let Some(until) = until {
        rows.push(("until", moment(until)));
    }
    rows
}
