//! What Detect lists, compared with the ledger. An event that the ledger does not have is sent to the alarm queue.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::queue::Queue;
use fleetwarden_core::message::alarm::AlarmMessage;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::alerts::Place;
use crate::plan;
use crate::snapshot::Sending;
use crate::snapshot::Snapshot;

/// How many events an alert names.
const NAMED: usize = 10;
/// The ledger, the snapshot and the queue, and what the comparison has shown so far.
pub(crate) struct Comparison<'a> {
    pub(crate) place: Place<'a>,
    pub(crate) alarms: &'a Alarms,
    pub(crate) queue: &'a Queue,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) now: Millis,
    pub(crate) found: Found,
}

/// Events with one problem.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lost {
    pub(crate) count: u64,
    /// The first of them.
    pub(crate) examples: Vec<Example>,
}

/// An event as an alert names it.
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

/// What a run has found so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// No message announced these. They were sent to the alarm queue.
    pub(crate) unheard: Lost,
    /// An earlier run sent these to the alarm queue, and the ledger still does not have them.
    pub(crate) undelivered: Lost,
    /// From before the first run: sent to the alarm queue, and no problem.
    pub(crate) earlier: u64,
    /// Of behaviors whose alerts are suppressed at the service: there is no alert here either.
    pub(crate) suppressed: u64,
    /// Sent to the alarm queue a moment ago by another run.
    pub(crate) on_their_way: u64,
    /// So new that their messages may still come.
    pub(crate) fresh: u64,
    /// Listed, and invalid.
    pub(crate) unreadable: u64,
    /// How many events were compared.
    pub(crate) events: u64,
    /// What became of the events that the ledger did not know. None is sent twice in one run.
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

impl Comparison<'_> {
    /// What the ledger has of the violations of these events, by violation.
    pub(crate) async fn lives(&self, events: &[AlarmEvent]) -> Result<HashMap<String, Life>, Error> {
        let ids: BTreeSet<&String> = events.iter().map(|event| &event.alarm.violation_id).collect();
        let lives = self.alarms.lives(ids.into_iter().cloned().collect()).await?;
        Ok(lives.into_iter().map(|life| (life.alarm.violation_id.clone(), life)).collect())
    }

    /// Sends events that the ledger does not have to the alarm queue. What the queue refuses is found again by the next
    /// run. Says whether any of them was, or should have been, sent.
    pub(crate) async fn send_missing(&mut self, events: Vec<AlarmEvent>) -> bool {
        let mut new: BTreeMap<String, (Sending, AlarmEvent)> = BTreeMap::new();
        for event in events {
            let key = plan::key(&event);
            if !self.found.sendings.contains_key(&key) {
                new.insert(key.clone(), (self.snapshot.sending(&key, self.now), event));
            }
        }
        let is_due = |sending: Sending| matches!(sending, Sending::First | Sending::Again);
        let due = new.values().filter(|(sending, _)| is_due(*sending));
        if !self.send(due.map(|(_, event)| event)).await {
            return true;
        }
        let is_open = new.values().any(|(sending, _)| *sending != Sending::GivenUp);
        for (key, (sending, event)) in new {
            self.found.take_in(&event, sending, self.snapshot.since);
            self.found.sendings.insert(key, sending);
        }
        is_open
    }

    /// Sends events to the alarm queue, from where `detect-alarm` takes them as if their messages had come in time. False
    /// if the queue refused them; why is kept.
    pub(crate) async fn send<'e>(&mut self, events: impl Iterator<Item = &'e AlarmEvent>) -> bool {
        let message = |event: &AlarmEvent| {
            let found = AlarmMessage::Found(event.clone());
            Outgoing::from(serde_json::to_string(&found).unwrap_or_default())
        };
        let messages: Vec<Outgoing> = events.map(message).collect();
        let Err(error) = self.queue.send(&messages).await else { return true };
        tracing::warn!(error.name = error.name(), %error, "the alarm queue refused events");
        self.found.unsent.get_or_insert(error.to_string());
        false
    }
}
