//! What a behavior would have done with datapoints of the past: pure.
//!
//! The things are evaluated side by side, window by window, so that a percentile of them is known when it is compared.

use std::collections::BTreeMap;

use fleetwarden_behaviors::Behaviors;
use fleetwarden_behaviors::Datapoint;
use fleetwarden_behaviors::EventType;
use fleetwarden_behaviors::Expectation;
use fleetwarden_behaviors::Fleet;
use fleetwarden_behaviors::Quantity;
use fleetwarden_behaviors::Results;
use fleetwarden_behaviors::ThingState;
use fleetwarden_behaviors::evaluate;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;

use crate::behaviors::Types;

/// From this share of its windows in violation on, in percent, a thing is taken to be in violation always.
const ALWAYS_PERCENT: u64 = 95;

/// What came of a behavior.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ran {
    /// Alarms that would have begun.
    pub(super) alarms: u64,
    /// Windows of things that had datapoints; without a window each datapoint is one.
    pub(super) windows: u64,
    /// How many of them were in violation.
    pub(super) violating: u64,
    /// Whether each thing with datapoints was in violation nearly always.
    pub(super) always: bool,
}

/// Runs one behavior, as the service writes it, over the datapoints of each thing.
pub(super) fn run(behavior: &Value, types: &Types, things: &[Vec<Datapoint>]) -> Ran {
    let parse = |behavior: &Value| {
        let json = Value::Array(vec![behavior.clone()]).to_string();
        Behaviors::parse(&json, |name| types.get(name).copied()).unwrap_or_default()
    };
    let as_given = replay(&parse(behavior), things);
    // One datapoint to alarm and one to clear: then a window is in violation where there is an alarm.
    let mut each = behavior.clone();
    if let Some(Value::Object(criteria)) = each.get_mut("criteria") {
        criteria.remove("consecutiveDatapointsToAlarm");
        criteria.remove("consecutiveDatapointsToClear");
    }
    Ran { alarms: as_given.alarms, ..replay(&parse(&each), things) }
}

fn replay(behaviors: &Behaviors, things: &[Vec<Datapoint>]) -> Ran {
    let Some(behavior) = behaviors.first() else { return Ran::default() };
    let window = behavior.criteria().and_then(|criteria| criteria.duration);
    let end = |at: Millis| {
        let length = window.and_then(|window| i64::try_from(window.as_millis()).ok()).unwrap_or(1);
        Millis(at.0.saturating_add(length - 1).div_euclid(length).saturating_mul(length))
    };
    let mut windows: BTreeMap<(Millis, usize), Vec<Datapoint>> = BTreeMap::new();
    for (thing, datapoints) in things.iter().enumerate() {
        for datapoint in datapoints {
            windows.entry((end(datapoint.at()), thing)).or_default().push(datapoint.clone());
        }
    }
    let mut fleet = Fleet::new(behaviors);
    let mut states: BTreeMap<usize, (ThingState, u64, u64)> = BTreeMap::new();
    let mut outcome = Results::default();
    let mut ran = Ran::default();
    let mut now = None;
    for ((until, thing), datapoints) in &windows {
        // A percentile is of the window before.
        if let Some(before) = now.replace(*until).filter(|before| before != until) {
            fleet.advance(behaviors, before);
        }
        let (state, of_thing, violating) = states.entry(*thing).or_default();
        evaluate(behaviors, &fleet, state, datapoints, *until, &mut outcome);
        ran.alarms +=
            outcome.events.iter().filter(|event| event.event_type == EventType::InAlarm).count() as u64;
        fleet.learn(&outcome.measurements);
        outcome.clear();
        *of_thing += 1;
        *violating += u64::from(state.alarm(behavior).is_some());
    }
    for (_, windows, violating) in states.values() {
        ran.windows += windows;
        ran.violating += violating;
    }
    let always =
        |(_, windows, violating): &(ThingState, u64, u64)| violating * 100 >= windows * ALWAYS_PERCENT;
    ran.always = !states.is_empty() && states.values().all(always);
    ran
}

