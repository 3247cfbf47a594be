//! The function against the local Device Defender endpoint, in one process: every command, every rule, every fault.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod changes;
mod devices;
mod gate;
mod group_budgets;
mod invocation;
mod latest;
mod limits;
mod mitigations;
mod not_started;
mod operations;
mod overlap;
mod pages;
mod repeats;
mod report;
mod rules;
mod setup;
