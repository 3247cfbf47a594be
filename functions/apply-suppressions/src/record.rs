//! What is written into the ledger before a suppression is changed: the change, and what was there before it, so that it
//! can be undone ([`fleetwarden_aws::suppressions`]).
//!
//! A suppression that no rule has changed is taken for a new one, and is not looked at before it is created: one write, and
//! no call to AWS IoT. If the ledger has an earlier change, or an earlier try of this one, it is looked at first. So what a change found is never what the change itself has made.

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::suppressions::Record;
use fleetwarden_core::model::suppression::change::Change;
use fleetwarden_core::model::suppression::change::State;
use fleetwarden_core::timestamp::Millis;

use crate::plan::Wish;

/// What the ledger has of a suppression before it is changed.
pub(crate) enum Announced {
    /// That it is about to be created, since this moment. Nobody knows of another one.
    New(Record),
    /// The same, since an earlier try: it may have been created.
    Own(Record),
    /// Earlier changes.
    Known(Record),
    /// That a person has undone what the audit has made, and why.
    Undone(String),
}

/// Writes that a suppression is about to be created, if the ledger has nothing of it.
pub(crate) async fn announce(ledger: &Ledger, wish: &Wish<'_>, now: Millis) -> Result<Announced, Error> {
    let mut new = Record::new(wish.message.check.clone(), wish.resource.clone());
    let change = wish.change(None, now);
    new.changes.push(change.clone());
    let Some(there) = new.put(ledger, now).await? else { return Ok(Announced::New(new)) };
    let of_audit = |known: &&Change| known.audit_task_id == change.audit_task_id;
    let undone = there.changes.last().filter(of_audit).and_then(|last| last.undone.as_ref());
    if let Some(undone) = undone {
        let at = &undone.at;
        return Ok(Announced::Undone(format!(
            "it was undone at {at}, by {}: the next audit decides again",
            undone.by
        )));
    }
    let is_own = |last: &Change| last.is_another_try_of(&change) && last.before.is_none();
    Ok(if there.changes.last().is_some_and(is_own) { Announced::Own(there) } else { Announced::Known(there) })
}

/// Writes what was there before the change that comes next.
pub(crate) async fn note(
    ledger: &Ledger,
    mut record: Record,
    wish: &Wish<'_>,
    before: Option<State>,
    now: Millis,
) -> Result<(), Error> {
    wish.change(before, now).add_to(&mut record.changes);
    put(ledger, record, now).await
}

/// Takes back that a suppression is about to be created: there is one that stays.
pub(crate) async fn withdraw(ledger: &Ledger, mut record: Record, now: Millis) -> Result<(), Error> {
    record.changes.pop();
    put(ledger, record, now).await
}

async fn put(ledger: &Ledger, mut record: Record, now: Millis) -> Result<(), Error> {
    match record.put(ledger, now).await? {
        None => Ok(()),
        Some(_) => Err(Error::Later("another invocation changes the same suppression".to_owned())),
    }
}
