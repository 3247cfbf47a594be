//! What the ledger has of the undo of a task: one item that is claimed while an invocation works on it, with who asked for
//! it and why, and one with the result of each resource.

use crate::Error;
use crate::ledger::Item;
use crate::ledger::Ledger;
use crate::ledger::keys;
use crate::ledger::nonce;
use crate::mitigations::attribute;
use fleetwarden_core::model::mitigation::undo::UndoneResource;
use fleetwarden_core::timestamp::Millis;

/// The sort key of the undo of a task.
pub(crate) const UNDO: &str = "undo";
/// The attribute that says who holds the claim.
const OWNER: &str = "nonce";
/// The attribute that says until when.
const LEASE: &str = "lease_until";

/// The undo of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Undo {
    /// Who asked for it.
    pub(crate) by: String,
    /// Why.
    pub(crate) reason: String,
    /// When it began.
    pub(crate) began_at: String,
    /// How many resources could not be put back so far.
    pub(crate) open: i64,
}

/// The undo of a task that the ledger has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) undo: Undo,
    /// Whether all resources are as they were.
    pub(crate) done: bool,
    /// Until when an invocation works on it.
    pub(crate) lease_until: Option<Millis>,
    owner: Option<String>,
}

/// A claim of the undo of a task.
#[derive(Debug)]
pub(crate) struct Claimed {
    pk: String,
    task_id: String,
    owner: String,
}

/// The sort key of what came of a resource.
pub(crate) fn result_key(resource: &str) -> String {
    format!("undo#{resource}")
}

/// What the ledger has of the undo of a task.
pub(crate) async fn known(ledger: &Ledger, task_id: &str) -> Result<Option<Known>, Error> {
    Ok(ledger.get(&keys::mitigation(task_id), UNDO).await?.map(|item| read(&item)))
}

fn read(item: &Item) -> Known {
    let text = |name| item.get_text(name).unwrap_or_default().to_owned();
    let undo = Undo {
        by: text("asked_by"),
        reason: text(attribute::REASON),
        began_at: text(attribute::STARTED_AT),
        open: item.get_number("open").unwrap_or_default(),
    };
    let is = |state: &str| item.get_text(attribute::STATE) == Some(state);
    Known {
        undo,
        done: is("undone"),
        lease_until: item.get_number(LEASE).map(Millis).filter(|_| is("running")),
        owner: item.get_text(OWNER).map(ToOwned::to_owned),
    }
}

/// Claims the undo of a task until a moment, in place of what was read. None: somebody else has claimed it meanwhile.
pub(crate) async fn claim(
    ledger: &Ledger,
    task_id: &str,
    known: Option<&Known>,
    undo: &Undo,
    (now, lease): (Millis, Millis),
) -> Result<Option<Claimed>, Error> {
    let claimed = Claimed { pk: keys::mitigation(task_id), task_id: task_id.to_owned(), owner: nonce() };
    let item = claimed.item(undo, "running", now).number(LEASE, lease.0);
    let read = known.and_then(|known| known.owner.as_deref());
    let there = ledger.put_in_place(item, OWNER, read).await?;
    // An answer may have been lost, and the claim sent again.
    let is_own = |there: &Item| there.get_text(OWNER) == Some(&claimed.owner);
    Ok(there.as_ref().is_none_or(is_own).then_some(claimed))
}

impl Claimed {
    /// Writes what came of resources.
    pub(crate) async fn put(
        &self,
        ledger: &Ledger,
        results: &[(String, UndoneResource)],
        now: Millis,
    ) -> Result<(), Error> {
        let item = |(key, result): &(String, UndoneResource)| {
            Item::new(&self.pk, &result_key(key), now)
                .text(attribute::TASK_ID, &self.task_id)
                .text(attribute::STATE, &result.result)
                .json("result", result)
        };
        ledger.put_all(results.iter().map(item).collect()).await
    }

    /// Ends the claim: the undo is done, or what is left of it comes later.
    pub(crate) async fn end(
        &self,
        ledger: &Ledger,
        undo: &Undo,
        done: bool,
        now: Millis,
    ) -> Result<(), Error> {
        let state = if done { "undone" } else { "open" };
        let item = self.item(undo, state, now).text(attribute::ENDED_AT, now.rfc3339());
        // Whoever has claimed it after the lease has the word.
        ledger.put_in_place(item, OWNER, Some(&self.owner)).await.map(drop)
    }

    fn item(&self, undo: &Undo, state: &str, now: Millis) -> Item {
        Item::new(&self.pk, UNDO, now)
            .text(attribute::TASK_ID, &self.task_id)
            .text(attribute::STATE, state)
            .text("asked_by", &undo.by)
            .text(attribute::REASON, &undo.reason)
            .text(attribute::STARTED_AT, &undo.began_at)
            .number("open", undo.open)
            .text(OWNER, &self.owner)
    }
}
