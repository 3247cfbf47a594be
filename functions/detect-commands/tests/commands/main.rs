//! The function against the local Device Defender endpoint, in one process: every command, every rule, every fault.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod changes;
mod deaths;
mod each;
mod every;
mod follow;
mod house;
mod incidents;
mod mitigations;
mod profiles;
mod report;
mod trial;
