//! What a report says, from its verdict to what could not be found out.

mod checks;
mod hidden;
mod mitigations;

use std::fmt::Write;

use crate::report::AuditReport;
use crate::report::Changes;
use crate::report::Status;
use crate::report::Verdict;
use crate::report::page::Block;
use crate::report::page::Page;
use crate::report::page::Section;
use crate::report::page::Tone;
use crate::report::page::Word;
use crate::report::page::code;
use crate::report::page::count;
use crate::report::page::faint;
use crate::report::page::gaps;
use crate::report::page::grouped;
use crate::report::page::outside;
use crate::report::page::own;
use crate::report::page::resources;
use crate::report::page::section;
use crate::report::page::severities;
use crate::report::page::severity_word;
use crate::report::page::text;

impl Page {
    pub(super) fn of(report: &AuditReport) -> Self {
        let mut sections = vec![overview(report), checks::checks(report)];
        sections.extend(checks::to_comply(report));
        sections.extend(checks::not_done(report));
        sections.push(mitigations::mitigations(report));
        sections.extend(hidden::suppressed(report));
        sections.extend(gaps(&report.gaps));
        let about = match &report.schedule {
            Some(name) => text(format!("scheduled audit {}", outside(name))),
            None => own("on demand"),
        };
        Self {
            kind: "Audit report",
            tone: tone(report.totals.verdict),
            skip_to: ("checks", "the checks"),
            headline: headline(report),
            lead: lead(report),
            facts: vec![
                ("Audit", about),
                ("Began", vec![Word::Time(report.started_at)]),
                ("Reported", vec![Word::Time(report.made_at)]),
                ("Account", code(&report.account)),
                ("Region", code(&report.region)),
                ("Task status", code(&report.task_status)),
                ("Task", code(&report.task_id)),
            ],
            sections,
            foot: "Made by Fleetwarden from what AWS IoT Device Defender and the ledger of this account say."
                .into(),
        }
    }
}

const fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::NonCompliant => Tone::Bad,
        Verdict::Incomplete => Tone::Unsure,
        Verdict::InProgress => Tone::Open,
        Verdict::Compliant => Tone::Good,
    }
}

/// The verdict in one line.
fn headline(report: &AuditReport) -> String {
    let all = report.checks.len() as u64;
    let done = report.checks.iter().filter(|check| check.is_done()).count() as u64;
    let bad = report.checks.iter().filter(|check| check.counts_against()).count() as u64;
    let so_far = if report.task_status == "IN_PROGRESS" { " so far" } else { "" };
    match report.totals.verdict {
        Verdict::NonCompliant if all == 1 => format!("The one check does not comply{so_far}"),
        Verdict::NonCompliant => format!("{bad} of {all} checks do not comply{so_far}"),
        Verdict::Incomplete if all == 0 => "Incomplete: the audit has no checks".into(),
        Verdict::Incomplete => format!("Incomplete: {} of {} not done", all - done, were(all)),
        Verdict::InProgress => {
            let checks = count(all, "check", "checks");
            format!("In progress: {done} of {checks} done, nothing found so far")
        }
        Verdict::Compliant if all == 1 => "The one check complies".into(),
        Verdict::Compliant => format!("All {all} checks comply"),
    }
}

fn were(all: u64) -> String {
    format!("{all} {}", if all == 1 { "check was" } else { "checks were" })
}

/// What one has to know beside the verdict.
fn lead(report: &AuditReport) -> String {
    let of = |statuses: &[Status]| {
        report.checks.iter().filter(|check| statuses.contains(&check.status)).count() as u64
    };
    let totals = &report.totals;
    let mut lead = Vec::new();
    if totals.non_compliant > 0 {
        let mut found = format!("{} not comply", resources(totals.non_compliant));
        if let Some((severity, n)) = totals.severities.iter().find(|(_, n)| **n > 0) {
            let word = severity_word(*severity);
            let _ = match totals.non_compliant {
                1 => write!(found, ", and its severity is {word}"),
                all if all == *n => write!(found, ", all of them {word}"),
                _ => write!(found, ", {} of them {word}", grouped(*n)),
            };
        }
        lead.push(found);
    }
    let failed = of(&[Status::Failed, Status::Canceled]);
    if failed > 0 {
        let were = count(failed, "check was", "checks were");
        lead.push(format!("{were} not done, so what would have been found is not known"));
    }
    let open = of(&[Status::InProgress, Status::WaitingForDataCollection]);
    if open > 0 {
        lead.push(format!("{} still to come", count(open, "check is", "checks are")));
    }
    if totals.suppressed > 0 {
        let are = count(totals.suppressed, "finding is", "findings are");
        lead.push(format!("{are} suppressed and not counted"));
    }
    lead.extend(refused(report));
    if !report.gaps.is_empty() {
        lead.push("Some of it could not be found out: see the end".into());
    }
    if lead.is_empty() && totals.resources > 0 {
        lead.push(format!("{} looked at", count(totals.resources, "resource was", "resources were")));
    }
    lead.into_iter().map(|sentence| sentence + ".").collect::<Vec<_>>().join(" ")
}

/// That mitigations are not done and nobody but people will do them.
fn refused(report: &AuditReport) -> Option<String> {
    let of = |state: &str| report.not_started.states.get(state).copied().unwrap_or_default();
    let (refused, given_up) = (of("refused"), of("given-up"));
    match (refused, given_up) {
        (0, 0) => None,
        (refused, 0) => Some(count(refused, "mitigation was refused", "mitigations were refused")),
        (0, given_up) => Some(count(given_up, "mitigation was given up", "mitigations were given up")),
        (refused, given_up) => {
            let both = count(refused + given_up, "mitigation was", "mitigations were");
            Some(format!("{both} refused or given up"))
        }
    }
}

fn overview(report: &AuditReport) -> Section {
    let totals = &report.totals;
    let mut figures = vec![
        ("not compliant", totals.non_compliant),
        ("looked at", totals.resources),
        ("suppressed", totals.suppressed),
    ];
    if let Some(Changes { new, fixed, returned }) = totals.changes {
        figures.extend([("new", new), ("fixed", fixed), ("returned", returned)]);
    }
    let mut blocks = vec![Block::Figures(figures)];
    blocks.extend(severities(&totals.severities));
    blocks.push(Block::Text(faint("A resource counts once for each check that looks at it.")));
    section("resources", "Resources", blocks)
}
