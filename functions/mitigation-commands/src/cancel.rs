//! `MitigationCancel`: a task that runs is canceled at Device Defender, and one that is held is rejected.
//!
//! Who cancels and why is written before the call, so that nothing is canceled of which nobody knows why. The follow-up of
//! the task sees its end and writes it. What the actions have done until then stays done: an undo puts it back.

use aws_sdk_iot::Client;
use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Word;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_core::model::mitigation::approval::Answered;
use fleetwarden_core::timestamp::Millis;

use crate::approval::Deciding;
use crate::approval::refused;
use crate::approval::task;

/// The sort key of the cancellation of a task.
const CANCEL: &str = "cancel";
/// When it was asked for.
const AT: &str = "at";
/// What comes after a cancellation.
const NEXT: &str = "its follow-up writes how it ended; what it has changed by now is put back by fleetwarden mitigation undo";

/// `MitigationCancel`.
pub(crate) async fn cancel(
    deciding: &Deciding<'_>,
    iot: &Client,
    command: &Command,
) -> Result<Answered, Failure> {
    let id = command.text("taskId");
    let item = task(deciding.mitigations, id).await?;
    let state = State::of(&item);
    match state {
        Some(State::Held | State::Rejected) => return deciding.reject(command).await,
        Some(State::Started | State::Claimed) => {}
        Some(State::Canceled) => return Ok(Answered { repeated: true, ..answered(id, "canceled", false) }),
        state => {
            let state = state.map_or("in an unknown state", State::as_str);
            let what = format!("mitigation task '{id}' is {state}: there is nothing to cancel");
            return Err(refused("NothingToCancel", what));
        }
    }
    if command.dry_run {
        return Ok(answered(id, "started", true));
    }
    let now = deciding.clock.now();
    let ledger = deciding.mitigations.ledger();
    let record = record(id, &deciding.word(command), now);
    let repeated = ledger.put_in_place(record, AT, None).await?.is_some();
    tracing::warn!(
        mitigation.task_id = id,
        cancel.reason = command.text("reason"),
        "the mitigation is canceled"
    );
    match at_service(iot, &item, id).await {
        Ok(()) => Ok(Answered { repeated, ..answered(id, "canceling", false) }),
        // An earlier try has canceled it, and its answer was lost.
        Err(error) if error.is_code("InvalidRequestException") && repeated => {
            Ok(Answered { repeated, ..answered(id, "canceling", false) })
        }
        Err(error) if error.is_code("InvalidRequestException") => {
            let what = format!("mitigation task '{id}' does not run any more: there is nothing to cancel");
            Err(refused("NothingToCancel", what))
        }
        Err(error) if error.is_code("ResourceNotFoundException") && state == Some(State::Claimed) => {
            let what = format!("mitigation task '{id}' is about to start: cancel it in a minute, or pause");
            Err(refused("AboutToStart", what))
        }
        Err(error) => Err(error.into()),
    }
}

async fn at_service(iot: &Client, task: &Item, id: &str) -> Result<(), Error> {
    if task.get_text(attribute::PROFILE).is_some() {
        let canceled = iot.cancel_detect_mitigation_actions_task().task_id(id).send().await;
        return canceled.map(drop).map_err(Error::aws("CancelDetectMitigationActionsTask", id));
    }
    let canceled = iot.cancel_audit_mitigation_actions_task().task_id(id).send().await;
    canceled.map(drop).map_err(Error::aws("CancelAuditMitigationActionsTask", id))
}

/// Who cancels a task, and why.
fn record(id: &str, word: &Word, now: Millis) -> Item {
    let item = Item::new(&keys::mitigation(id), CANCEL, now)
        .text(attribute::TASK_ID, id)
        .text(attribute::REASON, &word.reason)
        .text(AT, now.rfc3339());
    let texts = [("by", &word.by), ("request_id", &word.request_id)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
    texts.fold(item, |item, (name, text)| item.text(name, text))
}

fn answered(id: &str, state: &str, dry_run: bool) -> Answered {
    let (task_id, state, next) = (id.to_owned(), state.to_owned(), NEXT.to_owned());
    Answered { dry_run, task_id, state, next, ..Answered::default() }
}
