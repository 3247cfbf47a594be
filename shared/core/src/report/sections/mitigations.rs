//! What is being done, and was, about the findings of an audit.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::ids::CheckName;
use crate::report::AuditReport;
use crate::report::MitigationReport;
use crate::report::NotStarted;
use crate::report::NotStartedReport;
use crate::report::page::Block;
use crate::report::page::Section;
use crate::report::page::Word;
use crate::report::page::Words;
use crate::report::page::code;
use crate::report::page::faint;
use crate::report::page::grouped;
use crate::report::page::number;
use crate::report::page::outside;
use crate::report::page::own;
use crate::report::page::section;
use crate::report::page::table;
use crate::report::page::text;
use crate::report::page::title;

pub(super) fn mitigations(report: &AuditReport) -> Section {
    let mut blocks = vec![started(report)];
    blocks.extend(not_started(report));
    if !report.mitigations.is_empty() {
        blocks.push(Block::Text(vec![
            Word::Own("Which findings and devices a task had, and what became of each: "),
            Word::Code("fleetwarden mitigation show TASK".into()),
            Word::Own("."),
        ]));
    }
    section("mitigations", "Mitigations", blocks)
}

/// A task of fewer seconds shows its times to the second.
const SHORT: i64 = 600;

fn started(report: &AuditReport) -> Block {
    let rows = report.mitigations.iter().map(|task| {
        let by = task.by.as_deref().map_or_else(|| faint("not known"), |by| text(outside(by)));
        let lasted = task.ended_at.map(|at| at.seconds().saturating_sub(task.started_at.seconds()));
        let time = if lasted.is_some_and(|seconds| seconds < SHORT) { Word::Second } else { Word::Time };
        let ended = task.ended_at.map_or_else(|| own("under way"), |at| vec![time(at)]);
        vec![
            code(&task.task_id),
            code(&task.task_status),
            by,
            actions(&task.actions),
            text(outcomes(task)),
            vec![time(task.started_at)],
            ended,
        ]
    });
    let heads = ["Task", "Status", "Asked for by", "Actions", "Findings", "Began", "Ended"];
    match (report.mitigations.is_empty(), report.mitigations_unknown) {
        (true, true) => Block::Text(own(
            "Whether mitigations were started on findings of this audit could not be found out.",
        )),
        (true, false) => Block::Text(own("No mitigation was started on findings of this audit.")),
        (false, _) => {
            let caption = "Mitigation tasks on findings of this audit, newest first";
            Block::Table(table(caption, &heads, rows, report.mitigations.len()))
        }
    }
}

/// What was decided or asked for, and was not done.
fn not_started(report: &AuditReport) -> Option<Block> {
    let NotStartedReport { states, tasks, unknown } = &report.not_started;
    if *unknown {
        return Some(Block::Text(own(
            "Whether mitigations were refused, wait, or were only observed could not be found out.",
        )));
    }
    let all: u64 = states.values().sum();
    if all == 0 {
        return None;
    }
    let by_state: Vec<String> =
        states.iter().map(|(state, n)| format!("{} {}", grouped(*n), outside(state))).collect();
    let caption = format!("Mitigations that were not started: {}", by_state.join(", "));
    let heads = ["Task", "State", "Asked for by", "Actions", "Findings", "Since"];
    let rows = tasks.iter().map(|task| {
        vec![
            code(&task.task_id),
            state(task),
            text(outside(&task.by)),
            actions(&task.actions),
            number(task.findings),
            task.decided_at.map_or_else(|| faint("not known"), |at| vec![Word::Time(at)]),
        ]
    });
    Some(Block::Table(table(&caption, &heads, rows, usize::try_from(all).unwrap_or(usize::MAX))))
}

/// How a state of the ledger is called.
fn word(state: &str) -> String {
    match state {
        "refused" => "Refused".into(),
        "given-up" => "Given up".into(),
        "lost" => "Lost: its end is not known".into(),
        "held" => "Held".into(),
        "claimed" => "About to start".into(),
        "superseded" => "Superseded".into(),
        "observed" => "Observed: would have been started".into(),
        other => outside(other),
    }
}

/// The state, and why it is that one.
fn state(task: &NotStarted) -> Words {
    let mut words = text(word(&task.state));
    if let Some(reason) = &task.reason {
        words.extend([Word::Own(": "), Word::Text(outside(reason))]);
    }
    if let Some(until) = task.until {
        words.extend([Word::Own("; until "), Word::Time(until)]);
    }
    words
}

fn actions(by_check: &BTreeMap<CheckName, Vec<String>>) -> Words {
    let mut words = Words::new();
    for (check, actions) in by_check {
        for action in actions {
            if !words.is_empty() {
                words.push(Word::Own(", "));
            }
            words.push(Word::Code(outside(action)));
        }
        words.push(Word::Text(format!(" on {}", title(check))));
    }
    words
}

fn outcomes(task: &MitigationReport) -> String {
    let findings = task.findings;
    let mut text = format!("{} of {} succeeded", grouped(findings.succeeded), grouped(findings.total));
    for (n, word) in
        [(findings.failed, "failed"), (findings.skipped, "skipped"), (findings.canceled, "canceled")]
    {
        if n > 0 {
            let _ = write!(text, ", {} {word}", grouped(n));
        }
    }
    text
}