/// Why no value of its metric can violate a behavior, if that is so.
pub(super) fn never(expectation: &Expectation) -> Option<&'static str> {
    use fleetwarden_behaviors::Comparison::GreaterThanEquals;
    use fleetwarden_behaviors::ElementSet;
    use fleetwarden_behaviors::Membership::Outside;
    match expectation {
        Expectation::Limit { comparison: GreaterThanEquals, limit: Quantity::Count(0), .. } => {
            Some("every count is at least 0")
        }
        Expectation::Members { membership: Outside, value, .. } => {
            let empty = |list: Option<usize>| list == Some(0);
            let of = [
                value.cidrs.as_ref().map(Vec::len),
                value.ports.as_ref().map(Vec::len),
                value.numbers.as_ref().map(Vec::len),
                value.strings.as_ref().map(Vec::len),
            ];
            of.into_iter().any(empty).then_some("nothing is in an empty set")
        }
        Expectation::Members { set: ElementSet::Addresses(_), value, .. } => {
            let all = value.cidrs.iter().flatten();
            let has = |wanted: &str| all.clone().any(|cidr| cidr == wanted);
            (has("0.0.0.0/0") && has("::/0")).then_some("every address is in the set")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use fleetwarden_behaviors::Measured;
    use fleetwarden_behaviors::MetricValue;
    use serde_json::json;

    use super::*;

    const PERIOD: i64 = 300_000;

    fn behavior(criteria: &Value) -> Value {
        json!({"name": "b", "metric": "aws:num-messages-sent", "criteria": criteria})
    }

    fn ran(criteria: &Value, things: &[&[u64]]) -> Ran {
        let behavior = behavior(criteria);
        let read = Behaviors::parse(&json!([behavior]).to_string(), |_| None).unwrap();
        let stream = read[0].stream().clone();
        let datapoint = |(at, count): (usize, &u64)| {
            let value = MetricValue { count: Some(*count), ..MetricValue::default() };
            let value = Measured::read(&stream.metric, &value).unwrap();
            Datapoint::new(stream.clone(), Millis(PERIOD * (1 + i64::try_from(at).unwrap())), value).unwrap()
        };
        let things: Vec<Vec<Datapoint>> =
            things.iter().map(|counts| counts.iter().enumerate().map(datapoint).collect()).collect();
        run(&behavior, &Types::new(), &things)
    }

    #[test]
    fn windows_in_violation_and_alarms_are_counted_apart() {
        let criteria = json!({
            "comparisonOperator": "less-than", "value": {"count": 50}, "durationSeconds": 300,
            "consecutiveDatapointsToAlarm": 2,
        });
        let one = ran(&criteria, &[&[60, 1, 60, 60, 60, 1, 60, 60]]);
        assert_eq!(one, Ran { alarms: 2, windows: 8, violating: 6, always: false });
        let none = ran(&criteria, &[&[1, 2], &[]]);
        assert_eq!(none, Ran { alarms: 0, windows: 2, violating: 0, always: false });
        let all = ran(&criteria, &[&[60, 60], &[70, 70]]);
        assert_eq!(all, Ran { alarms: 2, windows: 4, violating: 4, always: true });
        // One thing that is always in violation is not everything.
        assert!(!ran(&criteria, &[&[60, 60], &[1, 1]]).always);
        assert_eq!(ran(&criteria, &[&[], &[]]), Ran::default());
    }

    #[test]
    fn a_percentile_is_of_the_things_that_are_tried() {
        let criteria = json!({
            "comparisonOperator": "less-than-equals", "statisticalThreshold": {"statistic": "p50"},
            "durationSeconds": 300,
        });
        let ran = ran(&criteria, &[&[10, 10, 10], &[10, 10, 10], &[10, 90, 90]]);
        assert_eq!((ran.windows, ran.violating, ran.alarms), (9, 2, 1));
    }

    #[test]
    fn a_window_adds_its_datapoints_up() {
        let criteria =
            json!({"comparisonOperator": "less-than", "value": {"count": 50}, "durationSeconds": 900});
        let ran = ran(&criteria, &[&[20, 20, 20, 1, 1, 1]]);
        assert_eq!(ran, Ran { alarms: 1, windows: 2, violating: 1, always: false });
    }

    #[test]
    fn what_nothing_can_violate_is_known_without_datapoints() {
        let why = |metric: &str, criteria: Value| {
            let json = json!([{"name": "b", "metric": metric, "criteria": criteria}]).to_string();
            let read = Behaviors::parse(&json, |_| None).unwrap();
            never(&read[0].criteria().unwrap().expectation)
        };
        let least = |operator: &str, count: u64| json!({"comparisonOperator": operator, "value": {"count": count}, "durationSeconds": 300});
        let sent = "aws:num-messages-sent";
        assert!(why(sent, least("greater-than-equals", 0)).is_some());
        assert!(why(sent, least("greater-than-equals", 1)).is_none());
        assert!(why(sent, least("greater-than", 0)).is_none());
        let cidrs =
            |operator: &str, cidrs: Value| json!({"comparisonOperator": operator, "value": {"cidrs": cidrs}});
        let source = "aws:source-ip-address";
        assert!(why(source, cidrs("in-cidr-set", json!(["0.0.0.0/0", "::/0"]))).is_some());
        assert!(why(source, cidrs("not-in-cidr-set", json!(["0.0.0.0/0", "::/0"]))).is_none());
        assert!(why(source, cidrs("in-cidr-set", json!(["0.0.0.0/0"]))).is_none());
        assert!(why(source, cidrs("not-in-cidr-set", json!([]))).is_some());
    }
}
