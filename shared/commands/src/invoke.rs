//! One invocation: its time, its log line and its metrics.

use std::time::Duration;

use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::invocation;
use fleetwarden_aws::telemetry;
use fleetwarden_core::api::Operation;
use fleetwarden_core::api::alias;
use fleetwarden_core::metrics;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Commands;
use crate::Service;
use crate::command::Command;
use crate::failure::Failure;

/// What is left of the invocation when it gives up by itself, so that who waits learns what it was about.
const MARGIN: Duration = Duration::from_secs(1);

impl Service {
    /// Reads a command and has it done within the invocation's time, by `run` with the moment at which that is over.
    ///
    /// # Errors
    /// What is wrong with the command, or what `run` fails with.
    pub async fn handle<F>(
        &self,
        event: Value,
        context: &Context,
        run: impl FnOnce(Command, Millis) -> F,
    ) -> Result<Box<RawValue>, Failure>
    where
        F: Future<Output = Result<Box<RawValue>, Failure>>,
    {
        self.family.commands.handle(event, context, &self.clock, run).await
    }
}

impl Commands {
    /// Reads a command and has it done within the invocation's time, by `run` with the moment at which that is over.
    ///
    /// # Errors
    /// What is wrong with the command, `WrongAlias`, or what `run` fails with.
    pub async fn handle<F>(
        &self,
        event: Value,
        context: &Context,
        clock: &Clock,
        run: impl FnOnce(Command, Millis) -> F,
    ) -> Result<Box<RawValue>, Failure>
    where
        F: Future<Output = Result<Box<RawValue>, Failure>>,
    {
        let now = clock.now();
        let deadline = invocation::deadline(context);
        let read = Command::read(self, event, now).and_then(|command| {
            self.judge_alias(command.operation, &context.invoked_function_arn)?;
            Ok(command)
        });
        let outcome = match read {
            Ok(command) => {
                let Command { operation, dry_run, .. } = &command;
                tracing::info!(command = operation.name, command.dry_run = dry_run, "a command came");
                let left = invocation::time_left(now, deadline, MARGIN);
                // On the heap, so that who waits for many commands has a small stack.
                let run = Box::pin(run(command, deadline));
                let outcome = tokio::time::timeout(left, run).await;
                outcome.unwrap_or_else(|_| Err(Failure::out_of_time()))
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &outcome {
            tracing::warn!(error.name = failure.name(), error = %failure, "the command failed");
        }
        telemetry::emit(
            &metrics::invocation::Invocation::of_one(self.function, now, outcome.is_err()).line(),
        );
        outcome
    }

    /// Refuses a command that the alias does not take by which the function was invoked. The function itself takes all.
    fn judge_alias(&self, operation: &Operation, arn: &str) -> Result<(), Failure> {
        let Some(invoked) = alias::of_arn(arn).filter(|alias| operation.alias() != Some(alias)) else {
            return Ok(());
        };
        let instead = match operation.alias() {
            Some(alias) => format!("its alias '{alias}' takes it"),
            None => "no alias of it takes it, but the function itself".to_owned(),
        };
        let (function, name) = (self.function, operation.name);
        let what =
            format!("{function} was invoked by '{}', which does not take {name}: {instead}", shown(invoked));
        Err(Failure::Refused { name: "WrongAlias", what })
    }
}
