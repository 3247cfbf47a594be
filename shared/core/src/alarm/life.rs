//! The life of one violation: what its events say, whatever their order and however often each came.

use serde::Deserialize;
use serde::Serialize;

use super::Alarm;
use super::AlarmEvent;
use super::EventType;
use super::Verification;
use crate::timestamp::Millis;

/// One violation, as the ledger has it.
///
/// Of each kind of event only the latest time counts, so that merging events in any order, and any of them twice, gives
/// the same life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Life {
    /// What the alarm is, by its latest event in alarm, or else by its latest event.
    pub alarm: Alarm,
    /// When it began. None: only its end was heard so far.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub raised_at: Option<Millis>,
    /// What was measured when it began.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<serde_json::Value>,
    /// When it was cleared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cleared_at: Option<Millis>,
    /// When it was invalidated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub invalidated_at: Option<Millis>,
    /// What people said of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verification: Option<Verification>,
    /// The incident that it is part of, by its id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub incident: Option<String>,
    /// What was decided and done, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub actions: Vec<Action>,
}

/// Something that was decided or done about a violation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// When.
    pub at: Millis,
    /// One word: `mitigate`, `verify`, `report`, `mitigated`, `released`, …
    pub what: String,
    /// The rule, if one decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// The mitigation task, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task_id: Option<String>,
    /// Why, in words for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Where a violation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// In alarm.
    Raised,
    /// The device behaves as expected again.
    Cleared,
    /// Nothing is known of the device any more.
    Invalidated,
}

impl Life {
    /// The life that one event alone tells of.
    pub fn of(event: &AlarmEvent) -> Self {
        let mut life = Self {
            alarm: event.alarm.clone(),
            raised_at: None,
            value: None,
            cleared_at: None,
            invalidated_at: None,
            verification: None,
            incident: None,
            actions: Vec::new(),
        };
        life.hear(event);
        life
    }

    /// Merges an event. Says whether the life has changed.
    pub fn hear(&mut self, event: &AlarmEvent) -> bool {
        let before = self.clone();
        let later = |known: Option<Millis>| known.is_none_or(|known| event.at > known);
        match event.event {
            EventType::InAlarm => {
                if later(self.raised_at) {
                    self.raised_at = Some(event.at);
                    self.alarm = event.alarm.clone();
                    self.value.clone_from(&event.value);
                }
            }
            EventType::AlarmCleared if later(self.cleared_at) => self.cleared_at = Some(event.at),
            EventType::AlarmInvalidated if later(self.invalidated_at) => self.invalidated_at = Some(event.at),
            _ => {}
        }
        *self != before
    }

    /// When it ended, if it has. An end at the moment of the begin is an end.
    pub fn ended_at(&self) -> Option<Millis> {
        let end = self.cleared_at.max(self.invalidated_at);
        end.filter(|end| self.raised_at.is_none_or(|raised| *end >= raised))
    }

    /// Where it stands. None while its begin was not heard of.
    pub fn state(&self) -> Option<State> {
        let (_, ended) = (self.raised_at?, self.ended_at());
        Some(match ended {
            None => State::Raised,
            Some(end) if self.cleared_at == Some(end) => State::Cleared,
            Some(_) => State::Invalidated,
        })
    }
}
