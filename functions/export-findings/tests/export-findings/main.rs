//! The function as Lambda runs it, on the SDK's own clients and a small AWS in memory.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod alarms;
mod pages;
mod records;
mod schedules;
mod setup;
mod summaries;
