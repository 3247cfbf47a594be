//! The mitigations of an audit, found by the audit: an item for each task and check, below the audit's partition key.
//!
//! It is written in the transaction that writes the task, so that there is none without the other. Where a task stands
//! is in the task's own item alone. How many findings of a check ended well is here: a sum over these items is the same
//! however often an end is written.

use std::collections::HashMap;

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::timestamp::Millis;

use super::Mitigations;
use super::item::attribute;
use crate::Error;
use crate::ledger::Condition;
use crate::ledger::Item;
use crate::ledger::Range;
use crate::ledger::keys;

/// The sort keys of the mitigations of an audit: what they begin with, and what comes after all of them.
pub const OF_AUDIT: (&str, &str) = ("mitigation#", "mitigation$");

/// How findings ended, of one task and check, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// Device Defender says that every action on them succeeded.
    pub succeeded: u64,
    /// Their task has ended, and not every action on them succeeded.
    pub failed: u64,
}

/// A mitigation task on findings of a check of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskOfAudit {
    /// The mitigation task.
    pub task_id: String,
    /// How its findings of the check ended. None before its end.
    pub confirmed: Option<Confirmed>,
}

impl Mitigations {
    /// The mitigation tasks on findings of an audit, each once for every check that it works on.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn of_audit(&self, audit: &Audit) -> Result<Vec<TaskOfAudit>, Error> {
        let items = self.ledger.query(&keys::audit(audit), Range::Between(OF_AUDIT.0, OF_AUDIT.1)).await?;
        Ok(items.iter().filter_map(read).collect())
    }

    /// Writes how the findings of a request ended, and says how all of its check and audit that have ended did.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn confirm(
        &self,
        request: &MitigationRequest,
        confirmed: Confirmed,
        now: Millis,
    ) -> Result<Confirmed, Error> {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let item = item(request, now)
            .number(attribute::SUCCEEDED, count(confirmed.succeeded))
            .number(attribute::FAILED, count(confirmed.failed));
        self.ledger.put(item).await?;
        let (first, last) = (prefix(&request.check, '#'), prefix(&request.check, '$'));
        let items = self.ledger.query(&keys::audit(&request.audit), Range::Between(&first, &last)).await?;
        let ended = items.iter().filter_map(read).filter_map(|task| task.confirmed);
        Ok(ended.fold(Confirmed::default(), |sum, of| Confirmed {
            succeeded: sum.succeeded.saturating_add(of.succeeded),
            failed: sum.failed.saturating_add(of.failed),
        }))
    }
}

/// The item, to be written with the task's own: whatever was there before is of the same task.
pub(super) fn mention(request: &MitigationRequest, now: Millis) -> (Item, Condition) {
    let expression = "attribute_exists(pk) OR attribute_not_exists(pk)".to_owned();
    (item(request, now), Condition { expression, values: HashMap::new() })
}

fn item(request: &MitigationRequest, now: Millis) -> Item {
    let task_id = request.task_id();
    let sk = format!("{}{task_id}", prefix(&request.check, '#'));
    Item::new(&keys::audit(&request.audit), &sk, now)
        .text(attribute::TASK_ID, &task_id)
        .text(attribute::CHECK, request.check.as_str())
}

/// What the sort keys of a check begin with. In the order of keys `$` comes right after `#`.
fn prefix(check: &CheckName, end: char) -> String {
    format!("mitigation#{check}{end}")
}

fn read(item: &Item) -> Option<TaskOfAudit> {
    let count = |name| item.get_number(name).and_then(|n| u64::try_from(n).ok());
    let task_id = item.get_text(attribute::TASK_ID)?.to_owned();
    let confirmed = count(attribute::SUCCEEDED)
        .map(|succeeded| Confirmed { succeeded, failed: count(attribute::FAILED).unwrap_or_default() });
    Some(TaskOfAudit { task_id, confirmed })
}
