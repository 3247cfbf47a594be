//! What holds for any datapoints, in any order, against oracles that are as simple as can be.

#![cfg(test)]
#![expect(clippy::needless_pass_by_value, reason = "a literal is passed")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fleetwarden_behaviors::{
    Behaviors, BuiltIn, Datapoint, Event, EventType, Finite, Fleet, Measured, Measurement, Metric, Quantity,
    RELATIVE_ERROR, Results, Sketch, Stream, ThingState, evaluate,
};
use fleetwarden_behaviors::{CustomMetricType, EventType::*};
use fleetwarden_core::timestamp::Millis;
use proptest::prelude::*;
use serde_json::{Value, json};

const PERIOD: i64 = 300_000;

fn custom(name: &str) -> Option<CustomMetricType> {
    match name {
        "number" => Some(CustomMetricType::Number),
        "numbers" => Some(CustomMetricType::NumberList),
        "strings" => Some(CustomMetricType::StringList),
        _ => None,
    }
}

fn behavior(metric: &str, criteria: &Value) -> Behaviors {
    let profile = json!([{ "name": "own", "metric": metric, "criteria": criteria }]);
    Behaviors::parse(&profile.to_string(), custom).unwrap()
}

fn stream(metric: &str) -> Stream {
    Stream { metric: Metric::named(metric, custom).unwrap(), dimension: None }
}

/// If one datapoint violates.
fn violates(metric: &str, operator: &str, value: Value, measured: Measured) -> bool {
    let mut criteria = json!({ "comparisonOperator": operator, "value": value });
    if metric == "aws:num-messages-sent" {
        criteria["durationSeconds"] = 300.into();
    }
    let behaviors = behavior(metric, &criteria);
    let (mut state, mut outcome) = (ThingState::default(), Results::default());
    let datapoint = Datapoint::new(stream(metric), Millis(PERIOD), measured).unwrap();
    evaluate(&behaviors, &Fleet::new(&behaviors), &mut state, &[datapoint], Millis(PERIOD), &mut outcome);
    !outcome.events.is_empty()
}

/// A network by its bits: whatever agrees with it in the first so many.
fn in_network(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let bits = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(four) => (4, u128::from(u32::from(four)) << 96),
        IpAddr::V6(six) => (6, u128::from(six)),
    };
    let ((own, address), (other, network)) = (bits(address), bits(network));
    own == other && (0..u32::from(prefix)).all(|bit| (address ^ network) & (1 << (127 - bit)) == 0)
}

fn address() -> impl Strategy<Value = IpAddr> {
    // Close together, so that networks have something in them.
    prop_oneof![
        (0_u32..1024).prop_map(|low| IpAddr::from(Ipv4Addr::from(0x0A00_0000 | low << 6))),
        (0_u128..1024).prop_map(|low| IpAddr::from(Ipv6Addr::from(0x2001_0DB8 << 96 | low << 80 | low))),
        any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from(bits))),
        any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from(bits).to_ipv6_mapped())),
    ]
}

fn network() -> impl Strategy<Value = (IpAddr, u8)> {
    let wide = |address: IpAddr| if address.is_ipv4() { 32_u8 } else { 128 };
    let plain = address().prop_map(|address| address.to_canonical());
    plain.prop_flat_map(move |address| (Just(address), 0..=wide(address)))
}

/// The events of a row of verdicts, counted as the guide words it.
fn counted(violations: &[bool], to_alarm: usize, to_clear: usize) -> Vec<(EventType, i64)> {
    let (mut events, mut in_alarm) = (Vec::new(), false);
    for end in 1..=violations.len() {
        let last = |count: usize, verdict: bool| {
            end >= count && violations[end - count..end].iter().all(|v| *v == verdict)
        };
        let at = i64::try_from(end).unwrap() * PERIOD;
        if !in_alarm && last(to_alarm, true) {
            in_alarm = true;
            events.push((InAlarm, at));
        } else if in_alarm && last(to_clear, false) {
            in_alarm = false;
            events.push((AlarmCleared, at));
        }
    }
    events
}

