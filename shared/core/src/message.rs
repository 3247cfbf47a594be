//! What travels on the queues between the functions, and the records that they leave. All of it is JSON.
//!
//! A consumer gets what it needs in its message and asks AWS for nothing that the sender knew: triage is the
//! only reader of findings.

pub mod alarm;
pub mod alarm_record;
mod audit;
mod check;
mod export;
mod finding;
mod incoming;
mod mitigation;
mod own;
pub mod record;
mod suppression;
mod tally;

pub use audit::Audit;
pub use check::CheckMessage;
pub use check::PendingCanary;
pub use check::PendingMitigation;
pub use check::Resume;
pub use export::Export;
pub use export::ExportMessage;
pub use export::FindingRecord;
pub use finding::FindingRef;
pub use finding::Past;
pub use incoming::Incoming;
pub use mitigation::CanaryPart;
pub use mitigation::CountInGroup;
pub use mitigation::Held;
pub use mitigation::MitigationMessage;
pub use mitigation::MitigationRequest;
pub use mitigation::Origin;
pub use mitigation::Round;
pub use mitigation::Step;
pub use mitigation::Target;
pub use own::OfAccount;
pub use own::read_own;
pub use suppression::SuppressionMessage;
pub use tally::Counts;
pub use tally::Decided;
pub use tally::OTHER_REASONS;
pub use tally::OTHER_RULES;
pub use tally::Tally;
pub use tally::count_decision;
pub use tally::count_reason;
