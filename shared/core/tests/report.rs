//! Reports as people read them, and as hostile names would have them.

#[path = "../examples/report-pages/alarms.rs"]
mod alarms;
#[path = "../examples/report-pages/fixture.rs"]
mod fixture;

use fleetwarden_core::report::AuditReport;
use fleetwarden_core::report::CheckReport;
use fleetwarden_core::report::Status;
use fleetwarden_core::report::Verdict;
use proptest::prelude::*;
use pulldown_cmark::Event;
use pulldown_cmark::Options;
use pulldown_cmark::Parser;
use pulldown_cmark::Tag;
use pulldown_cmark::TagEnd;

/// What GitHub knows beyond the plain one.
const MARKDOWN: Options =
    Options::ENABLE_TABLES.union(Options::ENABLE_STRIKETHROUGH).union(Options::ENABLE_TASKLISTS);

#[test]
fn a_rich_report() {
    let report = fixture::rich();
    insta::assert_snapshot!("rich.md", report.markdown());
    insta::assert_snapshot!("rich.html", without_style(&report.html()));
    insta::assert_json_snapshot!("rich.json", report);
}

#[test]
fn a_report_of_nothing_wrong() {
    let report = fixture::compliant();
    insta::assert_snapshot!("compliant.md", report.markdown());
    insta::assert_snapshot!("compliant.html", without_style(&report.html()));
}

#[test]
fn a_report_of_an_audit_under_way_with_gaps() {
    let report = fixture::under_way();
    insta::assert_snapshot!("under-way.md", report.markdown());
    insta::assert_snapshot!("under-way.html", without_style(&report.html()));
}

/// Two sources say what became of mitigations, and each may fail by itself.
#[test]
fn that_no_mitigation_was_started_is_said_only_where_it_is_known() {
    let none = "No mitigation was started on findings of this audit.";
    let asks = |change: fn(&mut AuditReport)| {
        let mut report = fixture::compliant();
        change(&mut report);
        report.markdown()
    };
    let known = asks(|_| ());
    assert!(known.contains(none) && !known.contains("could not be found out"), "{known}");
    let unlisted = asks(|report| report.mitigations_unknown = true);
    assert!(!unlisted.contains(none), "{unlisted}");
    assert!(unlisted.contains("Whether mitigations were started on findings of this audit could not"));
    let unread = asks(|report| report.not_started.unknown = true);
    assert!(unread.contains("Whether mitigations were refused, wait, or were only observed could not"));
    let refused = asks(|report| report.not_started = fixture::rich().not_started);
    assert!(refused.contains(none) && refused.contains("1 mitigation was refused."), "{refused}");
    assert!(refused.contains("| `fw-0badc0de` | Refused: "), "{refused}");
    assert!(refused.contains("and 6 more"), "{refused}");
}

/// Would and did are two figures.
#[test]
fn what_was_decided_would_be_and_was_done_are_told_apart() {
    let rich = fixture::rich();
    let effects = rich.totals.effects;
    assert_eq!((effects.mitigate_decided, effects.mitigate_observed), (210, 60));
    assert_eq!((effects.mitigated, effects.mitigate_failed), (Some(71), Some(4)));
    assert_eq!((effects.suppress_decided, effects.suppress_observed), (1_871, 0));
    let told = rich.markdown();
    let line = "**1,871** to be suppressed · **0** would be suppressed · **150** to be mitigated · \
                **60** would be mitigated · **71** mitigated and confirmed · **4** mitigation failed";
    assert!(told.contains(line), "{told}");
    assert!(
        told.contains("| Device certificate shared | quarantine-shared | mitigate | observe | 60 |"),
        "{told}"
    );
    let without = fixture::compliant().markdown();
    assert!(!without.contains("## Decisions"), "nothing is decided on what complies");
}

#[test]
fn a_rich_report_of_alarms() {
    let report = alarms::rich();
    insta::assert_snapshot!("alarms.md", report.markdown());
    insta::assert_snapshot!("alarms.html", without_style(&report.html()));
    insta::assert_json_snapshot!("alarms.json", report, { ".series[].points" => "[points]" });
}

#[test]
fn a_report_of_no_alarms() {
    insta::assert_snapshot!("alarms-none.md", alarms::none().markdown());
}

