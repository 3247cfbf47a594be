//! The function against the local Device Defender endpoint, in one process: every command, every rule, every fault.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod approval;
mod changes;
mod deaths;
mod follow;
mod incidents;
mod invocation;
mod mitigations;
mod operations;
mod profiles;
mod report;
mod setup;
mod trial;
