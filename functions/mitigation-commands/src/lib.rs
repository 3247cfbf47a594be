//! `mitigation-commands`: what the ledger has of mitigation tasks, a person's word on them, the switch that stops them, and
//! their undo, for people and workflows.
//!
//! An event has a command and its members. The answer is given back, or the error's name says why there is none. A command
//! is judged before any call (`fleetwarden_commands`). The rooms after that:
//!
//! - [`handler`]: the command;
//! - [`show`]: a task and the result of each of its findings; [`list`]: tasks; both a page at a time ([`page`]);
//! - [`budget`]: what is used of the policy's budgets;
//! - [`pause`]: the switch;
//! - [`approval`]: a person's word on what waits for it; [`cancel`]: ends what runs or is held;
//! - [`undo`]: puts back what tasks have changed; [`suppressions`]: and what rules have suppressed;
//! - [`task`] and [`results`]: from the ledger's items to the answer.
//!
//! For what there is it asks no service but the ledger, and reads the policy for its budgets: Device Defender forgets a task
//! after 90 days, and has none of what did not start.

mod approval;
mod budget;
mod cancel;
mod handler;
mod list;
mod page;
mod pause;
mod results;
mod show;
mod suppressions;
mod task;
mod undo;

use std::sync::Arc;

use fleetwarden_aws::Error;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings;
pub use fleetwarden_commands::Failure;
use fleetwarden_core::policy::Policy;

/// Reads the policy. Only its budgets are asked for, and which rules suppress: all else works without a valid one.
pub type ReadPolicy = Arc<dyn Fn() -> Result<Policy, Error> + Send + Sync>;

/// The function with all that it needs from outside.
pub struct MitigationCommands {
    /// The ledger.
    pub ledger: Ledger,
    /// The policy of now.
    pub policy: ReadPolicy,
    /// The mitigation queue: only an approval asks for it.
    pub queue: Arc<dyn Fn() -> Result<Queue, Error> + Send + Sync>,
    /// AWS IoT, for what is canceled or undone.
    pub iot: aws_sdk_iot::Client,
    /// The account: 12 digits.
    pub account: String,
    /// The region.
    pub region: String,
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
        let shared = Shared::from_env()?;
        Ok(Self {
            ledger: Ledger::new(shared.dynamodb(), table),
            policy: Arc::new(policy::read_with_windows),
            iot: shared.iot(),
            queue: Arc::new(move || {
                Ok(Queue::new(shared.sqs(), settings::required("MITIGATION_QUEUE_URL")?))
            }),
            account: settings::required("ACCOUNT_ID")?,
            region: settings::required("AWS_REGION")?,
            clock: Clock::system(),
        })
    }
}
