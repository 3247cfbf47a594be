//! What the service lists, as an alarm's event: written as the service writes it, and read as any alarm is.

use aws_sdk_iot::types::ActiveViolation;
use aws_sdk_iot::types::Behavior;
use aws_sdk_iot::types::BehaviorCriteria;
use aws_sdk_iot::types::ComparisonOperator;
use aws_sdk_iot::types::ConfidenceLevel;
use aws_sdk_iot::types::MetricValue;
use aws_sdk_iot::types::VerificationState;
use aws_sdk_iot::types::ViolationEvent;
use aws_sdk_iot::types::ViolationEventAdditionalInfo;
use aws_sdk_iot::types::ViolationEventType;
use fleetwarden_aws::clock::millis;
use fleetwarden_core::model::alarm::AlarmError;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::timestamp::Millis;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// An active violation: its begin, and when it last did what it should not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Active {
    pub(crate) begin: AlarmEvent,
    pub(crate) last_at: Option<Millis>,
}

/// Reads an event.
///
/// # Errors
/// What it lacks.
pub(crate) fn event(event: &ViolationEvent, account: &str, region: &str) -> Result<AlarmEvent, AlarmError> {
    let members = json!({
        "violationId": event.violation_id,
        "thingName": event.thing_name,
        "securityProfileName": event.security_profile_name,
        "behavior": event.behavior.as_ref().map(behavior),
        "metricValue": event.metric_value.as_ref().map(value),
        "violationEventAdditionalInfo": event.violation_event_additional_info.as_ref().map(info),
        "violationEventType": event.violation_event_type.as_ref().map(ViolationEventType::as_str),
        "verificationState": event.verification_state.as_ref().map(VerificationState::as_str),
        "violationEventTime": event.violation_event_time.as_ref().map(millis),
    });
    AlarmEvent::parse(&without_nulls(members).to_string(), account, region)
}

/// Reads an active violation.
///
/// # Errors
/// What it lacks.
pub(crate) fn active(active: &ActiveViolation, account: &str, region: &str) -> Result<Active, AlarmError> {
    let members = json!({
        "violationId": active.violation_id,
        "thingName": active.thing_name,
        "securityProfileName": active.security_profile_name,
        "behavior": active.behavior.as_ref().map(behavior),
        "lastViolationValue": active.last_violation_value.as_ref().map(value),
        "violationEventAdditionalInfo": active.violation_event_additional_info.as_ref().map(info),
        "verificationState": active.verification_state.as_ref().map(VerificationState::as_str),
        "violationStartTime": active.violation_start_time.as_ref().map(millis),
    });
    let begin = AlarmEvent::parse(&without_nulls(members).to_string(), account, region)?;
    Ok(Active { begin, last_at: active.last_violation_time.as_ref().map(millis) })
}

fn info(info: &ViolationEventAdditionalInfo) -> Value {
    json!({"confidenceLevel": info.confidence_level.as_ref().map(ConfidenceLevel::as_str)})
}

fn behavior(behavior: &Behavior) -> Value {
    json!({
        "name": behavior.name,
        "metric": behavior.metric,
        "criteria": behavior.criteria.as_ref().map(criteria),
        "suppressAlerts": behavior.suppress_alerts,
    })
}

fn criteria(criteria: &BehaviorCriteria) -> Value {
    let threshold = criteria.statistical_threshold.as_ref();
    let model = criteria.ml_detection_config.as_ref();
    json!({
        "comparisonOperator": criteria.comparison_operator.as_ref().map(ComparisonOperator::as_str),
        "value": criteria.value.as_ref().map(value),
        "durationSeconds": criteria.duration_seconds,
        "consecutiveDatapointsToAlarm": criteria.consecutive_datapoints_to_alarm,
        "consecutiveDatapointsToClear": criteria.consecutive_datapoints_to_clear,
        "statisticalThreshold": threshold.map(|threshold| json!({"statistic": threshold.statistic})),
        "mlDetectionConfig": model.map(|model| json!({"confidenceLevel": model.confidence_level.as_str()})),
    })
}

fn value(value: &MetricValue) -> Value {
    json!({
        "count": value.count,
        "cidrs": value.cidrs,
        "ports": value.ports,
        "number": value.number,
        "numbers": value.numbers,
        "strings": value.strings,
    })
}

/// The service leaves out what there is not.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(name, value)| (name, without_nulls(value))).collect::<Map<_, _>>())
        }
        other => other,
    }
}
