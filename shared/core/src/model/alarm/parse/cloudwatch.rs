//! What a CloudWatch alarm tells SNS when its state changes: of a metric, of metric math, or a composite one.
//!
//! `ALARM` is the begin, `OK` the end, and `INSUFFICIENT_DATA` says that nothing is known any more. The device is that
//! of the dimension `ThingName` or `ClientId`. An alarm has no id for each time that it is raised, so all its events
//! belong to one life. Source: "Notifying users on alarm changes" in the Amazon CloudWatch user guide.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use super::AlarmError;
use super::Place;
use super::Time;
use super::filled;
use crate::digest::Digest;
use crate::model::alarm::Alarm;
use crate::model::alarm::AlarmEvent;
use crate::model::alarm::CriteriaType;
use crate::model::alarm::EventType;
use crate::model::alarm::Source;

const KIND: &str = "CloudWatch alarm";
/// What stands for a security profile.
const PROFILE: &str = "CloudWatch";
/// The dimensions that name a device.
const DEVICE: [&str; 2] = ["ThingName", "ClientId"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "they are CloudWatch's")]
struct StateChange {
    alarm_name: String,
    #[serde(rename = "AWSAccountId")]
    account: Option<String>,
    alarm_arn: Option<String>,
    new_state_value: String,
    new_state_reason: Option<String>,
    state_change_time: Time,
    /// A composite alarm has none.
    trigger: Option<Value>,
    /// Only a composite alarm has one.
    alarm_rule: Option<String>,
}

/// Reads a change of state.
pub(super) fn read(text: &str, place: Place<'_>) -> Result<AlarmEvent, AlarmError> {
    let change: StateChange = super::read(text, KIND)?;
    let region = change.alarm_arn.as_deref().and_then(|arn| arn.split(':').nth(3));
    place.check(KIND, ("AWSAccountId", change.account.as_deref()), ("AlarmArn", region))?;
    let behavior = filled(KIND, "AlarmName", change.alarm_name)?;
    let trigger = change.trigger.unwrap_or_default();
    let id = Digest::new("cloudwatch alarm").part(place.account).part(place.region).part(&behavior);
    Ok(AlarmEvent {
        alarm: Alarm {
            source: Source::CloudWatch,
            account: place.account.to_owned(),
            region: place.region.to_owned(),
            violation_id: id.hex(),
            profile: PROFILE.to_owned(),
            metric: metric(&trigger),
            thing: device(&trigger),
            criteria: criteria(&trigger),
            confidence: None,
            expected: expected(&trigger).or_else(|| change.alarm_rule.map(|rule| json!({"rule": rule}))),
            suppressed: false,
            behavior,
        },
        event: event(change.new_state_value),
        at: change.state_change_time.0,
        value: change.new_state_reason.map(Value::String),
        verification: None,
    })
}

fn event(state: String) -> EventType {
    match state.as_str() {
        "ALARM" => EventType::InAlarm,
        "OK" => EventType::AlarmCleared,
        "INSUFFICIENT_DATA" => EventType::AlarmInvalidated,
        _ => EventType::Unknown(state),
    }
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The metrics that metric math is made of.
fn parts(trigger: &Value) -> impl Iterator<Item = &Value> {
    let parts = trigger.get("Metrics").and_then(Value::as_array).into_iter().flatten();
    parts.filter_map(|part| part.pointer("/MetricStat/Metric"))
}

fn metric(trigger: &Value) -> Option<String> {
    let own = member(trigger, "MetricName");
    own.or_else(|| parts(trigger).find_map(|part| member(part, "MetricName"))).map(ToOwned::to_owned)
}

/// The device that all dimensions agree on.
fn device(trigger: &Value) -> Option<String> {
    let dimensions = [trigger].into_iter().chain(parts(trigger));
    let dimensions = dimensions.filter_map(|of| of.get("Dimensions").and_then(Value::as_array)).flatten();
    let named = dimensions.filter_map(|dimension| {
        let name = member(dimension, "name").or_else(|| member(dimension, "Name"))?;
        let value = member(dimension, "value").or_else(|| member(dimension, "Value"))?;
        DEVICE.contains(&name).then_some(value)
    });
    let mut named: BTreeSet<&str> = named.collect();
    let first = named.pop_first()?;
    named.is_empty().then(|| first.to_owned())
}

fn criteria(trigger: &Value) -> CriteriaType {
    if member(trigger, "ThresholdMetricId").is_some() {
        CriteriaType::MachineLearning
    } else if trigger.get("Threshold").is_some_and(Value::is_number) {
        CriteriaType::Static
    } else {
        CriteriaType::Unknown
    }
}

/// What people need to see of what it compares with.
fn expected(trigger: &Value) -> Option<Value> {
    let shown = ["ComparisonOperator", "Threshold", "Period", "EvaluationPeriods", "Statistic"];
    let shown = shown.into_iter().filter_map(|name| Some((name.to_owned(), trigger.get(name)?.clone())));
    let shown: serde_json::Map<String, Value> = shown.filter(|(_, value)| !value.is_null()).collect();
    (!shown.is_empty()).then_some(Value::Object(shown))
}
