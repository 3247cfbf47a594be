//! The function `export-findings`: what triage decided, where people and tools can read it.
//!
//! Before it stands the finding queue, which triage and `detect-alarm` send to; nothing comes after it. A message is some
//! findings of a check, the check's summary, or an event of an alarm:
//!
//! - a [`page`] of findings goes to the findings log, one event each, and to the archive, one object; the
//!   findings are text that triage wrote, and stay it;
//! - a [`summary`] becomes metrics, the check's record in the ledger, and one of the [`alerts`] if there are findings to look at;
//! - an event of an [`alarm`] goes to the findings log and to the archive.
//!
//! SQS delivers at least once. An object replaces itself and a metric is a gauge, so those repeat without
//! harm; a log only grows, so [`log`] finds out what is in it before it adds to what another delivery began.

mod alarm;
mod alerts;
mod handler;
mod log;
mod page;
mod summary;

pub use handler::Handler;
pub use log::FindingsLog;
