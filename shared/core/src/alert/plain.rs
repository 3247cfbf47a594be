//! An alert's text without its marks, for who reads it as it is.

/// What stands as code or in bold stands as it is; what was escaped is again what it was.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = if first == '`' {
            code(rest, &mut out)
        } else if let Some(rest) = rest.strip_prefix("**") {
            rest
        } else if let Some((escaped, rest)) = escape(rest) {
            out.push(escaped);
            rest
        } else {
            out.push(first);
            rest.get(first.len_utf8()..).unwrap_or_default()
        };
    }
    out
}

/// One line of such a text: without line breaks, and without the spaces that they leave.
pub(super) fn line(text: &str) -> String {
    let plain = plain(text);
    let words = plain.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Takes a span of code, or the backticks that begin none.
fn code<'t>(text: &'t str, out: &mut String) -> &'t str {
    let rest = text.trim_start_matches('`');
    let (ticks, _) = text.split_at(text.len() - rest.len());
    // A span ends with as many backticks as it begins with.
    let mut from = 0;
    while let Some(found) = rest.get(from..).and_then(|rest| rest.find(ticks)) {
        let start = from + found;
        let after = rest.get(start..).unwrap_or_default();
        let beyond = after.trim_start_matches('`');
        if after.len() - beyond.len() == ticks.len() {
            out.push_str(rest.get(..start).unwrap_or_default());
            return beyond;
        }
        from = rest.len() - beyond.len();
    }
    out.push_str(ticks);
    rest
}

fn escape(text: &str) -> Option<(char, &str)> {
    for (entity, c) in [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&')] {
        if let Some(rest) = text.strip_prefix(entity) {
            return Some((c, rest));
        }
    }
    let rest = text.strip_prefix('\\')?;
    let c = rest.chars().next().filter(char::is_ascii_punctuation)?;
    Some((c, rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_and_what_they_mark_stays() {
        for (marked, expected) in [
            ("**CHECK** on `thing-*` of ``a`b``", "CHECK on thing-* of a`b"),
            ("a \\*literal\\* star, 1 &lt; 2 &amp; 3", "a *literal* star, 1 < 2 & 3"),
            ("`**not bold**` and `\\d`", "**not bold** and \\d"),
            ("an ` alone", "an ` alone"),
            ("``two` of one", "``two` of one"),
            ("- one\n- two", "- one\n- two"),
            ("`", "`"),
            ("", ""),
        ] {
            assert_eq!(plain(marked), expected);
        }
        assert_eq!(line("two\nlines,\r\n\u{7}  `one`"), "two lines, one");
    }
}
