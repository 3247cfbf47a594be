//! A report as Markdown, with the tables of GitHub's.

use std::fmt::Write;

use super::page::Block;
use super::page::HIDDEN;
use super::page::Page;
use super::page::Table;
use super::page::Word;
use super::page::grouped;
use super::page::moment;
use super::page::second;
use super::page::severity_word;
use super::page::status_word;
use crate::untrusted::markdown as escaped;

/// Writes a report.
pub(super) fn render(page: &Page) -> String {
    let mut out = format!("# {}: {}\n", page.kind, escaped(&page.headline));
    if !page.lead.is_empty() {
        let _ = write!(out, "\n{}\n", escaped(&page.lead));
    }
    out.push('\n');
    for (name, words) in &page.facts {
        let _ = writeln!(out, "- **{name}**: {}", run(words));
    }
    for section in &page.sections {
        let marks = if section.level == 2 { "##" } else { "###" };
        let _ = write!(out, "\n{marks} {}\n", escaped(&section.title));
        for part in &section.blocks {
            block(&mut out, part);
        }
    }
    let _ = write!(out, "\n---\n\n{}\n", escaped(&page.foot));
    out
}

fn block(out: &mut String, part: &Block) {
    out.push('\n');
    match part {
        Block::Text(words) => {
            let _ = writeln!(out, "{}", run(words));
        }
        Block::Steps(steps) => {
            for (at, step) in steps.iter().enumerate() {
                let _ = writeln!(out, "{}. {}", at + 1, run(step));
            }
        }
        Block::Items(items) => {
            for item in items {
                let _ = writeln!(out, "- {}", run(item));
            }
        }
        Block::Figures(figures) => {
            let figures: Vec<_> =
                figures.iter().map(|(name, n)| format!("**{}** {name}", grouped(*n))).collect();
            let _ = writeln!(out, "{}", figures.join(" · "));
        }
        Block::Severities(counts) => {
            let counts: Vec<_> = counts
                .iter()
                .map(|(severity, n)| format!("{} {}", grouped(*n), severity_word(*severity)))
                .collect();
            let _ = writeln!(out, "By severity: {}", counts.join(", "));
        }
        Block::Chart { words, .. } => {
            let _ = writeln!(out, "{}", escaped(words));
        }
        Block::Label(label) => {
            let _ = writeln!(out, "**{label}**");
        }
        Block::Beside(texts) => {
            let texts: Vec<_> =
                texts.iter().map(|(label, words)| format!("**{label}.** {}\n", run(words))).collect();
            out.push_str(&texts.join("\n"));
        }
        Block::Table(part) | Block::Folded(_, part) => table(out, part),
    }
}

fn table(out: &mut String, table: &Table) {
    let _ = writeln!(out, "{}:\n", escaped(&table.caption));
    let _ = writeln!(out, "| {} |", table.heads.join(" | "));
    let rules = (0..table.heads.len()).map(|at| if table.counts(at) { " ---: |" } else { " --- |" });
    let _ = writeln!(out, "|{}", rules.collect::<String>());
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|words| run(words)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    if table.more > 0 {
        let _ = write!(out, "\nand {} more\n", grouped(table.more));
    }
}

fn run(words: &[Word]) -> String {
    words.iter().map(word).collect()
}

fn word(word: &Word) -> String {
    match word {
        Word::Own(text) | Word::Faint(text) => escaped(text),
        Word::Text(text) | Word::Section(text, _) => escaped(text),
        Word::Number(n) => grouped(*n),
        Word::Code(name) => code(name),
        Word::Time(at) => moment(*at),
        Word::Second(at) => second(*at),
        Word::Severity(severity) => severity_word(*severity).to_uppercase(),
        Word::Severe(severity, n) => format!("{} {}", grouped(*n), severity_word(*severity)),
        Word::Hidden => HIDDEN.into(),
        Word::Status(status) => status_word(*status).into(),
        Word::Page(title, address) => format!("[{title}]({address})"),
    }
}

/// A name as code, where no character of it could end that.
fn code(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/+=@,".contains(c);
    if !name.is_empty() && name.chars().all(plain) { format!("`{name}`") } else { escaped(name) }
}