#[test]
fn the_same_alarms_give_the_same_bytes() {
    assert_eq!(alarms::rich().html(), alarms::rich().html());
}

#[test]
fn the_verdict_is_of_what_counts() {
    let verdict = |task: &str, statuses: &[Status]| {
        let template = fixture::compliant().checks.remove(0);
        let mut report = AuditReport {
            task_status: task.into(),
            checks: statuses
                .iter()
                .map(|status| CheckReport { status: *status, ..template.clone() })
                .collect(),
            ..AuditReport::default()
        };
        report.sum();
        report.totals.verdict
    };
    assert_eq!(verdict("COMPLETED", &[Status::Compliant, Status::Compliant]), Verdict::Compliant);
    assert_eq!(verdict("COMPLETED", &[Status::Compliant, Status::Failed]), Verdict::Incomplete);
    assert_eq!(verdict("COMPLETED", &[]), Verdict::Incomplete);
    assert_eq!(verdict("CANCELED", &[Status::Compliant, Status::Canceled]), Verdict::Incomplete);
    assert_eq!(verdict("FAILED", &[Status::Compliant]), Verdict::Incomplete);
    assert_eq!(
        verdict("IN_PROGRESS", &[Status::Compliant, Status::WaitingForDataCollection]),
        Verdict::InProgress
    );
    assert_eq!(verdict("IN_PROGRESS", &[Status::NonCompliant, Status::InProgress]), Verdict::NonCompliant);
    assert_eq!(verdict("CANCELED", &[Status::NonCompliant, Status::Canceled]), Verdict::NonCompliant);
}

#[test]
fn what_is_suppressed_never_counts() {
    let mut report = fixture::rich();
    report.checks.retain(|check| {
        check.non_compliant == 0 && check.failure.is_none() && check.status != Status::Canceled
    });
    assert!(report.checks.iter().any(|check| check.status == Status::NonCompliant && check.suppressed > 0));
    report.sum();
    assert_eq!(report.totals.verdict, Verdict::Compliant);
    assert!(report.markdown().contains("| All suppressed | 0 | none |"));
}

#[test]
fn one_of_everything_is_told_in_the_singular() {
    insta::assert_snapshot!("one.md", fixture::one().markdown());
}

#[test]
fn no_report_is_too_large_to_send() {
    for (name, report) in fixture::all() {
        let sizes =
            [report.html().len(), report.markdown().len(), serde_json::to_vec(&report).unwrap().len()];
        assert!(sizes.iter().all(|size| *size < 300_000), "{name}: {sizes:?}");
    }
    for (name, report) in alarms::all() {
        let sizes = [report.html().len(), report.markdown().len()];
        assert!(sizes.iter().all(|size| *size < 300_000), "{name}: {sizes:?}");
    }
}

