//! The checks of an audit: all in a row, those that do not comply with what to do, those that were not done.

use crate::model::check::advice;
use crate::model::check::advice::Advice;
use crate::report::AuditReport;
use crate::report::Changes;
use crate::report::CheckReport;
use crate::report::Failure;
use crate::report::Status;
use crate::report::page::Block;
use crate::report::page::Section;
use crate::report::page::Word;
use crate::report::page::Words;
use crate::report::page::code;
use crate::report::page::count;
use crate::report::page::faint;
use crate::report::page::grouped;
use crate::report::page::number;
use crate::report::page::outside;
use crate::report::page::own;
use crate::report::page::resources;
use crate::report::page::section;
use crate::report::page::severities;
use crate::report::page::table;
use crate::report::page::text;
use crate::report::page::title;

/// How many examples of one check are shown.
const EXAMPLES: usize = 20;

/// Every check in a row, the worst first.
pub(super) fn checks(report: &AuditReport) -> Section {
    let rows = report.checks.iter().enumerate().map(|(at, check)| {
        let name = match title(&check.check) {
            title if check.counts_against() => Word::Section(title, check_id(at, check)),
            title => Word::Text(title),
        };
        let status = if check.only_hidden() { Word::Hidden } else { Word::Status(check.status) };
        let unless_open = |n| if check.is_done() { number(n) } else { faint("not known") };
        vec![
            vec![name],
            vec![status],
            unless_open(check.non_compliant),
            by_severity(check),
            check.resources.map_or_else(|| faint("not known"), number),
            unless_open(check.suppressed),
            check.changes.map_or_else(|| faint("not known"), changed),
        ]
    });
    let heads = ["Check", "Status", "Do not comply", "Severity", "Looked at", "Suppressed", "Changes"];
    let table = table("All checks, the worst first", &heads, rows, report.checks.len());
    section("checks", "Checks", vec![Block::Table(table)])
}

/// A section for each check that does not comply.
pub(super) fn to_comply(report: &AuditReport) -> Vec<Section> {
    let bad = || report.checks.iter().enumerate().filter(|(_, check)| check.counts_against());
    if bad().next().is_none() {
        return vec![];
    }
    let intro = format!(
        "What was found, and how to make each check comply. A mitigation action is faster than the fix by hand, but \
         look at what it cuts off first: AWS never takes one back. At most {EXAMPLES} resources of a check are shown; \
         the command ListAuditFindings has them all."
    );
    let mut sections = vec![section("comply", "How to comply", vec![Block::Text(text(intro))])];
    sections.extend(bad().map(|(at, check)| Section {
        id: check_id(at, check),
        level: 3,
        title: title(&check.check),
        blocks: found(check),
    }));
    sections
}

/// What was found by a check, and what to do.
fn found(check: &CheckReport) -> Vec<Block> {
    let mut what = vec![
        Word::Code(outside(check.check.as_str())),
        Word::Text(format!(": {} not comply", resources(check.non_compliant))),
    ];
    if let Some(oldest) = check.oldest {
        let since = if check.non_compliant == 1 { ", since " } else { ", the oldest since " };
        what.extend([Word::Own(since), Word::Time(oldest)]);
    }
    if let Some(changes) = check.changes {
        what.push(Word::Own("; "));
        what.extend(changed(changes));
    }
    what.push(Word::Own("."));
    let mut blocks = vec![Block::Text(what)];
    blocks.extend(severities(&check.severities));
    let reasons = check.reasons.iter().map(|(code, n)| match (code.as_str(), advice::reason(code)) {
        ("", _) => vec![faint("no reason given"), faint("none"), number(*n)],
        (code, Some(words)) => vec![own(words), self::code(code), number(*n)],
        (code, None) => vec![own("not known to this version"), self::code(code), number(*n)],
    });
    let heads = ["Reason", "Code", "Resources"];
    blocks.push(Block::Table(table("What was found, by reason", &heads, reasons, check.reasons.len())));
    blocks.extend(examples(check));
    match check.check.advice() {
        Some(advice) => blocks.extend(advised(advice)),
        None => blocks.push(Block::Text(own(
            "The check is newer than this version of Fleetwarden, which has no advice on it. The page \"Audit checks\" \
             in the developer guide of AWS IoT Device Defender has.",
        ))),
    }
    blocks
}

