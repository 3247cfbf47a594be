//! What became of alarms, as people read it.

use super::super::disposition::Disposition;
use super::super::report::{AlarmReport, AlarmsAgainst};
use super::super::tally::Counts;
use super::{BROAD, cut, difference, seen, shown, side, table};
use crate::output::{Kind, Layout, Table};
use fleetwarden_core::untrusted::visible;

/// The tables of the alarms of a report, with the last `top` days.
pub(super) fn tables(report: &AlarmReport<'_>, top: usize, layout: Layout) -> String {
    let mut out = vec![format!("{} alarms", report.alarms)];
    if report.in_incidents > 0 {
        let count = report.in_incidents;
        out.push(format!("{count} more were part of an incident: no rule is asked about them"));
    }
    match &report.against {
        None => {
            out.push(by_day(report, top, layout));
            out.push(by_rule(report, layout));
            if !report.took_nothing.is_empty() {
                out.push(format!("took nothing: {}", report.took_nothing.join(", ")));
            }
            out.extend(lookups(&report.totals.0));
        }
        Some(against) => compared(report, against, layout, &mut out),
    }
    out.join("\n")
}

/// The columns of counts that hold a number somewhere.
fn columns(all: &[&Counts]) -> Vec<Disposition> {
    Disposition::OF_ALARMS
        .into_iter()
        .filter(|disposition| all.iter().any(|counts| counts.of(*disposition) > 0))
        .collect()
}

fn by_day(report: &AlarmReport<'_>, top: usize, layout: Layout) -> String {
    let totals = &report.totals.0;
    let (dispositions, shadow) = (columns(&[totals]), totals.shadow > 0);
    let mut header = vec!["day", "alarms"];
    header.extend(dispositions.iter().map(|disposition| disposition.words()));
    header.extend(shadow.then_some("shadow"));
    let row = |name: &str, counts: &Counts| {
        let mut row = vec![name.to_owned(), counts.all().to_string()];
        row.extend(dispositions.iter().map(|disposition| counts.of(*disposition).to_string()));
        row.extend(shadow.then(|| counts.shadow.to_string()));
        row
    };
    let mut table = table(&header, 1);
    let left_out = report.days.len().saturating_sub(top.max(1));
    for day in report.days.iter().skip(left_out) {
        table.row(row(&day.day, &day.counts.0));
    }
    table.row(row("all", totals));
    match left_out {
        0 => shown(&table, layout),
        _ => format!(
            "{}earlier days, which count in the last line: {left_out} (--json has all)",
            shown(&table, layout)
        ),
    }
}

fn by_rule(report: &AlarmReport<'_>, layout: Layout) -> String {
    // What a rule takes has its own disposition, unless something holds it.
    let held = [Disposition::Protected, Disposition::Held, Disposition::Unknown, Disposition::NeedsLookup];
    let held: Vec<_> = held.into_iter().filter(|disposition| report.totals.0.of(*disposition) > 0).collect();
    let shadow = report.totals.0.shadow > 0;
    let mut header = vec!["rule on alarms", "does", "took"];
    header.extend(held.iter().map(|disposition| disposition.words()));
    header.extend(shadow.then_some("shadow"));
    let mut table = table(&header, 2);
    for rule in &report.rules {
        let counts = &rule.counts.0;
        let acted = counts.all() - held.iter().map(|disposition| counts.of(*disposition)).sum::<u64>();
        let does = format!("{}{}", rule.does.words(), if rule.live { "" } else { " (shadow)" });
        let mut row = vec![rule.rule.unwrap_or("(no rule)").to_owned(), does, acted.to_string()];
        row.extend(held.iter().map(|disposition| counts.of(*disposition).to_string()));
        row.extend(shadow.then(|| counts.shadow.to_string()));
        table.row(row);
    }
    shown(&table, layout)
}

fn lookups(totals: &Counts) -> Option<String> {
    let count = totals.of(Disposition::NeedsLookup);
    let why = "the rule asks for the thing of the device, which the record does not have; give it with --things FILE";
    (count > 0).then(|| format!("needs a lookup: {count} alarms; {why}"))
}

fn compared(report: &AlarmReport<'_>, against: &AlarmsAgainst<'_>, layout: Layout, out: &mut Vec<String>) {
    let (from, to) = (&report.totals.0, &against.totals.0);
    let mut totals = table(&["alarms", "from", "to", "difference"], 1);
    for disposition in columns(&[from, to]) {
        totals.row(difference(disposition.words(), from.of(disposition), to.of(disposition)));
    }
    if from.shadow + to.shadow > 0 {
        totals.row(difference("in shadow", from.shadow, to.shadow));
    }
    out.push(shown(&totals, layout));
    if against.changed == 0 {
        out.push("no alarm changes".to_owned());
    } else {
        out.push(format!("{} alarms change, by behavior:", against.changed));
        let is_broad = layout.columns() >= BROAD;
        let mut header = vec!["change", "profile, behavior", "from, to", "alarms", "devices"];
        header.extend(is_broad.then_some(["last device", "last"]).into_iter().flatten());
        let mut rows = Table::new(&header).with(Kind::Number, [3, 4]).with(Kind::Word, [6]);
        for change in &against.by_behavior {
            let mut row = vec![
                change.change.words().to_owned(),
                format!("{}\n{}", seen(&change.profile), seen(&change.behavior)),
                format!("{}\n{}", side(change.from), side(change.to)),
                change.alarms.to_string(),
                change.devices.to_string(),
            ];
            let device = change.thing.as_deref().map(|thing| cut(&visible(thing))).unwrap_or_default();
            let last = change.raised_at.get(..10).unwrap_or_default().to_owned();
            row.extend(is_broad.then_some([device, last]).into_iter().flatten());
            rows.row(row);
        }
        out.push(shown(&rows, layout));
    }
    out.extend(lookups(to));
    if against.not_comparable > 0 {
        let count = against.not_comparable;
        out.push(format!("{count} alarms may change: they need a lookup under both policies"));
    }
}
