//! Messages to people: our own words, with values from outside in their places.
//!
//! A [`Text`] is made by [`text!`](crate::text) of a literal, and keeps apart what is ours and what is not until it is
//! written: so no value can be forgotten, and each form has its own way to make it harmless.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use super::calls;
use super::escape;
use super::is_unseen;
use super::links;
use crate::timestamp::Millis;

/// How much of one value is shown, in characters.
const VALUE: usize = 700;

/// A text for people, of our own words and of values from outside.
///
/// Our words may have `code` and **strong** parts. [`Text::markdown`] writes them for a chat. As [`fmt::Display`] writes
/// it, it is for an email, a log or a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Part {
    /// Our own words.
    Own(Cow<'static, str>),
    /// What somebody else wrote.
    Value(String),
}

/// How a text is written.
struct Form {
    /// Our own words.
    own: fn(&str) -> Cow<'_, str>,
    /// What stands around a value that is no word.
    quote: &'static str,
}

const MARKDOWN: Form = Form { own: |words| words.into(), quote: "`" };
const PLAIN: Form = Form { own: |words| words.replace("**", "").replace('`', "'").into(), quote: "'" };

/// Something that can stand in a [`Text`].
pub trait Piece {
    /// As a text of its own.
    fn text(&self) -> Text;
}

/// A [`Text`]: a literal, in which each `{}` is the place of a value. Strings are values from outside; numbers, times and
/// other texts are our own.
///
/// ```
/// let name = "<https://example.com|AWS sign-in>";
/// let text = fleetwarden_core::text!("{} devices alarm on {}", 3, name);
/// assert_eq!(text.markdown(), r"3 devices alarm on `\u003chttps\u003a//example.com|AWS sign-in\u003e`");
/// ```
///
/// A name within the braces is refused, because what stands there could not be told from our own words.
///
/// ```compile_fail
/// let name = "pump";
/// let text = fleetwarden_core::text!("The device {name}");
/// ```
#[macro_export]
macro_rules! text {
    ($words:literal $(, $value:expr)* $(,)?) => {
        $crate::untrusted::Text::of(
            const { $crate::untrusted::placed($words, <[&str]>::len(&[$(stringify!($value)),*])) },
            &[$(&$value as &dyn $crate::untrusted::Piece),*],
        )
    };
}

/// A literal that has so many places for values, and no other braces. Any other is not compiled.
#[doc(hidden)]
pub const fn placed(words: &'static str, values: usize) -> &'static str {
    assert!(has_places(words, values), "a place is an empty pair of braces, and each has one value");
    words
}

/// Whether a literal has so many places for values, and no other braces.
#[expect(
    clippy::indexing_slicing,
    reason = "a constant expression has no iterators, and the index is below the length"
)]
const fn has_places(words: &str, values: usize) -> bool {
    let (bytes, mut at, mut places) = (words.as_bytes(), 0, 0);
    while at < bytes.len() {
        if bytes[at] == b'{' {
            at += 1;
            if at == bytes.len() || bytes[at] != b'}' {
                return false;
            }
            places += 1;
        } else if bytes[at] == b'}' {
            return false;
        }
        at += 1;
    }
    places == values
}

impl Text {
    /// Our own words, which stay as they are: a literal without places.
    pub fn own(words: &'static str) -> Self {
        Self(vec![Part::Own(Cow::Borrowed(words))])
    }

    /// Our own words, put together here: nothing from outside may be in them.
    pub(crate) fn made(words: String) -> Self {
        Self(vec![Part::Own(Cow::Owned(words))])
    }

    /// Puts values into the places of a literal. To be called by [`text!`](crate::text), which counts them.
    #[doc(hidden)]
    pub fn of(words: &'static str, values: &[&dyn Piece]) -> Self {
        let mut text = Self::default();
        let mut values = values.iter();
        for (at, own) in words.split("{}").enumerate() {
            if at > 0 {
                text.0.extend(values.next().into_iter().flat_map(|value| value.text().0));
            }
            if !own.is_empty() {
                text.push(own);
            }
        }
        text
    }

