//! Incidents that have calmed down: no new device for as long as the policy's window, and fewer devices still in alarm
//! than an incident takes.
//!
//! Its members that are still in alarm were held from the policy by the incident; now it decides on them. Their messages
//! are sent before the incident is ended, so that after a crash the next run ends it, and they wait
//! until it is ended: a message that comes while the incident lasts changes nothing. An alarm can be heard of between the
//! reading of the members and the end, so each run also asks for what an incident that is over has left undecided.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::queue::Queue;
use fleetwarden_core::message::alarm::AlarmMessage;
use fleetwarden_core::message::alarm::Settle;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::State;
use fleetwarden_core::policy::AlarmSettings;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::alerts;
use crate::alerts::Place;
use crate::plan;
use crate::plan::GRACE_SECONDS;

/// How long the members wait, in seconds: longer than it takes to send them all and to end the incident.
const SETTLE_SECONDS: u32 = 600;
/// How long after its end the members of an incident are looked after, in seconds.
const LOOKED_AFTER_SECONDS: i64 = 3 * 86_400;

/// An incident that was ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ended {
    pub(crate) id: String,
    pub(crate) profile: String,
    pub(crate) behavior: String,
    /// How many devices alarmed in it.
    pub(crate) devices: u64,
    /// How many are still in alarm.
    pub(crate) in_alarm: u64,
}

/// Ends incidents, and has their members decided on.
pub(crate) struct Incidents<'a> {
    pub(crate) place: Place<'a>,
    pub(crate) settings: AlarmSettings,
    pub(crate) alarms: &'a Alarms,
    pub(crate) queue: &'a Queue,
    pub(crate) alerts: &'a Alerts,
    pub(crate) clock: &'a Clock,
}

impl Incidents<'_> {
    /// Ends the incidents that are over. What there is no time for is ended by the next run.
    pub(crate) async fn end_calm(&self, now: Millis, stop_at: Millis) -> Result<Vec<Ended>, Error> {
        let settings = &self.settings;
        let mut ended = Vec::new();
        for incident in self.alarms.incidents(now).await? {
            let is_calm = incident.ended_at.is_none() && plan::is_calm(&incident, settings, now);
            if !is_calm || self.clock.now() >= stop_at {
                continue;
            }
            let members = self.alarms.members(&incident.id).await?;
            let open: Vec<&Life> = members
                .iter()
                .filter(|life| life.state() == Some(State::Raised))
                .filter(|life| life.incident.as_ref() == Some(&incident.id))
                .collect();
            let things: BTreeSet<Option<&String>> =
                open.iter().map(|life| life.alarm.thing.as_ref()).collect();
            let in_alarm = things.len() as u64;
            if settings.is_incident(in_alarm, incident.population) {
                continue;
            }
            let id = incident.id.clone();
            let over = Ended {
                id: incident.id,
                profile: incident.profile,
                behavior: incident.behavior,
                devices: incident.devices,
                in_alarm,
            };
            self.settle(&open, SETTLE_SECONDS).await?;
            self.alerts.raise(&alerts::incident_over(&over, self.place)).await?;
            self.alarms.end_incident(&id, None, now).await?;
            tracing::info!(incident.id = id, in_alarm, "ended an incident");
            ended.push(over);
        }
        Ok(ended)
    }

    /// Asks for a decision on what an incident that is over has left undecided: an alarm that joined it while it was being
    /// ended, or whose message was never sent. Says how many there were.
    pub(crate) async fn settle_undecided(&self, now: Millis) -> Result<u64, Error> {
        let since = now.plus_seconds(-LOOKED_AFTER_SECONDS);
        // Within the grace the messages of the end are on their way.
        let grace = now.plus_seconds(-GRACE_SECONDS);
        let ended: BTreeMap<String, Millis> = self
            .alarms
            .incidents(since)
            .await?
            .into_iter()
            .filter(|incident| !incident.is_left())
            .filter_map(|incident| Some((incident.id, incident.ended_at.filter(|ended| *ended <= grace)?)))
            .collect();
        if ended.is_empty() {
            return Ok(0);
        }
        let open = self.alarms.open().await?;
        let is_left = |life: &&Life| {
            let ended = life.incident.as_ref().and_then(|id| ended.get(id));
            life.raised_at.is_some_and(|raised| raised <= grace)
                && ended.is_some_and(|ended| !life.is_decided(Some(*ended)))
        };
        let left: Vec<&Life> = open.iter().filter(is_left).collect();
        self.settle(&left, 0).await?;
        if !left.is_empty() {
            tracing::warn!(violations = left.len(), "violations of ended incidents were still undecided");
        }
        Ok(left.len() as u64)
    }

    /// Asks for a decision on violations.
    async fn settle(&self, lives: &[&Life], delay_seconds: u32) -> Result<(), Error> {
        let not_before = self.clock.now().plus_seconds(delay_seconds.into());
        let message = |life: &&Life| {
            let settle = Settle {
                violation_id: life.alarm.violation_id.clone(),
                raised_at: life.raised_at?,
                not_before,
                round: None,
                devices: None,
            };
            let body = serde_json::to_string(&AlarmMessage::Settle(settle)).unwrap_or_default();
            Some(Outgoing { body, delay_seconds })
        };
        self.queue.send(&lives.iter().filter_map(message).collect::<Vec<_>>()).await
    }
}
