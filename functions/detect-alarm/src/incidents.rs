//! Incidents: noticed before a decision, alerted once, and their members marked.
//!
//! Whoever notices an incident opens it; of several who do at once the ledger takes one. The alert comes with marking the
//! violations that were raised before, also those that were decided on, and both are claimed as one piece of work. If the
//! process dies on the way, the record is delivered again and does what is left.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alarms::Incident;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::ledger::Attempt;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::populations::Populations;
use fleetwarden_core::metrics::alarms;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;

use crate::alerts;
use crate::alerts::Raised;
use crate::plan;
use crate::plan::Crowd;
use crate::records::Records;

/// How long an alert may take, in seconds, before another worker may raise it.
const LEASE_SECONDS: i64 = 60;
/// How many violations are marked side by side.
const PARALLEL: usize = 8;
/// How many of them are in memory at once: as many as one call reads.
const AT_ONCE: usize = 100;
/// How many incidents a process remembers to be alerted.
const REMEMBERED: usize = 1_000;

/// Notices incidents, and takes violations into them.
pub(crate) struct Incidents<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) alarms: &'a Alarms,
    pub(crate) populations: &'a Populations,
    pub(crate) alerts: &'a Alerts,
    /// The incidents for which this process knows that the alert was raised.
    pub(crate) alerted: &'a Mutex<BTreeSet<String>>,
    pub(crate) records: Records<'a>,
    pub(crate) emit: fn(&str),
}

/// What the devices around a violation are.
pub(crate) enum Noticed {
    /// An incident, opened if there was none.
    Incident(Incident),
    /// So many devices, which may become an incident.
    Growing(u64),
    /// None.
    None,
}

impl Incidents<'_> {
    /// Whether so many devices alarm on the behavior of a violation that it is one of an incident. `before` is how many
    /// there were when it was last put off.
    pub(crate) async fn notice(
        &self,
        life: &Life,
        before: Option<u64>,
        now: Millis,
    ) -> Result<Noticed, Error> {
        // An alarm about no device is none of many devices.
        let Some(raised_at) = life.raised_at.filter(|_| life.alarm.thing.is_some()) else {
            return Ok(Noticed::None);
        };
        let settings = self.policy.alarms();
        let (behavior, window) = (life.alarm.behavior_key(), settings.incident_window_seconds);
        let devices = self.alarms.devices_around(&behavior, window, raised_at).await?;
        let population = match plan::counted(plan::twice(devices), &settings) {
            Some(limit) if !settings.is_incident(devices, None) => {
                Box::pin(self.populations.of(&life.alarm, limit, now)).await
            }
            _ => None,
        };
        match plan::crowd(devices, before, population, &settings) {
            Crowd::Few => return Ok(Noticed::None),
            Crowd::Growing => return Ok(Noticed::Growing(devices)),
            Crowd::Incident => {}
        }
        let noticed = self.alarms.notice(life, population, window, now).await?;
        let (incident, is_new) = self.alarms.open_incident(&behavior, &noticed, now).await?;
        if is_new {
            tracing::warn!(incident.id = incident.id, devices, "opened an incident");
            (self.emit)(&alarms::incident_line(&life.alarm, incident.devices, now));
        }
        Ok(Noticed::Incident(incident))
    }

    /// Makes a violation part of an incident, of which there is an alert after this.
    pub(crate) async fn join(&self, life: &Life, incident: &Incident, now: Millis) -> Result<(), Error> {
        let Some(raised_at) = life.raised_at else { return Ok(()) };
        let id = &life.alarm.violation_id;
        let joined = self.alarms.join(id, raised_at, &incident.id, now).await?;
        self.alert_once(life, incident, now).await?;
        // If it was raised again meanwhile, its message is still about this raise.
        let joined = joined.filter(|joined| joined.raised_at == Some(raised_at));
        self.records.send_begin(joined.as_ref().unwrap_or(life), raised_at).await
    }

    /// Raises the alert of an incident, unless it was raised. If another worker raises it, the message that opened the
    /// incident comes again: it stands for the alert until the topic has it.
    ///
    /// # Errors
    /// [`Error::Later`] in that case; if a service does not answer.
    pub(crate) async fn alert_once(
        &self,
        life: &Life,
        incident: &Incident,
        now: Millis,
    ) -> Result<(), Error> {
        let alerted = || self.alerted.lock().unwrap_or_else(PoisonError::into_inner);
        if alerted().contains(&incident.id) {
            return Ok(());
        }
        let ledger = self.alarms.ledger();
        let lease = now.plus_seconds(LEASE_SECONDS);
        let work = Box::pin(self.alert(life, incident, now));
        let attempt = ledger.try_run_once(&keys::incident_alert(&incident.id), now, lease, work).await?;
        if let Attempt::Busy(until) = attempt {
            if incident.opened_by != life.alarm.violation_id {
                return Ok(());
            }
            let until = until.rfc3339();
            return Err(Error::Later(format!(
                "another worker raises the alert of incident {} until {until}",
                incident.id
            )));
        }
        let mut alerted = alerted();
        if alerted.len() >= REMEMBERED {
            alerted.clear();
        }
        alerted.insert(incident.id.clone());
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

    /// Marks what was raised since the incident's first alarm, and raises the alert.
    async fn alert(&self, life: &Life, incident: &Incident, now: Millis) -> Result<(), Error> {
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
        self.alerts.raise(&alerts::incident(&life.alarm, incident, &raised, &targets, self.policy)).await
    }
}
