//! The behaviors of a command, judged before the service is asked to take them.
//!
//! The custom metrics and dimensions that they name have to be there: those are looked up first, each once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_behaviors::Behaviors;
use fleetwarden_behaviors::CustomMetricType;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_core::api::input::Fault;
use fleetwarden_core::untrusted::shown;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// The types of custom metrics, by name.
pub(crate) type Types = BTreeMap<String, CustomMetricType>;

/// Behaviors that are valid, with what it takes to read them again.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// As they were given.
    pub(crate) given: Vec<Value>,
    /// As they are understood.
    pub(crate) behaviors: Behaviors,
    /// The custom metrics among their metrics.
    pub(crate) types: Types,
}

/// Judges behaviors, with the custom metrics and dimensions of the account.
pub(crate) async fn judge(service: &Service, given: &[Value]) -> Result<Result<Judged, Vec<Fault>>, Failure> {
    let types = types(service, given).await?;
    let json = Value::from(given).to_string();
    let mut faults = match Behaviors::parse(&json, |name| types.get(name).copied()) {
        Ok(behaviors) => {
            let faults = missing_dimensions(service, given).await?;
            if faults.is_empty() {
                return Ok(Ok(Judged { given: given.to_vec(), behaviors, types }));
            }
            faults
        }
        Err(invalid) => {
            invalid.into_iter().map(|i| Fault { path: format!("$.{}", i.path), what: i.reason }).collect()
        }
    };
    faults.dedup();
    Ok(Err(faults))
}

async fn types(service: &Service, given: &[Value]) -> Result<Types, Failure> {
    let named = given.iter().filter_map(|behavior| behavior.get("metric")?.as_str());
    let custom: BTreeSet<&str> = named.filter(|name| !name.starts_with("aws:")).collect();
    let mut types = Types::new();
    for name in custom {
        let metric = service.ask_if_there("DescribeCustomMetric", json!({"metricName": name})).await?;
        let kind = metric.and_then(|metric| serde_json::from_value(metric.get("metricType")?.clone()).ok());
        types.extend(kind.map(|kind| (name.to_owned(), kind)));
    }
    Ok(types)
}

async fn missing_dimensions(service: &Service, given: &[Value]) -> Result<Vec<Fault>, Failure> {
    let mut known: BTreeMap<&str, bool> = BTreeMap::new();
    let mut faults = Vec::new();
    for (at, behavior) in given.iter().enumerate() {
        let name = behavior.pointer("/metricDimension/dimensionName").and_then(Value::as_str);
        let Some(name) = name else { continue };
        if !known.contains_key(name) {
            let there = service.ask_if_there("DescribeDimension", json!({"name": name})).await?;
            known.insert(name, there.is_some());
        }
        if known.get(name) == Some(&false) {
            let path = format!("$.behaviors[{at}].metricDimension.dimensionName");
            let what = format!("there is no dimension '{}'; CreateDimension makes it", shown(name));
            faults.push(Fault { path, what });
        }
    }
    Ok(faults)
}

/// Whether two lists of behaviors say the same, whatever their order and whether they write out defaults.
pub(crate) fn are_same(one: &[Value], other: &[Value]) -> bool {
    let plain = |behaviors: &[Value]| {
        let mut plain: Vec<String> = behaviors.iter().map(|behavior| plain(behavior).to_string()).collect();
        plain.sort_unstable();
        plain
    };
    plain(one) == plain(other)
}

/// A value without nulls and defaults, and with numbers written one way.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(name, value)| !is_default(name, value));
            let members: Map<String, Value> =
                members.map(|(name, value)| (name.clone(), plain(value))).collect();
            members.into()
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Number(number) => number.as_f64().map_or(Value::Null, |number| json!(number)),
        other => other.clone(),
    }
}

fn is_default(name: &str, value: &Value) -> bool {
    match name {
        "suppressAlerts" | "exportMetric" => value == &Value::Bool(false) || value.is_null(),
        "consecutiveDatapointsToAlarm" | "consecutiveDatapointsToClear" => {
            value.is_null() || value.as_f64() == Some(1.0)
        }
        "operator" => value.is_null() || value == "IN",
        _ => value.is_null(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaviors_are_the_same_whatever_their_order_and_defaults() {
        let one = json!([{"name": "a", "metric": "m", "criteria": {"value": {"number": 1}}}, {"name": "b"}]);
        let criteria = json!({"value": {"number": 1.0}, "consecutiveDatapointsToAlarm": 1});
        let other = json!([
            {"name": "b", "suppressAlerts": false, "metricDimension": null},
            {"name": "a", "metric": "m", "criteria": criteria, "exportMetric": false},
        ]);
        let same = |one: &Value, other: &Value| are_same(one.as_array().unwrap(), other.as_array().unwrap());
        assert!(same(&one, &other));
        for (pointer, value) in [
            ("/0/name", json!("c")),
            ("/1/criteria/value/number", json!(2)),
            ("/1/criteria/consecutiveDatapointsToAlarm", json!(2)),
            ("/0/suppressAlerts", json!(true)),
        ] {
            let mut changed = other.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(!same(&one, &changed), "{pointer}");
        }
        assert!(!same(&one, &json!([{"name": "b"}])));
    }
}
