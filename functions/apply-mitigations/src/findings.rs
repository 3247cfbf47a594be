//! Mitigation of findings: what differs there on the way that all mitigations go.

mod describe;
mod end;
mod observe;
pub(crate) mod results;
mod revalidate;
pub(crate) mod statistics;
mod task;
mod whole_check;

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_iot::Client;
use aws_sdk_iot::operation::describe_audit_mitigation_actions_task::DescribeAuditMitigationActionsTaskOutput;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::mitigations::Claim;
use fleetwarden_aws::mitigations::ConnectedThings;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::states::States;
use fleetwarden_aws::thing_groups::ThingGroups;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Target;
use fleetwarden_core::model::mitigation::before::Befores;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;

use crate::admission::Admission;
use crate::admission::admit;
use crate::admission::calendar;
use crate::alerts;
use crate::alerts::Event;
use crate::approval::ids;
use crate::before;
use crate::before::Stored;
use crate::canary;
use crate::devices::Devices;
use crate::registry::RegistryOf;
use crate::task::Started;
use crate::work::Asked;
use crate::work::Decided;
use crate::work::Ended;
use crate::work::Facts;
use crate::work::Followed;
use crate::work::Request;
use crate::work::Revalidated;
use crate::work::Turn;
use crate::work::Work;
use results::Results;

/// Mitigates findings.
#[derive(Clone)]
pub(crate) struct Findings {
    pub(crate) iot: Client,
    pub(crate) groups: ThingGroups,
    pub(crate) states: States,
    pub(crate) registry: RegistryOf,
    pub(crate) policy: Arc<Policy>,
    pub(crate) mitigations: Mitigations,
    pub(crate) alerts: Alerts,
    pub(crate) results: Results,
    pub(crate) clock: Clock,
    pub(crate) emit: fn(&str),
}

impl Request for MitigationRequest {
    fn task_id(&self) -> String {
        Self::task_id(self)
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn actions(&self) -> &[String] {
        &self.actions
    }

    fn facts(&self) -> Facts<'_> {
        let (audit_task_id, check) = (Some(self.audit.task_id.as_str()), Some(self.check.as_str()));
        Facts { audit_task_id, check, ..Facts::default() }
    }

    fn alert(&self, event: Event<'_>) -> Alert {
        alerts::findings::alert_of(self, event)
    }
}

impl Work for Findings {
    type Request = MitigationRequest;
    type Message = MitigationMessage;
    type Task = DescribeAuditMitigationActionsTaskOutput;

    const PARTS: &'static str = "findings";
    const FULL: &'static str = "ten mitigation tasks run already";
    const IS_DECIDED_ONCE: bool = false;

    fn admit(&self, request: &MitigationRequest) -> Result<Admission, Error> {
        let calendar = calendar(&self.policy, request.origin.rule(), &request.actions)?;
        Ok(admit(request, &self.registry.account, self.policy.mode(), calendar.as_ref(), self.clock.now()))
    }

    async fn revalidate(
        &self,
        request: &MitigationRequest,
        deadline: Millis,
    ) -> Result<Revalidated<MitigationRequest>, Error> {
        revalidate::revalidate(self, request, deadline).await
    }

    async fn ask_devices(&self, request: &MitigationRequest, deadline: Millis) -> Result<Devices, Error> {
        observe::ask_devices(self, request, deadline).await
    }

    async fn claim(
        &self,
        request: &MitigationRequest,
        claimed: &Settled<'_, MitigationRequest>,
    ) -> Result<Option<Claim<Target>>, Error> {
        // A process may have died right after its start: then nothing is left out of it any more.
        if !claimed.left_out.is_empty() && self.describe(&request.task_id()).await?.is_some() {
            return Ok(None);
        }
        self.mitigations.claim(request, claimed, self.clock.now()).await.map(Some)
    }

    async fn store_before(
        &self,
        request: &MitigationRequest,
        target: &Target,
        befores: Option<&Befores>,
        deadline: Millis,
    ) -> Result<Stored, Error> {
        let Target::Findings(findings) = target else {
            return whole_check::store_before(self, request, target, deadline).await;
        };
        let parts = findings.iter().map(|finding| finding.finding_id.clone()).collect();
        let befores = befores.map(|befores| befores.of(&parts)).unwrap_or_default();
        before::store(self, &self.mitigations, &request.task_id(), &befores, self.clock.now()).await
    }

    async fn start(&self, request: &MitigationRequest, target: &Target) -> Result<Started, Error> {
        task::start(&self.iot, request, target).await
    }

    async fn describe(&self, task_id: &str) -> Result<Option<Self::Task>, Error> {
        task::describe(&self.iot, task_id).await
    }

    async fn missing_action(&self, request: &MitigationRequest) -> Result<Option<String>, Error> {
        task::missing_action(&self.groups, &request.actions).await
    }

    fn parts(target: &Target) -> BTreeSet<String> {
        match target {
            Target::Findings(findings) => ids(findings.iter().map(|finding| finding.finding_id.as_str())),
            Target::WholeCheck { reason_codes, .. } => ids(reason_codes.iter().map(String::as_str)),
        }
    }

    fn count(target: &Target) -> u64 {
        target.count()
    }

    async fn turn(&self, request: &MitigationRequest, waits_since: Option<Millis>) -> Result<Turn, Error> {
        canary::turn(self, request, waits_since).await
    }

    async fn divide(
        &self,
        request: &MitigationRequest,
        decided: Decided<MitigationRequest>,
        first: (usize, &[String]),
        deadline: Millis,
    ) -> (Decided<MitigationRequest>, Vec<MitigationRequest>) {
        canary::divide(self, request, decided, first, deadline).await
    }

    async fn watched(
        &self,
        request: &MitigationRequest,
        decided: &Decided<MitigationRequest>,
        deadline: Millis,
    ) -> Result<Option<ConnectedThings>, Error> {
        canary::watched(self, request, decided, deadline).await
    }

    async fn leave_turn(&self, request: &MitigationRequest) -> Result<(), Error> {
        canary::leave(self, request).await
    }

    async fn watch(&self, request: &MitigationRequest) -> Result<Option<MitigationMessage>, Error> {
        canary::watch(self, request).await
    }

    fn at_once(&self, request: &MitigationRequest) -> u64 {
        canary::at_once(self, request)
    }

    fn would_wait(&self, request: &MitigationRequest) -> Option<String> {
        canary::would(self, request)
    }

    async fn note_observed(&self, _: &MitigationRequest, _: Option<&str>) -> Result<(), Error> {
        Ok(())
    }

    async fn note_left_out(
        &self,
        _: &MitigationRequest,
        _: &Decided<MitigationRequest>,
    ) -> Result<(), Error> {
        Ok(())
    }
}

impl Followed for Findings {
    const COMPLETED: &'static str = "COMPLETED";

    async fn verify(&self, request: &MitigationRequest) -> Result<Asked, Error> {
        request.check_account(&self.registry.account).map_err(Error::Input)?;
        match request.origin {
            Origin::Command(_) => Asked::by_command(self.mitigations.is_of_command(request).await?),
            Origin::Rule(_) => Ok(Asked::Yes),
        }
    }

    /// Each check of a task has a follow-up of its own, and its results are written again after a crash.
    async fn is_over(&self, _: &str) -> Result<bool, Error> {
        Ok(false)
    }

    async fn end(
        &self,
        request: &MitigationRequest,
        task: &Self::Task,
        state: State,
        deadline: Millis,
    ) -> Result<Ended, Error> {
        end::end(self, request, task, state, deadline).await
    }
}
