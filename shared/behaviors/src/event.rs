//! What an evaluation gives out: alarms that begin and end, and what the fleet is learned from.

use fleetwarden_core::timestamp::Millis;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::value::{MetricValue, Quantity};

/// `violationEventType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the service's names say it")]
pub enum EventType {
    InAlarm,
    AlarmCleared,
    AlarmInvalidated,
}

/// An alarm of a thing begins or ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The behavior, by its place in the profile.
    pub behavior: usize,
    /// What happened.
    pub event_type: EventType,
    /// When: the time of the datapoint, or the end of its window.
    pub at: Millis,
    /// When the alarm began: with the thing and the behavior it is the violation's identity.
    pub started_at: Millis,
    /// What violated the behavior: of a list the first elements that do. Only when an alarm begins, as at AWS.
    pub value: Option<MetricValue>,
    /// The threshold or the band that it was compared with, where the profile does not have it.
    pub expected: Option<Band>,
}

/// The values that a fleet's percentile or model expects, both ends included; an open end is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// The smallest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub low: Option<f64>,
    /// The largest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub high: Option<f64>,
}

/// What one window of one thing adds to what is known of the fleet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// The behavior, by its place in the profile.
    pub behavior: usize,
    /// The end of the window.
    pub at: Millis,
    /// What was measured.
    pub quantity: Quantity,
}

/// Datapoints that were not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unused {
    /// Of a window that was evaluated already, or older than metrics are stored.
    pub late: u32,
    /// Further ahead than a datapoint can be.
    pub early: u32,
    /// Of a moment that there was a datapoint of.
    pub repeated: u32,
    /// More than a state holds until their windows end.
    pub too_many: u32,
}

/// What an evaluation gives out. One can be used again and again, and then costs no allocation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// Alarms that begin and end, by behavior and time.
    pub events: Vec<Event>,
    /// For [`Fleet::learn`](crate::Fleet::learn).
    pub measurements: Vec<Measurement>,
    /// What was not used.
    pub unused: Unused,
}

impl Results {
    /// Makes it empty.
    pub fn clear(&mut self) {
        self.events.clear();
        self.measurements.clear();
        self.unused = Unused::default();
    }
}

/// The id of a violation: 32 hexadecimal digits, the same for all its events however often they are evaluated.
pub fn violation_id(profile: &str, behavior: &str, thing: &str, started_at: Millis) -> String {
    let mut hash = Sha256::new();
    for part in [profile, behavior, thing] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.update(started_at.0.to_be_bytes());
    hash.finalize().iter().take(16).fold(String::with_capacity(32), |hex, byte| format!("{hex}{byte:02x}"))
}
