//! `audit-commands`: the audit commands of Device Defender, for people and workflows.
//!
//! Before it, somebody invoked it with the name and the members of one of the 30 operations. After it, the
//! operation is done and its answer is given back as the service wrote it, or nothing is done and the error's name
//! says why. On the way: [`command`] (judged before any call) → [`account`] (what only a look at the account
//! tells), [`mitigation`] (the gate) and [`task`] (the claim) → [`dry`] (what would change) or the call, which a
//! repeat does not do twice ([`repeat`], [`on_demand`]). What a change is about is a [`subject`].
//! One command is no operation: [`report`] gathers what an audit came to.

mod account;
mod actions;
mod calls;
mod command;
mod diff;
mod dry;
mod failure;
mod mitigation;
mod on_demand;
mod pages;
mod repeat;
mod report;
mod subject;
mod task;

use std::sync::Arc;
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings;
use fleetwarden_aws::telemetry;
use fleetwarden_core::api;
use fleetwarden_core::metrics;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::command::Command;
pub use crate::failure::Failure;

/// What is left of the invocation when it gives up by itself, so that who waits learns what it was about.
const MARGIN: Duration = Duration::from_secs(1);

/// Reads the policy. Only a start of mitigations needs it: all else works without a good one.
pub type ReadPolicy = Arc<dyn Fn() -> Result<Policy, Error> + Send + Sync>;

/// The function with all that it needs from outside.
pub struct AuditCommands {
    /// The account that the commands act on: 12 digits. To confirm is to name it.
    pub account: String,
    /// AWS IoT.
    pub iot: IotApi,
    /// The ledger, made when it is needed.
    pub ledger: Arc<dyn Fn() -> Ledger + Send + Sync>,
    /// What the operator allows now.
    pub policy: ReadPolicy,
    /// The mitigation queue, made when it is needed: what is started is followed from there.
    pub mitigation_queue: Arc<dyn Fn() -> Queue + Send + Sync>,
    /// How long until a started mitigation is looked at first, in seconds.
    pub follow_up_seconds: u32,
    /// Its clock.
    pub clock: Clock,
}

impl AuditCommands {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing.
    pub fn from_env() -> Result<Self, Error> {
        let shared = Shared::from_env()?;
        let table = settings::required("LEDGER_TABLE")?;
        let queue = settings::required("MITIGATION_QUEUE_URL")?;
        let sqs = shared.clone();
        Ok(Self {
            account: settings::required("ACCOUNT_ID")?,
            iot: shared.iot_api(),
            ledger: Arc::new(move || Ledger::new(shared.dynamodb(), table.clone())),
            policy: Arc::new(policy::read_with_windows),
            mitigation_queue: Arc::new(move || Queue::new(sqs.sqs(), queue.clone())),
            follow_up_seconds: settings::seconds("FOLLOW_UP_SECONDS", 60)?,
            clock: Clock::system(),
        })
    }

    /// Takes one command: `{"command": "ListAuditFindings", …members}`.
    ///
    /// # Errors
    /// By the name of what is wrong: `InvalidInput`, `ConfirmationRequired`, the service's own code, and the others
    /// of docs/commands.md.
    pub async fn handle(&self, event: Value, context: &Context) -> Result<Box<RawValue>, Failure> {
        let now = self.clock.now();
        let deadline = Millis(i64::try_from(context.deadline).unwrap_or(i64::MAX));
        let left = Duration::from_millis(u64::try_from(deadline.0.saturating_sub(now.0)).unwrap_or_default());
        // On the heap, so that who waits for many commands has a small stack.
        let run = Box::pin(self.run(event, &context.request_id, deadline));
        let outcome = tokio::time::timeout(left.saturating_sub(MARGIN), run).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Failure::out_of_time()));
        if let Err(failure) = &outcome {
            tracing::warn!(error.name = failure.name(), error = %failure, "the command failed");
        }
        let failed = u64::from(outcome.is_err());
        telemetry::emit(&metrics::invocation_line("audit-commands", now, 1, failed, 0));
        outcome
    }

    async fn run(&self, event: Value, request_id: &str, deadline: Millis) -> Result<Box<RawValue>, Failure> {
        let command = Command::read(event, self.clock.now())?;
        let Command { operation, dry_run, .. } = &command;
        tracing::info!(command = operation.name, command.dry_run = dry_run, "a command came");
        if operation.name == api::REPORT.name {
            // On the heap: it is larger than most commands together.
            return Box::pin(self.report(&command, deadline)).await;
        }
        if !operation.changes() {
            if command.all {
                return self.all_pages(&command, deadline).await;
            }
            return Ok(self.iot.call(operation, &command.input).await?);
        }
        if operation.name == "StartAuditMitigationActionsTask" {
            // So is this one.
            return Box::pin(self.start_mitigation(&command)).await;
        }
        let loses = self.look(&command).await?;
        if command.dry_run {
            return self.dry_run(&command, loses).await;
        }
        if let Some(loses) = loses {
            command.confirmed(&self.account, &loses)?;
        }
        match operation.name {
            "StartOnDemandAuditTask" => self.start_audit(&command, request_id, deadline).await,
            "CreateAuditSuppression" => self.create_suppression(&command).await,
            _ => self.change(&command).await,
        }
    }
}
