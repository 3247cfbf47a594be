//! What is suppressed, and the debt of all suppressions.

use std::cmp::Reverse;

use crate::model::debt::Debt;
use crate::report::AuditReport;
use crate::report::Suppressed;
use crate::report::page::Block;
use crate::report::page::Section;
use crate::report::page::Word;
use crate::report::page::count;
use crate::report::page::faint;
use crate::report::page::grouped;
use crate::report::page::number;
use crate::report::page::outside;
use crate::report::page::own;
use crate::report::page::section;
use crate::report::page::table;
use crate::report::page::text;
use crate::report::page::title;

/// What is hidden, and the debt of all suppressions.
pub(super) fn suppressed(report: &AuditReport) -> Vec<Section> {
    let hidden = &report.suppressed;
    let intro = if hidden.findings == 0 {
        "No finding of this audit is suppressed.".into()
    } else {
        format!(
            "{} suppressed. What is suppressed never counts against compliance.",
            count(hidden.findings, "finding of this audit is", "findings of this audit are")
        )
    };
    let mut blocks = vec![Block::Text(text(intro))];
    let rows = hidden.suppressions.iter().map(|suppressed| {
        let Suppressed { check, count, until, by, owner, ticket, why } = suppressed;
        let mut owner = owner.as_ref().map_or_else(|| faint("nobody"), |owner| text(outside(owner)));
        if let Some(ticket) = ticket {
            owner.extend([Word::Own(", "), Word::Text(outside(ticket))]);
        }
        vec![
            text(title(check)),
            number(*count),
            until.map_or_else(|| own("no end"), |at| vec![Word::Time(at)]),
            text(outside(by)),
            owner,
            text(outside(why)),
        ]
    });
    if !hidden.suppressions.is_empty() {
        let heads = ["Check", "Resources", "Until", "Made by", "Owner, ticket", "Why"];
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
            ". They hide {:.1}% of what does not comply: {} of {}",
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
        ("in all", debt.suppressions),
        ("without an end", debt.indefinite),
        ("past their end", debt.lapsed),
        ("ending within 30 days", debt.ending),
        ("without an owner", debt.ownerless),
        ("made by hand", debt.by_hand),
        ("hiding nothing", debt.idle),
    ];
    let mut owners: Vec<_> = debt.owners.iter().collect();
    owners.sort_by_key(|(_, owned)| Reverse(owned.suppressions));
    let rows = owners.iter().map(|(owner, owned)| {
        vec![
            if owner.is_empty() { faint("nobody") } else { text(outside(owner)) },
            number(owned.suppressions),
            number(owned.indefinite),
            owned.oldest.map_or_else(|| faint("not known"), |at| vec![Word::Time(at)]),
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
