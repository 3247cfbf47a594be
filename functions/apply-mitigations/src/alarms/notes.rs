//! What was done about a violation, noted beside its alarm in the ledger.

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::clock::Clock;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::model::alarm::Action;

/// The note on a violation whose thing is in the groups already: by an earlier task or by hand.
pub(super) const ALREADY_IN: &str = "already-in-groups";
/// The note on a violation whose thing a task has put into groups.
pub(super) const MITIGATED: &str = "mitigated";

/// Writes notes.
#[derive(Clone)]
pub(crate) struct Notes {
    pub(crate) alarms: Alarms,
    pub(crate) clock: Clock,
}

impl Notes {
    /// Notes what was done about a violation, if the ledger knows it.
    pub(super) async fn note(
        &self,
        request: &AlarmMitigationRequest,
        violation: &ViolationRef,
        what: &str,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let action = Action {
            at: self.clock.now(),
            raised_at: Some(violation.raised_at),
            what: what.to_owned(),
            rule: request.origin.rule().map(ToOwned::to_owned),
            task_id: Some(request.task_id()),
            reason: reason.map(ToOwned::to_owned),
        };
        self.alarms.note(&violation.violation_id, &action).await
    }
}
