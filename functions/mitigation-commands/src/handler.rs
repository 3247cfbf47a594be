//! An invocation: one command, and its answer.

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::states::States;
use fleetwarden_aws::undo::Fleet;
use fleetwarden_aws::undo::Undoing;
use fleetwarden_commands::Command;
use fleetwarden_commands::Commands;
use fleetwarden_commands::Failure;
use fleetwarden_core::api;
use fleetwarden_core::model::mitigation::undo::Undone;
use fleetwarden_core::model::suppression;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use serde_json::value::to_raw_value;

use crate::MitigationCommands;
use crate::approval::Deciding;
use crate::budget::budget;
use crate::cancel::cancel;
use crate::list::list;
use crate::page::Room;
use crate::pause::pause;
use crate::pause::resume;
use crate::show::show;
use crate::suppressions::SuppressionUndo;
use crate::undo::UndoCommand;

/// The commands on mitigations and suppressions.
static COMMANDS: Commands =
    Commands { function: "mitigation-commands", example: "MitigationShow", find: api::mitigation };

impl MitigationCommands {
    /// Takes one command: `{"command": "MitigationShow", …members}`.
    ///
    /// # Errors
    /// By the name of what is wrong: `InvalidInput`, `NoMitigation`, and the others of docs/commands.md.
    pub async fn handle(&self, event: Value, context: &Context) -> Result<Box<RawValue>, Failure> {
        let run = |command, deadline| self.run(command, context, deadline);
        COMMANDS.handle(event, context, &self.clock, run).await
    }

    async fn run(
        &self,
        command: Command,
        context: &Context,
        deadline: Millis,
    ) -> Result<Box<RawValue>, Failure> {
        let (now, request_id) = (self.clock.now(), &context.request_id);
        let room = Room::of(&command, &self.clock, deadline);
        let mitigations = Mitigations::new(self.ledger.clone());
        match command.operation.name {
            "MitigationApprove" => as_json(&self.deciding(&mitigations, context).approve(&command).await?),
            "MitigationReject" => as_json(&self.deciding(&mitigations, context).reject(&command).await?),
            "MitigationCancel" => {
                as_json(&cancel(&self.deciding(&mitigations, context), &self.iot, &command).await?)
            }
            "MitigationUndo" => as_json(&Box::pin(self.undo(&command, context, deadline)).await?),
            "SuppressionUndo" => {
                as_json(&Box::pin(self.undo_suppressions(&command, context, deadline)).await?)
            }
            "MitigationShow" => as_json(&show(&self.ledger, &command, room).await?),
            "MitigationBudget" => as_json(&budget(&self.ledger, &self.policy, now).await?),
            "MitigationPause" => as_json(&pause(&self.ledger, &command, request_id, now, room).await?),
            "MitigationResume" => as_json(&resume(&self.ledger, &command, now, room).await?),
            _ => as_json(&list(&self.ledger, &command, room).await?),
        }
    }
}

impl MitigationCommands {
    fn deciding<'a>(&'a self, mitigations: &'a Mitigations, context: &'a Context) -> Deciding<'a> {
        Deciding { mitigations, queue: &self.queue, clock: &self.clock, request_id: &context.request_id }
    }

    async fn undo(&self, command: &Command, context: &Context, deadline: Millis) -> Result<Undone, Failure> {
        let states = States::new(self.iot.clone(), &self.account, &self.region);
        let undoing = Undoing {
            mitigations: &Mitigations::new(self.ledger.clone()),
            fleet: &Fleet { iot: self.iot.clone(), states },
            clock: &self.clock,
            by: caller(context),
            deadline,
        };
        UndoCommand { ledger: &self.ledger, undoing }.undo(command).await
    }

    async fn undo_suppressions(
        &self,
        command: &Command,
        context: &Context,
        deadline: Millis,
    ) -> Result<suppression::undo::Undone, Failure> {
        let Self { ledger, iot, policy, clock, .. } = self;
        SuppressionUndo { ledger, iot, policy, clock, by: caller(context), deadline }.undo(command).await
    }
}

/// Who invokes, as far as an invocation says it. `CloudTrail` has the caller of a request.
fn caller(context: &Context) -> String {
    let identity = context.identity.as_ref().map(|identity| identity.identity_id.as_str());
    match identity.filter(|id| !id.is_empty()) {
        Some(id) => format!("identity {id}, request {}", context.request_id),
        None => format!("request {}", context.request_id),
    }
}

/// An answer as JSON.
fn as_json(answer: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    to_raw_value(answer).map_err(|e| Error::Input(e.to_string()).into())
}
