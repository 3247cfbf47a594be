//! `apply-suppressions`: creates the suppressions that the policy decided, and keeps them up to date.
//!
//! Before it, `triage-findings` put up to 25 findings of one check and one rule into a message on the suppression
//! queue. Here the policy decides on each of them again ([`revalidate`]), and what it suppresses as the message asks
//! is compared with what exists ([`plan`]) and created or updated ([`suppression`]), unless a later audit has looked at
//! the check. What was there before is written down first ([`record`]). After it, Device Defender passes
//! over those resources from the next audit on. A suppression is known by check and resource alone, so a message that
//! comes again finds what it made.

mod handler;
mod plan;
mod record;
mod revalidate;
mod summary;
mod suppression;

pub use handler::Handler;
