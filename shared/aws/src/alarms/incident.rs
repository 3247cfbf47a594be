//! Incidents: many devices that alarm on one behavior at once.
//!
//! A behavior has one incident at a time. Its latest one stands in one item, which every event reads; opening replaces
//! that item on the condition that it is still the one that was read, so of two workers that notice the same incident
//! one opens it. The id is made from the behavior and the number of the incident among the behavior's. The members
//! stand below the incident.

use fleetwarden_core::digest::Digest;
use fleetwarden_core::model::alarm::BehaviorKey;
use fleetwarden_core::model::alarm::Bucket;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

use super::Alarms;
use super::ROUNDS;
use super::count::DeviceCount;
use super::item::LATEST;
use super::item::attribute;
use super::open;
use super::snapshot::Versioned;
use crate::Error;
use crate::ledger::Item;
use crate::ledger::Range;
use crate::ledger::keys;
use crate::ledger::pause;

/// What a person decides of an incident about whose alarms nothing is to be done.
const LEAVE: &str = "leave";

/// Many devices that alarm on one behavior at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Its id.
    pub id: String,
    /// The security profile.
    pub profile: String,
    /// The behavior.
    pub behavior: String,
    /// The violation whose message opened it: that message is done only when the topic has the incident's alert.
    #[serde(default)]
    pub opened_by: String,
    /// How many devices alarmed within the window when it was noticed, and since.
    pub devices: u64,
    /// Of how many that the profile watches, if that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub population: Option<u64>,
    /// The first of its alarms.
    pub first_at: Millis,
    /// The latest of its alarms.
    pub latest_at: Millis,
    /// When it was over. None: it lasts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_at: Option<Millis>,
    /// What people decided: `mitigate` or `leave`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decision: Option<String>,
}

/// An incident with the key of its behavior and its number, as it stands in both of its items.
struct Numbered {
    incident: Incident,
    behavior: BehaviorKey,
    number: i64,
}

impl Incident {
    /// Whether an alarm that was raised at a moment is one of it: not if it is older than the first.
    pub fn covers(&self, raised_at: Millis) -> bool {
        raised_at >= self.first_at
    }

    /// Whether a person has decided that nothing is done about its alarms.
    pub fn is_left(&self) -> bool {
        self.ended_at.is_some() && self.decision.as_deref() == Some(LEAVE)
    }
}

impl Numbered {
    fn of(item: &Item) -> Option<Self> {
        Some(Self {
            incident: item.get_json(attribute::INCIDENT)?,
            behavior: BehaviorKey(item.get_text(attribute::BEHAVIOR)?.to_owned()),
            number: item.get_number(attribute::NUMBER)?,
        })
    }

    fn item(&self, pk: &str, sk: &str, now: Millis) -> Item {
        Item::new(pk, sk, now)
            .json(attribute::INCIDENT, &self.incident)
            .text(attribute::BEHAVIOR, &self.behavior.0)
            .number(attribute::NUMBER, self.number)
    }
}

