//! The function `audit-notification`: Device Defender says that an audit ended.
//!
//! Before it stands the audit topic, which invokes it asynchronously; after it the check queue, with one
//! message for each check whose findings are to be triaged. A notification is a request to look: what counts is how
//! Device Defender describes the audit. That names no finding, so all that is done here is to tell the checks apart by how they
//! ended:
//!
//! - not compliant: triage lists its findings;
//! - compliant: a result like any other. It is counted as zero, and triage is asked only if there is
//!   something to bring up to date: findings that were open before, or suppressed ones;
//! - failed, canceled, without permission: an alert, since such a check has no findings.
//!
//! Modules in the order of the work: [`event`] (records of the invocation) → [`handler`] (each to its end) →
//! [`confirm`] (the audit, as the service has it), [`compare`], [`validate`] and [`mismatch`] (a notification that
//! disagrees) → [`checks`] (by what each asks for) → [`plan`] and [`dispatch`] (once for each audit), [`alerts`].

mod alerts;
mod checks;
mod compare;
mod confirm;
mod dispatch;
mod event;
mod handler;
mod mismatch;
mod plan;
mod validate;

pub use handler::Handler;
