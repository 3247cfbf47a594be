//! Alarms begin, are cleared and are invalidated.

#![cfg(test)]

use fleetwarden_behaviors::{
    Band, Behaviors, CustomMetricType, Datapoint, Event, EventType, Fleet, Measured, Metric, MetricValue,
    Results, Stream, ThingState, Unused, evaluate, retire, violation_id,
};
use fleetwarden_core::timestamp::Millis;
use serde_json::{Value, json};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn custom(name: &str) -> Option<CustomMetricType> {
    (name == "battery").then_some(CustomMetricType::Number)
}

/// A profile with one thing under it.
struct Bench {
    behaviors: Behaviors,
    fleet: Fleet,
    state: ThingState,
    unused: Unused,
}

impl Bench {
    fn new(metric: &str, criteria: &Value) -> Self {
        let behaviors = behaviors(&json!([{ "name": "own", "metric": metric, "criteria": criteria }]));
        Self {
            fleet: Fleet::new(&behaviors),
            behaviors,
            state: ThingState::default(),
            unused: Unused::default(),
        }
    }

    /// Evaluates values of the behavior's stream, each at its minute, up to a minute. The state goes through JSON.
    fn run(&mut self, values: &[(i64, Value)], until: i64) -> Vec<Event> {
        let stream = self.behaviors[0].stream().clone();
        let datapoints: Vec<Datapoint> =
            values.iter().map(|(minute, value)| datapoint(&stream, *minute, value)).collect();
        let mut outcome = Results::default();
        let until = Millis(until * MINUTE);
        evaluate(&self.behaviors, &self.fleet, &mut self.state, &datapoints, until, &mut outcome);
        self.state = serde_json::from_str(&serde_json::to_string(&self.state).unwrap()).unwrap();
        self.unused = outcome.unused;
        outcome.events
    }

    /// The kinds and minutes of the events for a value each five minutes.
    fn each_five(&mut self, values: &[Value]) -> Vec<(EventType, i64)> {
        let at = |place: usize| 5 * (i64::try_from(place).unwrap() + 1);
        let values: Vec<(i64, Value)> =
            values.iter().enumerate().map(|(place, value)| (at(place), value.clone())).collect();
        kinds(&self.run(&values, at(values.len())))
    }
}

fn behaviors(json: &Value) -> Behaviors {
    Behaviors::parse(&json.to_string(), custom).unwrap()
}

fn datapoint(stream: &Stream, minute: i64, value: &Value) -> Datapoint {
    let value: MetricValue = serde_json::from_value(value.clone()).unwrap();
    let value = Measured::read(&stream.metric, &value).unwrap();
    Datapoint::new(stream.clone(), Millis(minute * MINUTE), value).unwrap()
}

fn kinds(events: &[Event]) -> Vec<(EventType, i64)> {
    events.iter().map(|event| (event.event_type, event.at.0 / MINUTE)).collect()
}

fn counts<const N: usize>(counts: [u64; N]) -> [Value; N] {
    counts.map(|count| json!({ "count": count }))
}

fn less_than_50() -> Value {
    json!({ "comparisonOperator": "less-than", "value": { "count": 50 }, "durationSeconds": 300 })
}

#[test]
fn an_alarm_needs_its_datapoints_in_a_row_and_so_does_its_end() {
    let mut criteria = less_than_50();
    criteria["consecutiveDatapointsToAlarm"] = 3.into();
    criteria["consecutiveDatapointsToClear"] = 2.into();
    let mut bench = Bench::new("aws:num-messages-sent", &criteria);
    let events = bench.each_five(&counts([50, 60, 49, 50, 51, 52, 53, 49, 60, 49, 48, 99]));
    assert_eq!(events, [(EventType::InAlarm, 30), (EventType::AlarmCleared, 55)]);
}

