//! An invocation: one command, and what it takes to do it.

use fleetwarden_aws::states::States;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_core::api;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::AuditCommands;
use crate::before::StateBefore;
use crate::dry_run::dry_run;
use crate::gate::Gate;
use crate::on_demand::OnDemandAudits;
use crate::preconditions::Preconditions;
use crate::repeat::is_repeated;
use crate::report::report;
use crate::task::Tasks;

impl AuditCommands {
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
        let (service, operation) = (&self.service, command.operation);
        if operation.name == api::REPORT.name {
            // On the heap: it is larger than most commands together.
            return Box::pin(report(service, &self.ledger, &command, deadline)).await;
        }
        if !operation.changes() {
            if command.all {
                return service.all_pages(&command, deadline).await;
            }
            return Ok(service.iot.call(operation, &command.input).await?);
        }
        if operation.name == "StartAuditMitigationActionsTask" {
            // So is this one.
            return Box::pin(self.start_mitigation(&command, deadline)).await;
        }
        let loses = Preconditions(service).check(&command).await?;
        if command.dry_run {
            return dry_run(service, &command, loses).await;
        }
        if let Some(loses) = loses {
            command.confirmed(&service.account, &loses)?;
        }
        match operation.name {
            "StartOnDemandAuditTask" => {
                let audits = OnDemandAudits { service, ledger: &(self.ledger)() };
                audits.start(&command, request_id, deadline).await
            }
            "CreateAuditSuppression" => service.create(&command, |there| is_repeated(&command, there)).await,
            _ => service.change(&command).await,
        }
    }

    async fn start_mitigation(&self, command: &Command, deadline: Millis) -> Result<Box<RawValue>, Failure> {
        let (policy, ledger) = ((self.policy)()?, (self.ledger)());
        let region = self.service.iot.region();
        let states = &States::new(self.iot.clone(), &self.service.account, &region);
        let tasks = Tasks {
            service: &self.service,
            before: StateBefore { iot: &self.iot, states, clock: &self.service.clock, deadline },
            queue: &*self.mitigation_queue,
            follow_up_seconds: self.follow_up_seconds,
        };
        Gate { service: &self.service, registry: &self.registry, policy: &policy, ledger: &ledger, tasks }
            .start(command)
            .await
    }
}
