//! `triage-findings`: the only reader of findings.
//!
//! Before it, `audit-notification` put one message on the check queue for each check of an audit that ended.
//! Here the findings of that check are listed 250 at a time, each is decided on by the policy, and what is to
//! happen with it goes to the suppression, mitigation and finding queues. Memory does not grow with the
//! audit: a page is done before the next one is looked at, and what has to outlive it is on disk.
//!
//! Modules in the order of the work: [`handler`] (a message) → [`step`] (once, and what it leaves) → [`run`] (pages until
//! the deadline) → [`listing`], [`findings`], [`lookup`] (a page, what was known of its findings, the things behind them)
//! → [`recording`] (what was decided on it first) → [`outbox`] (its messages) and [`history`] (merged by [`sort`]) →
//! [`verification`] (what was mitigated before, and is still there).

mod findings;
mod handler;
mod history;
mod listing;
mod lookup;
mod outbox;
mod recording;
mod run;
mod sort;
mod step;
mod verification;

pub use handler::Handler;
pub use handler::Queues;
