//! What a look finds, and how it gets to the alarm queue.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_core::message::alarm::AlarmMessage;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::AlarmWatch;
use crate::memory::Memory;
use crate::memory::Sending;

/// How many events an alert names.
const NAMED: usize = 10;
/// For so long a message may be on its way, and an event is not missed.
pub(crate) const GRACE_SECONDS: i64 = 15 * 60;

/// Events of one kind of trouble.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lost {
    pub(crate) count: u64,
    /// The first of them.
    pub(crate) examples: Vec<Example>,
}

/// An event as people are told of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Example {
    pub(crate) violation_id: String,
    pub(crate) profile: String,
    pub(crate) behavior: String,
    pub(crate) thing: Option<String>,
    pub(crate) event: String,
    pub(crate) at: Millis,
}

/// What a look has found so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// No message told of these. They were sent through.
    pub(crate) unheard: Lost,
    /// An earlier look sent these through, and they are still not known.
    pub(crate) undelivered: Lost,
    /// What was before the watch: brought in, and missed by nobody.
    pub(crate) earlier: u64,
    /// Of behaviors whose alerts are suppressed at the service: nobody is to be told.
    pub(crate) suppressed: u64,
    /// Sent through a moment ago by another look.
    pub(crate) on_their_way: u64,
    /// Too new to be missed.
    pub(crate) fresh: u64,
    /// What the service lists and cannot be read.
    pub(crate) unreadable: u64,
    /// How many events were looked at.
    pub(crate) events: u64,
    /// What became of the events that the ledger did not know. None is sent twice in one look.
    pub(crate) sendings: BTreeMap<String, Sending>,
    /// The violations of which an end was sent.
    pub(crate) ended: BTreeSet<String>,
    /// Why the alarm queue did not take a message.
    pub(crate) unsent: Option<String>,
}

impl Lost {
    pub(crate) fn add(&mut self, event: &AlarmEvent) {
        self.count += 1;
        if self.examples.len() < NAMED {
            let alarm = &event.alarm;
            self.examples.push(Example {
                violation_id: alarm.violation_id.clone(),
                profile: alarm.profile.clone(),
                behavior: alarm.behavior.clone(),
                thing: alarm.thing.clone(),
                event: event.event.as_str().to_owned(),
                at: event.at,
            });
        }
    }
}

/// What an event is known by, from look to look.
pub(crate) fn key(event: &AlarmEvent) -> String {
    format!("{} {} {}", event.alarm.violation_id, event.event.as_str(), event.at.0)
}

/// Whether the ledger has heard of an event. Only its time says so: what else a list says of a violation may be written
/// in another way than in its message.
pub(crate) fn is_heard(life: Option<&Life>, event: &AlarmEvent) -> bool {
    let known = |at: Option<Millis>| at.is_some_and(|at| at >= event.at);
    match (life, &event.event) {
        // A word that is new here changes nothing.
        (_, EventType::Unknown(_)) => true,
        (None, _) => false,
        (Some(life), EventType::InAlarm) => known(life.raised_at),
        (Some(life), EventType::AlarmCleared) => known(life.cleared_at),
        (Some(life), EventType::AlarmInvalidated) => known(life.invalidated_at),
    }
}

impl Found {
    /// Counts an event that the ledger did not know.
    fn take_in(&mut self, event: &AlarmEvent, sending: Sending, since: Option<Millis>) {
        if matches!(event.event, EventType::AlarmCleared | EventType::AlarmInvalidated) {
            self.ended.insert(event.alarm.violation_id.clone());
        }
        let is_earlier = since.is_none_or(|since| event.at < since);
        match sending {
            Sending::OnItsWay => self.on_their_way += 1,
            _ if is_earlier => self.earlier += 1,
            Sending::First => self.unheard.add(event),
            Sending::Again | Sending::GivenUp => self.undelivered.add(event),
        }
    }
}

impl AlarmWatch {
    /// What the ledger knows of the violations of these events.
    pub(crate) async fn lives(&self, events: &[AlarmEvent]) -> Result<HashMap<String, Life>, Error> {
        let ids: BTreeSet<&String> = events.iter().map(|event| &event.alarm.violation_id).collect();
        let lives = self.alarms.lives(ids.into_iter().cloned().collect()).await?;
        Ok(lives.into_iter().map(|life| (life.alarm.violation_id.clone(), life)).collect())
    }

    /// Sends events of which the ledger does not know. What the queue does not take stays to be found by the next look.
    /// Says whether something was, or should have been, sent.
    pub(crate) async fn send_found(
        &self,
        events: Vec<AlarmEvent>,
        memory: &Memory,
        found: &mut Found,
    ) -> bool {
        let now = self.clock.now();
        let mut new: BTreeMap<String, (Sending, AlarmEvent)> = BTreeMap::new();
        for event in events {
            let key = key(&event);
            if !found.sendings.contains_key(&key) {
                new.insert(key.clone(), (memory.sending(&key, now), event));
            }
        }
        let is_sent = |sending: Sending| matches!(sending, Sending::First | Sending::Again);
        let sent = new.values().filter(|(sending, _)| is_sent(*sending));
        let message = |event: &AlarmEvent| {
            let found = AlarmMessage::Found(event.clone());
            Outgoing::from(serde_json::to_string(&found).unwrap_or_default())
        };
        let messages: Vec<Outgoing> = sent.map(|(_, event)| message(event)).collect();
        if let Err(error) = self.queue.send(&messages).await {
            tracing::warn!(error.name = error.name(), %error, "events were not sent through");
            found.unsent.get_or_insert(error.to_string());
            return true;
        }
        let is_open = new.values().any(|(sending, _)| *sending != Sending::GivenUp);
        for (key, (sending, event)) in new {
            found.take_in(&event, sending, memory.since);
            found.sendings.insert(key, sending);
        }
        is_open
    }
}
