//! The function `suppression-review`: reconciles standing suppressions, and reports expiries and suppression debt.
//!
//! A schedule invokes it, or somebody who wants to know now. After it, Device Defender has the suppressions that the
//! policy wants standing, people know of each suppression that expires soon, has expired, or was modified outside
//! Fleetwarden, and the debt of suppressions is counted.
//!
//! Modules in the order of the work: [`handler`] (an invocation) → [`review`] (the phases of a review) → [`members`]
//! (which suppressions are wanted) → [`list`] (the suppressions that there are, and the findings that they hid) with
//! [`plan`] (what becomes of each) → [`drift`] (what was modified since the [`snapshot`] of the review before) →
//! [`apply`] (creates, updates, deletes) with [`revalidate`] (is it still as it was listed) → [`summary`] → [`alerts`]
//! and [`answer`].
//!
//! What one invocation has no time for is continued by the next: [`state`] goes to the archive and a message to the
//! function's own queue ([`store`]). Until that review has ended, other reviews read and report only ([`lease`]).

mod alerts;
mod answer;
mod apply;
mod drift;
mod handler;
mod iot;
mod last_audits;
mod lease;
mod list;
mod members;
mod owners;
mod plan;
mod resources;
mod returned;
mod revalidate;
mod review;
mod settle;
mod snapshot;
mod state;
mod store;
mod summary;

pub use handler::Handler;
