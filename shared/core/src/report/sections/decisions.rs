//! What was decided on the findings of an audit, and how much of it was done.

use std::cmp::Reverse;

use crate::message::Decided;
use crate::policy::Mode;
use crate::report::AuditReport;
use crate::report::CheckReport;
use crate::report::Effects;
use crate::report::page::Block;
use crate::report::page::Section;
use crate::report::page::faint;
use crate::report::page::number;
use crate::report::page::outside;
use crate::report::page::own;
use crate::report::page::section;
use crate::report::page::table;
use crate::report::page::text;
use crate::report::page::title;

pub(super) fn decisions(report: &AuditReport) -> Option<Section> {
    let of_check = |check: &'_ CheckReport| {
        let mut decisions: Vec<Decided> = check.decisions.clone();
        decisions.sort_by_key(|of| Reverse(of.findings));
        decisions.into_iter().map(|of| (title(&check.check), of)).collect::<Vec<_>>()
    };
    let all: Vec<(String, Decided)> = report.checks.iter().flat_map(of_check).collect();
    if all.is_empty() {
        return None;
    }
    let mut blocks = vec![Block::Figures(figures(&report.totals.effects))];
    let observed = report.totals.effects.suppress_observed + report.totals.effects.mitigate_observed;
    if observed > 0 {
        blocks.push(Block::Text(own(
            "What is decided in mode observe is not done: it is only said what would have been done.",
        )));
    }
    let rows = all.iter().map(|(check, of)| {
        let rule = of.rule.as_deref().map_or_else(|| faint("no rule"), |rule| text(outside(rule)));
        let mode = if of.mode == Mode::Observe { "observe" } else { "enforce" };
        vec![text(check.clone()), rule, text(outside(&of.outcome)), own(mode), number(of.findings)]
    });
    let heads = ["Check", "Rule", "Outcome", "Mode", "Findings"];
    let caption = "Decisions on what does not comply, by check and rule";
    blocks.push(Block::Table(table(caption, &heads, rows, all.len())));
    Some(section("decisions", "Decisions", blocks))
}

/// Decided, only observed, and done, side by side.
fn figures(effects: &Effects) -> Vec<(&'static str, u64)> {
    let mut figures = vec![
        ("to be suppressed", effects.suppress_decided - effects.suppress_observed),
        ("would be suppressed", effects.suppress_observed),
        ("to be mitigated", effects.mitigate_decided - effects.mitigate_observed),
        ("would be mitigated", effects.mitigate_observed),
    ];
    figures.extend(effects.mitigated.map(|n| ("mitigated and confirmed", n)));
    figures.extend(effects.mitigate_failed.map(|n| ("mitigation failed", n)));
    figures
}