impl Alarms {
    /// Opens an incident of a behavior, unless one is open: then that one is given, and `false`. The id that it is
    /// given in does not count.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn open_incident(
        &self,
        behavior: &BehaviorKey,
        noticed: &Incident,
        now: Millis,
    ) -> Result<(Incident, bool), Error> {
        for round in 0..ROUNDS {
            let item = self.ledger.get(&keys::behavior_incident(behavior), LATEST).await?;
            let latest: Versioned<Incident> = Versioned::of(item.as_ref(), attribute::INCIDENT)?;
            if let Some(open) = latest.value.filter(|latest| latest.ended_at.is_none()) {
                return Ok((open, false));
            }
            let number = item.and_then(|item| item.get_number(attribute::NUMBER)).unwrap_or_default() + 1;
            let id = Digest::new("alarm incident").part(&behavior.0).part(&number.to_string()).hex();
            let incident = Incident { id, ..noticed.clone() };
            let numbered = Numbered { incident, behavior: behavior.clone(), number };
            if self.put_incident(&numbered, latest.version, None, now).await? {
                return Ok((numbered.incident, true));
            }
            pause(round).await;
        }
        Err(Error::Later(format!("the incident of behavior {behavior} is opened by others, {ROUNDS} times")))
    }

    /// Writes an incident: as the latest of its behavior if that is what `latest` was read as, and on the list of all.
    async fn put_incident(
        &self,
        numbered: &Numbered,
        latest: Option<i64>,
        listed: Option<i64>,
        now: Millis,
    ) -> Result<bool, Error> {
        let mut transaction = self.ledger.transaction();
        let of_behavior = keys::behavior_incident(&numbered.behavior);
        transaction.put_version(numbered.item(&of_behavior, LATEST, now), latest);
        transaction.put_version(numbered.item(&keys::incidents(), &numbered.incident.id, now), listed);
        transaction.send().await
    }

    /// An incident by its id.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn incident(&self, incident_id: &str) -> Result<Option<Incident>, Error> {
        let item = self.ledger.get(&keys::incidents(), incident_id).await?;
        match item.as_ref().and_then(Numbered::of) {
            Some(numbered) => self.counted(numbered).await.map(Some),
            None => Ok(None),
        }
    }

    /// The incidents that last, and those that ended since a moment, the first noticed first. Of those that last the
    /// count and the latest alarm are those of now; the latest alarm is exact to five minutes.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn incidents(&self, since: Millis) -> Result<Vec<Incident>, Error> {
        let items = self.ledger.query(&keys::incidents(), Range::All).await?;
        let mut incidents = Vec::new();
        for numbered in items.iter().filter_map(Numbered::of) {
            if numbered.incident.ended_at.is_none_or(|ended| ended >= since) {
                incidents.push(self.counted(numbered).await?);
            }
        }
        incidents.sort_by(|one: &Incident, other| (one.first_at, &one.id).cmp(&(other.first_at, &other.id)));
        Ok(incidents)
    }

    /// An incident with its devices of now, if it lasts.
    async fn counted(&self, Numbered { mut incident, behavior, .. }: Numbered) -> Result<Incident, Error> {
        if incident.ended_at.is_none() {
            let since = (Bucket::of(incident.first_at), Bucket(i64::MAX));
            let counted = DeviceCount::of(&self.count(&behavior, since).await?);
            incident.devices = incident.devices.max(counted.devices);
            incident.latest_at = incident.latest_at.max(counted.last.map_or(Millis(0), Bucket::start));
        }
        Ok(incident)
    }

    /// What an incident would be that is noticed by a violation: the devices within the densest window around its raise,
    /// the first alarm and the latest, as far as the counters tell: to five minutes.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn notice(
        &self,
        life: &Life,
        population: Option<u64>,
        window_seconds: i64,
        now: Millis,
    ) -> Result<Incident, Error> {
        let raised_at = life.raised_at.unwrap_or(now);
        let counted = self.densest(&life.alarm.behavior_key(), window_seconds, raised_at).await?;
        let start = |bucket: Option<Bucket>| bucket.map_or(raised_at, Bucket::start);
        Ok(Incident {
            id: String::new(),
            profile: life.alarm.profile.clone(),
            behavior: life.alarm.behavior.clone(),
            opened_by: life.alarm.violation_id.clone(),
            devices: counted.devices,
            population,
            first_at: start(counted.first).min(raised_at),
            latest_at: start(counted.last).max(raised_at),
            ended_at: None,
            decision: None,
        })
    }

    /// The violations that are part of an incident, by id.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn members(&self, incident_id: &str) -> Result<Vec<Life>, Error> {
        let items = self.ledger.query(&keys::incident_members(incident_id), Range::All).await?;
        self.lives(items.iter().filter_map(open::id).collect()).await
    }

    /// Ends an incident. `decision` is what a person said: `mitigate` (decide on each member by the policy) or `leave`.
    /// One that is over stays as it is. None: there is no such incident.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn end_incident(
        &self,
        incident_id: &str,
        decision: Option<&str>,
        now: Millis,
    ) -> Result<Option<Incident>, Error> {
        for round in 0..ROUNDS {
            let listed = self.ledger.get(&keys::incidents(), incident_id).await?;
            let read: Versioned<Incident> = Versioned::of(listed.as_ref(), attribute::INCIDENT)?;
            let Some(mut numbered) = listed.as_ref().and_then(Numbered::of) else { return Ok(None) };
            if numbered.incident.ended_at.is_some() {
                return Ok(Some(numbered.incident));
            }
            let (behavior, number) = (numbered.behavior.clone(), numbered.number);
            let latest = self.ledger.get(&keys::behavior_incident(&behavior), LATEST).await?;
            let latest: Versioned<Incident> = Versioned::of(latest.as_ref(), attribute::INCIDENT)?;
            numbered = Numbered { incident: self.counted(numbered).await?, behavior, number };
            numbered.incident.ended_at = Some(now);
            numbered.incident.decision = decision.map(ToOwned::to_owned);
            if self.put_incident(&numbered, latest.version, read.version, now).await? {
                return Ok(Some(numbered.incident));
            }
            pause(round).await;
        }
        Err(Error::Later(format!("incident {incident_id}: others write it, {ROUNDS} times")))
    }
}
