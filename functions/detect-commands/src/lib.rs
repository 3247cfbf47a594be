//! `detect-commands`: the commands of Device Defender Detect, for people and workflows.
//!
//! Before it, somebody invoked it with the name and the members of one of the 30 operations. After it, the operation is
//! done and its answer is given back as the service wrote it, or nothing is done and the error's name says why. On the
//! way: the command is judged before any call (`fleetwarden_commands`) → [`account`] (what only a look at the account
//! tells: [`behaviors`] that are wrong, [`models`] that are lost, a [`trial`] on what things have reported) → [`dry`]
//! (what would change) or the call, which a repeat does not do twice ([`profile`]). A mitigation goes by the gate
//! ([`mitigation`], of [`violations`] by [`actions`]) to its claim ([`task`]). Two commands are no operations:
//! [`incident`] ends an incident by a person's decision, and [`report`] tells of alarms.

mod account;
mod actions;
mod behaviors;
mod dry;
mod family;
mod incident;
mod mitigation;
mod models;
mod profile;
mod report;
mod task;
mod trial;
mod violations;

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
use fleetwarden_commands::calls::answer;
use fleetwarden_commands::calls::value;
use fleetwarden_commands::subject::Subject;
use fleetwarden_core::api;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::account::Look;
use crate::dry::is_repeated;
use crate::family::FAMILY;

/// Reads the policy. Only a start of mitigations needs it: all else works without a good one.
pub type ReadPolicy = Arc<dyn Fn() -> Result<Policy, Error> + Send + Sync>;
/// Makes a queue when it is needed.
pub type MakeQueue = Arc<dyn Fn() -> Queue + Send + Sync>;

/// The function with all that it needs from outside.
pub struct DetectCommands {
    /// The operations of Detect, at the service.
    pub service: Service,
    /// AWS IoT, for what the policy asks of the registry.
    pub registry: RegistryClient,
    /// The ledger, made when it is needed.
    pub ledger: Arc<dyn Fn() -> Ledger + Send + Sync>,
    /// What the operator allows now.
    pub policy: ReadPolicy,
    /// The mitigation queue: what is started is followed from there.
    pub mitigation_queue: MakeQueue,
    /// The alarm queue: members of an incident that a person ends are decided on from there.
    pub alarm_queue: MakeQueue,
    /// How long until a started mitigation is looked at first, in seconds.
    pub follow_up_seconds: u32,
}

impl DetectCommands {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing.
    pub fn from_env() -> Result<Self, Error> {
        let shared = Shared::from_env()?;
        let table = settings::required("LEDGER_TABLE")?;
        let make = |url: String| -> MakeQueue {
            let shared = shared.clone();
            Arc::new(move || Queue::new(shared.sqs(), url.clone()))
        };
        Ok(Self {
            service: Self::service(settings::required("ACCOUNT_ID")?, shared.iot_api(), Clock::system()),
            registry: shared.registry(Pace::Prompt),
            policy: Arc::new(policy::read_with_windows),
            mitigation_queue: make(settings::required("MITIGATION_QUEUE_URL")?),
            alarm_queue: make(settings::required("ALARM_QUEUE_URL")?),
            follow_up_seconds: settings::seconds("FOLLOW_UP_SECONDS", 60)?,
            ledger: Arc::new(move || Ledger::new(shared.dynamodb(), table.clone())),
        })
    }

    /// The operations of Detect, for an account.
    pub const fn service(account: String, iot: IotApi, clock: Clock) -> Service {
        Service { family: &FAMILY, account, iot, clock }
    }

    /// Takes one command: `{"command": "ListActiveViolations", …members}`.
    ///
    /// # Errors
    /// By the name of what is wrong: `InvalidInput`, `ConfirmationRequired`, the service's own code, and the others
    /// of docs/commands.md.
    pub async fn handle(&self, event: Value, context: &Context) -> Result<Box<RawValue>, Failure> {
        self.service.handle(event, context, |command, deadline| self.run(command, deadline)).await
    }

    async fn run(&self, command: Command, deadline: Millis) -> Result<Box<RawValue>, Failure> {
        let operation = command.operation;
        if operation.name == api::INCIDENT.name {
            return self.end_incident(&command).await;
        }
        if operation.name == api::ALARM_REPORT.name {
            // On the heap: it is larger than most commands together.
            return Box::pin(self.report(&command, deadline)).await;
        }
        if !operation.changes() {
            if command.all {
                return self.service.all_pages(&command, deadline).await;
            }
            let answer = self.service.iot.call(operation, &command.input).await?;
            let notes = self.local_faults(&command).await?;
            return said(answer, notes, None);
        }
        if operation.name == "StartDetectMitigationActionsTask" {
            // On the heap: it is larger than most commands together.
            return Box::pin(self.start_mitigation(&command)).await;
        }
        let mut look = Box::pin(self.look(&command, deadline)).await?;
        let answer = if command.dry_run {
            self.dry_run(&command, &look).await?
        } else {
            if let Some(loses) = look.loses() {
                command.confirmed(&self.service.account, &loses)?;
            }
            self.change(&command, &look).await?
        };
        said(answer, std::mem::take(&mut look.notes), look.trial.as_ref().map(trial::Trial::json))
    }

    async fn change(&self, command: &Command, look: &Look) -> Result<Box<RawValue>, Failure> {
        match command.operation.name {
            "UpdateSecurityProfile" => self.update_profile(command, look.profile.as_ref()).await,
            "DeleteSecurityProfile" => self.delete_profile(command, look.profile.as_ref()).await,
            "AttachSecurityProfile" | "DetachSecurityProfile" => self.change_target(command).await,
            "CreateCustomMetric" | "CreateDimension" => {
                let subject = Subject::of(self.service.family, command)?;
                let is_repeated = |there: &Value| {
                    subject.as_ref().is_some_and(|subject| is_repeated(command, subject, there, &FAMILY))
                };
                self.service.create(command, is_repeated).await
            }
            _ => self.service.change(command).await,
        }
    }

    /// What is found wrong here with behaviors that the service is asked to validate.
    async fn local_faults(&self, command: &Command) -> Result<Vec<String>, Failure> {
        if command.operation.name != "ValidateSecurityProfileBehaviors" {
            return Ok(Vec::new());
        }
        let behaviors = command.input.get("behaviors").and_then(Value::as_array);
        let judged = self.judge(behaviors.map_or(&[][..], Vec::as_slice)).await?;
        Ok(judged.err().unwrap_or_default().iter().map(ToString::to_string).collect())
    }
}

/// An answer with what there is to say beside it. Where there is nothing, it stays as the service wrote it.
fn said(said: Box<RawValue>, notes: Vec<String>, tried: Option<Value>) -> Result<Box<RawValue>, Failure> {
    if notes.is_empty() && tried.is_none() {
        return Ok(said);
    }
    let Value::Object(mut members) = value(&said) else { return Ok(said) };
    if !notes.is_empty() {
        members.insert("notes".to_owned(), notes.into());
    }
    members.extend(tried.map(|tried| ("tried".to_owned(), tried)));
    answer(&members.into())
}
