//! What budgets and approvals would have held, as people read it.

use super::super::guards::{BudgetDay, Waits};
use super::super::report::Report;
use super::{seen, shown, table};
use crate::output::Layout;

/// The tables of what guards would have said under the policy, or under the one that it is compared with: the last `top` days.
pub(super) fn tables(report: &Report<'_>, top: usize, layout: Layout) -> Vec<String> {
    let (policy, under) = match &report.against {
        None => (&report.policy, String::new()),
        Some(against) => (&against.policy, format!("{}: ", seen(&against.policy.file))),
    };
    let guards = &policy.guards;
    let mut out = Vec::new();
    if !guards.budgets.is_empty() {
        out.push(format!("{under}days on which a budget has no room for all that is mitigated:"));
        let left_out = guards.budgets.len().saturating_sub(top.max(1));
        out.push(by_day(guards.budgets.get(left_out..).unwrap_or_default(), layout));
        if left_out > 0 {
            out.push(format!("earlier days: {left_out} (--json has all)"));
        }
    } else if guards.counts {
        out.push(format!("{under}budgets have room for all that is mitigated"));
    }
    if !guards.approvals.is_empty() {
        out.push(format!("{under}findings and alarms that wait for the approval of a person:"));
        out.push(by_rule(&guards.approvals, layout));
    }
    out
}

fn by_day(days: &[BudgetDay], layout: Layout) -> String {
    let several = days.iter().any(|day| {
        days.first().is_some_and(|first| (&first.account, &first.region) != (&day.account, &day.region))
    });
    let mut header = vec!["day"];
    if several {
        header.extend(["account", "region"]);
    }
    header.push("budget");
    let words = header.len();
    header.extend(["of", "mitigated", "over"]);
    let mut table = table(&header, words);
    for day in days {
        let mut row = vec![day.day.clone()];
        if several {
            row.extend([seen(&day.account), seen(&day.region)]);
        }
        row.push(seen(&day.budget));
        row.extend([day.limit.to_string(), day.asked.to_string(), day.over.to_string()]);
        table.row(row);
    }
    shown(&table, layout)
}

fn by_rule(waits: &[Waits<'_>], layout: Layout) -> String {
    let mut table = table(&["rule", "because", "count"], 2);
    for Waits { rule, reason, count } in waits {
        table.row([(*rule).to_owned(), reason.words().to_owned(), count.to_string()]);
    }
    shown(&table, layout)
}
