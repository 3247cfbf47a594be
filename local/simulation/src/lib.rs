//! The whole stack in one process: the functions as they ship, on one virtual clock, under every order of events that AWS
//! documents and every fault, from a seed.
//!
//! One seed gives one run, byte for byte: everything random is drawn from it, and time passes only when every function
//! waits. A run is a [`world`] (AWS around the functions: Device Defender's endpoint, queues, ledger, bucket, logs and
//! topics) in which [`lambda`] runs the [`functions`] of the [`stack`], a [`workload`] that is drawn from the seed, with
//! [`alarms`] in about half of them, [`operators`] and [`undoers`] in a third each, [`guards`] in eleven of twelve,
//! [`approvers`] where a mitigation waits for them, [`connections`] that are lost behind a canary, [`weather`] (which faults
//! strike, and how often), and after it a [`judge`] that is no code of the product, with [`acts`] (what the functions did).
//! What happened is a [`trace`]; [`mod@shrink`] finds the least of a seed that still breaks a promise.

#![expect(
    clippy::indexing_slicing,
    reason = "what JSON does not have is null, and what is drawn from a list is in it"
)]

mod acts;
mod alarms;
mod approvers;
mod connections;
mod functions;
mod guards;
mod judge;
mod lambda;
mod operators;
mod policies;
mod run;
mod shrink;
mod stack;
mod trace;
mod undoers;
mod weather;
mod windows;
mod workload;
mod world;

pub use run::Outcome;
pub use run::Part;
pub use run::run;
pub use run::run_part;
pub use shrink::shrink;
