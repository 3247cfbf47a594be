//! Device Defender's own: a message by SNS, an element of `ListViolationEvents`, or one of `ListActiveViolations`.
//!
//! They have the members of `ViolationEvent` or `ActiveViolation`. Of all but the identity any may be missing: the
//! criteria of a model have no value, an end has no measurement, and messages of 2019 have less than those of today.

use serde::Deserialize;
use serde_json::Value;

use super::AlarmError;
use super::Place;
use super::Time;
use super::filled;
use super::wrong;
use crate::ids::names::is_name;
use crate::model::alarm::Alarm;
use crate::model::alarm::AlarmEvent;
use crate::model::alarm::Confidence;
use crate::model::alarm::CriteriaType;
use crate::model::alarm::EventType;
use crate::model::alarm::Source;
use crate::model::alarm::Verification;
use crate::untrusted::shown;

const KIND: &str = "violation";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "they are Device Defender's")]
struct Violation {
    violation_id: String,
    thing_name: Option<String>,
    security_profile_name: String,
    behavior: Behavior,
    /// An active violation has none: it is in alarm.
    violation_event_type: Option<String>,
    violation_event_time: Option<Time>,
    violation_start_time: Option<Time>,
    metric_value: Option<Value>,
    last_violation_value: Option<Value>,
    violation_event_additional_info: Option<Value>,
    verification_state: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Behavior {
    name: String,
    metric: Option<String>,
    criteria: Option<Value>,
    suppress_alerts: Option<Value>,
}

/// Reads a violation.
pub(super) fn read(text: &str, place: Place<'_>) -> Result<AlarmEvent, AlarmError> {
    let violation: Violation = super::read(text, KIND)?;
    if !is_name(&violation.violation_id) {
        let what = format!("'{}' is no violation's id", shown(&violation.violation_id));
        return Err(wrong(KIND, "violationId", what));
    }
    let at = violation.violation_event_time.or(violation.violation_start_time);
    let Time(at) = at.ok_or_else(|| wrong(KIND, "violationEventTime", "missing"))?;
    let Behavior { name, metric, criteria, suppress_alerts } = violation.behavior;
    let criteria = criteria.unwrap_or_default();
    let confidence = confidence(&violation.violation_event_additional_info.unwrap_or_default())
        .or_else(|| confidence(criteria.get("mlDetectionConfig").unwrap_or(&Value::Null)));
    Ok(AlarmEvent {
        alarm: Alarm {
            source: Source::DeviceDefender,
            account: place.account.to_owned(),
            region: place.region.to_owned(),
            violation_id: violation.violation_id,
            profile: filled(KIND, "securityProfileName", violation.security_profile_name)?,
            behavior: filled(KIND, "behavior.name", name)?,
            metric: metric.filter(|metric| !metric.is_empty()),
            thing: violation.thing_name.filter(|thing| !thing.is_empty()),
            criteria: criteria_type(&criteria),
            confidence,
            expected: Some(criteria).filter(|criteria| !criteria.is_null()),
            suppressed: suppress_alerts.is_some_and(|suppressed| suppressed == true),
        },
        event: violation.violation_event_type.map_or(EventType::InAlarm, EventType::of),
        at,
        value: violation.metric_value.or(violation.last_violation_value),
        verification: violation.verification_state.and_then(|state| Verification::deserialize(state).ok()),
    })
}

fn criteria_type(criteria: &Value) -> CriteriaType {
    let has = |member: &str| criteria.get(member).is_some_and(|value| !value.is_null());
    if has("mlDetectionConfig") {
        CriteriaType::MachineLearning
    } else if has("statisticalThreshold") {
        CriteriaType::Statistical
    } else if has("comparisonOperator") || has("value") {
        CriteriaType::Static
    } else {
        CriteriaType::Unknown
    }
}

fn confidence(of: &Value) -> Option<Confidence> {
    of.get("confidenceLevel").and_then(|level| Confidence::deserialize(level).ok())
}
