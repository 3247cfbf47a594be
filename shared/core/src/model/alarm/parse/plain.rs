//! An alarm of a tool of the operator's own:
//!
//! ```json
//! {
//!   "schema": "fleetwarden.alarm/1",
//!   "profile": "vibration",
//!   "behavior": "bearing-wear",
//!   "thing": "pump-7",
//!   "event": "in-alarm",
//!   "at": "2026-11-23T08:00:00Z"
//! }
//! ```
//!
//! `schema`, `profile`, `behavior`, `event` and `at` are required. `event` is `in-alarm`, `alarm-cleared` or
//! `alarm-invalidated`. `at` is RFC 3339, epoch milliseconds or epoch seconds. Optional are `id` (what begin and end of
//! one alarm have in common; without it that is profile, behavior and thing), `thing`, `metric`, `value` (what was
//! measured, any JSON), `expected` (what it should be, any JSON), `criteria` (`STATIC`, `STATISTICAL`,
//! `MACHINE_LEARNING`), `confidence` (`LOW`, `MEDIUM`, `HIGH`), `verification` (as `verificationState`), `account` and
//! `region` (those of the topic, or the alarm is refused). Other members are refused: a misspelt one would be lost.

use serde::Deserialize;
use serde_json::Value;

use super::AlarmError;
use super::Place;
use super::Time;
use super::filled;
use super::wrong;
use crate::digest::Digest;
use crate::model::alarm::Alarm;
use crate::model::alarm::AlarmEvent;
use crate::model::alarm::Confidence;
use crate::model::alarm::CriteriaType;
use crate::model::alarm::EventType;
use crate::model::alarm::Source;
use crate::model::alarm::Verification;
use crate::untrusted::shown;

const KIND: &str = "plain alarm";
/// The value of `schema`.
pub const SCHEMA: &str = "fleetwarden.alarm/1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    schema: String,
    id: Option<String>,
    profile: String,
    behavior: String,
    thing: Option<String>,
    metric: Option<String>,
    event: String,
    at: Time,
    value: Option<Value>,
    expected: Option<Value>,
    criteria: Option<CriteriaType>,
    confidence: Option<Confidence>,
    verification: Option<Verification>,
    account: Option<String>,
    region: Option<String>,
}

/// Reads an alarm of our own schema.
pub(super) fn read(text: &str, place: Place<'_>) -> Result<AlarmEvent, AlarmError> {
    let plain: Plain = super::read(text, KIND)?;
    if plain.schema != SCHEMA {
        return Err(wrong(KIND, "schema", format!("'{}' is not '{SCHEMA}'", shown(&plain.schema))));
    }
    place.check(KIND, ("account", plain.account.as_deref()), ("region", plain.region.as_deref()))?;
    let profile = filled(KIND, "profile", plain.profile)?;
    let behavior = filled(KIND, "behavior", plain.behavior)?;
    let thing = plain.thing.filter(|thing| !thing.is_empty());
    // A digest, so that no id can be that of a violation at Device Defender.
    let id = Digest::new("plain alarm").part(&profile).part(&behavior);
    let id = id.part(thing.as_deref().unwrap_or_default()).part(plain.id.as_deref().unwrap_or_default());
    Ok(AlarmEvent {
        alarm: Alarm {
            source: Source::Other,
            account: place.account.to_owned(),
            region: place.region.to_owned(),
            violation_id: id.hex(),
            profile,
            behavior,
            metric: plain.metric.filter(|metric| !metric.is_empty()),
            thing,
            criteria: plain.criteria.unwrap_or(CriteriaType::Unknown),
            confidence: plain.confidence,
            expected: plain.expected,
            suppressed: false,
        },
        event: EventType::of(plain.event),
        at: plain.at.0,
        value: plain.value,
        verification: plain.verification,
    })
}
