//! What the table has of a violation, with the versions that a write names.

use fleetwarden_core::model::alarm::Alarm;
use fleetwarden_core::model::alarm::BehaviorKey;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::Series;
use fleetwarden_core::model::alarm::SeriesKey;

use super::Alarms;
use super::Incident;
use super::Known;
use super::item::LATEST;
use super::item::LIFE;
use super::item::SERIES;
use super::item::attribute;
use crate::Error;
use crate::ledger::Item;
use crate::ledger::VERSION;
use crate::ledger::keys;

/// The items around a violation, as they were read.
pub(super) struct Snapshot {
    pub(super) series_key: SeriesKey,
    pub(super) behavior: BehaviorKey,
    pub(super) life: Versioned<Life>,
    pub(super) series: Versioned<Series>,
    /// The latest incident of the behavior, also one that is over.
    pub(super) incident: Option<Incident>,
}

/// A value and the version of its item. None: there was no item.
#[derive(Clone, Debug)]
pub(super) struct Versioned<T> {
    pub(super) value: Option<T>,
    pub(super) version: Option<i64>,
}

impl<T: serde::de::DeserializeOwned> Versioned<T> {
    /// What an item has in an attribute.
    ///
    /// # Errors
    /// If it cannot be read: a newer version may have written it, and it must not be written over.
    pub(super) fn of(item: Option<&Item>, name: &str) -> Result<Self, Error> {
        let Some(item) = item else { return Ok(Self { value: None, version: None }) };
        let value = item.get_json(name);
        if value.is_none() {
            return Err(Error::Later(format!("the ledger has an item whose '{name}' cannot be read")));
        }
        Ok(Self { value, version: Some(item.get_number(VERSION).unwrap_or_default()) })
    }
}

impl Snapshot {
    /// The incident that is open, if there is one.
    pub(super) fn open_incident(&self) -> Option<&Incident> {
        self.incident.as_ref().filter(|incident| incident.ended_at.is_none())
    }

    /// What is known then of a life.
    pub(super) fn known(&self, life: Life, series: &Series) -> Known {
        let mut raises = series.raises.clone();
        raises.extend(life.raised_at);
        let incident = self.open_incident().cloned();
        Known { life, raises: raises.into_iter().collect(), incident }
    }
}

impl Alarms {
    /// Reads all that is known of an alarm, in one call.
    pub(super) async fn read(&self, alarm: &Alarm) -> Result<Snapshot, Error> {
        let (series_key, behavior) = (alarm.series(), alarm.behavior_key());
        let keys = [
            (keys::alarm(&alarm.violation_id), LIFE),
            (keys::alarm_series(&series_key), SERIES),
            (keys::behavior_incident(&behavior), LATEST),
        ];
        let items = self.ledger.get_all(&keys).await?;
        let at = |sk: &str| items.iter().find(|item| item.get_text("sk") == Some(sk));
        Ok(Snapshot {
            life: Versioned::of(at(LIFE), attribute::LIFE)?,
            series: Versioned::of(at(SERIES), attribute::SERIES)?,
            incident: at(LATEST).and_then(|item| item.get_json(attribute::INCIDENT)),
            series_key,
            behavior,
        })
    }

    /// Reads a violation by its id alone.
    pub(super) async fn life(&self, violation_id: &str) -> Result<Versioned<Life>, Error> {
        let item = self.ledger.get(&keys::alarm(violation_id), LIFE).await?;
        Versioned::of(item.as_ref(), attribute::LIFE)
    }

    /// Violations by their ids, each once; what is not there is left out.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn lives(&self, ids: Vec<String>) -> Result<Vec<Life>, Error> {
        let keys: Vec<_> = ids.iter().map(|id| (keys::alarm(id), LIFE)).collect();
        let items = self.ledger.get_all(&keys).await?;
        let mut lives: Vec<Life> = items.iter().filter_map(|item| item.get_json(attribute::LIFE)).collect();
        lives.sort_by(|one: &Life, other| one.alarm.violation_id.cmp(&other.alarm.violation_id));
        Ok(lives)
    }
}
