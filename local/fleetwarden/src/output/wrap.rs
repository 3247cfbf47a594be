//! Lines of at most so many columns.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// A text in lines of at most so many columns: broken between words, else behind the signs that join the parts of a name
/// or an id, else anywhere. What is broken is whole again when the lines are put together.
pub(crate) fn lines(text: &str, most: usize) -> Vec<String> {
    let most = most.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split_inclusive(' ') {
            add_word(word, most, &mut line, &mut lines);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// Adds a word and the space behind it.
fn add_word(word: &str, most: usize, line: &mut String, lines: &mut Vec<String>) {
    let bare = width(word.trim_end());
    if width(line) + bare > most && !line.is_empty() && bare <= most {
        end(line, lines);
    }
    if width(line) + bare <= most {
        line.push_str(word);
        return;
    }
    for part in joined_parts(word) {
        if width(line) + width(part.trim_end()) > most && !line.is_empty() {
            end(line, lines);
        }
        if width(line) + width(part.trim_end()) <= most {
            line.push_str(part);
            continue;
        }
        for part in capital_parts(part) {
            add_letters(part, most, line, lines);
        }
    }
}

/// Adds a part that may be wider than a line.
fn add_letters(part: &str, most: usize, line: &mut String, lines: &mut Vec<String>) {
    if width(line) + width(part.trim_end()) > most && !line.is_empty() {
        end(line, lines);
    }
    for letter in part.chars() {
        if width(line) + letter.width().unwrap_or(0) > most && letter != ' ' && !line.is_empty() {
            end(line, lines);
        }
        line.push(letter);
    }
}

fn end(line: &mut String, lines: &mut Vec<String>) {
    lines.push(line.trim_end().to_owned());
    line.clear();
}

/// The parts of a word, each with the sign that joins it to the next.
fn joined_parts(word: &str) -> impl Iterator<Item = &str> {
    word.split_inclusive(|c| "_-/:,;=.|".contains(c))
}

/// The parts of a word that begin with a capital.
fn capital_parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut before = ' ';
    for (at, letter) in word.char_indices() {
        if before.is_lowercase() && letter.is_uppercase() {
            parts.extend(word.get(start..at));
            start = at;
        }
        before = letter;
    }
    parts.extend(word.get(start..));
    parts
}

/// The same as one text.
pub(crate) fn wrapped(text: &str, most: usize) -> String {
    lines(text, most).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_then_parts_of_names_then_letters_are_broken() {
        for (text, most, expected) in [
            ("a quick fox", 20, &["a quick fox"][..]),
            ("a quick fox", 7, &["a quick", "fox"]),
            ("two\nlines here", 6, &["two", "lines", "here"]),
            ("REVOKED_DEVICE_CERTIFICATE_CHECK", 20, &["REVOKED_DEVICE_", "CERTIFICATE_CHECK"]),
            ("is arn:aws:iam::1:role/x", 12, &["is arn:aws:", "iam::1:role/", "x"]),
            (
                "checks.LOGGING_DISABLED_CHECK.isCompliant",
                36,
                &["checks.LOGGING_DISABLED_CHECK.", "isCompliant"],
            ),
            ("FleetwardenQuarantineThings", 22, &["FleetwardenQuarantine", "Things"]),
            ("0123456789", 4, &["0123", "4567", "89"]),
            ("泵泵泵", 4, &["泵泵", "泵"]),
            ("", 4, &[""]),
        ] {
            assert_eq!(lines(text, most), expected, "{text:?} in {most}");
        }
    }

    #[test]
    fn no_line_is_wider_and_nothing_is_lost() {
        let text = "In 3 audits: 9449c7f3a93cf0c55a675ddf1c83732d87d56255e70b150d9e6f3cf863bb7fc1, 泵-2";
        for most in 2..100 {
            let lines = lines(text, most);
            assert!(lines.iter().all(|line| width(line) <= most), "{most}: {lines:?}");
            assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""), "{most}");
        }
    }
}