#[test]
fn hostile_names_change_nothing_but_text() {
    check_words(&fixture::HOSTILE);
    for word in fixture::HOSTILE.into_iter().chain(fleetwarden_hostile::TEXTS) {
        check_words(&[word]);
    }
    // GitHub makes links of addresses that are only written down.
    let markdown = fixture::worded(&["http://evil.example www.evil.example"]).markdown();
    assert!(!markdown.contains("http://evil") && !markdown.contains("www.evil"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_name_leaves_its_element_or_cell(words in prop::collection::vec(HOSTILE_TEXT, 1..8)) {
        check_words(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn nor_does_what_means_harm(words in prop::collection::vec(full_texts(), 1..8)) {
        check_words(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// Texts that mean harm. Of an empty one the report says that there is none.
fn full_texts() -> impl Strategy<Value = String> {
    fleetwarden_hostile::texts().prop_filter("an empty text is none", |text| !text.is_empty())
}

/// Any text, and above all what means something in HTML or Markdown.
const HOSTILE_TEXT: &str = "([<>&\"'`*_\\[\\]()|~$\\\\#+=!:/@.0-9 \n\r\t-]|<script>|</td>|www\\.|https?://|\\PC|\\p{Cc}|\u{202e}|x){1,24}";

/// Compares a report of these words with one of a harmless word in every place.
fn check_words(words: &[&str]) {
    let (hostile, harmless) = (fixture::worded(words), fixture::worded(&["plain"]));
    check_forms(words, &[hostile.html(), hostile.markdown()], &[harmless.html(), harmless.markdown()]);
    let (hostile, harmless) = (alarms::worded(words), alarms::worded(&["plain"]));
    check_forms(words, &[hostile.html(), hostile.markdown()], &[harmless.html(), harmless.markdown()]);
}

/// Compares HTML and Markdown of hostile words with those of harmless ones.
fn check_forms(words: &[&str], [html, markdown]: &[String; 2], harmless: &[String; 2]) {
    assert_eq!(difference(&tags(html), &tags(&harmless[0])), None, "HTML of {words:?}");
    assert_eq!(difference(&marks(markdown), &marks(&harmless[1])), None, "Markdown of {words:?}");
    assert_eq!(difference(&cells_of_html(html), &cells_of_markdown(markdown)), None, "cells of {words:?}");
    fleetwarden_hostile::assert_seen(html);
    fleetwarden_hostile::assert_seen(markdown);
}

/// The first place where two texts are not the same.
fn difference<T: Clone + PartialEq>(one: &[T], other: &[T]) -> Option<(usize, Option<T>, Option<T>)> {
    let most = one.len().max(other.len());
    let at = (0..most).find(|at| one.get(*at) != other.get(*at))?;
    Some((at, one.get(at).cloned(), other.get(at).cloned()))
}

/// The tags of a page, as a browser sees them. How a name is broken over lines depends on its length.
fn tags(html: &str) -> Vec<&str> {
    let page = html.split_once("</style>").map_or(html, |(_, page)| page);
    let tags = page.split('<').skip(1).map(|rest| rest.split_once('>').map_or(rest, |(tag, _)| tag));
    let link = |tag: &str| tag.starts_with("a class=\"long\"") || tag.starts_with("a href=\"#");
    tags.filter(|tag| *tag != "wbr")
        .map(|tag| tag.strip_suffix(" class=\"long\"").unwrap_or(tag))
        .map(|tag| if link(tag) { "a" } else { tag })
        .collect()
}

/// The marks of a text, as a reader of Markdown sees them. A name that cannot be code is text.
fn marks(markdown: &str) -> Vec<String> {
    let events = Parser::new_ext(markdown, MARKDOWN);
    let marks = events.filter(|event| !matches!(event, Event::Text(_) | Event::Code(_) | Event::SoftBreak));
    marks.map(|event| format!("{event:?}")).collect()
}

/// What stands in each cell of a page's tables.
fn cells_of_html(html: &str) -> Vec<String> {
    let html = html.replace("<th ", "<td ").replace("</th>", "</td>");
    let cells = html.split("<td ").skip(1).filter_map(|rest| rest.split_once("</td>"));
    let cells = cells.filter_map(|(cell, _)| cell.split_once('>')).map(|(_, cell)| cell);
    let text = |cell: &str| -> String {
        let (mut text, mut rest) = (String::new(), cell);
        while let Some((before, tag)) = rest.split_once('<') {
            text.push_str(before);
            rest = tag.split_once('>').map_or("", |(_, after)| after);
        }
        text + rest
    };
    let marks = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    cells.map(|cell| plain(&marks.iter().fold(text(cell), |text, (mark, c)| text.replace(mark, c)))).collect()
}

/// What stands in each cell of a text's tables.
fn cells_of_markdown(markdown: &str) -> Vec<String> {
    let mut cells = Vec::new();
    let mut cell = None;
    for event in Parser::new_ext(markdown, MARKDOWN) {
        match event {
            Event::Start(Tag::TableCell) => cell = Some(String::new()),
            Event::End(TagEnd::TableCell) => cells.extend(cell.take().map(|text| plain(&text))),
            Event::Text(text) | Event::Code(text) => cell.iter_mut().for_each(|cell| cell.push_str(&text)),
            _ => {}
        }
    }
    cells
}

/// A text but for its spaces, whether it is in capitals, and how Markdown writes what would call somebody.
fn plain(text: &str) -> String {
    text.to_lowercase().replace("\\u0040", "@").split_whitespace().collect()
}

/// A page without its style, which people look at in a browser.
fn without_style(html: &str) -> String {
    let parts = html.split_once("<style>").zip(html.split_once("</style>\n"));
    parts.map(|((head, _), (_, rest))| format!("{head}{rest}")).unwrap_or_default()
}
