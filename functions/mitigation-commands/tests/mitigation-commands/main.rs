//! The function on a ledger in memory: what it tells of every kind of task, page by page, and what it refuses.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod alias;
mod approval;
mod budget;
mod input;
mod list;
mod pause;
mod setup;
mod show;
mod undo;
