//! The demonstration: what became of every finding of two audits, counted on both sides.
//!
//! One side is the Device Defender endpoint, which knows what is wrong with the fleet and what was done to it
//! ([`truth`]); the other is what Fleetwarden left behind, a log event for every finding ([`exported`]).
//! [`drain`] waits until the queues are empty, [`crash`] kills functions on the way, [`summary`] puts both
//! sides together and says what was lost and what was done twice, and [`table`] shows it. [`report`] asks the stack
//! itself for the report of the last audit, [`review`] has its suppressions reviewed before, and both are held against
//! the endpoint. [`guards`] then shows what holds, stops and undoes mitigations. [`detect`] is a demonstration of its own,
//! of alarms. [`invoke`] asks functions, and [`inbox`] has the alerts.

pub(crate) mod archive;
pub(crate) mod crash;
pub(crate) mod detect;
pub(crate) mod drain;
pub(crate) mod exported;
pub(crate) mod guards;
mod inbox;
mod invoke;
pub(crate) mod report;
pub(crate) mod review;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod truth;
