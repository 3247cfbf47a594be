//! What Fleetwarden works on: findings, alarms, suppressions, mitigation actions and models, and what AWS says of each.

pub mod action;
pub mod alarm;
pub mod check;
pub mod debt;
pub mod finding;
pub mod history;
pub mod mitigation;
pub mod ml;
pub mod resource;
pub mod schedule;
pub mod severity;
pub mod suppression;
pub mod thing;
