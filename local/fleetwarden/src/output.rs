//! What the operator reads: lines on standard output, progress and remarks on standard error.
//!
//! Results go to standard output, so that they can be piped; everything about the way there does not. Styles are written
//! where `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and the terminal want them.

mod layout;
mod painted;
mod table;
mod wrap;

pub(crate) use layout::{Layout, Width};
pub(crate) use painted::{BAD, DOUBTFUL, GOOD, Painted, of_state};
pub(crate) use table::{Cell, Kind, Table};
pub(crate) use wrap::{width, wrapped};

use crate::exit::Exit;
use anyhow::{Context as _, Result};
use fleetwarden_core::timestamp::Millis;
use indicatif::ProgressBar;
use std::io::{self, ErrorKind, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The first failure to write a line, and where.
static LOST: Mutex<Option<(&str, io::Error)>> = Mutex::new(None);

const RESULT: &str = "standard output";
const REMARKS: &str = "standard error";

/// A line of the result. A failure to write it is reported by [`finish`]. Nothing in it but our styles commands the
/// terminal.
pub(crate) fn line(text: impl Into<Painted>) {
    written(RESULT, writeln!(anstream::stdout().lock(), "{}", text.into().styled()));
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
pub(crate) fn of_parser(said: &clap::Error) -> Exit {
    written(if said.use_stderr() { REMARKS } else { RESULT }, said.print());
    match finish() {
        Ok(()) if said.use_stderr() => Exit::Usage,
        Ok(()) => Exit::Done,
        Err(error) => {
            note(format!("fleetwarden: {error:#}"));
            Exit::Failed
        }
    }
}

fn written(place: &'static str, result: io::Result<()>) {
    let Err(error) = result else { return };
    if error.kind() != ErrorKind::BrokenPipe {
        LOST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((place, error));
    }
}

/// A remark on the way there. A failure to write it is reported by [`finish`], at least by the exit code.
pub(crate) fn note(text: impl Into<Painted>) {
    written(REMARKS, writeln!(anstream::stderr().lock(), "{}", text.into().styled()));
}

/// Shows that something is waited for, where somebody looks: it hides itself when standard error is no terminal.
pub(crate) fn waiting(what: impl Into<String>) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what.into());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// A moment as people read it and as options take it: `2026-11-23T08:00:00Z`. What is no time stays as it is.
pub(crate) fn moment(text: &str) -> String {
    Millis::parse(text).map_or_else(|| text.to_owned(), Millis::rfc3339)
}

/// A number of things: `1 device`, `2 devices`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}
