//! Thin adapters around the AWS SDK, shared by the functions.
//!
//! Each adapter does one thing with one service and knows nothing of findings beyond the types of
//! `fleetwarden-core`. A function's `main` reads its [`settings`], makes its [`clients`] and hands both to
//! its handler, so that a handler also runs in a test with clients on an in-process connector and a clock
//! of the test's own.

pub mod alarms;
pub mod alerts;
pub mod archive;
pub mod batch;
pub mod check_states;
pub mod clients;
pub mod clock;
pub mod error;
pub mod findings;
pub mod fleet;
pub mod grades;
pub mod impact;
pub mod invocation;
pub mod iot_api;
pub mod ledger;
pub mod mitigations;
pub mod model_status;
pub mod original_words;
pub mod pace;
pub mod pause;
pub mod policy;
pub mod populations;
pub mod profile_devices;
pub mod queue;
pub mod registry;
mod rest;
pub mod retries;
pub mod schedule;
pub mod settings;
pub mod state_item;
pub mod states;
pub mod suppressions;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod thing_groups;
pub mod topic;
pub mod undo;

pub use error::Error;
