//! A mitigation task for people: who, what, when and why; then each finding or device, first those that did not succeed.

use super::approval;
use super::words::{asker, check, length, names, outcomes};
use crate::output::{Cell, Kind, Layout, Painted, Table, counted, moment, of_state, wrapped};
use fleetwarden_core::model::mitigation::impact::Impact;
use fleetwarden_core::model::mitigation::verification::Verdict;
use fleetwarden_core::model::mitigation::view::{ActionResult, Finding, Shown, Task, Violation};
use fleetwarden_core::untrusted::visible;

/// All of it.
pub(super) fn text(shown: &Shown, layout: Layout) -> Painted {
    let task = &shown.task;
    let mut out = Painted::from(format!("Mitigation {}: ", visible(&task.task_id)));
    out.push_styled(of_state(&task.state), visible(&task.state)).push("\n");
    if let Some(reason) = &task.reason {
        out.push(wrapped(&visible(reason), layout.of_text())).push("\n");
    }
    out.push("\n").append(&facts(task, layout)).push("\n\n");
    if let Some(approval) = &shown.approval {
        out.append(&approval::facts(approval, layout)).push("\n\n");
    }
    if shown.findings.is_empty() && shown.violations.is_empty() {
        out.push(without_results(&task.state));
        return out;
    }
    let mut rows: Vec<(&str, String)> =
        shown.findings.iter().map(|of| (of.state.as_str(), finding(of))).collect();
    rows.extend(shown.violations.iter().map(|of| (of.state.as_str(), violation(of))));
    rows.sort_by_key(|(state, _)| rank(state));
    let title =
        if shown.violations.is_empty() { "resource, things behind it, actions" } else { "thing, actions" };
    let mut table = Table::new(["state", title]).with(Kind::Word, [0]);
    for (state, cell) in rows {
        table.row([Cell::state(state), cell.into()]);
    }
    out.append(&table.render(layout));
    out
}

/// Why a task that names nothing has no results.
fn without_results(state: &str) -> &'static str {
    match state {
        "claimed" => "It is about to start, or waits until it can: there are no results yet.",
        "started" => "It runs: there are results when it has ended.",
        "completed" | "failed" | "canceled" | "lost" => "The ledger has no results of it.",
        _ => "It was not started: nothing was done to any device.",
    }
}

/// What there is to say of the task itself.
fn facts(task: &Task, layout: Layout) -> Painted {
    let mut table = Table::untitled(2).with(Kind::Word, [0]);
    let mut fact = |name: &str, what: String| {
        table.row([name.to_owned(), what]);
    };
    fact("asked for by", asker(task).unwrap_or_else(|| "not known".to_owned()));
    for (name, audit) in
        [("audit", &task.audit_task_id), ("profile", &task.profile), ("behavior", &task.behavior)]
    {
        if let Some(audit) = audit {
            fact(name, visible(audit).into_owned());
        }
    }
    for (name, of) in &task.checks {
        fact("check", check(name, of));
        fact("actions", graded(&of.actions, task));
        if let Some(outcome) = of.outcomes {
            fact("outcome", outcomes(outcome));
        }
    }
    if task.profile.is_some() {
        fact("actions", graded(&task.actions, task));
        fact("on", counted(task.count.unwrap_or_default(), "device"));
    }
    if let Some(seconds) = task.release_after_seconds {
        fact("release", format!("{} after the alarm has ended", length(seconds)));
    }
    if let Some(Impact { devices, connected, .. }) = &task.impact {
        let connected = connected.map(|connected| format!(", {connected} connected")).unwrap_or_default();
        fact("devices", format!("{devices}{connected}"));
    }
    for guard in &task.guards {
        let answer = match (&guard.reason, guard.passed) {
            (Some(reason), true) => format!("passed: {}", visible(reason)),
            (None, true) => "passed".to_owned(),
            // Why it is held stands above.
            (_, false) if task.state == "held" => "held".to_owned(),
            (_, false) => "stopped".to_owned(),
        };
        fact("guard", format!("{}: {answer}", visible(&guard.guard)));
    }
    if let Some(canary) = &task.canary {
        let reason = canary.reason.as_deref().map(|reason| format!(": {}", visible(reason)));
        let undo = match canary.undo.as_deref() {
            Some("due") => "; its undo is due",
            Some("done") => "; undone",
            _ => "",
        };
        let (state, first) = (visible(&canary.state), canary.first.len());
        fact(
            "canary",
            format!("{state}{}; {first} of {} went first{undo}", reason.unwrap_or_default(), canary.of),
        );
        fact("goes first", visible(&canary.task_id).into_owned());
    }
    let times = [
        ("decided", &task.decided_at),
        ("held until", &task.held_until),
        ("started", &task.started_at),
        ("ended", &task.ended_at),
    ];
    for (name, at) in times {
        if let Some(at) = at {
            fact(name, moment(at));
        }
    }
    table.render(layout)
}