fn examples(check: &CheckReport) -> Option<Block> {
    let shown = check.examples.len().min(EXAMPLES);
    let rows = check.examples.iter().take(EXAMPLES).map(|example| {
        vec![
            code(&example.resource),
            code(&example.resource_type),
            vec![Word::Severity(example.severity)],
            text(outside(&example.reason)),
            code(&example.finding_id),
        ]
    });
    let all = usize::try_from(check.non_compliant).unwrap_or(usize::MAX).max(check.examples.len());
    let heads = ["Resource", "Type", "Severity", "Reason", "Finding"];
    let table = table("What was found, by resource", &heads, rows, all);
    (shown > 0).then(|| {
        let title = match all {
            all if all == shown => format!("Show {}", count(shown as u64, "resource", "resources")),
            all => format!("Show {} of {} resources", shown, grouped(all as u64)),
        };
        Block::Folded(title, table)
    })
}

fn advised(advice: &'static Advice) -> Vec<Block> {
    let actions = advice.actions.iter().map(|effect| vec![code(effect.action), own(effect.cuts_off)]);
    let heads = ["Action", "What it cuts off"];
    vec![
        Block::Beside(vec![("What it means", own(advice.meaning)), ("Why it matters", own(advice.matters))]),
        Block::Label("The fix by hand"),
        Block::Steps(advice.steps.iter().map(|step| own(step)).collect()),
        Block::Label("Mitigation actions"),
        Block::Table(table(
            "What the check takes, and what it cuts off",
            &heads,
            actions,
            advice.actions.len(),
        )),
        Block::Text(vec![
            Word::Own("More in the "),
            Word::Page("developer guide's page on this check", advice.page),
            Word::Own("."),
        ]),
    ]
}

/// Checks that failed or were canceled, and what to do.
pub(super) fn not_done(report: &AuditReport) -> Option<Section> {
    let bad = || {
        report.checks.iter().filter(|check| {
            matches!(check.status, Status::Failed | Status::Canceled) || check.failure.is_some()
        })
    };
    let rows = bad().map(|check| {
        let (error, message) = match &check.failure {
            Some(Failure { code, message }) => (Some(code.as_str()), message.as_str()),
            None => (None, ""),
        };
        let error = error.filter(|code| !code.is_empty());
        let remedy = advice::remedy(error, check.status == Status::Canceled);
        vec![
            text(title(&check.check)),
            vec![Word::Status(check.status)],
            error.map_or_else(|| faint("none given"), code),
            if message.is_empty() { faint("none") } else { text(outside(message)) },
            own(remedy),
        ]
    });
    let heads = ["Check", "Status", "Error", "Message", "What to do"];
    let intro = "What these checks would have found is not known: they neither comply nor fail to.";
    (bad().count() > 0).then(|| {
        let table = table("Checks that were not done", &heads, rows, bad().count());
        section("not-done", "Not done", vec![Block::Text(own(intro)), Block::Table(table)])
    })
}

fn check_id(at: usize, check: &CheckReport) -> String {
    if check.check.is_known() {
        check.check.as_str().to_lowercase().replace('_', "-")
    } else {
        format!("check-{}", at + 1)
    }
}

fn by_severity(check: &CheckReport) -> Words {
    let mut words = Words::new();
    for (severity, n) in check.severities.iter().filter(|(_, n)| **n > 0) {
        words.extend([Word::Severe(*severity, *n), Word::Own(" ")]);
    }
    match words.pop() {
        Some(_) => words,
        None if check.is_done() => faint("none"),
        None => faint("not known"),
    }
}

fn changed(Changes { new, fixed, returned }: Changes) -> Words {
    let some: Vec<_> = [(new, "new"), (fixed, "fixed"), (returned, "returned")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{}\u{a0}{word}", grouped(n)))
        .collect();
    if some.is_empty() { faint("no change") } else { text(some.join(", ")) }
}
