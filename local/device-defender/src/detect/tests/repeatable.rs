//! The same seed gives the same alarms, however the clock is moved, and thirty days cost seconds.

use std::time::Instant;

use super::*;

fn behaviors() -> Vec<Value> {
    vec![
        less_than("sent", "aws:num-messages-sent", 90),
        less_than("always", "aws:all-bytes-in", 100),
        percentile("size", "aws:message-byte-size", "p99"),
        model("bytes", "aws:all-bytes-out"),
    ]
}

fn run(behaviors: &[Value], steps: &[u64]) -> (Vec<Value>, Vec<Value>, Vec<Value>) {
    let floor = Floor::of(1);
    floor.profile("p", "all/registered-things", behaviors);
    floor
        .script(&json!({ "kind": "compromised", "share": 0.1, "fromMs": START_MS + 15 * DAY.cast_signed() }));
    floor.script(&json!({ "kind": "starve", "share": 0.1, "fromMs": START_MS + DAY.cast_signed() }));
    let mut alerts = Vec::new();
    let mut left = 16 * DAY;
    for step in steps.iter().cycle() {
        let step = (*step).min(left);
        floor.advance(step);
        alerts.extend(floor.alerts());
        left -= step;
        if left == 0 {
            break;
        }
    }
    let summaries = floor.0.listed("/behavior-model-training/summaries", "maxResults=10", "summaries");
    (alerts, floor.events(""), summaries)
}

#[test]
fn however_the_clock_is_moved_the_alarms_are_the_same() {
    let sorted = |mut all: Vec<Value>| {
        all.sort_by_cached_key(ToString::to_string);
        all
    };
    let steps = [[7 * MINUTE, HOUR + 1, 3 * DAY], [16 * DAY; 3], [40 * MINUTE + 7, 11 * HOUR, 90_000]];
    let [one, two, three] = steps.map(|steps| run(&behaviors(), &steps));
    assert!(one.1.len() > 20 && kinds(&one.1).contains(&"alarm-invalidated"));
    assert_eq!(sorted(one.1.clone()), sorted(two.1.clone()));
    assert_eq!(sorted(one.1.clone()), sorted(three.1.clone()));
    assert_eq!(sorted(one.0.clone()), sorted(two.0));
    assert_eq!((one.2.clone(), one.2), (two.2, three.2));
    let without = run(&behaviors()[3..], &[5 * DAY]);
    let of_model = |events: &[Value]| {
        let of: Vec<Value> =
            events.iter().filter(|event| event["behavior"]["name"] == "bytes").cloned().collect();
        sorted(of)
    };
    assert!(!of_model(&one.1).is_empty());
    assert_eq!(of_model(&without.1), of_model(&one.1), "steps of an hour or of five minutes are the same");
}

#[test]
fn a_thousand_things_for_thirty_days_take_seconds() {
    let floor = Floor::of(950);
    floor.profile(
        "p",
        "all/registered-things",
        &[less_than("sent", "aws:num-messages-sent", 10_000), model("bytes", "aws:all-bytes-out")],
    );
    let watched = floor.0.ok("GET", "/_control/detect/state", &Value::Null)["watched"]["p"].as_u64().unwrap();
    assert!(watched > 900, "{watched}");
    let began = Instant::now();
    floor.advance(30 * DAY);
    floor.active("");
    let took = began.elapsed().as_secs_f64();
    assert!(took < 300.0, "{took} s");
}
