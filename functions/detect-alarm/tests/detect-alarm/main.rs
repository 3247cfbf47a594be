//! The function on services in memory, with its queue as Lambda reads it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod burst;
mod incidents;
mod messages;
mod order;
mod outcomes;
mod service;
mod setup;
