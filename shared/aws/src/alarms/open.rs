//! The violations that are in alarm: a list in 16 parts, so that it is read without a scan and no part is hot.

use std::collections::BTreeSet;

use fleetwarden_core::model::alarm::BehaviorKey;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::timestamp::Millis;
use futures_util::future::try_join_all;

use super::Alarms;
use super::item::PARTS;
use super::item::attribute;
use crate::Error;
use crate::ledger::Item;
use crate::ledger::Range;
use crate::ledger::keys;

impl Alarms {
    /// The violations that are in alarm as far as the ledger knows, by id.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn open(&self) -> Result<Vec<Life>, Error> {
        let ids = self.open_items().await?.iter().filter_map(id).collect();
        let mut lives = self.lives(ids).await?;
        lives.retain(|life| life.ended_at().is_none());
        Ok(lives)
    }

    /// The ids of those of one behavior that were raised at this moment or later, in order. There may be many: the lists
    /// are read one after the other, and nothing else of them stays in memory.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn open_since(&self, behavior: &BehaviorKey, since: Millis) -> Result<Vec<String>, Error> {
        let is_wanted = |item: &&Item| {
            item.get_text(attribute::BEHAVIOR) == Some(&behavior.0)
                && item.get_number(attribute::RAISED_AT).is_some_and(|at| at >= since.0)
        };
        let mut ids = Vec::new();
        for part in 0..PARTS {
            let items = self.ledger.query(&keys::open_alarms(part), Range::All).await?;
            ids.extend(items.iter().filter(is_wanted).filter_map(id));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Those about any of these things that were raised at this moment or later. None: about any thing.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn open_of(
        &self,
        things: Option<&BTreeSet<String>>,
        since: Millis,
    ) -> Result<Vec<Life>, Error> {
        let is_new = |item: &&Item| item.get_number(attribute::RAISED_AT).is_some_and(|at| at >= since.0);
        let ids = self.open_items().await?.iter().filter(is_new).filter_map(id).collect();
        let mut lives = self.lives(ids).await?;
        lives.retain(|life| {
            let is_meant = |things: &BTreeSet<String>| {
                life.alarm.thing.as_ref().is_some_and(|thing| things.contains(thing))
            };
            life.ended_at().is_none() && things.is_none_or(is_meant)
        });
        Ok(lives)
    }

    async fn open_items(&self) -> Result<Vec<Item>, Error> {
        let parts =
            (0..PARTS).map(async |part| self.ledger.query(&keys::open_alarms(part), Range::All).await);
        Ok(try_join_all(parts).await?.into_iter().flatten().collect())
    }
}

/// The violation of an item whose sort key it is.
pub(super) fn id(item: &Item) -> Option<String> {
    item.get_text("sk").map(ToOwned::to_owned)
}
