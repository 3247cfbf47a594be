//! The states before a task on a whole check: read when it is claimed, as far as one message goes.

use fleetwarden_aws::Error;
use fleetwarden_aws::check_states::CheckStates;
use fleetwarden_aws::check_states::Progress;
use fleetwarden_aws::check_states::WholeCheck;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::timestamp::Millis;

use super::Findings;
use crate::before::Stored;
use crate::before::judge;
use crate::refusals::Unable;
use crate::work::Work as _;

/// What is left of an invocation when no further page is begun, in seconds: a page takes some.
const MARGIN_SECONDS: i64 = 60;

/// Reads the states before a task, and writes them down.
pub(super) async fn store_before(
    findings: &Findings,
    request: &MitigationRequest,
    target: &Target,
    deadline: Millis,
) -> Result<Stored, Error> {
    let Target::WholeCheck { reason_codes, .. } = target else { return Ok(Stored::Yes) };
    let changes = match judge(findings.states.changes(&request.actions).await) {
        Ok(Ok(changes)) => changes,
        Ok(Err(why)) => return Ok(Stored::Never(Unable::Action, why)),
        Err(unread) => return Ok(unread.into()),
    };
    let id = request.task_id();
    let whole = WholeCheck {
        task_id: &id,
        audit_task_id: &request.audit.task_id,
        check: request.check.as_str(),
        reason_codes,
        changes: &changes,
    };
    let Findings { iot, states, mitigations, clock, .. } = findings;
    let states = CheckStates { iot, states, mitigations, clock };
    let is_started = async || Ok(findings.describe(&id).await?.is_some());
    let until = deadline.plus_seconds(-MARGIN_SECONDS);
    Ok(match judge(Box::pin(states.store(&[whole], until, is_started)).await) {
        Ok(Progress::All | Progress::Started) => Stored::Yes,
        Ok(Progress::InPart) => Stored::InPart,
        Err(unread) => unread.into(),
    })
}
