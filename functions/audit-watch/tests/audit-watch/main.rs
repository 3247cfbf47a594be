//! `audit-watch` against the local endpoint: what it notices, publishes and alerts on.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod calls;
mod configuration;
mod crashes;
mod invocations;
mod lost;
mod schedules;
mod setup;
