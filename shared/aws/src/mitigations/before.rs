//! The states before a mitigation task, in the ledger: one item a resource, and one that says that all are there.
//!
//! They are written before the start, over what an earlier try has written: whoever writes has read the states first, and
//! then learned from the service that there is no such task. So each is a state before, however many tries there were.

use fleetwarden_core::model::mitigation::before::Before;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

use super::Mitigations;
use super::item::attribute;
use crate::Error;
use crate::ledger::Item;
use crate::ledger::Range;
use crate::ledger::keys;

/// The sort key of the item that says how far the states are read.
const READ: &str = "before";
/// The sort keys of the states: what they begin with, and what comes after all of them.
pub const BEFORE: (&str, &str) = ("before#", "before$");

/// How far the states before a task are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BeforeRead {
    /// How many checks are read.
    pub checks: usize,
    /// The page of the next check's findings that comes next.
    pub pages: Pages,
    /// How often the list was begun again.
    pub restarts: u32,
    /// How many resources are written.
    pub resources: u64,
    /// Whether all are.
    pub complete: bool,
    /// When the first of them was read.
    pub began_at: Millis,
}

impl Mitigations {
    /// Writes states before a task, and then how far they are read.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn put_before(
        &self,
        task_id: &str,
        befores: &[Before],
        read: &BeforeRead,
        now: Millis,
    ) -> Result<(), Error> {
        let pk = keys::mitigation(task_id);
        let item = |before: &Before| {
            Item::new(&pk, &format!("{}{}", BEFORE.0, before.key()), now)
                .text(attribute::TASK_ID, task_id)
                .json(attribute::BEFORE, before)
        };
        self.ledger.put_all(befores.iter().map(item).collect()).await?;
        let read = Item::new(&pk, READ, now).text(attribute::TASK_ID, task_id).json(attribute::MARK, read);
        self.ledger.put(read).await
    }

    /// How far the states before a task are read. None: nothing of it is written.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn before_read(&self, task_id: &str) -> Result<Option<BeforeRead>, Error> {
        let item = self.ledger.get(&keys::mitigation(task_id), READ).await?;
        Ok(item.and_then(|item| item.get_json(attribute::MARK)))
    }

    /// The states before a task.
    ///
    /// # Errors
    /// If the table does not answer, or if one cannot be read.
    pub async fn befores(&self, task_id: &str) -> Result<Vec<Before>, Error> {
        let items = self.ledger.query(&keys::mitigation(task_id), Range::Between(BEFORE.0, BEFORE.1)).await?;
        items.iter().map(before).collect()
    }
}

/// The state that an item has.
///
/// # Errors
/// If it cannot be read.
pub fn before(item: &Item) -> Result<Before, Error> {
    let unreadable = || {
        let sk = item.get_text("sk").unwrap_or_default();
        Error::Later(format!("the ledger's item {sk} has no state that can be read"))
    };
    item.get_json(attribute::BEFORE).ok_or_else(unreadable)
}
