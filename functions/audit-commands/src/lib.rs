//! `audit-commands`: the audit commands of Device Defender, for people and workflows.
//!
//! An event has the name and the members of one of the 30 operations. The operation is done and its answer is given back as
//! the service wrote it, or nothing is done and the error's name says why. A command is judged before any call
//! (`fleetwarden_commands`). The rooms after that:
//!
//! - [`handler`]: the command, and what it takes;
//! - [`preconditions`]: what AWS demands of a change;
//! - [`dry_run`]: what a change would change;
//! - [`on_demand`] and [`repeat`]: changes that a repeat does not make twice;
//! - [`gate`] with [`actions`]: whether a mitigation may start, [`before`]: the states that it will change, and [`task`]:
//!   its claim, its start and its follow-up;
//! - [`report`]: a command that is no operation, and gathers what came of an audit;
//! - [`family`]: what is special about the operations.

mod actions;
mod before;
mod dry_run;
mod family;
mod gate;
mod handler;
mod on_demand;
mod preconditions;
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
pub use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_core::policy::Policy;

use crate::family::FAMILY;

/// Makes the ledger when it is needed.
pub type MakeLedger = Arc<dyn Fn() -> Ledger + Send + Sync>;
/// Makes a queue when it is needed.
pub type MakeQueue = Arc<dyn Fn() -> Queue + Send + Sync>;
/// Reads the policy. Only a start of mitigations needs it: all else works without a valid one.
pub type ReadPolicy = Arc<dyn Fn() -> Result<Policy, Error> + Send + Sync>;

/// The function with all that it needs from outside.
pub struct AuditCommands {
    /// The operations on audits, at the service.
    pub service: Service,
    /// AWS IoT, for what the policy asks of the registry.
    pub registry: RegistryClient,
    /// AWS IoT, for the states that a mitigation will change.
    pub iot: aws_sdk_iot::Client,
    /// The ledger.
    pub ledger: MakeLedger,
    /// The policy of now.
    pub policy: ReadPolicy,
    /// The mitigation queue: what is started is followed from there.
    pub mitigation_queue: MakeQueue,
    /// How long after its start a mitigation is followed up first, in seconds.
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
            iot: shared.iot(),
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
}