/// Actions, each with how hard it is to take back.
fn graded(actions: &[String], task: &Task) -> String {
    let graded = |action: &String| match task.grades.get(action) {
        Some(grade) => format!("{} ({})", visible(action), visible(grade)),
        None => visible(action).into_owned(),
    };
    actions.iter().map(graded).collect::<Vec<_>>().join(", ")
}

/// What did not succeed is what somebody looks for.
fn rank(state: &str) -> u8 {
    match state {
        "failed" => 0,
        "unknown" => 1,
        "canceled" => 2,
        "skipped" => 3,
        "completed" => 5,
        _ => 4,
    }
}

fn finding(of: &Finding) -> String {
    let resource = of.resource.as_ref().map(|resource| resource.label()).filter(|label| !label.is_empty());
    let resource = resource
        .map_or_else(|| format!("finding {}", visible(&of.finding_id)), |label| visible(&label).into_owned());
    let things = match of.things.as_deref() {
        None => "things: not known".to_owned(),
        Some([]) => "things: none".to_owned(),
        Some([thing]) => format!("thing: {}", visible(thing)),
        Some(things) => format!("things: {}", names(things)),
    };
    let verdict = of.verdict.and_then(|verdict| match verdict {
        Verdict::StillThere => Some("still there at the next audit".to_owned()),
        Verdict::Gone => Some("gone at the next audit".to_owned()),
        Verdict::Suppressed => None,
    });
    lines([resource, things].into_iter().chain(actions(&of.actions)).chain(verdict))
}

fn violation(of: &Violation) -> String {
    let groups = (!of.groups.is_empty()).then(|| {
        let release = match of.release.as_deref() {
            Some("released") => ", and taken out again",
            Some("undone") => ", and taken out by an undo",
            Some("kept") => ", and stays there: nobody could say that the alarm had ended",
            _ => "",
        };
        format!("put into {}{release}", names(&of.groups))
    });
    lines([visible(&of.thing).into_owned()].into_iter().chain(actions(&of.actions)).chain(groups))
}

/// What became of each action; of those that were done, their names alone.
fn actions(results: &[ActionResult]) -> Vec<String> {
    let is_done = |result: &&ActionResult| matches!(result.status.as_str(), "COMPLETED" | "SUCCESSFUL");
    let done: Vec<String> = results.iter().filter(is_done).map(|result| result.action.clone()).collect();
    let bad = results.iter().filter(|result| !is_done(result)).map(|result| {
        let why = [&result.error_code, &result.message].into_iter().flatten().map(|text| visible(text));
        let why = why.collect::<Vec<_>>().join(": ");
        let colon = if why.is_empty() { "" } else { ": " };
        format!("{} {}{colon}{why}", visible(&result.action), visible(&result.status))
    });
    let done = (!done.is_empty()).then(|| format!("done: {}", names(&done)));
    bad.chain(done).collect()
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}
