//! `audit-commands`: the audit commands of Device Defender, for people and workflows.
//!
//! Before it, somebody invoked it with the name and the members of one of the 30 operations. After it, the
//! operation is done and its answer is given back as the service wrote it, or nothing is done and the error's name
//! says why. On the way: the command is judged before any call (`fleetwarden_commands`) → [`account`] (what only a
//! look at the account tells), [`mitigation`] (the gate) and [`task`] (the claim) → [`dry`] (what would change) or the
//! call, which a repeat does not do twice ([`repeat`], [`on_demand`]). What is special about the operations is in
//! [`family`].
//! One command is no operation: [`report`] gathers what an audit came to.

mod account;
mod actions;
mod dry;
mod family;
mod mitigation;
mod on_demand;
mod repeat;
mod report;
mod task;

use std::sync::Arc;

use fleetwarden_aws::Error;
use fleetwarden_aws::clients::Pace;
use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings;
use fleetwarden_commands::Command;
pub use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_core::api;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::family::FAMILY;
use crate::repeat::is_repeated;

/// Reads the policy. Only a start of mitigations needs it: all else works without a good one.
pub type ReadPolicy = Arc<dyn Fn() -> Result<Policy, Error> + Send + Sync>;

/// The function with all that it needs from outside.
pub struct AuditCommands {
    /// The operations on audits, at the service.
    pub service: Service,
    /// AWS IoT, for what the policy asks of the registry.
    pub registry: RegistryClient,
    /// The ledger, made when it is needed.
    pub ledger: Arc<dyn Fn() -> Ledger + Send + Sync>,
    /// What the operator allows now.
    pub policy: ReadPolicy,
    /// The mitigation queue, made when it is needed: what is started is followed from there.
    pub mitigation_queue: Arc<dyn Fn() -> Queue + Send + Sync>,
    /// How long until a started mitigation is looked at first, in seconds.
    pub follow_up_seconds: u32,
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
            service: Self::service(settings::required("ACCOUNT_ID")?, shared.iot_api(), Clock::system()),
            registry: shared.registry(Pace::Prompt),
            ledger: Arc::new(move || Ledger::new(shared.dynamodb(), table.clone())),
            policy: Arc::new(policy::read_with_windows),
            mitigation_queue: Arc::new(move || Queue::new(sqs.sqs(), queue.clone())),
            follow_up_seconds: settings::seconds("FOLLOW_UP_SECONDS", 60)?,
        })
    }

    /// The operations on audits, for an account.
    pub const fn service(account: String, iot: IotApi, clock: Clock) -> Service {
        Service { family: &FAMILY, account, iot, clock }
    }

    /// Takes one command: `{"command": "ListAuditFindings", …members}`.
    ///
    /// # Errors
    /// By the name of what is wrong: `InvalidInput`, `ConfirmationRequired`, the service's own code, and the others
    /// of docs/commands.md.
    pub async fn handle(&self, event: Value, context: &Context) -> Result<Box<RawValue>, Failure> {
        let run = |command, deadline| self.run(command, &context.request_id, deadline);
        self.service.handle(event, context, run).await
    }

    async fn run(
        &self,
        command: Command,
        request_id: &str,
        deadline: Millis,
    ) -> Result<Box<RawValue>, Failure> {
        let operation = command.operation;
        if operation.name == api::REPORT.name {
            // On the heap: it is larger than most commands together.
            return Box::pin(self.report(&command, deadline)).await;
        }
        if !operation.changes() {
            if command.all {
                return self.service.all_pages(&command, deadline).await;
            }
            return Ok(self.service.iot.call(operation, &command.input).await?);
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
            command.confirmed(&self.service.account, &loses)?;
        }
        match operation.name {
            "StartOnDemandAuditTask" => self.start_audit(&command, request_id, deadline).await,
            "CreateAuditSuppression" => {
                self.service.create(&command, |there| is_repeated(&command, there)).await
            }
            _ => self.service.change(&command).await,
        }
    }
}