fn evaluated(
    behaviors: &Behaviors,
    state: &mut ThingState,
    datapoints: &[Datapoint],
    until: i64,
) -> (Vec<Event>, Vec<Measurement>) {
    let mut outcome = Results::default();
    evaluate(behaviors, &Fleet::new(behaviors), state, datapoints, Millis(until), &mut outcome);
    (outcome.events, outcome.measurements)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counts_are_compared_as_numbers_are(value: u64, near in -2_i64..3, far: u64, is_near: bool) {
        let limit = if is_near { value.saturating_add_signed(near) } else { far };
        let oracle = [
            ("less-than", value < limit), ("less-than-equals", value <= limit),
            ("greater-than", value > limit), ("greater-than-equals", value >= limit),
        ];
        for (operator, holds) in oracle {
            let found = violates("aws:num-messages-sent", operator, json!({ "count": limit }), Measured::Count(value));
            prop_assert_eq!(found, !holds, "{} {} {}", value, operator, limit);
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers_are(value in -1e9_f64..1e9, other in -1e9_f64..1e9, is_same: bool) {
        let limit = if is_same { value } else { other };
        let oracle = [
            ("less-than", value < limit), ("less-than-equals", value <= limit),
            ("greater-than", value > limit), ("greater-than-equals", value >= limit),
        ];
        for (operator, holds) in oracle {
            let measured = Measured::Number(Finite::new(value).unwrap());
            let found = violates("number", operator, json!({ "number": limit }), measured);
            prop_assert_eq!(found, !holds, "{} {} {}", value, operator, limit);
        }
    }

    #[test]
    fn networks_are_compared_by_their_bits(
        networks in prop::collection::vec(network(), 0..8),
        addresses in prop::collection::vec(address(), 0..5),
    ) {
        let cidrs: Vec<String> = networks.iter().map(|(address, prefix)| format!("{address}/{prefix}")).collect();
        let inside = |address: &IpAddr| networks.iter().any(|(network, prefix)| in_network(*address, *network, *prefix));
        let violates = |operator| {
            let value = json!({ "cidrs": cidrs });
            violates("aws:source-ip-address", operator, value, Measured::Addresses(addresses.clone()))
        };
        prop_assert_eq!(violates("in-cidr-set"), !addresses.iter().all(inside));
        prop_assert_eq!(violates("not-in-cidr-set"), addresses.iter().any(inside));
    }

    #[test]
    fn sets_are_compared_by_their_elements(
        set in prop::collection::vec(0_u16..20, 0..12),
        own in prop::collection::vec(0_u16..20, 0..5),
    ) {
        let inside = own.iter().all(|element| set.contains(element));
        let outside = !own.iter().any(|element| set.contains(element));
        let text = |numbers: &[u16]| numbers.iter().map(u16::to_string).collect::<Vec<_>>();
        let number = |number: &u16| Finite::new(f64::from(*number)).unwrap();
        let kinds = [
            ("aws:listening-udp-ports", "port-set", json!({ "ports": set }), Measured::Ports(own.clone())),
            ("strings", "set", json!({ "strings": text(&set) }), Measured::Strings(text(&own))),
            ("numbers", "set", json!({ "numbers": set }), Measured::Numbers(own.iter().map(number).collect())),
        ];
        for (metric, operator, value, measured) in kinds {
            let found = violates(metric, &format!("in-{operator}"), value.clone(), measured.clone());
            prop_assert_eq!(found, !inside, "{} {} {:?}", metric, &value, &measured);
            let found = violates(metric, &format!("not-in-{operator}"), value.clone(), measured.clone());
            prop_assert_eq!(found, !outside, "{} not {} {:?}", metric, &value, &measured);
        }
    }

    #[test]
    fn datapoints_in_a_row_are_counted(
        violations in prop::collection::vec(any::<bool>(), 0..60), to_alarm in 1_usize..=10, to_clear in 1_usize..=10,
    ) {
        let criteria = json!({
            "comparisonOperator": "less-than", "value": { "count": 1 }, "durationSeconds": 300,
            "consecutiveDatapointsToAlarm": to_alarm, "consecutiveDatapointsToClear": to_clear,
        });
        let behaviors = behavior("aws:num-disconnects", &criteria);
        let (mut state, mut events) = (ThingState::default(), Vec::new());
        for (at, violates) in (1..).zip(&violations) {
            let measured = Measured::Count(u64::from(*violates));
            let datapoint = Datapoint::new(stream("aws:num-disconnects"), Millis(at * PERIOD), measured).unwrap();
            events.extend(evaluated(&behaviors, &mut state, &[datapoint], at * PERIOD).0);
        }
        let events: Vec<(EventType, i64)> = events.iter().map(|event| (event.event_type, event.at.0)).collect();
        prop_assert_eq!(events, counted(&violations, to_alarm, to_clear));
    }

    /// Each datapoint comes up to half an hour late, some twice, and the caller allows for half an hour.
    #[test]
    fn order_and_repeats_make_no_difference(
        values in prop::collection::vec((0_u64..10, 0_i64..1_800_000, any::<bool>(), 0_i64..1_800_000), 1..40),
        minutes in prop::sample::select(vec![5, 10, 15, 60]),
    ) {
        const LATENESS: i64 = 1_800_000;
        let criteria = json!({
            "comparisonOperator": "less-than", "value": { "count": 5 * minutes / 5 }, "durationSeconds": minutes * 60,
            "consecutiveDatapointsToAlarm": 2,
        });
        let behaviors = behavior("aws:num-messages-sent", &criteria);
        let datapoint = |at: i64, count: u64| {
            Datapoint::new(stream("aws:num-messages-sent"), Millis(at), Measured::Count(count)).unwrap()
        };
        let times = (1..).map(|place| place * PERIOD + 1_000);
        let all: Vec<(i64, u64)> = times.zip(&values).map(|(at, (count, ..))| (at, *count)).collect();
        let last = i64::try_from(values.len() + 40).unwrap() * PERIOD;
        let mut state = ThingState::default();
        let in_order: Vec<Datapoint> = all.iter().map(|(at, count)| datapoint(*at, *count)).collect();
        let mut expected = Vec::new();
        for one in &in_order {
            expected.extend(evaluated(&behaviors, &mut state, std::slice::from_ref(one), one.at().0).0);
        }
        expected.extend(evaluated(&behaviors, &mut state, &[], last).0);
        let mut arrivals = Vec::new();
        for ((at, count), (_, late, is_repeated, later)) in all.iter().zip(&values) {
            arrivals.push((at + late, *at, *count));
            if *is_repeated {
                arrivals.push((at + late + later, *at, *count));
            }
        }
        arrivals.sort_unstable();
        let (mut state, mut events) = (ThingState::default(), Vec::new());
        for (now, at, count) in arrivals {
            events.extend(evaluated(&behaviors, &mut state, &[datapoint(at, count)], now - LATENESS).0);
        }
        events.extend(evaluated(&behaviors, &mut state, &[], last).0);
        prop_assert_eq!(events, expected);
    }

    /// Whatever is in one batch is evaluated as one by one; what was evaluated already changes nothing.
    #[test]
    fn a_batch_is_its_datapoints_and_a_replay_is_nothing(
        values in prop::collection::vec(0_u64..10, 1..90), swaps in prop::collection::vec((0_usize..30, 0_usize..30), 0..30),
    ) {
        let criteria = json!({ "comparisonOperator": "less-than", "value": { "count": 5 } });
        let behaviors = behavior("aws:num-established-tcp-connections", &criteria);
        let mut datapoints: Vec<Datapoint> = (1..)
            .zip(&values)
            .map(|(at, count)| {
                let stream = stream("aws:num-established-tcp-connections");
                Datapoint::new(stream, Millis(at * 1000), Measured::Count(*count)).unwrap()
            })
            .collect();
        let (mut one_by_one, mut expected) = (ThingState::default(), Vec::new());
        for datapoint in &datapoints {
            let until = datapoint.at().0;
            expected.extend(evaluated(&behaviors, &mut one_by_one, std::slice::from_ref(datapoint), until).0);
        }
        for (one, other) in swaps {
            let length = datapoints.len();
            datapoints.swap(one % length, other % length);
        }
        let mut state = ThingState::default();
        let until = 1000 * i64::try_from(values.len()).unwrap();
        prop_assert_eq!(evaluated(&behaviors, &mut state, &datapoints, until).0, expected);
        prop_assert_eq!(&state, &one_by_one);
        prop_assert_eq!(evaluated(&behaviors, &mut state, &datapoints, until).0, vec![]);
        prop_assert_eq!(state, one_by_one);
    }

    #[test]
    fn merged_sketches_are_one_and_within_their_error(
        parts in prop::collection::vec(prop::collection::vec(0.0_f64..1e9, 1..60), 3..4),
        share in 0_u64..=10_000,
    ) {
        let sketch = |values: &[f64]| {
            let mut sketch = Sketch::of(values[0]);
            values[1..].iter().for_each(|value| sketch.add(*value));
            sketch
        };
        let merged = |one: &Sketch, other: &Sketch| { let mut one = one.clone(); one.merge(other); one };
        let [a, b, c] = [0, 1, 2].map(|at| sketch(&parts[at]));
        let left = merged(&merged(&a, &b), &c);
        prop_assert_eq!(&left, &merged(&a, &merged(&b, &c)));
        prop_assert_eq!(&left, &merged(&c, &merged(&b, &a)));
        let mut all = parts.concat();
        prop_assert_eq!(&left, &sketch(&all));
        let stored: Sketch = serde_json::from_str(&serde_json::to_string(&left).unwrap()).unwrap();
        prop_assert_eq!(&stored, &left);
        all.sort_unstable_by(f64::total_cmp);
        let count = u64::try_from(all.len()).unwrap();
        let exact = all[usize::try_from((count * share).div_ceil(10_000).max(1) - 1).unwrap()];
        let found = left.percentile(share).unwrap();
        prop_assert!((found - exact).abs() <= exact * RELATIVE_ERROR * 1.001, "{} for {}", found, exact);
    }

    /// Workers that learn apart and merge know what one would.
    #[test]
    fn a_fleet_is_learned_in_parts(parts in prop::collection::vec((0_i64..3, 0_u64..100, 0_usize..3), 2..60)) {
        let profile = json!([
            { "name": "p", "metric": "aws:all-bytes-in", "criteria": {
                "comparisonOperator": "less-than-equals", "statisticalThreshold": { "statistic": "p50" },
                "durationSeconds": 300 } },
            { "name": "m", "metric": "aws:all-bytes-in", "criteria": { "mlDetectionConfig": { "confidenceLevel": "LOW" } } },
        ]);
        let behaviors = Behaviors::parse(&profile.to_string(), custom).unwrap();
        let mut workers = vec![Fleet::new(&behaviors); 3];
        let mut one = Fleet::new(&behaviors);
        for (window, count, worker) in parts {
            for behavior in 0..2 {
                let at = Millis((window + 1) * PERIOD);
                let measurement = Measurement { behavior, at, quantity: Quantity::Count(count) };
                workers[worker].learn(&[measurement]);
                one.learn(&[measurement]);
            }
        }
        let mut merged = workers[0].clone();
        merged.merge(&workers[1]);
        merged.merge(&workers[2]);
        for fleet in [&mut merged, &mut one] {
            fleet.advance(&behaviors, Millis(3 * PERIOD));
        }
        prop_assert_eq!(merged, one);
    }
}

#[test]
fn the_built_in_metrics_are_eighteen() {
    let names = [
        "aws:message-byte-size",
        "aws:num-messages-sent",
        "aws:num-messages-received",
        "aws:num-authorization-failures",
        "aws:num-connection-attempts",
        "aws:num-disconnects",
        "aws:source-ip-address",
        "aws:disconnect-duration",
        "aws:all-bytes-out",
        "aws:all-bytes-in",
        "aws:all-packets-out",
        "aws:all-packets-in",
        "aws:num-listening-tcp-ports",
        "aws:num-listening-udp-ports",
        "aws:num-established-tcp-connections",
        "aws:destination-ip-addresses",
        "aws:listening-tcp-ports",
        "aws:listening-udp-ports",
    ];
    let metrics: Vec<Metric> = names.iter().filter_map(|name| Metric::named(name, |_| None)).collect();
    assert_eq!(metrics.len(), 18);
    assert_eq!(metrics[8], Metric::BuiltIn(BuiltIn::BytesOut));
    let learned: Vec<&&str> = names
        .iter()
        .zip(&metrics)
        .filter(|(_, metric)| metric.takes_fleet_threshold())
        .map(|(name, _)| name)
        .collect();
    assert_eq!(learned.len(), 13, "six cloud-side and seven device-side metrics: {learned:?}");
}
