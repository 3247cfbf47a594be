//! The function `audit-notification`: Device Defender says that an audit ended.
//!
//! Before it stands the audit topic, which invokes it asynchronously; after it the check queue, with one
//! message for each check whose findings are to be triaged. A notification is a request to look: what counts is how
//! Device Defender describes the audit. That names no finding, so all that is done here is to sort the checks by how
//! they ended:
//!
//! - not compliant: triage lists its findings;
//! - compliant: a result like any other. It is counted as zero, and triage is asked only if there is
//!   something to bring up to date: findings that were open before, or suppressed ones;
//! - failed, canceled, without permission: people are told, since nobody else would.
//!
//! Modules in the order of the work: [`event`] (records of the invocation) → [`handler`] (each to its end) →
//! [`confirm`] (the audit, as the service has it) and [`mismatch`] (a notification that disagrees) → [`outcome`] (the
//! checks, sorted) → [`dispatch`] (once for each audit) and [`trouble`] (the alert).

mod confirm;
mod dispatch;
mod event;
mod handler;
mod mismatch;
mod outcome;
mod trouble;

pub use handler::Handler;

#[cfg(test)]
mod tests;
