//! Patterns with `*` (any characters, also none) and `?` (any one character), compiled once.

use wildmatch::WildMatch;

use super::Place;

/// The longest pattern, in bytes: matching one takes at most its length times that of the text.
pub(super) const MAX_BYTES: usize = 512;

/// A compiled pattern. Most are a plain text or end with one `*`, and those are compared as bytes.
#[derive(Debug)]
pub(super) struct Glob {
    text: Box<str>,
    kind: Kind,
    place: Place,
}

#[derive(Debug)]
enum Kind {
    Any,
    Exact,
    Prefix,
    Suffix,
    Within,
    Wild(Box<WildMatch>),
}

impl Glob {
    /// Compiles a pattern, or says why it is none. It remembers where it stands in the file.
    pub(super) fn new(text: &str, place: Place) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty pattern matches nothing".into());
        }
        if text.len() > MAX_BYTES {
            return Err(format!("a pattern of {} bytes is too long; {MAX_BYTES} is the most", text.len()));
        }
        let pairs = [('[', ']'), ('{', '}')];
        if let Some((open, close)) = pairs.iter().find(|(open, close)| {
            text.find(*open).is_some_and(|at| text.get(at..).unwrap_or_default().contains(*close))
        }) {
            return Err(format!(
                "'{text}': patterns know '*' and '?', not '{open}…{close}'; write a list of patterns"
            ));
        }
        let wild = |part: &str| part.contains(['*', '?']);
        let inner = text.trim_matches('*');
        let kind = match (text.strip_prefix('*'), text.strip_suffix('*')) {
            _ if inner.is_empty() && !text.contains('?') => Kind::Any,
            _ if !wild(text) => Kind::Exact,
            (_, Some(head)) if !wild(head) => Kind::Prefix,
            (Some(tail), _) if !wild(tail) => Kind::Suffix,
            (Some(tail), Some(_)) if tail.len() > 1 && tail.strip_suffix('*').is_some_and(|t| !wild(t)) => {
                Kind::Within
            }
            _ => Kind::Wild(Box::new(WildMatch::new(text))),
        };
        Ok(Self { text: text.into(), kind, place })
    }

    /// Whether a text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        let cut = |start: usize, end: usize| self.text.get(start..self.text.len() - end).unwrap_or_default();
        match &self.kind {
            Kind::Any => true,
            Kind::Exact => *self.text == *text,
            Kind::Prefix => text.starts_with(cut(0, 1)),
            Kind::Suffix => text.ends_with(cut(1, 0)),
            Kind::Within => text.contains(cut(1, 1)),
            Kind::Wild(wild) => wild.matches(text),
        }
    }

    /// The pattern as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where it stands in the file.
    pub(super) const fn place(&self) -> Place {
        self.place
    }

    /// The one text that it matches, if it is no more than that.
    pub(super) fn exact(&self) -> Option<&str> {
        matches!(self.kind, Kind::Exact).then_some(&self.text)
    }

    /// Whether it matches every text.
    pub(super) const fn is_any(&self) -> bool {
        matches!(self.kind, Kind::Any)
    }

    /// Whether certainly no text matches both.
    pub(super) fn is_apart(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (_, Kind::Exact) => !self.matches(&other.text),
            (Kind::Exact, _) => !other.matches(&self.text),
            _ => false,
        }
    }

    /// Whether it certainly matches whatever another pattern matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        if self.text == other.text || self.is_any() {
            return true;
        }
        // The other's `*` stands for itself below: `?` must not take it for one character.
        !(self.text.contains('?') && other.text.contains(['*', '?'])) && self.matches(&other.text)
    }
}

/// Whether any of the patterns matches.
pub(super) fn any(globs: &[Glob], text: &str) -> bool {
    globs.iter().any(|glob| glob.matches(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::new(text, Place::default()).unwrap()
    }

    #[test]
    fn each_shape_matches_what_it_says() {
        let cases = [
            ("*", "", true),
            ("**", "x", true),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("ab*", "ab", true),
            ("ab*", "ba", false),
            ("*bc", "abc", true),
            ("*b*", "abc", true),
            ("*b*", "ac", false),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("a?c", "äc", false),
            ("?c", "äc", true),
            ("a*b*c", "a-b-b-c", true),
            ("ab**", "abc", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(glob(pattern).matches(text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn what_can_be_said_of_two_patterns_is_said() {
        for (one, other, apart) in [("abc", "b*", true), ("abc", "a*", false), ("a*", "b*", false)] {
            let (one, other) = (glob(one), glob(other));
            assert_eq!((one.is_apart(&other), other.is_apart(&one)), (apart, apart));
        }
        for (one, other, covers) in [
            ("a?", "a?", true),
            ("*", "a?", true),
            ("a*", "abc", true),
            ("a*", "a?c", true),
            ("a?c", "a*c", false),
        ] {
            assert_eq!(glob(one).covers(&glob(other)), covers, "{one} and {other}");
        }
    }

    #[test]
    fn what_other_tools_call_a_pattern_is_refused() {
        for text in ["", "lab-[0-9]*", "{a,b}*", &"x".repeat(513)] {
            assert!(Glob::new(text, Place::default()).is_err(), "{text}");
        }
        assert!(Glob::new("a]b[", Place::default()).is_ok());
    }

    #[test]
    fn a_pattern_that_is_made_to_be_slow_is_not() {
        let slow = glob(&"*a".repeat(200));
        let text = "a".repeat(2_000) + "b";
        let began = std::time::Instant::now();
        assert!(!slow.matches(&text));
        assert!(began.elapsed().as_secs() < 1);
    }

    proptest::proptest! {
        #[test]
        fn what_a_pattern_covers_it_also_matches(a in "[ab*?]{1,5}", b in "[ab*?]{1,5}", text in "[ab]{0,6}") {
            let (a, b) = (glob(&a), glob(&b));
            if a.covers(&b) && b.matches(&text) {
                assert!(a.matches(&text), "{} covers {} but not {text}", a.text(), b.text());
            }
            assert!(!(a.is_apart(&b) && a.matches(&text) && b.matches(&text)), "{} {}", a.text(), b.text());
        }

        #[test]
        fn every_shape_agrees_with_the_general_matcher(pattern in "[ab*?]{1,6}", text in "[abä]{0,8}") {
            assert_eq!(glob(&pattern).matches(&text), WildMatch::new(&pattern).matches(&text));
        }
    }
}
