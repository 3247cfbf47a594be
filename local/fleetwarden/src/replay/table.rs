//! The result of a replay, as people read it.

mod alarms;
mod guards;

use super::disposition::Disposition;
use super::report::{Against, Decided, FindingChange, PolicyReport, Report};
use super::tally::{AuditTally, Counts};
use crate::output::{Kind, Layout, Table, width, wrapped};
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::visible;
use std::collections::BTreeSet;

/// What a resource's name is cut to: an id of 64 digits says no more with all of them.
const RESOURCE: usize = 20;
/// Terminals with at least so many columns show more than the least.
const BROAD: usize = 100;

/// The tables of a report, with `top` audits and as many findings as it has.
pub(crate) fn tables(report: &Report<'_>, top: usize, layout: Layout) -> String {
    let parts = parts(report, top, layout);
    // The lines of tables fit by themselves, and have spaces that are not to be lost.
    let line = |line: &str| {
        if width(line) > layout.columns() { wrapped(line, layout.columns()) } else { line.to_owned() }
    };
    let lines = parts.iter().flat_map(|part| part.split('\n')).map(line).collect::<Vec<_>>().join("\n");
    lines.trim_end().to_owned()
}

/// The tables and the sentences between them.
fn parts(report: &Report<'_>, top: usize, layout: Layout) -> Vec<String> {
    let mut out = Vec::new();
    let alarms = report.alarms.as_ref();
    if report.findings == 0 && alarms.is_some() {
        match &report.against {
            None => out.push(policy_line(&report.policy)),
            Some(against) => out.extend([
                format!("from {}", policy_line(&report.policy)),
                format!("to   {}", policy_line(&against.policy)),
            ]),
        }
        out.extend(alarms.map(|alarms| alarms::tables(alarms, top, layout)));
        out.extend(guards::tables(report, top, layout));
        return out;
    }
    out.push(format!("{} findings of {} audits", report.findings, report.audits.len()));
    let shown = report.audits.len().min(top.max(1));
    let left_out = report.audits.len() - shown;
    let audits = report.audits.get(left_out..).unwrap_or_default();
    match &report.against {
        None => {
            out.push(policy_line(&report.policy));
            out.push(by_audit(audits, &report.policy.totals, layout));
            if left_out > 0 {
                out.push(format!(
                    "earlier audits, which count in the last line: {left_out} (--json has all)"
                ));
            }
            out.push(by_rule(&report.policy, layout));
            out.extend(took_nothing(&report.policy));
            out.extend(lookups(report.policy.totals.of(Disposition::NeedsLookup)));
        }
        Some(against) => compared(report, against, layout, &mut out),
    }
    out.extend(alarms.map(|alarms| alarms::tables(alarms, top, layout)));
    out.extend(guards::tables(report, top, layout));
    out
}

fn policy_line(policy: &PolicyReport<'_>) -> String {
    let mode = format!("{:?}", policy.mode).to_lowercase();
    format!("{} ({mode}, {})", visible(&policy.file), policy.hash.get(..8).unwrap_or_default())
}

/// The columns of counts that hold a number somewhere: what no audit has needs no room.
fn columns(all: &[&Counts]) -> Vec<Disposition> {
    Disposition::OF_FINDINGS
        .into_iter()
        .filter(|disposition| all.iter().any(|counts| counts.of(*disposition) > 0))
        .collect()
}

fn by_audit(audits: &[AuditTally], totals: &Counts, layout: Layout) -> String {
    let places: BTreeSet<_> = audits.iter().map(|audit| (&audit.account, &audit.region)).collect();
    let (dispositions, shadow, several) = (columns(&[totals]), totals.shadow > 0, places.len() > 1);
    let mut header = vec!["audit", "of"];
    if several {
        header.extend(["account", "region"]);
    }
    let words = header.len();
    header.push("findings");
    header.extend(dispositions.iter().map(|disposition| disposition.words()));
    header.extend(shadow.then_some("shadow"));
    let numbers = |counts: &Counts| {
        let mut numbers = vec![counts.all().to_string()];
        numbers.extend(dispositions.iter().map(|disposition| counts.of(*disposition).to_string()));
        numbers.extend(shadow.then(|| counts.shadow.to_string()));
        numbers
    };
    let mut table = table(&header, words);
    for audit in audits {
        let mut row = vec![minute(audit.started_at), seen(audit.schedule.as_ref().unwrap_or(&audit.task_id))];
        if several {
            row.extend([seen(&audit.account), seen(&audit.region)]);
        }
        row.extend(numbers(&audit.counts));
        table.row(row);
    }
    let mut all = vec!["all".to_owned()];
    all.resize(words, String::new());
    all.extend(numbers(totals));
    table.row(all);
    shown(&table, layout)
}

