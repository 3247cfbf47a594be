//! The function as Lambda runs it, on the SDK's own clients and a small AWS in memory.

#![recursion_limit = "256"] // the futures of one invocation nest deeper than the compiler's default
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod audits;
mod confirm;
mod events;
mod faults;
mod schedules;
mod setup;
