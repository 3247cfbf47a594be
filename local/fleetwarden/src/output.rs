//! What the operator reads: lines on standard output, progress and remarks on standard error.
//!
//! Results go to standard output, so that they can be piped; everything about the way there does not.

use anyhow::{Context as _, Result};
use fleetwarden_core::untrusted::visible_lines;
use indicatif::ProgressBar;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The first failure to write a line, and where.
static LOST: Mutex<Option<(&str, io::Error)>> = Mutex::new(None);

const RESULT: &str = "standard output";
const REMARKS: &str = "standard error";

/// A line of the result. A failure to write it is reported by [`finish`]. Nothing in it commands the terminal.
pub(crate) fn line(text: impl std::fmt::Display) {
    written(RESULT, writeln!(io::stdout().lock(), "{}", seen(&text.to_string())));
}

/// A text of lines and tabs, of which nothing else that is not seen reaches the terminal.
fn seen(text: &str) -> String {
    text.split('\t').map(visible_lines).collect::<Vec<_>>().join("\t")
}

/// Writes what is left of the result.
///
/// # Errors
/// If a part of the result or a remark was not written, for example because the disk is full. A closed pipe is no error:
/// its reader, such as `head`, has had enough.
pub(crate) fn finish() -> Result<()> {
    written(RESULT, io::stdout().lock().flush());
    let lost = LOST.lock().unwrap_or_else(PoisonError::into_inner).take();
    lost.map_or(Ok(()), |(place, error)| Err(error).with_context(|| format!("{place} is incomplete")))
}

/// Prints what the parser of the command line says, help included, and gives its exit code.
pub(crate) fn of_parser(said: &clap::Error) -> ExitCode {
    written(if said.use_stderr() { REMARKS } else { RESULT }, said.print());
    match finish() {
        Ok(()) => ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(2)),
        Err(error) => {
            note(format!("fleetwarden: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn written(place: &'static str, result: io::Result<()>) {
    let Err(error) = result else { return };
    if error.kind() != ErrorKind::BrokenPipe {
        LOST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((place, error));
    }
}

/// A text in lines of at most so many columns, broken between words.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let wide = word.chars().count();
        if used > 0 && used + 1 + wide > width {
            out.push('\n');
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += wide;
    }
    out
}

/// A remark on the way there. A failure to write it is reported by [`finish`], at least by the exit code.
pub(crate) fn note(text: impl std::fmt::Display) {
    written(REMARKS, writeln!(io::stderr().lock(), "{}", visible_lines(&text.to_string())));
}

/// Shows that something is waited for, where somebody looks: it hides itself when standard error is no terminal.
pub(crate) fn waiting(what: impl Into<String>) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what.into());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

#[cfg(test)]
mod tests {
    use super::seen;

    #[test]
    fn tabs_and_lines_stay_and_what_commands_a_terminal_does_not() {
        assert_eq!(seen("a\tb\nc\u{1b}[2J\td\r"), "a\tb\nc\\u001b[2J\td\\r");
    }
}