#[test]
fn an_event_says_what_violated_and_belongs_to_one_violation() {
    let mut bench = Bench::new("aws:num-messages-sent", &less_than_50());
    let values = [(5, json!({ "count": 54 })), (10, json!({ "count": 70 })), (15, json!({ "count": 1 }))];
    let began = bench.run(&values[..2], 10);
    assert_eq!(serde_json::to_value(&began[0].value).unwrap(), json!({ "count": 54 }));
    let alarm = bench.state.alarm(&bench.behaviors[0]).unwrap().clone();
    assert_eq!((alarm.last_violation_at, alarm.last_value.count), (Millis(10 * MINUTE), Some(70)));
    let ended = bench.run(&values[2..], 15);
    assert_eq!((ended[0].event_type, &ended[0].value), (EventType::AlarmCleared, &None));
    assert_eq!(ended[0].started_at, began[0].at);
    let id = |event: &Event| violation_id("profile", "own", "lamp", event.started_at);
    assert_eq!(id(&began[0]), id(&ended[0]));
    assert_eq!(id(&began[0]).len(), 32);
    assert_ne!(id(&began[0]), violation_id("profile", "own", "lamp2", began[0].started_at));
}

#[test]
fn two_days_without_a_datapoint_invalidate_an_alarm_whenever_that_is_noticed() {
    for noticed_by in ["a look", "the next datapoint"] {
        let mut bench = Bench::new("aws:num-messages-sent", &less_than_50());
        assert_eq!(bench.run(&[(5, json!({ "count": 50 }))], 5).len(), 1);
        assert_eq!(bench.run(&[], 5 + 48 * 60), [], "not yet more than two days");
        let later = if noticed_by == "a look" { vec![] } else { vec![(5000, json!({ "count": 50 }))] };
        let events = kinds(&bench.run(&later, 5000));
        assert_eq!(events[0], (EventType::AlarmInvalidated, 5 + 48 * 60), "{noticed_by}");
        assert_eq!(events.len(), 1 + later.len(), "{noticed_by}: and a new alarm with a new datapoint");
    }
}

#[test]
fn a_row_goes_over_a_gap_but_not_over_two_days() {
    for (gap, alarms) in [(47 * 60, 1), (49 * 60, 0)] {
        let mut criteria = less_than_50();
        criteria["consecutiveDatapointsToAlarm"] = 2.into();
        let mut bench = Bench::new("aws:num-messages-sent", &criteria);
        let over = json!({ "count": 50 });
        assert_eq!(bench.run(&[(5, over.clone()), (5 + gap, over)], 5 + gap).len(), alarms, "{gap} minutes");
    }
}

#[test]
fn a_window_adds_up_what_happened_and_takes_the_worst_of_what_is_there() {
    let mut criteria = less_than_50();
    criteria["durationSeconds"] = 900.into();
    let mut sent = Bench::new("aws:num-messages-sent", &criteria);
    let values = counts([20, 20, 20, 20, 20, 9]);
    assert_eq!(sent.each_five(&values), [(EventType::InAlarm, 15), (EventType::AlarmCleared, 30)]);
    criteria["value"]["count"] = 5.into();
    let mut ports = Bench::new("aws:num-listening-tcp-ports", &criteria);
    assert_eq!(ports.each_five(&counts([2, 4, 4, 2, 5, 2])), [(EventType::InAlarm, 30)]);
    criteria["comparisonOperator"] = "greater-than".into();
    let mut ports = Bench::new("aws:num-listening-tcp-ports", &criteria);
    assert_eq!(
        ports.each_five(&counts([6, 7, 5, 6, 7, 8])),
        [(EventType::InAlarm, 15), (EventType::AlarmCleared, 30)]
    );
}

#[test]
fn a_window_waits_for_its_end() {
    let mut bench = Bench::new("aws:num-messages-sent", &less_than_50());
    assert_eq!(bench.run(&[(3, json!({ "count": 30 }))], 4), []);
    assert_eq!(kinds(&bench.run(&[(4, json!({ "count": 30 }))], 5)), [(EventType::InAlarm, 5)]);
}

#[test]
fn sizes_are_compared_by_the_end_that_could_violate() {
    let at = |operator: &str, size: u64| {
        let criteria = json!({ "comparisonOperator": operator, "value": { "count": size } });
        let mut bench = Bench::new("aws:message-byte-size", &criteria);
        let stream = bench.behaviors[0].stream().clone();
        let sizes = Measured::Sizes { least: 100, most: 900 };
        let datapoint = Datapoint::new(stream, Millis(0), sizes).unwrap();
        let mut outcome = Results::default();
        evaluate(&bench.behaviors, &bench.fleet, &mut bench.state, &[datapoint], Millis(0), &mut outcome);
        outcome.events.first().map(|event| event.value.clone().unwrap().count.unwrap())
    };
    assert_eq!(at("less-than", 900), Some(900));
    assert_eq!(at("less-than", 901), None);
    assert_eq!(at("greater-than", 100), Some(100));
    assert_eq!(at("greater-than", 99), None);
}

