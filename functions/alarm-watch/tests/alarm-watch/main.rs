//! The function on services in memory, with a Detect that lists what a test sets.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod incidents;
mod missed;
mod schedules;
mod setup;
mod with_detect_alarm;
