//! From what a person or a workflow wrote to an input that the service would take, or all that is wrong with it.
//!
//! The shapes are the service model's; the words of a fault are ours and name the place by its JSON path. What
//! AWS states in words only is judged by `rules`, in the same pass, so that nobody mends an input twice.

use serde_json::Map;
use serde_json::Value;

use super::Operation;
pub use super::judge::Fault;
use super::judge::Judge;
pub use super::judge::TOKEN;
use super::rules;
use crate::timestamp::Millis;

/// Judges the members of a call. What comes back is as the service takes it: nulls are left out, times are epoch
/// seconds, and checks have the names that the API uses. `beside` are members that the caller has taken out
/// before, so that a misspelt one of them is told as well.
///
/// # Errors
/// Everything that is wrong, in the order of the operation's members, unknown members first.
pub fn read(
    operation: &Operation,
    mut members: Map<String, Value>,
    beside: &[&str],
    now: Millis,
) -> Result<Map<String, Value>, Vec<Fault>> {
    let mut judge = Judge::default();
    judge.record(operation.members, &mut members, "$", beside);
    rules::judge(operation.name, &mut members, now, &mut judge);
    if judge.faults.is_empty() { Ok(members) } else { Err(judge.faults) }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
