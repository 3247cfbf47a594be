//! `suppression-review` against the local endpoint: what it keeps, what it tells, and how it goes on.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod going_on;
mod house;
mod keeping;
mod meanwhile;
mod telling;
mod words;
