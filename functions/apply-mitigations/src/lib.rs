//! `apply-mitigations`: admits, starts and follows the mitigation tasks that the policy decided.
//!
//! Before it, `triage-findings` put a mitigation of up to 25 findings, or of a whole check, on the mitigation
//! queue. Here it passes [`admission`], is decided on again (`revalidate`), claims its findings in the ledger, is
//! started under a name that a repeat finds again, and is followed by a delayed message until Device Defender has
//! ended it: nothing else says when that is. After it, the ledger knows what became of every finding, and people were
//! alerted of what failed.
//!
//! Mitigations of alarms come on the same queue and go the same way. [`work`] is what differs between the two kinds,
//! [`findings`] and [`alarms`]; the way itself is [`start`], [`hold`], [`settle`] and [`follow`].
//!
//! A message is a request and no permission: whatever it says of its policy, its mode or its audit, the policy, the
//! ledger and the service of now are asked before every start.
//!
//! What a person has to approve waits in [`approval`].
//!
//! A message can come twice, late, or after a death at any point. So each step is done only after the one that
//! it needs, each can be done again, and what says "started" is written after all that belongs to a start.

pub mod admission;

mod alarms;
mod alerts;
mod approval;
mod backoff;
mod before;
mod canary;
mod counting;
mod devices;
mod findings;
mod follow;
mod handler;
mod hold;
mod message;
mod observe;
mod refusals;
mod registry;
mod room;
mod services;
mod settle;
mod start;
mod steps;
mod task;
mod watch;
mod work;

pub use handler::ApplyMitigations;
pub use services::Services;
