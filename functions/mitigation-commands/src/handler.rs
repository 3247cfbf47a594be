//! An invocation: one command, and its answer.

use fleetwarden_aws::Error;
use fleetwarden_commands::Command;
use fleetwarden_commands::Commands;
use fleetwarden_commands::Failure;
use fleetwarden_core::api;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use serde_json::value::to_raw_value;

use crate::MitigationCommands;
use crate::budget::budget;
use crate::list::list;
use crate::page::Room;
use crate::pause::pause;
use crate::pause::resume;
use crate::show::show;

/// The commands on mitigations.
static COMMANDS: Commands =
    Commands { function: "mitigation-commands", example: "MitigationShow", find: api::mitigation };

impl MitigationCommands {
    /// Takes one command: `{"command": "MitigationShow", …members}`.
    ///
    /// # Errors
    /// By the name of what is wrong: `InvalidInput`, `NoMitigation`, and the others of docs/commands.md.
    pub async fn handle(&self, event: Value, context: &Context) -> Result<Box<RawValue>, Failure> {
        let run = |command, deadline| self.run(command, &context.request_id, deadline);
        COMMANDS.handle(event, context, &self.clock, run).await
    }

    async fn run(
        &self,
        command: Command,
        request_id: &str,
        deadline: Millis,
    ) -> Result<Box<RawValue>, Failure> {
        let now = self.clock.now();
        let room = Room::of(&command, &self.clock, deadline);
        match command.operation.name {
            "MitigationShow" => as_json(&show(&self.ledger, &command, room).await?),
            "MitigationBudget" => as_json(&budget(&self.ledger, &self.policy, now).await?),
            "MitigationPause" => as_json(&pause(&self.ledger, &command, request_id, now, room).await?),
            "MitigationResume" => as_json(&resume(&self.ledger, &command, now, room).await?),
            _ => as_json(&list(&self.ledger, &command, room).await?),
        }
    }
}

/// An answer as JSON.
fn as_json(answer: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    to_raw_value(answer).map_err(|e| Error::Input(e.to_string()).into())
}
