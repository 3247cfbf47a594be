//! What a report is made of: headings, sentences and tables, the same for every form that it is given in.
//!
//! The forms take nothing but these, and escape every text of them, so that no name from outside can become markup.
//! What comes from outside gets in by [`outside`] or [`code`], which keep it short and on its line.

use std::collections::BTreeMap;

use super::Status;
use crate::ids::CheckName;
use crate::model::severity::Severity;
use crate::timestamp::Millis;
use crate::untrusted::visible;

/// How many rows of a list are shown.
pub(super) const ROWS: usize = 50;
/// How much of a text from outside is shown, in characters.
const QUOTED: usize = 400;

/// A report.
pub(super) struct Page {
    /// What it is a report of: `Audit report`.
    pub(super) kind: &'static str,
    /// How the headline sounds.
    pub(super) tone: Tone,
    /// The id of the section that people are most likely to skip to, and what it is called in a sentence.
    pub(super) skip_to: (&'static str, &'static str),
    pub(super) headline: String,
    pub(super) lead: String,
    pub(super) facts: Vec<(&'static str, Words)>,
    pub(super) sections: Vec<Section>,
    pub(super) foot: String,
}

/// How a headline sounds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Bad,
    Unsure,
    Open,
    Good,
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
    /// A picture with nothing from outside in it, and the same in words.
    Chart {
        /// The address of the image, which holds it whole.
        image: String,
        /// What it shows.
        words: String,
    },
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

impl Table {
    /// Whether a column has numbers, and nothing else but that they are not known.
    pub(super) fn counts(&self, column: usize) -> bool {
        let cells = || self.rows.iter().filter_map(|row| row.get(column)).map(Vec::as_slice);
        cells().any(|words| matches!(words, [Word::Number(_)]))
            && cells().all(|words| matches!(words, [Word::Number(_) | Word::Faint(_)]))
    }
}

/// A run of text.
pub(super) type Words = Vec<Word>;

pub(super) enum Word {
    /// Our own words.
    Own(&'static str),
    /// Text with something from outside in it.
    Text(String),
    Number(u64),
    /// A name for machines.
    Code(String),
    Time(Millis),
    /// A time to the second, where a minute would not tell two apart.
    Second(Millis),
    /// That there is nothing, or nothing known.
    Faint(&'static str),
    Severity(Severity),
    /// How many of a severity.
    Severe(Severity, u64),
    Status(Status),
    /// That a check found nothing but what is suppressed.
    Hidden,
    /// A page elsewhere.
    Page(&'static str, &'static str),
    /// A section of this page: its title and id.
    Section(String, String),
}

/// What people call a check; its name if it is unknown.
pub(super) fn title(check: &CheckName) -> String {
    check.advice().map_or_else(|| outside(check.as_str()), |advice| advice.title.into())
}

pub(super) fn section(id: &str, title: &str, blocks: Vec<Block>) -> Section {
    Section { id: id.into(), level: 2, title: title.into(), blocks }
}

/// What could not be found out.
pub(super) fn gaps(gaps: &[String]) -> Option<Section> {
    let mut items: Vec<Words> = gaps.iter().take(ROWS).map(|gap| text(outside(gap))).collect();
    let more = gaps.len().saturating_sub(ROWS);
    if more > 0 {
        items.push(text(format!("and {more} more")));
    }
    (!items.is_empty()).then(|| section("gaps", "What could not be found out", vec![Block::Items(items)]))
}

pub(super) fn table(
    caption: &str,
    heads: &[&'static str],
    rows: impl Iterator<Item = Vec<Words>>,
    all: usize,
) -> Table {
    let rows: Vec<_> = rows.take(ROWS).collect();
    let more = all.saturating_sub(rows.len()) as u64;
    Table { caption: caption.into(), heads: heads.to_vec(), rows, more }
}

/// How the severities share in a count; nothing to see if it is none.
pub(super) fn severities(counts: &BTreeMap<Severity, u64>) -> Option<Block> {
    let counts: Vec<_> =
        counts.iter().filter(|(_, n)| **n > 0).map(|(severity, n)| (*severity, *n)).collect();
    (!counts.is_empty()).then_some(Block::Severities(counts))
}

pub(super) fn own(text: &'static str) -> Words {
    vec![Word::Own(text)]
}

pub(super) fn faint(text: &'static str) -> Words {
    vec![Word::Faint(text)]
}

pub(super) fn text(text: String) -> Words {
    vec![Word::Text(text)]
}

pub(super) fn code(name: &str) -> Words {
    vec![Word::Code(outside(name))]
}

pub(super) fn number(n: u64) -> Words {
    vec![Word::Number(n)]
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

/// How it is called that a check found nothing but what is suppressed.
pub(super) const HIDDEN: &str = "All suppressed";

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

/// A time to the second: `2026-11-23 08:00:59 UTC`.
pub(super) fn second(at: Millis) -> String {
    at.rfc3339().replace('T', " ").replace('Z', " UTC")
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

pub(super) fn resources(n: u64) -> String {
    count(n, "resource does", "resources do")
}

/// A number and what it counts.
pub(super) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

/// A text from outside on one line, cut.
pub(super) fn outside(text: &str) -> String {
    let text = text.trim();
    let Some((end, _)) = text.char_indices().nth(QUOTED) else { return visible(text).into_owned() };
    visible(text.get(..end).unwrap_or_default()).into_owned() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(moment(Millis(1_795_392_000_123)), "2026-11-23 00:00 UTC");
        assert_eq!(moment(Millis(i64::MAX)), "1970-01-01 00:00 UTC");
        assert_eq!(second(Millis(1_795_392_059_123)), "2026-11-23 00:00:59 UTC");
    }

    #[test]
    fn a_text_from_outside_stays_on_its_line_and_in_its_direction() {
        assert_eq!(outside(" a\nb\u{202e}c\u{7} "), r"a\nb\u202ec\u0007");
        assert_eq!(outside(&"x".repeat(1000)).chars().count(), QUOTED + 1);
    }
}