    /// One text after another, with our own words between them.
    pub fn joined<P: Piece>(pieces: impl IntoIterator<Item = P>, between: &'static str) -> Self {
        let mut text = Self::default();
        for (at, piece) in pieces.into_iter().enumerate() {
            if at > 0 {
                text.push(between);
            }
            text.push(piece.text());
        }
        text
    }

    /// The lines of a text from outside, each as a value of its own, as the items of a list.
    pub fn listed(lines: &str) -> Self {
        Self::joined(lines.lines().map(|line| text!("- {}", line)), "\n")
    }

    /// Adds words or a text to the end.
    pub fn push(&mut self, more: impl Into<Self>) {
        self.0.extend(more.into().0);
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|part| match part {
            Part::Own(words) => words.is_empty(),
            Part::Value(_) => false,
        })
    }

    /// For a chat, in the Markdown that Slack and Microsoft Teams have in common.
    ///
    /// A value stands as code, unless it is a word like any other. A backslash takes the meaning from nothing in Slack, and
    /// an entity stays an entity as code, so what could end the code, begin a link or call somebody is escaped as in JSON.
    pub fn markdown(&self) -> String {
        self.written(&MARKDOWN, VALUE)
    }

    /// The same in at most so many characters: values are cut first, and our own words last.
    pub fn markdown_within(&self, most: usize) -> String {
        self.within(&MARKDOWN, most)
    }

    /// As it is displayed, in at most so many characters.
    pub fn plain_within(&self, most: usize) -> String {
        self.within(&PLAIN, most)
    }

    fn within(&self, form: &Form, most: usize) -> String {
        let halves = std::iter::successors(Some(VALUE), |long| Some(long / 2).filter(|long| *long > 0));
        let mut written = halves.map(|long| self.written(form, long));
        let fits = |text: &String| text.chars().nth(most).is_none();
        written.find(fits).unwrap_or_else(|| {
            let start: String = self.written(form, 1).chars().take(most.saturating_sub(1)).collect();
            start + "…"
        })
    }

    /// Writes it, with so many characters of each value.
    fn written(&self, form: &Form, most: usize) -> String {
        let mut out = String::new();
        let mut in_code = false;
        for part in &self.0 {
            match part {
                Part::Own(words) => {
                    in_code ^= !words.matches('`').count().is_multiple_of(2);
                    out.push_str(&(form.own)(words));
                }
                Part::Value(value) if in_code || is_word(value) => out.push_str(&inert(value, most)),
                Part::Value(value) => out.extend([form.quote, &inert(value, most), form.quote]),
            }
        }
        out
    }
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.written(&PLAIN, VALUE))
    }
}

/// Whether a value needs no marks around it: one word, in which nothing has a meaning.
fn is_word(value: &str) -> bool {
    let mut before = '-';
    let good = value.chars().all(|c| {
        let good = c.is_ascii_alphanumeric() || (matches!(c, '-' | '_') && before.is_ascii_alphanumeric());
        before = c;
        good
    });
    good && before.is_ascii_alphanumeric()
}

/// A value of which no character is unseen, ends a code, begins or makes a link, or calls somebody.
fn inert(value: &str, most: usize) -> String {
    // Nothing between two backticks would begin another code.
    if value.is_empty() {
        return "\"\"".to_owned();
    }
    let mut out = String::with_capacity(value.len());
    let mut before = None;
    for (at, c) in value.char_indices().take(most) {
        let harms = is_unseen(c) || matches!(c, '`' | '<' | '>') || (c == '@' && calls(before));
        if harms || links(value, at) {
            escape(&mut out, c);
        } else {
            out.push(c);
        }
        before = Some(c);
    }
    if value.chars().nth(most).is_some() {
        out.push('…');
    }
    out
}

impl From<&'static str> for Text {
    fn from(words: &'static str) -> Self {
        Self::own(words)
    }
}

impl FromIterator<Self> for Text {
    fn from_iter<I: IntoIterator<Item = Self>>(texts: I) -> Self {
        Self(texts.into_iter().flat_map(|text| text.0).collect())
    }
}

impl Piece for Text {
    fn text(&self) -> Text {
        self.clone()
    }
}

impl<P: Piece + ?Sized> Piece for &P {
    fn text(&self) -> Text {
        (**self).text()
    }
}

impl Piece for str {
    fn text(&self) -> Text {
        Text(vec![Part::Value(self.to_owned())])
    }
}

