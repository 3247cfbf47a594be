//! The function on services in memory, with a Detect that reports what a test sets.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod models;
mod setup;
