//! What a look finds, and how it gets to the alarm queue.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_core::alarm::AlarmEvent;
use fleetwarden_core::alarm::EventType;
use fleetwarden_core::alarm::Life;
use fleetwarden_core::alarm::message::AlarmMessage;
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
    violation_id: String,
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
    /// Too new to be missed.
    pub(crate) fresh: u64,
    /// What the service lists and cannot be read.
    pub(crate) unreadable: u64,
    /// How many events were looked at.
    pub(crate) events: u64,
    /// All events that the ledger did not know, so that none is sent twice.
    pub(crate) keys: BTreeSet<String>,
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
        let mut sendings = BTreeMap::new();
        let mut messages = Vec::new();
        for event in events {
            let key = key(&event);
            if !found.keys.insert(key.clone()) {
                continue;
            }
            let sending = memory.sending(&key);
            if sending != Sending::GivenUp {
                let message = AlarmMessage::Found(event.clone());
                messages.push(Outgoing::from(serde_json::to_string(&message).unwrap_or_default()));
            }
            sendings.insert(key, (sending, event));
        }
        if let Err(error) = self.queue.send(&messages).await {
            tracing::warn!(error.name = error.name(), %error, "events were not sent through");
            found.unsent.get_or_insert(error.to_string());
        }
        let is_open = sendings.values().any(|(sending, _)| *sending != Sending::GivenUp);
        for (sending, event) in sendings.into_values() {
            if matches!(event.event, EventType::AlarmCleared | EventType::AlarmInvalidated) {
                found.ended.insert(event.alarm.violation_id.clone());
            }
            if memory.since.is_none_or(|since| event.at < since) {
                found.earlier += 1;
            } else if sending == Sending::First {
                found.unheard.add(&event);
            } else {
                found.undelivered.add(&event);
            }
        }
        is_open
    }
}
