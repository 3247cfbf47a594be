//! What happened, line by line, each with the time since the run began. Two runs of a seed have the same trace.

use std::hash::DefaultHasher;
use std::hash::Hash as _;
use std::hash::Hasher as _;
use std::time::Duration;

/// The lines of a run.
#[derive(Default)]
pub(crate) struct Trace {
    /// The lines, if somebody reads them.
    pub(crate) lines: Option<Vec<String>>,
    digest: DefaultHasher,
    /// How many lines there are.
    pub(crate) steps: u64,
}

impl Trace {
    /// A trace that is read, or only counted and hashed.
    pub(crate) fn new(is_read: bool) -> Self {
        Self { lines: is_read.then(Vec::new), ..Self::default() }
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, at: Duration, what: &str) {
        self.steps += 1;
        (at.as_millis(), what).hash(&mut self.digest);
        if let Some(lines) = &mut self.lines {
            let (seconds, millis) = (at.as_secs(), at.subsec_millis());
            let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
            lines.push(format!("{days}d {hours:02}:{minutes:02}:{:02}.{millis:03}  {what}", seconds % 60));
        }
    }

    /// A number that two traces share only if they are the same.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }
}
