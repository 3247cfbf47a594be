//! The function against findings and suppressions in memory, on a virtual clock.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod order;
mod service;
mod setup;
mod suppressions;
mod words;
