//! The language in which an operation's input is described, after the service model's own constraints.
//!
//! [`crate::inputs`] describes every operation in it and [`crate::validate`] judges requests by it.

/// What a value must be.
pub(crate) enum Shape {
    /// A string of `min..=max` characters, all of it matching the pattern.
    Text { min: usize, max: usize, pattern: Option<&'static Pattern> },
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Whole { min: i64, max: i64 },
    /// Epoch seconds in a body, RFC 3339 in a query.
    Time,
    /// A list of `min..=max` values.
    List { of: &'static Shape, min: usize, max: usize },
    /// A map.
    Map { key: &'static Shape, value: &'static Shape },
    /// A structure.
    Record(&'static [Member]),
}

/// A pattern: its words for the error message, and the test.
pub(crate) struct Pattern {
    pub(crate) text: &'static str,
    pub(crate) matches: fn(&str) -> bool,
}

/// Where in the request a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Body,
    Path,
    Query,
    /// The header of this name, in lower case.
    Header(&'static str),
}

/// A member of a structure or of an operation's input.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) shape: &'static Shape,
    pub(crate) required: bool,
    pub(crate) place: Place,
}

/// A member that may be left out.
pub(crate) const fn may(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, shape, required: false, place: Place::Body }
}

/// A required member.
pub(crate) const fn must(name: &'static str, shape: &'static Shape) -> Member {
    Member { required: true, ..may(name, shape) }
}

impl Member {
    /// The same member, in the path.
    pub(crate) const fn in_path(self) -> Self {
        Self { place: Place::Path, ..self }
    }

    /// The same member, in a header.
    pub(crate) const fn in_header(self, header: &'static str) -> Self {
        Self { place: Place::Header(header), ..self }
    }

    /// The same member, in the query string.
    pub(crate) const fn in_query(self) -> Self {
        Self { place: Place::Query, ..self }
    }
}

/// A string without constraints.
pub(crate) const TEXT: Shape = Shape::Text { min: 0, max: usize::MAX, pattern: None };

/// A string with a length.
pub(crate) const fn text(min: usize, max: usize) -> Shape {
    Shape::Text { min, max, pattern: None }
}

/// A string with a length and a pattern.
pub(crate) const fn pattern(min: usize, max: usize, pattern: &'static Pattern) -> Shape {
    Shape::Text { min, max, pattern: Some(pattern) }
}

fn all(text: &str, allowed: fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

fn hexadecimal(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    all(digits, |c| c.is_ascii_hexdigit())
}

fn day_of_month(text: &str) -> bool {
    let day = text.parse::<u8>().is_ok_and(|day| (1..=31).contains(&day));
    text == "LAST" || (day && !text.starts_with(['0', '+']))
}

/// Letters, digits, marks, punctuation and symbols: what is neither a space nor a control.
fn graphic(c: char) -> bool {
    c == ' ' || !(c.is_control() || c.is_whitespace())
}

pub(crate) static NAME: Pattern = Pattern {
    text: "[a-zA-Z0-9_-]+",
    matches: |text| all(text, |c| c.is_ascii_alphanumeric() || "_-".contains(c)),
};
pub(crate) static NAME_WITH_COLON: Pattern = Pattern {
    text: "[a-zA-Z0-9:_-]+",
    matches: |text| all(text, |c| c.is_ascii_alphanumeric() || ":_-".contains(c)),
};
pub(crate) static TASK_ID: Pattern =
    Pattern { text: "[a-zA-Z0-9\\-]+", matches: |text| all(text, |c| c.is_ascii_alphanumeric() || c == '-') };
pub(crate) static HEXADECIMAL: Pattern = Pattern { text: "(0x)?[a-fA-F0-9]+", matches: hexadecimal };
pub(crate) static HEXADECIMAL_WITH_COLON: Pattern =
    Pattern { text: "[a-fA-F0-9:]+", matches: |text| all(text, |c| c.is_ascii_hexdigit() || c == ':') };
pub(crate) static DIGITS: Pattern =
    Pattern { text: "[0-9]+", matches: |text| all(text, |c| c.is_ascii_digit()) };
pub(crate) static POLICY_NAME: Pattern = Pattern {
    text: "[\\w+=,.@-]+",
    matches: |text| all(text, |c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)),
};
pub(crate) static GRAPHIC: Pattern =
    Pattern { text: "[\\p{Graph}\\x20]*", matches: |text| text.chars().all(graphic) };
pub(crate) static DAY_OF_MONTH: Pattern =
    Pattern { text: "^([1-9]|[12][0-9]|3[01])$|^LAST$", matches: day_of_month };
pub(crate) static TAG_KEY: Pattern = Pattern {
    text: "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$",
    matches: |text| text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_judge_whole_strings() {
        assert!((NAME.matches)("a_b-C9") && !(NAME.matches)("a:b") && !(NAME.matches)(""));
        assert!((HEXADECIMAL.matches)("0xaF") && !(HEXADECIMAL.matches)("0x"));
        assert!((GRAPHIC.matches)("a b é") && !(GRAPHIC.matches)("a\nb") && (GRAPHIC.matches)(""));
        for (day, good) in
            [("1", true), ("31", true), ("32", false), ("0", false), ("01", false), ("LAST", true)]
        {
            assert_eq!((DAY_OF_MONTH.matches)(day), good, "{day}");
        }
    }
}
