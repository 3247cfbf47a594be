//! One invocation: its time, its log line and its metrics.

use std::time::Duration;

use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::invocation;
use fleetwarden_aws::telemetry;
use fleetwarden_core::metrics;
use fleetwarden_core::timestamp::Millis;
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
    /// What is wrong with the command, or what `run` fails with.
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
        let outcome = match Command::read(self, event, now) {
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
}
