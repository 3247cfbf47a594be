//! The function on services in memory: one file a subject.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod admission;
mod alarms;
mod approval;
mod budgets;
mod canary;
mod devices;
mod follow;
mod group_budgets;
mod hold;
mod order;
mod pause;
mod refusals;
mod results;
mod revalidate;
mod service;
mod setup;
mod start;
mod windows;
