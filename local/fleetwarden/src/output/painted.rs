//! Text for a terminal: what others wrote cannot command it, and what we style is styled where the terminal shows it.

use anstyle::{AnsiColor, Color, Style};
use fleetwarden_core::untrusted::visible_lines;
use std::fmt::Write as _;

/// Titles and names.
pub(crate) const STRONG: Style = Style::new().bold();
/// What somebody has to look at.
pub(crate) const BAD: Style = color(AnsiColor::Red);
/// What may need a look.
pub(crate) const DOUBTFUL: Style = color(AnsiColor::Yellow);
/// What is as it should be.
pub(crate) const GOOD: Style = color(AnsiColor::Green);

const fn color(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(color)))
}

/// The style of a state or a severity in the words of Device Defender or our own. Other words have none.
pub(crate) fn of_state(word: &str) -> Style {
    match word.to_ascii_uppercase().as_str() {
        "CRITICAL" | "HIGH" | "FAILED" | "IN-ALARM" | "REFUSED" | "LOST" | "TRUE_POSITIVE" | "EXPIRED" => BAD,
        "MEDIUM" | "CANCELED" | "SKIPPED" | "UNKNOWN" | "IN_PROGRESS" | "PENDING_BUILD" | "HELD" => DOUBTFUL,
        "COMPLETED" | "SUCCESSFUL" | "COMPLIANT" | "ACTIVE" => GOOD,
        _ => Style::new(),
    }
}

/// A text in which nothing but our own styles commands a terminal: all else that is not seen is escaped as it comes in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Painted(String);

impl Painted {
    /// Adds a text of lines and tabs.
    pub(crate) fn push(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.0.push_str(&seen(text.as_ref()));
        self
    }

    /// Adds a text in a style.
    pub(crate) fn push_styled(&mut self, style: Style, text: impl AsRef<str>) -> &mut Self {
        if style.is_plain() {
            return self.push(text);
        }
        let _ = write!(self.0, "{style}{}{style:#}", seen(text.as_ref()));
        self
    }

    /// Adds another one.
    pub(crate) fn append(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// It as it is written to a stream that shows styles.
    pub(crate) fn styled(&self) -> &str {
        &self.0
    }

    /// It without its styles.
    pub(crate) fn plain(&self) -> String {
        anstream::adapter::strip_str(&self.0).to_string()
    }

    /// Whether there is nothing to see.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: AsRef<str>> From<T> for Painted {
    fn from(text: T) -> Self {
        Self(seen(text.as_ref()))
    }
}

/// A text of lines and tabs, of which nothing else that is not seen is left.
fn seen(text: &str) -> String {
    text.split('\t').map(visible_lines).collect::<Vec<_>>().join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_and_lines_stay_and_what_commands_a_terminal_does_not() {
        assert_eq!(Painted::from("a\tb\nc\u{1b}[2J\td\r").styled(), "a\tb\nc\\u001b[2J\td\\r");
    }

    #[test]
    fn only_our_styles_command_the_terminal() {
        let mut text = Painted::from("\u{1b}[31m");
        text.push_styled(BAD, "a\u{1b}[0m").push("\u{1b}]8;;x\u{7}");
        assert_eq!(text.styled(), "\\u001b[31m\u{1b}[31ma\\u001b[0m\u{1b}[0m\\u001b]8;;x\\u0007");
        assert_eq!(text.plain(), "\\u001b[31ma\\u001b[0m\\u001b]8;;x\\u0007");
    }
}
