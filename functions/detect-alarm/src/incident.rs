//! Incidents: noticed before a decision, told once, and their members marked.
//!
//! Whoever notices an incident opens it; of several who do at once the ledger takes one. Telling people comes with
//! marking the violations that were raised before, also those that were decided on, and it is claimed as one piece of
//! work. A record whose process dies on the way is delivered again and does what is left.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Incident;
use fleetwarden_aws::ledger::Attempt;
use fleetwarden_aws::ledger::about;
use fleetwarden_core::metrics;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::timestamp::Millis;
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;

use crate::DetectAlarm;
use crate::alerts;
use crate::alerts::Raised;
use crate::plan;

/// How long telling people may take, in seconds, before another worker may do it.
const LEASE_SECONDS: i64 = 60;
/// How many violations are marked side by side.
const PARALLEL: usize = 8;
/// How many of them are in memory at once: as many as one call reads.
const AT_ONCE: usize = 100;
/// How many incidents a process remembers to be told.
const REMEMBERED: usize = 1_000;

impl DetectAlarm {
    /// The incident that a violation is one of, opened if there is none: if enough devices alarm on its behavior now.
    pub(crate) async fn notice(&self, life: &Life, now: Millis) -> Result<Option<Incident>, Error> {
        // An alarm about no device is none of many devices.
        let Some(raised_at) = life.raised_at.filter(|_| life.alarm.thing.is_some()) else { return Ok(None) };
        let settings = self.policy.alarms();
        let (behavior, window) = (life.alarm.behavior_key(), settings.incident_window_seconds);
        let devices = self.alarms.devices_around(&behavior, window, raised_at).await?;
        let population = match plan::counted(devices, &settings) {
            Some(most) if !plan::is_incident(devices, None, &settings) => {
                Box::pin(self.population(&life.alarm, most, now)).await
            }
            _ => None,
        };
        if !plan::is_incident(devices, population, &settings) {
            return Ok(None);
        }
        let noticed = self.alarms.notice(life, population, window, now).await?;
        let (incident, is_new) = self.alarms.open_incident(&behavior, &noticed, now).await?;
        if is_new {
            tracing::warn!(incident.id = incident.id, devices, "an incident is opened");
            (self.emit)(&metrics::alarms::incident_line(&life.alarm, incident.devices, now));
        }
        Ok(Some(incident))
    }

    /// Makes a violation part of an incident, and sees to it that people are told of it.
    pub(crate) async fn join(&self, life: &Life, incident: &Incident) -> Result<(), Error> {
        let now = self.consumer.clock.now();
        let Some(raised_at) = life.raised_at else { return Ok(()) };
        let id = &life.alarm.violation_id;
        let joined = self.alarms.join(id, raised_at, &incident.id, now).await?;
        self.tell_once(life, incident, now).await?;
        match joined {
            Some(life) => self.record_member(&life).await,
            None => Ok(()),
        }
    }

    async fn tell_once(&self, life: &Life, incident: &Incident, now: Millis) -> Result<(), Error> {
        let told = || self.told_incidents.lock().unwrap_or_else(PoisonError::into_inner);
        if told().contains(&incident.id) {
            return Ok(());
        }
        let ledger = self.alarms.ledger();
        let lease = now.plus_seconds(LEASE_SECONDS);
        let work = Box::pin(self.tell(life, incident, now));
        let attempt = ledger.try_once(&about::incident_alert(&incident.id), now, lease, work).await?;
        if let Attempt::Busy(_) = attempt {
            // The record of who tells is done only when people are told.
            return Ok(());
        }
        let mut told = told();
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert(incident.id.clone());
        Ok(())
    }

    /// The incidents of these violations about which a person has decided that nothing is done.
    async fn left(&self, lives: &[Life], lasts: &Incident) -> Result<BTreeSet<String>, Error> {
        let ids: BTreeSet<&String> = lives.iter().filter_map(|life| life.incident.as_ref()).collect();
        let mut left = BTreeSet::new();
        for id in ids.into_iter().filter(|id| **id != lasts.id) {
            if self.alarms.incident(id).await?.is_some_and(|incident| incident.is_left()) {
                left.insert(id.clone());
            }
        }
        Ok(left)
    }

    /// Marks what was raised since the incident's first alarm, and tells people.
    async fn tell(&self, life: &Life, incident: &Incident, now: Millis) -> Result<(), Error> {
        let behavior = life.alarm.behavior_key();
        let ids = self.alarms.open_since(&behavior, incident.first_at).await?;
        let mut raised = Raised::default();
        for ids in ids.chunks(AT_ONCE) {
            let lives = self.alarms.lives(ids.to_vec()).await?;
            let left = self.left(&lives, incident).await?;
            let stays = |of: &String| of == &incident.id || left.contains(of);
            let unmarked = lives.iter().filter(|life| !life.incident.as_ref().is_some_and(stays));
            let marks = futures_util::stream::iter(unmarked).map(async |life| {
                let (id, at) = (&life.alarm.violation_id, life.raised_at.unwrap_or(now));
                self.alarms.join(id, at, &incident.id, now).await
            });
            marks.buffer_unordered(PARALLEL).try_for_each(async |_| Ok(())).await?;
            for life in &lives {
                raised.add(life);
            }
        }
        let targets = self.populations.targets(&life.alarm.profile);
        self.alerts.raise(&alerts::incident(&life.alarm, incident, &raised, &targets, &self.policy)).await
    }
}
