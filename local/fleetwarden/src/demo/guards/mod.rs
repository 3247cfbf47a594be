//! What holds, stops and undoes mitigations, on the stack of the demonstration and after its audits: a mitigation that waits
//! for a person, a canary that is stopped, a budget, and an undo.
//!
//! [`cast`] picks certificates that the last audit still found and makes the policy for them, and [`play`] deploys it, runs one
//! more audit and does what an operator does ([`operator`]). [`fleet`] is the fleet as the endpoint has it, before and after,
//! [`outcome`] judges, and [`table`] shows.
//!
//! Nothing here waits for a guard's own time: a canary is stopped as soon as its task has failed, and an approval sends the
//! message that waits for it. What a budget or a stopped canary holds would be looked at again within 15 minutes, and is still
//! held when the scenes end.

mod cast;
mod fleet;
mod operator;
mod outcome;
mod play;
mod table;

use crate::output::{Layout, line, note};
use crate::stack::Stack;
use anyhow::Result;
pub(crate) use outcome::Account;
use std::path::Path;
use std::time::Instant;

/// Plays the scenes, shows them, and gives the account of them. `policy` gets the policy. None: the fleet is too small.
pub(crate) async fn run(stack: &Stack, last_audit: &str, policy: &Path) -> Result<Option<Account>> {
    let started = Instant::now();
    let Some(observed) = play::play(stack, last_audit, policy).await? else {
        note("fleetwarden: the fleet is too small for the scenes of guards: give it 100 findings or more");
        return Ok(None);
    };
    let account = Account::of(&observed, started.elapsed());
    for scene in &account.scenes {
        line(table::text(scene, Layout::of_terminal()));
    }
    Ok(Some(account))
}
