//! The states that a mitigation will change, as a command reads them: of findings that it names before they are claimed,
//! so that what cannot be read refuses the command; of whole checks after that, because they can be many.

use aws_sdk_iot::Client;
use fleetwarden_aws::Error;
use fleetwarden_aws::check_states::CheckStates;
use fleetwarden_aws::check_states::Progress;
use fleetwarden_aws::check_states::WholeCheck;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::states::About;
use fleetwarden_aws::states::Changes;
use fleetwarden_aws::states::States;
use fleetwarden_commands::Failure;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::model::mitigation::before::Befores;
use fleetwarden_core::timestamp::Millis;

/// What is left of an invocation when no further page of a check is begun, in seconds.
const MARGIN_SECONDS: i64 = 20;

/// Reads states for a command.
pub(crate) struct StateBefore<'a> {
    pub(crate) iot: &'a Client,
    pub(crate) states: &'a States,
    pub(crate) clock: &'a Clock,
    pub(crate) deadline: Millis,
}

/// What some of the actions change that were described.
pub(crate) fn of_actions(changes: &Changes, actions: &[String]) -> Changes {
    let of = changes.iter().filter(|(action, _)| actions.contains(action));
    of.map(|(action, change)| (action.clone(), change.clone())).collect()
}

impl StateBefore<'_> {
    /// Reads the states of a finding. Or why it cannot be mitigated. `changes` are those of the actions that were described
    /// so far.
    pub(crate) async fn read(
        &self,
        befores: &mut Befores,
        about: About<'_>,
        actions: &[String],
        changes: &mut Changes,
    ) -> Result<Result<(), String>, Error> {
        let unknown: Vec<String> =
            actions.iter().filter(|action| !changes.contains_key(*action)).cloned().collect();
        match self.states.changes(&unknown).await? {
            Ok(more) => changes.extend(more),
            Err(why) => return Ok(Err(why)),
        }
        self.states.read(befores, about, &of_actions(changes, actions)).await
    }

    /// Whether the service has a task.
    pub(crate) async fn is_started(&self, id: &str) -> Result<bool, Error> {
        let described = self.iot.describe_audit_mitigation_actions_task().task_id(id).send().await;
        match described.map_err(Error::aws("DescribeAuditMitigationActionsTask", id)) {
            Err(error) if error.is_code("ResourceNotFoundException") => Ok(false),
            described => described.map(|_| true),
        }
    }

    /// Reads and writes the states of whole checks. A try that has no time for all says so, and the next one goes on.
    pub(crate) async fn store_checks(
        &self,
        requests: &[MitigationRequest],
        mitigations: &Mitigations,
        is_started: impl AsyncFn() -> Result<bool, Error>,
    ) -> Result<(), Failure> {
        let until = self.deadline.plus_seconds(-MARGIN_SECONDS);
        let states = CheckStates { iot: self.iot, states: self.states, mitigations, clock: self.clock };
        let mut wholes = Vec::new();
        for request in requests {
            let Target::WholeCheck { reason_codes, .. } = &request.target else { continue };
            match self.states.changes(&request.actions).await? {
                Ok(changes) => wholes.push((request, reason_codes, changes)),
                Err(why) => return Err(Failure::fault("$.auditCheckToActionsMapping", why)),
            }
        }
        let Some((first, ..)) = wholes.first() else { return Ok(()) };
        let (id, audit) = (first.task_id(), first.audit.task_id.to_string());
        let wholes: Vec<WholeCheck<'_>> = wholes
            .iter()
            .map(|(request, reason_codes, changes)| WholeCheck {
                task_id: &id,
                audit_task_id: &audit,
                check: request.check.as_str(),
                reason_codes,
                changes,
            })
            .collect();
        match Box::pin(states.store(&wholes, until, is_started)).await? {
            Progress::All | Progress::Started => Ok(()),
            Progress::InPart => {
                let what = "no time is left to read the states before the mitigation; repeat the command: it goes on \
                            where it stopped"
                    .to_owned();
                Err(Failure::Refused { name: "OutOfTime", what })
            }
        }
    }
}
