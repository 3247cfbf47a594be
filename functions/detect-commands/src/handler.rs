//! An invocation: one command, and what it takes to do it.

use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::states::States;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::calls::answer;
use fleetwarden_commands::calls::value;
use fleetwarden_commands::target::Target;
use fleetwarden_core::api;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::DetectCommands;
use crate::behaviors::judge;
use crate::dry_run::dry_run;
use crate::dry_run::is_repeated;
use crate::family::FAMILY;
use crate::gate::Gate;
use crate::incident::Incidents;
use crate::models::Models;
use crate::preconditions::Checked;
use crate::preconditions::Preconditions;
use crate::profile::change_target;
use crate::profile::delete_profile;
use crate::profile::update_profile;
use crate::report::report;
use crate::task::Tasks;
use crate::trial;

impl DetectCommands {
    /// Takes one command: `{"command": "ListActiveViolations", …members}`.
    ///
    /// # Errors
    /// By the name of what is wrong: `InvalidInput`, `ConfirmationRequired`, the service's own code, and the others
    /// of docs/commands.md.
    pub async fn handle(&self, event: Value, context: &Context) -> Result<Box<RawValue>, Failure> {
        self.service.handle(event, context, |command, deadline| self.run(command, deadline)).await
    }

    async fn run(&self, command: Command, deadline: Millis) -> Result<Box<RawValue>, Failure> {
        let (service, operation) = (&self.service, command.operation);
        if operation.name == api::INCIDENT.name {
            return self.end_incident(&command).await;
        }
        if operation.name == api::ALARM_REPORT.name {
            // On the heap: it is larger than most commands together.
            let alarms = Alarms::new((self.ledger)());
            return Box::pin(report(service, &alarms, &command, deadline)).await;
        }
        if !operation.changes() {
            if command.all {
                return service.all_pages(&command, deadline).await;
            }
            let answer = service.iot.call(operation, &command.input).await?;
            let notes = self.local_faults(&command).await?;
            return said(answer, notes, None);
        }
        if operation.name == "StartDetectMitigationActionsTask" {
            // On the heap: it is larger than most commands together.
            return Box::pin(self.start_mitigation(&command)).await;
        }
        let models = Models { service, devices: &self.devices };
        let preconditions = Preconditions { service, models };
        let mut checked = Box::pin(preconditions.check(&command, deadline)).await?;
        let answer = if command.dry_run {
            dry_run(service, &command, &checked).await?
        } else {
            if let Some(loses) = checked.loses() {
                command.confirmed(&service.account, &loses)?;
            }
            self.change(&command, &checked).await?
        };
        said(answer, std::mem::take(&mut checked.notes), checked.trial.as_ref().map(trial::Trial::json))
    }

    async fn change(&self, command: &Command, checked: &Checked) -> Result<Box<RawValue>, Failure> {
        let service = &self.service;
        match command.operation.name {
            "UpdateSecurityProfile" => update_profile(service, command, checked.profile.as_ref()).await,
            "DeleteSecurityProfile" => delete_profile(service, command, checked.profile.as_ref()).await,
            "AttachSecurityProfile" | "DetachSecurityProfile" => change_target(service, command).await,
            "CreateCustomMetric" | "CreateDimension" => {
                let target = Target::of(service.family, command)?;
                let is_repeated = |there: &Value| {
                    target.as_ref().is_some_and(|target| is_repeated(command, target, there, &FAMILY))
                };
                service.create(command, is_repeated).await
            }
            _ => service.change(command).await,
        }
    }

    /// What is found wrong here with behaviors that the service is asked to validate.
    async fn local_faults(&self, command: &Command) -> Result<Vec<String>, Failure> {
        if command.operation.name != "ValidateSecurityProfileBehaviors" {
            return Ok(Vec::new());
        }
        let behaviors = command.input.get("behaviors").and_then(Value::as_array);
        let judged = judge(&self.service, behaviors.map_or(&[][..], Vec::as_slice)).await?;
        Ok(judged.err().unwrap_or_default().iter().map(ToString::to_string).collect())
    }

    async fn start_mitigation(&self, command: &Command) -> Result<Box<RawValue>, Failure> {
        let ledger = (self.ledger)();
        let tasks = Tasks {
            service: &self.service,
            ledger: &ledger,
            queue: &*self.mitigation_queue,
            follow_up_seconds: self.follow_up_seconds,
        };
        let gate = Gate {
            service: &self.service,
            registry: &self.registry,
            policy: &self.policy,
            states: States::new(self.iot.clone(), &self.service.account, &self.service.iot.region()),
            ledger: &ledger,
            tasks,
        };
        gate.start(command).await
    }

    async fn end_incident(&self, command: &Command) -> Result<Box<RawValue>, Failure> {
        let alarms = Alarms::new((self.ledger)());
        let incidents = Incidents { alarms: &alarms, queue: &*self.alarm_queue, clock: &self.service.clock };
        incidents.end(command).await
    }
}

/// An answer with notes and the result of a trial. Without either it stays as the service wrote it.
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