#[test]
fn minutes_without_a_connection_are_measured_in_seconds() {
    let criteria = json!({ "comparisonOperator": "less-than", "value": { "count": 30 } });
    let mut bench = Bench::new("aws:disconnect-duration", &criteria);
    assert_eq!(
        bench.each_five(&counts([0, 1799, 1800, 0])),
        [(EventType::InAlarm, 15), (EventType::AlarmCleared, 20)]
    );
    let written = serde_json::to_value(&bench.behaviors).unwrap();
    assert_eq!(written[0]["criteria"]["value"], json!({ "count": 30 }));
}

#[test]
fn a_list_violates_by_any_element_and_an_empty_one_clears() {
    let criteria = json!({ "comparisonOperator": "in-port-set", "value": { "ports": [443, 8888] } });
    let mut bench = Bench::new("aws:listening-tcp-ports", &criteria);
    let events = bench.run(&[(5, json!({ "ports": [443, 22, 8888, 23] })), (10, json!({ "ports": [] }))], 10);
    assert_eq!(kinds(&events), [(EventType::InAlarm, 5), (EventType::AlarmCleared, 10)]);
    assert_eq!(serde_json::to_value(&events[0].value).unwrap(), json!({ "ports": [22, 23] }));
    let criteria =
        json!({ "comparisonOperator": "not-in-cidr-set", "value": { "cidrs": ["2001:db8::/32"] } });
    let mut bench = Bench::new("aws:source-ip-address", &criteria);
    let addresses = json!({ "cidrs": ["10.0.0.1", "2001:db8::1"] });
    let events = bench.run(&[(5, addresses)], 5);
    assert_eq!(serde_json::to_value(&events[0].value).unwrap(), json!({ "cidrs": ["2001:db8::1"] }));
}

#[test]
fn a_percentile_of_the_window_before_is_the_threshold() {
    let criteria = json!({
        "comparisonOperator": "less-than-equals", "statisticalThreshold": { "statistic": "p90" },
        "durationSeconds": 300,
    });
    let mut bench = Bench::new("aws:num-messages-sent", &criteria);
    let mut others = vec![ThingState::default(); 9];
    let mut alarms = Vec::new();
    for minute in [5, 10, 15] {
        let mut outcome = Results::default();
        for (device, state) in others.iter_mut().enumerate() {
            let stream = bench.behaviors[0].stream().clone();
            let datapoint = datapoint(&stream, minute, &json!({ "count": device + 1 }));
            evaluate(
                &bench.behaviors,
                &bench.fleet,
                state,
                &[datapoint],
                Millis(minute * MINUTE),
                &mut outcome,
            );
        }
        alarms.extend(bench.run(&[(minute, json!({ "count": 10 }))], minute));
        outcome.measurements.push(fleetwarden_behaviors::Measurement {
            behavior: 0,
            at: Millis(minute * MINUTE),
            quantity: fleetwarden_behaviors::Quantity::Count(10),
        });
        bench.fleet.learn(&outcome.measurements);
        bench.fleet.advance(&bench.behaviors, Millis(minute * MINUTE));
        bench.fleet = serde_json::from_str(&serde_json::to_string(&bench.fleet).unwrap()).unwrap();
        assert_eq!(outcome.events, [], "the other nine are at p90 at most");
    }
    assert_eq!(kinds(&alarms), [(EventType::InAlarm, 10)], "there is no window before the first");
    assert_eq!(alarms[0].expected, Some(Band { low: None, high: Some(9.0) }));
}

