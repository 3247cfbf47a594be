//! `mitigation-commands`: what the ledger knows of mitigation tasks, for people and workflows.
//!
//! Before it, somebody invoked it with a command and its members. After it, the answer is given back, or the error's
//! name says why there is none; nothing has changed. On the way: the command is judged before any call
//! (`fleetwarden_commands`) → [`show`] (a task and what became of each of its findings) or [`list`] (tasks), a page at a
//! time ([`page`]), from the ledger's items ([`task`], [`results`]).
//!
//! It asks no service but the ledger: Device Defender forgets a task after 90 days, and has none of what did not start.

mod list;
mod page;
mod results;
mod show;
mod task;

use fleetwarden_aws::Error;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::settings;
use fleetwarden_commands::Command;
use fleetwarden_commands::Commands;
pub use fleetwarden_commands::Failure;
use fleetwarden_core::api;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use serde_json::value::to_raw_value;

/// The commands on mitigations.
static COMMANDS: Commands =
    Commands { function: "mitigation-commands", example: "MitigationShow", find: api::mitigation };

/// The function with all that it needs from outside.
pub struct MitigationCommands {
    /// The ledger.
    pub ledger: Ledger,
    /// The function's clock.
    pub clock: Clock,
}

impl MitigationCommands {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing.
    pub fn from_env() -> Result<Self, Error> {
        let table = settings::required("LEDGER_TABLE")?;
        let ledger = Ledger::new(Shared::from_env()?.dynamodb(), table);
        Ok(Self { ledger, clock: Clock::system() })
    }

    /// Takes one command: `{"command": "MitigationShow", …members}`.
    ///
    /// # Errors
    /// By the name of what is wrong: `InvalidInput`, `NoMitigation`, and the others of docs/commands.md.
    pub async fn handle(&self, event: Value, context: &Context) -> Result<Box<RawValue>, Failure> {
        let run = |command, deadline| self.run(command, deadline);
        COMMANDS.handle(event, context, &self.clock, run).await
    }

    async fn run(&self, command: Command, deadline: Millis) -> Result<Box<RawValue>, Failure> {
        match command.operation.name {
            "MitigationShow" => written(&self.show(&command, deadline).await?),
            _ => written(&self.list(&command, deadline).await?),
        }
    }
}

/// An answer as JSON.
fn written(answer: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    to_raw_value(answer).map_err(|e| Error::Input(e.to_string()).into())
}