impl Piece for String {
    fn text(&self) -> Text {
        self.as_str().text()
    }
}

impl Piece for Cow<'_, str> {
    fn text(&self) -> Text {
        self.as_ref().text()
    }
}

impl Piece for Millis {
    fn text(&self) -> Text {
        Text::made(self.rfc3339())
    }
}

/// With one digit after the point.
impl Piece for f64 {
    fn text(&self) -> Text {
        Text::made(format!("{self:.1}"))
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Piece for $number {
            fn text(&self) -> Text {
                Text::made(self.to_string())
            }
        })*
    };
}

numbers!(i32, i64, u16, u32, u64, usize);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn both(text: &Text) -> [String; 2] {
        [text.markdown(), text.to_string()]
    }

    #[test]
    fn a_word_stands_as_it_is_and_anything_else_as_code() {
        let told = |value: &str| text!("The device {} is in alarm", value).markdown();
        assert_eq!(told("pump_1-a"), "The device pump_1-a is in alarm");
        for odd in ["a b", "www.example.com", "_a_", "--", "1.", "", ":warning:", "ü", "a*b*"] {
            assert!(told(odd).contains('`'), "{odd}: {}", told(odd));
        }
        let quoted = text!("Read `{}` and **{}**", "a b", 3);
        assert_eq!(both(&quoted), ["Read `a b` and **3**", "Read 'a b' and 3"]);
        assert_eq!(both(&text!("Read {}", "a b")), ["Read `a b`", "Read 'a b'"]);
    }

    #[test]
    fn a_value_is_no_link_no_markup_and_calls_nobody() {
        let told = |value: &str| text!("{}", value).markdown();
        assert_eq!(told("<https://example.com|AWS>"), r"`\u003chttps\u003a//example.com|AWS\u003e`");
        assert_eq!(told("a`b\r\n- c\u{202e}"), r"`a\u0060b\r\n- c\u202e`");
        assert_eq!(told("@here a@example.com www.a"), r"`\u0040here a@example.com www\u002ea`");
        assert_eq!(told(&"ü".repeat(800)), format!("`{}…`", "ü".repeat(VALUE)));
    }

    #[test]
    fn texts_are_put_together() {
        let mut text = Text::joined(["a", "b c"].map(|name| text!("- {}", name)), "\n");
        text.push("\n- and more");
        assert_eq!(text.markdown(), "- a\n- `b c`\n- and more");
        assert!(Text::default().is_empty() && Text::own("").is_empty() && !text!("{}", "").is_empty());
        assert_eq!(Text::listed("a\nb").markdown(), "- a\n- b");
        let kept = serde_json::to_string(&text).unwrap();
        assert_eq!(serde_json::from_str::<Text>(&kept).unwrap(), text);
    }

    #[test]
    fn our_own_words_are_cut_last() {
        let told = text!("**{}** of `{}` is in alarm", "ä".repeat(90), "x".repeat(90));
        let short = told.markdown_within(60);
        assert!(short.starts_with("**`äää") && short.ends_with("xxx…` is in alarm"), "{short}");
        assert!(short.chars().count() <= 60 && told.plain_within(60).chars().count() <= 60);
        assert_eq!(told.markdown_within(500), told.markdown());
        assert_eq!(Text::own("äöü").plain_within(2), "ä…");
    }

    #[test]
    fn the_places_are_counted() {
        assert!(has_places("a {} b {}", 2) && has_places("", 0));
        for (wrong, values) in [("{}", 0), ("", 1), ("{name}", 1), ("}", 0), ("{", 1), ("{{}}", 1)] {
            assert!(!has_places(wrong, values), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_message_is_the_same_whatever_its_values(one in ".*|[\u{0}-\u{2070}`<>@*_|:/.a-c]*", other in ".{0,9}") {
            let text = text!("**{}** is {}\n- `{} x`: {}\n- end", one, other, other, one);
            fleetwarden_hostile::assert_same_markup(
                &text.markdown(),
                &text!("**{}** is {}\n- `{} x`: {}\n- end", "a", "b", "b", "a").markdown(),
            );
            fleetwarden_hostile::assert_seen(&text.to_string());
        }
    }
}