#[test]
fn without_a_model_nothing_alarms_and_everything_is_learned() {
    let criteria = json!({ "mlDetectionConfig": { "confidenceLevel": "LOW" } });
    let mut bench = Bench::new("aws:num-messages-sent", &criteria);
    assert_eq!(bench.each_five(&counts([1_000_000, 0])), []);
    let before = serde_json::to_string(&bench.fleet).unwrap();
    let mut outcome = Results::default();
    let datapoint = datapoint(bench.behaviors[0].stream(), 15, &json!({ "count": 4 }));
    evaluate(
        &bench.behaviors,
        &bench.fleet,
        &mut bench.state,
        &[datapoint],
        Millis(15 * MINUTE),
        &mut outcome,
    );
    bench.fleet.learn(&outcome.measurements);
    assert_ne!(serde_json::to_string(&bench.fleet).unwrap(), before);
}

#[test]
fn another_confidence_needs_no_new_training_and_another_dimension_does() {
    let with = |confidence: &str, dimension: &str| {
        behaviors(&json!([{
            "name": "own", "metric": "aws:num-messages-sent", "metricDimension": { "dimensionName": dimension },
            "criteria": { "mlDetectionConfig": { "confidenceLevel": confidence } },
        }]))
    };
    let low = with("LOW", "all");
    let mut fleet = Fleet::new(&low);
    let quantity = fleetwarden_behaviors::Quantity::Count(1);
    fleet.learn(&[fleetwarden_behaviors::Measurement { behavior: 0, at: Millis(HOUR), quantity }]);
    let started = |fleet: &Fleet| fleet.summary(0, Millis(HOUR)).unwrap().collection_started_at;
    assert!(started(&fleet).is_some());
    assert_eq!(started(&fleet.clone().of(&with("HIGH", "all"))), started(&fleet));
    assert_eq!(started(&fleet.of(&with("LOW", "others"))), None);
}

#[test]
fn changed_criteria_count_anew_and_keep_the_alarm() {
    let mut bench = Bench::new("aws:num-messages-sent", &less_than_50());
    assert_eq!(bench.run(&[(5, json!({ "count": 50 }))], 5).len(), 1);
    let mut criteria = less_than_50();
    criteria["value"]["count"] = 100.into();
    criteria["consecutiveDatapointsToClear"] = 2.into();
    bench.behaviors = Bench::new("aws:num-messages-sent", &criteria).behaviors;
    let calm = json!({ "count": 50 });
    assert_eq!(bench.run(&[(10, calm.clone())], 10), []);
    assert_eq!(kinds(&bench.run(&[(15, calm)], 15)), [(EventType::AlarmCleared, 15)]);
}

#[test]
fn what_is_evaluated_no_longer_ends() {
    let mut bench = Bench::new("aws:num-messages-sent", &less_than_50());
    bench.run(&[(5, json!({ "count": 50 }))], 5);
    let mut outcome = Results::default();
    let mut same = bench.state.clone();
    retire(&bench.behaviors, &bench.behaviors, &mut same, Millis(HOUR), &mut outcome);
    assert_eq!((&outcome.events[..], &same), (&[][..], &bench.state));
    retire(&bench.behaviors, &Behaviors::default(), &mut bench.state, Millis(HOUR), &mut outcome);
    assert_eq!(kinds(&outcome.events), [(EventType::AlarmInvalidated, 60)]);
    assert_eq!(bench.state, ThingState::default());
}

#[test]
fn what_cannot_be_used_is_counted() {
    let mut bench = Bench::new("aws:num-messages-sent", &less_than_50());
    let one = |minute| (minute, json!({ "count": 1 }));
    bench.run(&[one(10), one(10), one(200)], 10);
    assert_eq!(bench.unused, Unused { early: 1, repeated: 1, ..Unused::default() });
    bench.run(&[one(5), one(9), one(10 - 15 * 24 * 60)], 10);
    assert_eq!(bench.unused, Unused { late: 3, ..Unused::default() });
    let mut many = Vec::new();
    let stream = bench.behaviors[0].stream().clone();
    for second in 1..=40 {
        many.push(
            Datapoint::new(stream.clone(), Millis(10 * MINUTE + second * 1000), Measured::Count(1)).unwrap(),
        );
    }
    let (mut fresh, mut outcome) = (ThingState::default(), Results::default());
    evaluate(&bench.behaviors, &bench.fleet, &mut fresh, &many, Millis(15 * MINUTE), &mut outcome);
    assert_eq!(outcome.unused, Unused::default(), "what is evaluated at once needs no place");
    evaluate(&bench.behaviors, &bench.fleet, &mut bench.state, &many, Millis(11 * MINUTE), &mut outcome);
    assert_eq!(outcome.unused, Unused { too_many: 8, ..Unused::default() });
}

