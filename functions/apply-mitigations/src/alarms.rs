//! Mitigation of alarms: the devices of violations are put into thing groups, and taken out again.
//!
//! Before it, `detect-alarm` put a mitigation of violations of one behavior on the mitigation queue, or a command
//! started one itself. It goes the way of findings. What is new is the way back: when the alarm has been clear for as
//! long as the rule says, the thing is taken out of the groups that it was put into ([`release`]).

mod end;
pub(crate) mod notes;
pub(crate) mod release;
pub(crate) mod results;
mod revalidate;
mod task;

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_iot::Client;
use aws_sdk_iot::types::DetectMitigationActionsTaskSummary;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::mitigations::Claim;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::states::States;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::model::mitigation::before::Befores;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;

use crate::admission::Admission;
use crate::admission::admit_alarms;
use crate::admission::calendar;
use crate::alerts;
use crate::alerts::Event;
use crate::approval::ids;
use crate::backoff::Backoff;
use crate::before;
use crate::before::Stored;
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
use crate::work::Why;
use crate::work::Work;
use crate::work::time_left;
use notes::ALREADY_IN;
use notes::Notes;

/// Mitigates violations.
#[derive(Clone)]
pub(crate) struct Violations {
    pub(crate) iot: Client,
    pub(crate) states: States,
    pub(crate) registry: RegistryOf,
    pub(crate) policy: Arc<Policy>,
    pub(crate) mitigations: Mitigations,
    pub(crate) alerts: Alerts,
    pub(crate) backoff: Backoff,
    pub(crate) notes: Notes,
    pub(crate) clock: Clock,
}

impl Request for AlarmMitigationRequest {
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
        Facts { profile: Some(&self.profile), behavior: Some(&self.behavior), ..Facts::default() }
    }

    fn alert(&self, event: Event<'_>) -> Alert {
        alerts::alarms::alert_of(self, event)
    }
}

impl Work for Violations {
    type Request = AlarmMitigationRequest;
    type Message = AlarmMitigationMessage;
    type Task = DetectMitigationActionsTaskSummary;

    const PARTS: &'static str = "violations";
    const FULL: &'static str = "five mitigation tasks of Detect run already";
    const IS_DECIDED_ONCE: bool = true;

    fn admit(&self, request: &AlarmMitigationRequest) -> Result<Admission, Error> {
        let calendar = calendar(&self.policy, request.origin.rule(), &request.actions)?;
        let own = (self.registry.account.as_str(), self.registry.region.as_str());
        Ok(admit_alarms(request, own, self.policy.mode(), calendar.as_ref(), self.clock.now()))
    }

    async fn revalidate(
        &self,
        request: &AlarmMitigationRequest,
        deadline: Millis,
    ) -> Result<Revalidated<AlarmMitigationRequest>, Error> {
        revalidate::revalidate(self, request, deadline).await
    }

    /// A try that finds the claim of an earlier one asks the service for the task: what is started keeps the claim as it
    /// is.
    async fn ask_devices(
        &self,
        request: &AlarmMitigationRequest,
        deadline: Millis,
    ) -> Result<Devices, Error> {
        let left = time_left(deadline, self.clock.now());
        let asked = tokio::time::timeout(left, Box::pin(revalidate::observe_devices(self, request))).await;
        Ok(asked.unwrap_or_else(|_| Devices::waits("no time is left to ask")))
    }

    async fn claim(
        &self,
        request: &AlarmMitigationRequest,
        claimed: &Settled<'_, AlarmMitigationRequest>,
    ) -> Result<Option<Claim<Vec<ViolationRef>>>, Error> {
        let now = self.clock.now();
        match self.mitigations.claim(request, claimed, now).await? {
            Claim::Known(State::Claimed) => {
                if self.describe(&request.task_id()).await?.is_some() {
                    return Ok(None);
                }
                self.mitigations.claim_again(request, claimed, now).await.map(Some)
            }
            claim => Ok(Some(claim)),
        }
    }

    async fn store_before(
        &self,
        request: &AlarmMitigationRequest,
        violations: &Vec<ViolationRef>,
        befores: Option<&Befores>,
        _: Millis,
    ) -> Result<Stored, Error> {
        let parts = violations.iter().map(|violation| violation.violation_id.clone()).collect();
        let befores = befores.map(|befores| befores.of(&parts)).unwrap_or_default();
        before::store(self, &self.mitigations, &request.task_id(), &befores, self.clock.now()).await
    }

    async fn start(
        &self,
        request: &AlarmMitigationRequest,
        violations: &Vec<ViolationRef>,
    ) -> Result<Started, Error> {
        task::start(&self.iot, request, violations).await
    }

    async fn describe(&self, task_id: &str) -> Result<Option<Self::Task>, Error> {
        task::describe(&self.iot, task_id).await
    }

    /// Each action was looked up right before the start.
    async fn missing_action(&self, _: &AlarmMitigationRequest) -> Result<Option<String>, Error> {
        Ok(None)
    }

    fn parts(violations: &Vec<ViolationRef>) -> BTreeSet<String> {
        ids(violations.iter().map(|violation| violation.violation_id.as_str()))
    }

    fn count(violations: &Vec<ViolationRef>) -> u64 {
        violations.len() as u64
    }

    async fn note_observed(
        &self,
        request: &AlarmMitigationRequest,
        instead: Option<&str>,
    ) -> Result<(), Error> {
        for violation in &request.violations {
            self.notes.note(request, violation, "would-mitigate", instead).await?;
        }
        Ok(())
    }

    async fn note_left_out(
        &self,
        request: &AlarmMitigationRequest,
        decided: &Decided<AlarmMitigationRequest>,
    ) -> Result<(), Error> {
        for out in &decided.left_out {
            let what = if out.why == Why::AlreadyIn { ALREADY_IN } else { "not-mitigated" };
            self.notes.note(request, &out.part, what, Some(out.why.text())).await?;
        }
        Ok(())
    }
}

impl Followed for Violations {
    const COMPLETED: &'static str = "SUCCESSFUL";

    async fn verify(&self, request: &AlarmMitigationRequest) -> Result<Asked, Error> {
        let own = (self.registry.account.as_str(), self.registry.region.as_str());
        verify(&self.mitigations, request, own).await
    }

    /// That a task has ended is written last, when its results are written, people are alerted and a release is on its
    /// way. That it is lost is written before people are alerted.
    async fn is_over(&self, task_id: &str) -> Result<bool, Error> {
        let known = self.mitigations.alarm_task(task_id).await?;
        let has_ended = |state: State| state.has_ended() && state != State::Lost;
        Ok(known.is_none_or(|known| known.state.is_some_and(has_ended)))
    }

    async fn end(
        &self,
        request: &AlarmMitigationRequest,
        task: &Self::Task,
        state: State,
        _: Millis,
    ) -> Result<Ended, Error> {
        end::end(self, request, task, state).await.map(|()| Ended::Written)
    }
}

/// Refuses what is of another account or region, or says of a command what no command has asked for.
async fn verify(
    mitigations: &Mitigations,
    request: &AlarmMitigationRequest,
    (account, region): (&str, &str),
) -> Result<Asked, Error> {
    request.check_place(account, region).map_err(Error::Input)?;
    match request.origin {
        Origin::Command(_) => Asked::by_command(mitigations.is_of_alarm_command(request).await?),
        Origin::Rule(_) => Ok(Asked::Yes),
    }
}
