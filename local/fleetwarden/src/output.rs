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

/// The first failure to write a line of the result.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// A line of the result. A failure to write it is reported by [`finish`]. Nothing in it commands the terminal.
pub(crate) fn line(text: impl std::fmt::Display) {
    written(writeln!(io::stdout().lock(), "{}", visible_lines(&text.to_string())));
}

/// Writes what is left of the result.
///
/// # Errors
/// If a part of the result was not written, for example because the disk is full. A closed pipe is no error: its reader,
/// such as `head`, has had enough.
pub(crate) fn finish() -> Result<()> {
    written(io::stdout().lock().flush());
    let lost = LOST.lock().unwrap_or_else(PoisonError::into_inner).take();
    lost.map_or(Ok(()), |error| Err(error).context("standard output is incomplete"))
}

/// Prints what the parser of the command line says, help included, and gives its exit code.
pub(crate) fn of_parser(said: &clap::Error) -> ExitCode {
    written(said.print());
    match finish() {
        Ok(()) => ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(2)),
        Err(error) => {
            note(format!("fleetwarden: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn written(result: io::Result<()>) {
    let Err(error) = result else { return };
    if error.kind() != ErrorKind::BrokenPipe {
        LOST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
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

/// A remark on the way there.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{}", visible_lines(&text.to_string()));
}

/// Shows that something is waited for, where somebody looks: it hides itself when standard error is no terminal.
pub(crate) fn waiting(what: impl Into<String>) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what.into());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