#[test]
fn a_negative_number_is_a_number() {
    let criteria = json!({ "comparisonOperator": "greater-than-equals", "value": { "number": -10.5 } });
    let mut bench = Bench::new("battery", &criteria);
    let values = [-10.5, -10.6, 3.0].map(|number| json!({ "number": number }));
    assert_eq!(bench.each_five(&values), [(EventType::InAlarm, 10), (EventType::AlarmCleared, 15)]);
}

#[test]
fn datapoints_of_another_dimension_are_of_another_stream() {
    let behaviors = behaviors(&json!([{
        "name": "own", "metric": "aws:num-messages-sent", "criteria": less_than_50(),
        "metricDimension": { "dimensionName": "admin", "operator": "NOT_IN" },
    }]));
    let metric = Metric::named("aws:num-messages-sent", custom).unwrap();
    let (mut state, mut outcome) = (ThingState::default(), Results::default());
    let datapoint = datapoint(&Stream { metric, dimension: None }, 5, &json!({ "count": 99 }));
    evaluate(&behaviors, &Fleet::new(&behaviors), &mut state, &[datapoint], Millis(5 * MINUTE), &mut outcome);
    assert_eq!(outcome.events, []);
}

/// The profile of the guide's ML page, six cloud-side metrics, in the ordinary case and with all in alarm.
#[test]
fn a_state_is_a_few_hundred_bytes() {
    let metrics = [
        "messages-sent",
        "messages-received",
        "authorization-failures",
        "connection-attempts",
        "disconnects",
    ];
    let profile: Vec<Value> = metrics
        .map(|metric| json!({ "name": metric, "metric": format!("aws:num-{metric}"), "criteria": less_than_50() }))
        .into_iter()
        .chain([json!({ "name": "size", "metric": "aws:all-bytes-out", "criteria": less_than_50() })])
        .collect();
    let behaviors = behaviors(&Value::from(profile));
    let fleet = Fleet::new(&behaviors);
    let size = |count: u64| {
        let (mut state, mut outcome) = (ThingState::default(), Results::default());
        for period in 0..100 {
            let at = Millis(1_795_420_800_000 + period * 5 * MINUTE);
            let datapoints: Vec<Datapoint> = behaviors
                .iter()
                .map(|behavior| {
                    Datapoint::new(behavior.stream().clone(), at, Measured::Count(count)).unwrap()
                })
                .collect();
            evaluate(&behaviors, &fleet, &mut state, &datapoints, at, &mut outcome);
        }
        serde_json::to_string(&state).unwrap().len()
    };
    let (quiet, in_alarm) = (size(1), size(1_000_000));
    assert!(quiet <= 540, "{quiet} bytes for six behaviors");
    assert!(in_alarm <= 960, "{in_alarm} bytes with six alarms");
}

#[test]
fn a_datapoint_from_long_ago_does_not_end_a_training() {
    let criteria = json!({ "mlDetectionConfig": { "confidenceLevel": "LOW" } });
    let mut bench = Bench::new("aws:num-messages-sent", &criteria);
    let mut outcome = Results::default();
    let now = Millis(1_795_420_800_000);
    for at in [Millis(i64::MIN), Millis(0), now, Millis(i64::MAX)] {
        let datapoint = Datapoint::new(bench.behaviors[0].stream().clone(), at, Measured::Count(1)).unwrap();
        evaluate(&bench.behaviors, &bench.fleet, &mut bench.state, &[datapoint], now, &mut outcome);
    }
    bench.fleet.learn(&outcome.measurements);
    bench.fleet.advance(&bench.behaviors, now);
    let summary = bench.fleet.summary(0, now).unwrap();
    assert_eq!(summary.status, fleetwarden_behaviors::ModelStatus::PendingBuild);
    assert_eq!(outcome.unused, Unused { late: 2, early: 1, ..Unused::default() });
}
