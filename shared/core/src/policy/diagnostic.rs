//! What is wrong with a policy file, and where: said so that an editor can jump to it.

use std::fmt;
use std::fmt::Write as _;

use serde::Serialize;

use crate::untrusted::is_unseen;
use crate::untrusted::visible as on_one_line;

/// How many columns of the line in question are shown at most.
const SHOWN: usize = 100;
/// How many errors a refused file names in one text.
const NAMED: usize = 10;

/// Whether a policy file can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The file is refused.
    Error,
    /// The file is used, but does not do what its author would expect.
    Warning,
    /// The file does what it says; what is said is what it depends on besides.
    Note,
}

/// A place in a policy file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line, from 1; 0 if the whole file is meant.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// One thing that is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// How bad it is.
    pub level: Level,
    /// What is wrong, and what is allowed.
    pub what: String,
}

impl Diagnostic {
    /// That the file cannot be used, because of what stands at a place.
    pub fn error(place: Place, what: impl Into<String>) -> Self {
        Self { place, level: Level::Error, what: what.into() }
    }

    pub(super) fn warning(place: Place, what: impl Into<String>) -> Self {
        Self { place, level: Level::Warning, what: what.into() }
    }

    pub(super) fn note(place: Place, what: impl Into<String>) -> Self {
        Self { place, level: Level::Note, what: what.into() }
    }

    /// The diagnostic as compilers write it and editors read it, with the line in question under it:
    ///
    /// ```text
    /// policy.yaml:7:14: error: 'CA_CERT_CHECK' is no audit check; did you mean 'REVOKED_CA_…'?
    ///     7 |       check: CA_CERT_CHECK
    ///       |              ^
    /// ```
    pub fn render(&self, file: &str, text: &str) -> String {
        let Self { place: Place { line, column }, level, what } = self;
        let (file, what) = (on_one_line(file), on_one_line(what));
        let level = match level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        };
        if *line == 0 {
            return format!("{file}: {level}: {what}");
        }
        let mut out = format!("{file}:{line}:{column}: {level}: {what}");
        let (at, before) = (*line as usize, (*column as usize).saturating_sub(1));
        if let Some(source) = text.lines().nth(at - 1) {
            // Of a line that is too wide, the part around the column is shown.
            let skip = before.saturating_sub(SHOWN / 2);
            let shown: String = source.chars().skip(skip).take(SHOWN).map(visible).collect();
            let blank = " ".repeat(before - skip);
            let _ = write!(out, "\n{at:>5} | {}\n      | {blank}^", shown.trim_end());
        }
        out
    }
}

/// A character that takes one column in any terminal.
fn visible(c: char) -> char {
    if is_unseen(c) { ' ' } else { c }
}

/// Why a policy file is refused: everything that is wrong with it, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyErrors(pub(super) Vec<Diagnostic>);

impl PolicyErrors {
    /// The errors, one at least.
    pub fn all(&self) -> &[Diagnostic] {
        &self.0
    }
}

impl From<Diagnostic> for PolicyErrors {
    fn from(only: Diagnostic) -> Self {
        Self(vec![only])
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Diagnostic { place, what, .. }) in self.0.iter().take(NAMED).enumerate() {
            let line = if at == 0 { "" } else { "\n" };
            match place.line {
                0 => write!(f, "{line}policy: {what}")?,
                _ => write!(f, "{line}policy:{}:{}: {what}", place.line, place.column)?,
            }
        }
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more errors"),
        }
    }
}

impl std::error::Error for PolicyErrors {}
