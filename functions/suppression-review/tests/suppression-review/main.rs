//! `suppression-review` against the local endpoint: what it keeps, what it tells, and how it goes on.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod alerts;
mod continuation;
mod modified;
mod original_words;
mod reconcile;
mod setup;