fn by_rule(policy: &PolicyReport<'_>, layout: Layout) -> String {
    // What a rule takes has its own disposition, unless something holds it.
    let held = [Disposition::Protected, Disposition::Unknown, Disposition::NeedsLookup];
    let held: Vec<_> = held.into_iter().filter(|disposition| policy.totals.of(*disposition) > 0).collect();
    let mut header = vec!["rule", "does", "took", "different"];
    header.extend(held.iter().map(|disposition| disposition.words()));
    header.extend((policy.totals.shadow > 0).then_some("shadow"));
    let mut table = table(&header, 2);
    for rule in &policy.rules {
        let counts = &rule.counts;
        let acted = counts.all() - held.iter().map(|disposition| counts.of(*disposition)).sum::<u64>();
        let does = format!("{}{}", rule.does.words(), if rule.live { "" } else { " (shadow)" });
        let mut row = vec![rule.rule.unwrap_or("(no rule)").to_owned(), does];
        row.extend([acted.to_string(), rule.distinct.to_string()]);
        row.extend(held.iter().map(|disposition| counts.of(*disposition).to_string()));
        row.extend((policy.totals.shadow > 0).then(|| counts.shadow.to_string()));
        table.row(row);
    }
    shown(&table, layout)
}

fn took_nothing(policy: &PolicyReport<'_>) -> Option<String> {
    let names = policy.took_nothing.join(", ");
    (!names.is_empty()).then(|| format!("took nothing: {names}"))
}

fn lookups(count: u64) -> Option<String> {
    let why = "the rule asks for the things behind a resource, which the record does not have; give them with --things FILE";
    (count > 0).then(|| format!("needs a lookup: {count} findings; {why}"))
}

fn compared(report: &Report<'_>, against: &Against<'_>, layout: Layout, out: &mut Vec<String>) {
    let (from, to) = (&report.policy, &against.policy);
    out.push(format!("from {}", policy_line(from)));
    out.push(format!("to   {}", policy_line(to)));
    let mut totals = table(&["", "from", "to", "difference"], 1);
    for disposition in columns(&[&from.totals, &to.totals]) {
        totals.row(difference(disposition.words(), from.totals.of(disposition), to.totals.of(disposition)));
    }
    if from.totals.shadow + to.totals.shadow > 0 {
        totals.row(difference("in shadow", from.totals.shadow, to.totals.shadow));
    }
    out.push(shown(&totals, layout));
    if against.changed == 0 {
        out.push("nothing changes".to_owned());
    } else {
        out.push(format!("{} findings change:", against.changed));
        let mut pairs = table(&["change", "from, to", "findings", "different", "resources"], 2);
        for pair in &against.by_rule {
            let words = [pair.change.words().to_owned(), format!("{}\n{}", side(pair.from), side(pair.to))];
            let numbers = [pair.findings.to_string(), pair.distinct.to_string(), pair.resources.to_string()];
            pairs.row(words.into_iter().chain(numbers));
        }
        out.push(shown(&pairs, layout));
    }
    if !against.by_finding.is_empty() {
        out.push("of these the most consequential:".to_owned());
        out.push(by_finding(&against.by_finding, layout));
    }
    out.extend(took_nothing(to).map(|names| format!("{}: {names}", visible(&to.file))));
    out.extend(lookups(to.totals.of(Disposition::NeedsLookup)));
    if against.not_comparable > 0 {
        let count = against.not_comparable;
        out.push(format!("{count} findings may change: they need a lookup under both policies"));
    }
}

fn difference(what: &str, from: u64, to: u64) -> Vec<String> {
    let difference = match to.checked_sub(from) {
        Some(0) => String::new(),
        Some(more) => format!("+{more}"),
        None => format!("-{}", from - to),
    };
    vec![what.to_owned(), from.to_string(), to.to_string(), difference]
}

fn by_finding(findings: &[FindingChange<'_>], layout: Layout) -> String {
    let is_broad = layout.columns() >= BROAD;
    let mut header = vec!["change", "severity", "check, resource", "from, to"];
    header.extend(is_broad.then_some(["audits", "last"]).into_iter().flatten());
    let mut table = Table::new(&header).with(Kind::Number, [4]).with(Kind::Word, [1, 5]);
    for finding in findings {
        let last = finding.audit_started_at.get(..10).unwrap_or_default().to_owned();
        let mut row = vec![
            finding.change.words().to_owned(),
            finding.severity.to_string(),
            format!("{}\n{}", seen(&finding.check), cut(&visible(&finding.resource))),
            format!("{}\n{}", side(finding.from), side(finding.to)),
        ];
        row.extend(is_broad.then(|| [finding.findings.to_string(), last]).into_iter().flatten());
        table.row(row);
    }
    shown(&table, layout)
}

fn side(decided: Decided<'_>) -> String {
    format!("{}: {}", decided.rule.unwrap_or("(no rule)"), decided.disposition.words())
}

fn cut(resource: &str) -> String {
    match resource.char_indices().nth(RESOURCE) {
        Some((at, _)) => format!("{}…", resource.get(..at).unwrap_or_default()),
        None => resource.to_owned(),
    }
}

/// A text from outside in a cell.
fn seen(text: &str) -> String {
    visible(text).into_owned()
}

fn minute(at: Millis) -> String {
    at.rfc3339().get(..16).unwrap_or_default().replace('T', " ")
}

/// A table whose columns after the first `words` hold numbers.
fn table(header: &[&str], words: usize) -> Table {
    Table::new(header).with(Kind::Number, words..header.len())
}

/// A table between empty lines.
fn shown(table: &Table, layout: Layout) -> String {
    format!("\n{}\n", table.render(layout).plain())
}
