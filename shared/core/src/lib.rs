//! The pure core of Fleetwarden: what a finding is, what a policy says, what is decided.
//!
//! Nothing here knows an AWS client, an async runtime or a clock. Time comes in as an argument, bytes come
//! in as slices, and the same inputs give the same bytes again. The crate `fleetwarden-aws` puts the AWS SDK
//! around it and the functions put the two together.
//!
//! A finding's way through the modules: [`notification`] (an audit ended) → [`message`] (what travels on the
//! queues) → [`finding`] (what was found) → [`history`] (seen before?) → [`policy`] (what now?) →
//! [`metrics`] and [`alert`] (who is told).

pub mod alarm;
pub mod alert;
pub mod api;
pub mod check;
pub mod debt;
pub mod digest;
pub mod finding;
pub mod history;
pub mod json;
pub mod listing;
pub mod message;
pub mod metrics;
pub mod mitigation;
pub mod models;
pub mod names;
pub mod notices;
pub mod notification;
pub mod pack;
pub mod pages;
pub mod policy;
pub mod record;
pub mod report;
pub mod resource;
pub mod schedule;
pub mod suppression;
pub mod thing;
pub mod timestamp;
pub mod untrusted;
