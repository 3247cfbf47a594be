//! Recording an event: what the ledger has after it, and the transaction that writes it.

use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::Series;
use fleetwarden_core::timestamp::Millis;

use super::Alarms;
use super::Known;
use super::ROUNDS;
use super::count;
use super::item;
use super::item::LIFE;
use super::item::SERIES;
use super::item::attribute;
use super::snapshot::Snapshot;
use crate::Error;
use crate::ledger::Item;
use crate::ledger::keys;
use crate::ledger::pause;

/// What an event changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// What is known after it.
    pub known: Known,
    /// Whether the event was not known yet.
    pub is_news: bool,
}

/// What the ledger is to have after an event.
struct Next {
    life: Life,
    series: Series,
    is_news: bool,
}

impl Alarms {
    /// Records an event: merges it into its violation's life, the series of its device and behavior, and the count of
    /// devices that alarm. A begin joins the incident of its behavior that is open, if it is of its time. A repeat
    /// changes nothing. Gives what is known then.
    ///
    /// # Errors
    /// If the table does not answer, or others write the same items as often as this is tried.
    pub async fn record(&self, event: &AlarmEvent, now: Millis) -> Result<Update, Error> {
        for round in 0..ROUNDS {
            let snapshot = self.read(&event.alarm).await?;
            let next = next(&snapshot, event, now);
            let Next { life, series, is_news } = &next;
            if !is_news || self.write(&snapshot, &next, now).await? {
                return Ok(Update { known: snapshot.known(life.clone(), series), is_news: *is_news });
            }
            pause(round).await;
        }
        let id = &event.alarm.violation_id;
        Err(Error::Later(format!("violation {id}: still written by others after {ROUNDS} tries")))
    }

    /// Writes what has changed. Says whether it did: otherwise another worker has.
    async fn write(&self, snapshot: &Snapshot, next: &Next, now: Millis) -> Result<bool, Error> {
        let id = &next.life.alarm.violation_id;
        let mut transaction = self.ledger.transaction();
        let before = snapshot.life.value.as_ref();
        if before != Some(&next.life) {
            let item = Item::new(&keys::alarm(id), LIFE, now).json(attribute::LIFE, &next.life);
            transaction.put_version(item, snapshot.life.version);
            let was_open = before.and_then(|life| item::open(life, &snapshot.behavior, now));
            match (was_open, item::open(&next.life, &snapshot.behavior, now)) {
                (was, Some(is)) if was.as_ref() != Some(&is) => transaction.put(is),
                (Some(_), None) => transaction.delete(&item::open_list(id), id),
                _ => {}
            }
            let joined = next.life.incident.as_ref();
            if let Some(incident) = joined.filter(|id| before.and_then(|b| b.incident.as_ref()) != Some(id)) {
                transaction.put(Item::new(&keys::incident_members(incident), id, now));
            }
        }
        let before = snapshot.series.value.clone().unwrap_or_default();
        if before != next.series {
            let item = Item::new(&keys::alarm_series(&snapshot.series_key), SERIES, now);
            let item = item.json(attribute::SERIES, &next.series);
            transaction.put_version(item, snapshot.series.version);
            let moved = (before.counted, next.series.counted);
            count::move_device(&mut transaction, &snapshot.behavior, &snapshot.series_key, moved);
        }
        transaction.send().await
    }
}

/// What the ledger is to have after an event. Pure.
fn next(snapshot: &Snapshot, event: &AlarmEvent, now: Millis) -> Next {
    let mut life = snapshot.life.value.clone().unwrap_or_else(|| Life::of(event));
    let raised_before = life.raised_at.filter(|_| snapshot.life.value.is_some());
    life.hear(event);
    let mut series = snapshot.series.value.clone().unwrap_or_default();
    if event.event == EventType::InAlarm {
        series.raise(event.at, now);
        if raised_before != life.raised_at {
            // A new raise is of no incident of an earlier one.
            life.incident = None;
        }
        let is_latest = life.raised_at == Some(event.at);
        let incident = snapshot.open_incident().filter(|incident| is_latest && incident.covers(event.at));
        // What an earlier incident held is decided on, or was left: a repeat says nothing new of it.
        if let Some(incident) = incident.filter(|_| life.incident.is_none()) {
            life.incident = Some(incident.id.clone());
        }
    }
    let is_news = snapshot.life.value.as_ref() != Some(&life)
        || snapshot.series.value.as_ref().unwrap_or(&Series::default()) != &series;
    Next { life, series, is_news }
}
