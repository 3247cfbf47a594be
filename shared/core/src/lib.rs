//! The pure core of Fleetwarden: what a finding is, what a policy says, what is decided.
//!
//! Nothing here knows an AWS client, an async runtime or a clock. Time comes in as an argument, bytes come
//! in as slices, and the same inputs give the same bytes again. The crate `fleetwarden-aws` puts the AWS SDK
//! around it and the functions put the two together.
//!
//! The modules form layers, and each imports only from layers below its own; `tests/layers.rs` checks it. From the
//! bottom:
//!
//! 1. Text, time and hashes: [`digest`], [`json`], [`nearest`], [`pack`], [`pages`], [`timestamp`], [`untrusted`].
//! 2. [`ids`]: names and identities that come from outside.
//! 3. [`model`]: findings, alarms, suppressions, mitigation actions.
//! 4. [`api`]: what AWS IoT takes and answers. [`policy`]: what is decided.
//! 5. [`message`]: what travels between the functions.
//! 6. [`alert`], [`metrics`], [`report`]: what people and CloudWatch get.

pub mod alert;
pub mod api;
pub mod digest;
pub mod ids;
pub mod json;
pub mod message;
pub mod metrics;
pub mod model;
pub mod nearest;
pub mod pack;
pub mod pages;
pub mod policy;
pub mod report;
pub mod timestamp;
pub mod untrusted;
