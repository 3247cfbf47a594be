//! What a report says, as headings, sentences and tables: the same for every form that it is given in.
//!
//! The forms take nothing but these, and escape every text of them, so that no name from outside can become markup.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::AuditReport;
use super::Changes;
use super::CheckReport;
use super::Failure;
use super::MitigationReport;
use super::Status;
use super::Suppressed;
use super::Verdict;
use crate::check::CheckName;
use crate::check::advice;
use crate::check::advice::Advice;
use crate::debt::Debt;
use crate::finding::Severity;
use crate::timestamp::Millis;

/// How many rows of a list are shown.
const ROWS: usize = 50;
/// How many examples of one check are shown.
const EXAMPLES: usize = 20;
/// How much of a text from outside is shown, in characters.
const QUOTED: usize = 400;

/// A report.
pub(super) struct Page {
    pub(super) verdict: Verdict,
    pub(super) headline: String,
    pub(super) lead: String,
    pub(super) facts: Vec<(&'static str, Words)>,
    pub(super) sections: Vec<Section>,
    pub(super) foot: String,
}

/// A part of a report, with a heading.
pub(super) struct Section {
    /// What links name it by: lower-case letters, digits and hyphens.
    pub(super) id: String,
    /// 2 for a part, 3 for a part of a part.
    pub(super) level: u8,
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

pub(super) enum Block {
    Text(Words),
    /// In order.
    Steps(Vec<Words>),
    Items(Vec<Words>),
    /// Single figures, each with what it counts.
    Figures(Vec<(&'static str, u64)>),
    /// How many of each severity.
    Severities(Vec<(Severity, u64)>),
    Table(Table),
    /// A small heading.
    Label(&'static str),
    /// Texts with small headings, one beside the other where there is room.
    Beside(Vec<(&'static str, Words)>),
    /// Shown when asked for, where that can be.
    Folded(String, Table),
}

pub(super) struct Table {
    pub(super) caption: String,
    pub(super) heads: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Words>>,
    /// How many rows there are that are not shown.
    pub(super) more: u64,
}

/// A run of text.
pub(super) type Words = Vec<Word>;

pub(super) enum Word {
    /// Our own words.
    Own(&'static str),
    /// Text with something from outside in it.
    Text(String),
    /// A name for machines.
    Code(String),
    Time(Millis),
    Severity(Severity),
    Status(Status),
    /// A page elsewhere.
    Page(&'static str, &'static str),
    /// A section of this page: its title and id.
    Section(String, String),
}

impl Page {
    pub(super) fn of(report: &AuditReport) -> Self {
        let mut sections = vec![overview(report), checks(report)];
        sections.extend(to_comply(report));
        sections.extend(not_done(report));
        sections.push(mitigations(report));
        sections.extend(suppressed(report));
        sections.extend(gaps(report));
        let about = match &report.schedule {
            Some(name) => text(format!("scheduled audit {name}")),
            None => own("on demand"),
        };
        Self {
            verdict: report.totals.verdict,
            headline: headline(report),
            lead: lead(report),
            facts: vec![
                ("Account", code(&report.account)),
                ("Region", code(&report.region)),
                ("Audit", about),
                ("Task", code(&report.task_id)),
                ("Task status", code(&report.task_status)),
                ("Began", vec![Word::Time(report.started_at)]),
                ("Reported", vec![Word::Time(report.made_at)]),
            ],
            sections,
            foot: "Made by Fleetwarden from what AWS IoT Device Defender and the ledger of this account say."
                .into(),
        }
    }
}

/// The verdict in one line.
fn headline(report: &AuditReport) -> String {
    let all = report.checks.len() as u64;
    let done = report.checks.iter().filter(|check| check.is_done()).count() as u64;
    let bad = report.checks.iter().filter(|check| check.counts_against()).count() as u64;
    let so_far = if report.task_status == "IN_PROGRESS" { " so far" } else { "" };
    match report.totals.verdict {
        Verdict::NonCompliant => format!("{bad} of {} not comply{so_far}", do_checks(all)),
        Verdict::Incomplete if all == 0 => "Incomplete: the audit has no checks".into(),
        Verdict::Incomplete => format!("Incomplete: {} of {} not done", all - done, were(all)),
        Verdict::InProgress => {
            format!("In progress: {done} of {} done, and nothing found that counts", were(all))
        }
        Verdict::Compliant if all == 1 => "The one check complies".into(),
        Verdict::Compliant => format!("All {all} checks comply"),
    }
}

fn do_checks(all: u64) -> String {
    format!("{all} {}", if all == 1 { "check does" } else { "checks do" })
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
            let _ = write!(found, ", {} of them {}", grouped(*n), severity_word(*severity));
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
    if !report.gaps.is_empty() {
        lead.push("Some of it could not be found out: see the end".into());
    }
    lead.into_iter().map(|sentence| sentence + ".").collect::<Vec<_>>().join(" ")
}

fn resources(n: u64) -> String {
    count(n, "resource does", "resources do")
}

fn overview(report: &AuditReport) -> Section {
    let totals = &report.totals;
    let mut figures = vec![
        ("do not comply", totals.non_compliant),
        ("looked at", totals.resources),
        ("suppressed", totals.suppressed),
    ];
    if let Some(Changes { new, fixed, returned }) = totals.changes {
        figures.extend([("new", new), ("fixed", fixed), ("returned", returned)]);
    }
    let mut blocks = vec![Block::Figures(figures)];
    blocks.extend(severities(&totals.severities));
    section("resources", "Resources", blocks)
}

fn checks(report: &AuditReport) -> Section {
    let rows = report.checks.iter().enumerate().map(|(at, check)| {
        let name = match title(&check.check) {
            title if check.counts_against() => Word::Section(title, check_id(at, check)),
            title => Word::Text(title),
        };
        let mut status = vec![Word::Status(check.status)];
        if check.only_hidden() {
            status.push(Word::Own(" to the service, but all that it found is suppressed"));
        }
        let unless_open = |n| if check.is_done() { number(n) } else { own("not known") };
        vec![
            vec![name],
            status,
            unless_open(check.non_compliant),
            by_severity(check),
            check.resources.map_or_else(|| own("not known"), number),
            unless_open(check.suppressed),
            check.changes.map_or_else(|| own("not known"), |changes| text(changed(changes))),
        ]
    });
    let heads = ["Check", "Status", "Do not comply", "Severity", "Looked at", "Suppressed", "Changes"];
    let table = table("All checks, the worst first", &heads, rows, report.checks.len());
    section("checks", "Checks", vec![Block::Table(table)])
}

/// A section for each check that does not comply.
fn to_comply(report: &AuditReport) -> Vec<Section> {
    let bad = || report.checks.iter().enumerate().filter(|(_, check)| check.counts_against());
    if bad().next().is_none() {
        return vec![];
    }
    let intro = "What was found, and how to make each check comply. A mitigation action is faster than the fix by \
                 hand, but look at what it cuts off first: AWS never takes one back.";
    let mut sections = vec![section("comply", "How to comply", vec![Block::Text(own(intro))])];
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
        what.extend([Word::Own(", the oldest since "), Word::Time(oldest)]);
    }
    if let Some(changes) = check.changes {
        what.push(Word::Text(format!("; {}", changed(changes))));
    }
    what.push(Word::Own("."));
    let mut blocks = vec![Block::Text(what)];
    blocks.extend(severities(&check.severities));
    let reasons = check.reasons.iter().map(|(code, n)| match (code.as_str(), advice::reason(code)) {
        ("", _) => vec![own("no reason given"), own("none"), number(*n)],
        (code, Some(words)) => vec![own(words), self::code(code), number(*n)],
        (code, None) => vec![own("not known to this version"), self::code(code), number(*n)],
    });
    let heads = ["Reason", "Code", "Resources"];
    blocks.push(Block::Table(table("Why they do not comply", &heads, reasons, check.reasons.len())));
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
    let table = table("Resources that do not comply", &heads, rows, all);
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
fn not_done(report: &AuditReport) -> Option<Section> {
    let bad = || {
        report.checks.iter().filter(|check| {
            matches!(check.status, Status::Failed | Status::Canceled) || check.failure.is_some()
        })
    };
    let rows = bad().map(|check| {
        let (error, message) = match &check.failure {
            Some(Failure { code, message }) => (code.as_str(), message.as_str()),
            None => ("", ""),
        };
        let remedy = match (check.status, error) {
            (Status::Canceled, "") => advice::remedy(""),
            (_, "") => advice::remedy("unknown"),
            (_, code) => advice::remedy(code),
        };
        let error = if error.is_empty() { text("none given".into()) } else { code(error) };
        vec![
            text(title(&check.check)),
            vec![Word::Status(check.status)],
            error,
            text(outside(message)),
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

fn mitigations(report: &AuditReport) -> Section {
    let rows = report.mitigations.iter().map(|task| {
        let by = match &task.rule {
            Some(rule) => text(format!("rule {}", outside(rule))),
            None => own("people or a workflow"),
        };
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

/// What is hidden, and the debt of all suppressions.
fn suppressed(report: &AuditReport) -> Vec<Section> {
    let hidden = &report.suppressed;
    let intro = if hidden.findings == 0 {
        "No finding of this audit is suppressed.".into()
    } else {
        format!(
            "{} suppressed. They never count against compliance.",
            count(hidden.findings, "finding of this audit is", "findings of this audit are")
        )
    };
    let mut blocks = vec![Block::Text(text(intro))];
    let rows = hidden.suppressions.iter().map(|suppressed| {
        let Suppressed { check, count, until, by, owner, ticket, why } = suppressed;
        let or_nobody = |name: &Option<String>, none| match name {
            Some(name) => text(outside(name)),
            None => own(none),
        };
        vec![
            text(title(check)),
            number(*count),
            until.map_or_else(|| own("no end"), |at| vec![Word::Time(at)]),
            text(outside(by)),
            or_nobody(owner, "nobody"),
            or_nobody(ticket, "none"),
            text(outside(why)),
        ]
    });
    if !hidden.suppressions.is_empty() {
        let heads = ["Check", "Resources", "Until", "Made by", "Owner", "Ticket", "Why"];
        blocks.push(Block::Table(table(
            "Suppressions of this audit's checks, the most first",
            &heads,
            rows,
            hidden.suppressions.len(),
        )));
    }
    if hidden.more {
        blocks.push(Block::Text(vec![Word::Own(
            "There are more suppressions than were read for this report.",
        )]));
    }
    let mut sections = vec![section("suppressed", "Suppressed", blocks)];
    sections.extend(report.debt.as_ref().map(debt));
    sections
}

fn debt(debt: &Debt) -> Section {
    let mut what = vec![
        Word::Own("All suppressions of the account and region, as the review of "),
        Word::Time(debt.reviewed_at),
        Word::Own(" counted them"),
    ];
    if let Some(share) = debt.hidden_share() {
        what.push(Word::Text(format!(
            ". They hide {:.0} % of what does not comply: {} of {}",
            share * 100.0,
            grouped(debt.hidden),
            grouped(debt.non_compliant)
        )));
    }
    if let Some(oldest) = debt.oldest {
        what.extend([Word::Own("; the oldest was first seen "), Word::Time(oldest)]);
    }
    what.push(Word::Own("."));
    let figures = [
        ("suppressions", debt.suppressions),
        ("without an end", debt.indefinite),
        ("past their end", debt.lapsed),
        ("end within 30 days", debt.ending),
        ("without an owner", debt.ownerless),
        ("made by hand", debt.by_hand),
        ("hide nothing", debt.idle),
    ];
    let mut owners: Vec<_> = debt.owners.iter().collect();
    owners.sort_by_key(|(_, owned)| std::cmp::Reverse(owned.suppressions));
    let rows = owners.iter().map(|(owner, owned)| {
        vec![
            text(if owner.is_empty() { "nobody".into() } else { outside(owner) }),
            number(owned.suppressions),
            number(owned.indefinite),
            owned.oldest.map_or_else(|| own("not known"), |at| vec![Word::Time(at)]),
        ]
    });
    let mut blocks = vec![Block::Text(what), Block::Figures(figures.into())];
    if !debt.owners.is_empty() {
        blocks.push(Block::Table(table(
            "Suppressions by owner, the most first",
            &["Owner", "Suppressions", "Without an end", "Oldest"],
            rows,
            debt.owners.len(),
        )));
    }
    Section { id: "debt".into(), level: 3, title: "The debt of suppressions".into(), blocks }
}

fn gaps(report: &AuditReport) -> Option<Section> {
    let mut items: Vec<Words> = report.gaps.iter().take(ROWS).map(|gap| text(outside(gap))).collect();
    let more = report.gaps.len().saturating_sub(ROWS);
    if more > 0 {
        items.push(text(format!("and {more} more")));
    }
    (!items.is_empty()).then(|| section("gaps", "What could not be found out", vec![Block::Items(items)]))
}

/// What people call a check; its name if it is unknown.
fn title(check: &CheckName) -> String {
    check.advice().map_or_else(|| outside(check.as_str()), |advice| advice.title.into())
}

fn check_id(at: usize, check: &CheckReport) -> String {
    if check.check.is_known() {
        check.check.as_str().to_lowercase().replace('_', "-")
    } else {
        format!("check-{}", at + 1)
    }
}

fn section(id: &str, title: &str, blocks: Vec<Block>) -> Section {
    Section { id: id.into(), level: 2, title: title.into(), blocks }
}

fn table(caption: &str, heads: &[&'static str], rows: impl Iterator<Item = Vec<Words>>, all: usize) -> Table {
    let rows: Vec<_> = rows.take(ROWS).collect();
    let more = all.saturating_sub(rows.len()) as u64;
    Table { caption: caption.into(), heads: heads.to_vec(), rows, more }
}

fn by_severity(check: &CheckReport) -> Words {
    let mut words = Words::new();
    for (severity, n) in check.severities.iter().filter(|(_, n)| **n > 0) {
        words.extend([Word::Severity(*severity), Word::Text(format!(" {} ", grouped(*n)))]);
    }
    if words.is_empty() { own("none") } else { words }
}

/// How the severities share in a count; nothing to see if it is none.
fn severities(counts: &BTreeMap<Severity, u64>) -> Option<Block> {
    let counts: Vec<_> =
        counts.iter().filter(|(_, n)| **n > 0).map(|(severity, n)| (*severity, *n)).collect();
    (!counts.is_empty()).then_some(Block::Severities(counts))
}

fn changed(Changes { new, fixed, returned }: Changes) -> String {
    format!("{} new, {} fixed, {} returned", grouped(new), grouped(fixed), grouped(returned))
}

fn own(text: &'static str) -> Words {
    vec![Word::Own(text)]
}

fn text(text: String) -> Words {
    vec![Word::Text(text)]
}

fn code(name: &str) -> Words {
    vec![Word::Code(outside(name))]
}

fn number(n: u64) -> Words {
    text(grouped(n))
}

/// How a severity is called.
pub(super) const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Unknown => "unknown",
    }
}

/// How a status is called.
pub(super) const fn status_word(status: Status) -> &'static str {
    match status {
        Status::Failed => "Failed",
        Status::NonCompliant => "Does not comply",
        Status::Canceled => "Canceled",
        Status::WaitingForDataCollection => "Waits for data",
        Status::InProgress => "In progress",
        Status::Compliant => "Complies",
    }
}

/// A time as people read it: `2026-11-23 08:00 UTC`.
pub(super) fn moment(at: Millis) -> String {
    let text = at.rfc3339();
    format!("{} {} UTC", at.day(), text.get(11..16).unwrap_or_default())
}

/// A number with commas between thousands.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number and what it counts.
fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

/// A text from outside on one line, cut, and without what changes how the text around it is shown.
fn outside(text: &str) -> String {
    let seen = |c: char| match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let mut out: String = text.trim().chars().take(QUOTED).map(seen).collect();
    if text.trim().chars().nth(QUOTED).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(moment(Millis(1_795_392_000_123)), "2026-11-23 00:00 UTC");
        assert_eq!(moment(Millis(i64::MAX)), "1970-01-01 00:00 UTC");
    }

    #[test]
    fn a_text_from_outside_stays_on_its_line_and_in_its_direction() {
        assert_eq!(outside(" a\nb\u{202e}c\u{7} "), "a b\u{fffd}c\u{fffd}");
        assert_eq!(outside(&"x".repeat(1000)).chars().count(), QUOTED + 1);
    }
}
