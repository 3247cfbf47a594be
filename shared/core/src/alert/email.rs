//! The text of an email: for people, so without JSON, without marks, and in lines that every mail program shows.

use textwrap::Options;
use textwrap::WordSeparator;
use textwrap::WordSplitter;

use super::Alert;
use super::Link;
use super::Place;
use super::STEP;
use super::STEPS;
use super::TITLE;
use crate::text;
use crate::timestamp::Millis;

/// How long a line is, in characters. An address is never broken.
const WIDTH: usize = 76;
/// How a command begins.
const COMMAND: &str = "'fleetwarden ";
/// A space at which no line ends.
const TOGETHER: &str = "\u{a0}";
/// The longest description, in characters.
const DESCRIPTION: usize = 8000;

pub(super) fn text(alert: &Alert, place: &Place, links: &[Link], at: Millis) -> String {
    let title = wrapped(&alert.title.plain_within(TITLE), "");
    let mut parts = vec![title, paragraphs(&alert.description.plain_within(DESCRIPTION))];
    if !alert.next_steps.is_empty() {
        let steps = alert.next_steps.iter().take(STEPS).zip(1..);
        let steps =
            steps.map(|(step, number)| wrapped(&format!("{number}. {}", step.plain_within(STEP)), "   "));
        parts.push(format!("What to do:\n{}", steps.collect::<Vec<_>>().join("\n")));
    }
    parts.extend(alert.subject.command().map(|command| wrapped(&command.to_string(), "")));
    parts.extend(links.iter().map(|Link { label, url }| format!("{label}:\n{url}")));
    if place.runbook.is_none() {
        parts.push(wrapped(&format!("Runbook: {}", Place::guide(alert)), ""));
    }
    parts.push(origin(alert, place, at));
    parts.join("\n\n") + "\n"
}

fn origin(alert: &Alert, place: &Place, at: Millis) -> String {
    let from = place.words().map(|words| format!("From {words}."));
    let facts = format!(
        "Severity {}, kind {}, thread {}, raised {}.",
        alert.severity.as_str(),
        alert.kind.as_str(),
        text!("{}", alert.thread),
        at.rfc3339()
    );
    let lines = from.into_iter().chain([facts, format!("Alert id {}.", alert.id())]);
    lines.map(|line| wrapped(&line, "")).collect::<Vec<_>>().join("\n")
}

/// Each line by itself: the texts break lines where they mean it. An item of a list is indented.
fn paragraphs(text: &str) -> String {
    let lines = text.lines().map(|line| wrapped(line, if line.starts_with("- ") { "  " } else { "" }));
    lines.collect::<Vec<_>>().join("\n")
}

/// A command is never broken: half of it would be another one.
fn wrapped(text: &str, indent: &str) -> String {
    let options = Options::new(WIDTH)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .subsequent_indent(indent);
    textwrap::fill(&kept_together(text), options).replace(TOGETHER, " ")
}

/// The text with its commands as one word each.
fn kept_together(text: &str) -> String {
    let mut parts = text.split(COMMAND);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (command, rest) = part.split_at(part.find('\'').unwrap_or_default());
        text + &format!("{COMMAND}{command}").replace(' ', TOGETHER) + rest
    })
}
