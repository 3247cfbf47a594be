//! What the operator reads: lines on standard output, progress and remarks on standard error.
//!
//! Results go to standard output, so that they can be piped; everything about the way there does not.

use std::io::Write as _;

/// A line of the result. A reader that has gone away is no reason to stop.
pub(crate) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A remark on the way there.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
