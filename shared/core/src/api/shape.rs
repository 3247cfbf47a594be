//! The language in which an operation's input is described, after the service model's own constraints.
//!
//! `inputs` describes every operation in it; callers and the local endpoint judge by it.

/// What a value must be.
#[derive(Debug)]
pub enum Shape {
    /// A string of `min..=max` characters, all of it matching the pattern.
    Text {
        /// The fewest characters.
        min: usize,
        /// The most characters.
        max: usize,
        /// The pattern.
        pattern: Option<&'static Pattern>,
    },
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Whole {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// A number, with a fraction or without.
    Number,
    /// Epoch seconds in a body, RFC 3339 in a query.
    Time,
    /// A list of `min..=max` values.
    List {
        /// What each value must be.
        of: &'static Shape,
        /// The fewest values.
        min: usize,
        /// The most values.
        max: usize,
    },
    /// A map.
    Map {
        /// What each key must be.
        key: &'static Shape,
        /// What each value must be.
        value: &'static Shape,
    },
    /// A structure.
    Record(&'static [Member]),
}

/// A pattern: its words for the error message, and the test.
#[derive(Debug)]
pub struct Pattern {
    /// The pattern as the service model writes it.
    pub text: &'static str,
    /// The test.
    pub matches: fn(&str) -> bool,
}

/// Where in the request a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the body, under its name.
    Body,
    /// In the path, where its name stands in braces.
    Path,
    /// In the query string, under this name.
    Query(&'static str),
    /// The header of this name, in lower case.
    Header(&'static str),
}

/// A member of a structure or of an operation's input.
#[derive(Debug)]
pub struct Member {
    /// Its name, as the API and the AWS CLI write it.
    pub name: &'static str,
    /// What its value must be.
    pub shape: &'static Shape,
    /// Whether a request without it is refused.
    pub required: bool,
    /// Where it stands.
    pub place: Place,
}

/// A member that may be left out.
pub(super) const fn may(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, shape, required: false, place: Place::Body }
}

/// A required member.
pub(super) const fn must(name: &'static str, shape: &'static Shape) -> Member {
    Member { required: true, ..may(name, shape) }
}

impl Member {
    /// The same member, in the path.
    pub(super) const fn in_path(self) -> Self {
        Self { place: Place::Path, ..self }
    }

    /// The same member, in a header.
    pub(super) const fn in_header(self, header: &'static str) -> Self {
        Self { place: Place::Header(header), ..self }
    }

    /// The same member, in the query string.
    pub(super) const fn in_query(self) -> Self {
        Self { place: Place::Query(self.name), ..self }
    }

    /// The same member, in the query string under another name.
    pub(super) const fn in_query_as(self, name: &'static str) -> Self {
        Self { place: Place::Query(name), ..self }
    }
}

/// A string without constraints.
pub(super) const TEXT: Shape = Shape::Text { min: 0, max: usize::MAX, pattern: None };

/// A string with a length.
pub(super) const fn text(min: usize, max: usize) -> Shape {
    Shape::Text { min, max, pattern: None }
}

/// A string with a length and a pattern.
pub(super) const fn pattern(min: usize, max: usize, pattern: &'static Pattern) -> Shape {
    Shape::Text { min, max, pattern: Some(pattern) }
}

fn all(text: &str, allowed: fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

fn hexadecimal(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    all(digits, |c| c.is_ascii_hexdigit())
}

fn marker(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    text.len() - digits.len() <= 2 && all(digits, |c| c.is_ascii_alphanumeric() || "+/".contains(c))
}

fn day_of_month(text: &str) -> bool {
    let day = text.parse::<u8>().is_ok_and(|day| (1..=31).contains(&day));
    text == "LAST" || (day && !text.starts_with(['0', '+']))
}

/// `\p{Graph}` is only ASCII in Java's regular expressions, unless a flag says otherwise.
fn graphic(c: char) -> bool {
    c == ' ' || c.is_ascii_graphic()
}

/// The pattern of a name.
pub static NAME: Pattern = Pattern {
    text: "[a-zA-Z0-9_-]+",
    matches: |text| all(text, |c| c.is_ascii_alphanumeric() || "_-".contains(c)),
};
/// The pattern of a name of a thing or a group.
pub static NAME_WITH_COLON: Pattern = Pattern {
    text: "[a-zA-Z0-9:_-]+",
    matches: |text| all(text, |c| c.is_ascii_alphanumeric() || ":_-".contains(c)),
};
/// The pattern of a audit task's id.
pub static TASK_ID: Pattern =
    Pattern { text: "[a-zA-Z0-9\\-]+", matches: |text| all(text, |c| c.is_ascii_alphanumeric() || c == '-') };
/// The pattern of a hexadecimal id.
pub static HEXADECIMAL: Pattern = Pattern { text: "(0x)?[a-fA-F0-9]+", matches: hexadecimal };
/// The pattern of a serial number.
pub static HEXADECIMAL_WITH_COLON: Pattern =
    Pattern { text: "[a-fA-F0-9:]+", matches: |text| all(text, |c| c.is_ascii_hexdigit() || c == ':') };
/// The pattern of a number.
pub static DIGITS: Pattern = Pattern { text: "[0-9]+", matches: |text| all(text, |c| c.is_ascii_digit()) };
/// The pattern of a policy's name.
pub static POLICY_NAME: Pattern = Pattern {
    text: "[\\w+=,.@-]+",
    matches: |text| all(text, |c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)),
};
/// The pattern of an attribute's name.
pub static ATTRIBUTE_NAME: Pattern = Pattern {
    text: "[a-zA-Z0-9_.,@/:#-]+",
    matches: |text| all(text, |c| c.is_ascii_alphanumeric() || "_.,@/:#-".contains(c)),
};
/// The pattern of an attribute's value.
pub static ATTRIBUTE_VALUE: Pattern = Pattern {
    text: "[a-zA-Z0-9_.,@/:#=\\[\\]-]*",
    matches: |text| text.chars().all(|c| c.is_ascii_alphanumeric() || "_.,@/:#=[]-".contains(c)),
};
/// The pattern of a marker, which is the token of the older lists.
pub static MARKER: Pattern = Pattern { text: "[A-Za-z0-9+/]+={0,2}", matches: marker };
/// The pattern of a destination of logs.
pub static LOG_DESTINATION: Pattern = Pattern {
    text: "^[.\\-_/#A-Za-z0-9]+$",
    matches: |text| all(text, |c| c.is_ascii_alphanumeric() || ".-_/#".contains(c)),
};
/// The pattern of a description.
pub static GRAPHIC: Pattern =
    Pattern { text: "[\\p{Graph}\\x20]*", matches: |text| text.chars().all(graphic) };
/// The pattern of a day of the month.
pub static DAY_OF_MONTH: Pattern =
    Pattern { text: "^([1-9]|[12][0-9]|3[01])$|^LAST$", matches: day_of_month };
/// The pattern of an address or a network.
pub static CIDR: Pattern = Pattern {
    text: "[a-fA-F0-9:\\.\\/]+",
    matches: |text| all(text, |c| c.is_ascii_hexdigit() || ":./".contains(c)),
};
/// The pattern of a statistic over a profile's devices.
pub static STATISTIC: Pattern = Pattern {
    text: "(p0|p0\\.1|p0\\.01|p1|p10|p50|p90|p99|p99\\.9|p99\\.99|p100)",
    matches: |text| STATISTICS.contains(&text),
};
const STATISTICS: [&str; 11] =
    ["p0", "p0.1", "p0.01", "p1", "p10", "p50", "p90", "p99", "p99.9", "p99.99", "p100"];
/// The pattern of the description of a verification.
pub static NO_CONTROLS: Pattern =
    Pattern { text: "[^\\p{Cntrl}]*", matches: |text| !text.contains(char::is_control) };
/// The pattern of a tag's key.
pub static TAG_KEY: Pattern = Pattern {
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
        assert!((ATTRIBUTE_VALUE.matches)("[a]=b") && (ATTRIBUTE_VALUE.matches)(""));
        assert!((ATTRIBUTE_NAME.matches)("a/b#c") && !(ATTRIBUTE_NAME.matches)("a=b"));
        assert!((MARKER.matches)("aB+/9==") && !(MARKER.matches)("==") && !(MARKER.matches)("a==="));
        assert!((GRAPHIC.matches)("a b ~") && (GRAPHIC.matches)(""));
        assert!(!(GRAPHIC.matches)("a\nb") && !(GRAPHIC.matches)("é"));
        assert!((CIDR.matches)("2001:db8::/32") && !(CIDR.matches)("10.0.0.g") && !(CIDR.matches)(""));
        assert!((STATISTIC.matches)("p99.9") && !(STATISTIC.matches)("p99x9") && !(STATISTIC.matches)("p2"));
        assert!(
            (NO_CONTROLS.matches)("") && (NO_CONTROLS.matches)("a é") && !(NO_CONTROLS.matches)("a\u{7f}")
        );
        for (day, good) in
            [("1", true), ("31", true), ("32", false), ("0", false), ("01", false), ("LAST", true)]
        {
            assert_eq!((DAY_OF_MONTH.matches)(day), good, "{day}");
        }
    }
}
