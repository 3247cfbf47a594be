//! A check's triage, from its message to what it leaves on the queues, in the archive and in the ledger.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod pages;
mod schedules;
mod setup;
mod things;
mod verification;
mod whole_check;
