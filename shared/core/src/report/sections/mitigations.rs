//! What is being done, and was, about the findings of an audit.

use std::fmt::Write;

use crate::report::AuditReport;
use crate::report::MitigationReport;
use crate::report::page::Block;
use crate::report::page::Section;
use crate::report::page::Word;
use crate::report::page::Words;
use crate::report::page::code;
use crate::report::page::faint;
use crate::report::page::grouped;
use crate::report::page::outside;
use crate::report::page::own;
use crate::report::page::section;
use crate::report::page::table;
use crate::report::page::text;
use crate::report::page::title;

pub(super) fn mitigations(report: &AuditReport) -> Section {
    let rows = report.mitigations.iter().map(|task| {
        let by = task.by.as_deref().map_or_else(|| faint("not known"), |by| text(outside(by)));
        let ended = task.ended_at.map_or_else(|| own("under way"), |at| vec![Word::Time(at)]);
        vec![
            code(&task.task_id),
            code(&task.task_status),
            by,
            actions(task),
            text(outcomes(task)),
            vec![Word::Time(task.started_at)],
            ended,
        ]
    });
    let heads = ["Task", "Status", "Asked for by", "Actions", "Findings", "Began", "Ended"];
    let block = if report.mitigations.is_empty() {
        Block::Text(own("No mitigation was started on findings of this audit."))
    } else {
        let caption = "Mitigation tasks on findings of this audit, newest first";
        Block::Table(table(caption, &heads, rows, report.mitigations.len()))
    };
    section("mitigations", "Mitigations", vec![block])
}

fn actions(task: &MitigationReport) -> Words {
    let mut words = Words::new();
    for (check, actions) in &task.actions {
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
