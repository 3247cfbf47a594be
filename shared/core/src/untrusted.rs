//! Text that somebody else wrote, as people get to see it: one function for each kind of output.
//!
//! Devices choose their client ids, people name things, files are edited, and AWS repeats all of it in its messages. Data
//! for machines keeps it as it is; whatever people read has it from here, so that it can neither command a terminal, nor
//! pass for our own words, nor become markup or a link. What is not seen is told as JSON tells it, `\u202e`, and nothing
//! is left out: a name that looks odd can still be searched for.
//!
//! [`visible`] and [`visible_lines`] are for terminals and logs, [`html`], [`markdown`] and [`xml`] for documents, and
//! [`Text`] is for messages to people.

mod text;

use std::borrow::Cow;
use std::fmt::Write as _;

pub use text::Piece;
pub use text::Text;
#[doc(hidden)]
pub use text::placed;

/// How much of a text stands in an error, in characters: as much as a name may have.
const SHOWN: usize = 128;

/// Whether a character is not seen and changes how others are: control characters, which command a terminal, what
/// reverses the direction of a text, what has no width, and separators of lines.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A text on one line: characters that are not seen are escaped as in JSON, so that a reader sees them and does not obey
/// them.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, is_unseen)
}

/// The same for a text that may have several lines. JSON stays the same JSON.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_unseen(c))
}

/// A text as it can stand in an error: its start, [`visible`].
pub fn shown(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(SHOWN) else { return visible(text).into_owned() };
    visible(text.get(..end).unwrap_or_default()).into_owned() + "…"
}

fn escaped(text: &str, is: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is(c) { escape(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Writes a character as JSON does that keeps to ASCII.
fn escape(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

/// A text in HTML: nothing of it has a meaning in an element or in an attribute between quotes.
pub fn html(text: &str) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A text in Markdown: nothing of it has a meaning there or in HTML within it, is a link in GitHub's, or calls somebody.
pub fn markdown(text: &str) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len());
    let number = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let mut before = None;
    for (at, c) in text.char_indices() {
        let first = at == 0 && "#+-=".contains(c);
        let ends_number = at == text.len() - number.len() && at > 0 && ".)".contains(c);
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' if calls(before) => {
                out.push('\\');
                escape(&mut out, c);
            }
            _ => {
                if first || ends_number || links(&text, at) || "\\`*_[]|~$".contains(c) {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        before = Some(c);
    }
    out
}

/// Whether the character at this place makes a link of what is only written down: the colon of `://`, the point of `www.`.
fn links(text: &str, at: usize) -> bool {
    let www = text.get(at.saturating_sub(3)..at).is_some_and(|before| before.eq_ignore_ascii_case("www"));
    let rest = text.get(at..).unwrap_or_default();
    rest.starts_with("://") || (www && rest.starts_with('.'))
}

/// Whether an `@` after this character calls somebody: within a word it is an address.
fn calls(before: Option<char>) -> bool {
    !before.is_some_and(|c| c.is_alphanumeric() || "._+-".contains(c))
}

/// A text for a writer of XML, which escapes what has a meaning there: without the characters that XML cannot hold, and
/// with those that are not seen escaped. It may have several lines.
pub fn xml(text: &str) -> String {
    let allowed = |c: char| !matches!(c, '\u{fffe}' | '\u{ffff}');
    visible_lines(text).chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_escaped_and_the_rest_is_left_alone() {
        let text = "a\u{1b}[2J\r\n\tü\u{202e}\u{200b}\u{e0041}😀\u{85}";
        assert_eq!(visible(text), r"a\u001b[2J\r\n\tü\u202e\u200b\udb40\udc41😀\u0085");
        assert_eq!(visible_lines("a\nb\u{2066}"), "a\nb\\u2066");
        assert!(matches!(visible("Prüfung 泵"), Cow::Borrowed(_)));
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        assert_eq!(serde_json::from_str::<[String; 1]>(&visible_lines(&json)).unwrap(), [text]);
    }

    #[test]
    fn a_name_in_an_error_is_whole_and_a_text_is_cut() {
        assert_eq!(shown("a\u{202e}b\n"), "a\\u202eb\\n");
        assert_eq!(shown(&"ä".repeat(SHOWN)), "ä".repeat(SHOWN));
        assert_eq!(shown(&"ä".repeat(SHOWN + 1)), "ä".repeat(SHOWN) + "…");
    }

    #[test]
    fn nobody_is_called_from_markdown_and_an_address_stays_one() {
        assert_eq!(markdown("@here (@all) a@example.com"), r"\\u0040here (\\u0040all) a@example.com");
    }

    #[test]
    fn xml_has_what_it_can_hold() {
        assert_eq!(xml("a\u{0}b\nc\u{fffe}"), "a\\u0000b\nc\u{fffd}");
    }

    proptest::proptest! {
        #[test]
        fn nothing_unseen_is_left(text in "\\PC*|[\u{0}-\u{2070}]*|.*") {
            for shown in [visible(&text).into_owned(), shown(&text), html(&text), markdown(&text)] {
                proptest::prop_assert!(!shown.contains(is_unseen));
            }
            for shown in [visible_lines(&text).into_owned(), xml(&text)] {
                proptest::prop_assert!(!shown.replace('\n', "").contains(is_unseen));
            }
        }
    }
}
