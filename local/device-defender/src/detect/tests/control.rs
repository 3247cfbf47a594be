//! The switches for alerts, and orders that are refused.

use super::*;

fn storm(switches: &Value) -> (Vec<Value>, usize) {
    let floor = Floor::of(300);
    floor.switch(switches);
    floor.profile("p", "all/registered-things", &[less_than("sent", "aws:num-messages-sent", 0)]);
    floor.advance(20 * MINUTE);
    let mut alerts = floor.alerts();
    let events = floor.events("").len();
    floor.detach("p", "all/registered-things");
    floor.advance(20 * MINUTE);
    alerts.extend(floor.alerts());
    (alerts, 2 * events)
}

#[test]
fn alerts_are_doubled_lost_and_late_as_switched() {
    let (alerts, events) = storm(&json!({}));
    assert_eq!(alerts.len(), events);
    let (alerts, events) = storm(&json!({ "duplicates": 1.0 }));
    assert_eq!(alerts.len(), 2 * events);
    let (alerts, _) = storm(&json!({ "drop": 1.0 }));
    assert!(alerts.is_empty());
    let (alerts, events) = storm(&json!({ "drop": 0.5 }));
    assert!(alerts.len() > events / 4 && alerts.len() < events * 3 / 4);
    let (alerts, events) = storm(&json!({ "reorder": 0.5 }));
    assert_eq!(alerts.len(), events);
    let place = |id: &Value, kind: &str| {
        alerts.iter().position(|alert| alert["violationId"] == *id && alert["violationEventType"] == kind)
    };
    let swapped = alerts.iter().filter(|alert| {
        let id = &alert["violationId"];
        place(id, "alarm-invalidated") < place(id, "in-alarm")
    });
    assert!(swapped.count() > 0, "an end comes before its beginning");
}

#[test]
fn bad_orders_are_refused() {
    let floor = Floor::new();
    for (order, status) in [
        (json!({ "kind": "explode" }), 400),
        (json!({ "kind": "metric" }), 400),
        (json!({ "kind": "metric", "metric": "none" }), 404),
        (json!({ "kind": "metric", "metric": "aws:all-bytes-out", "value": { "ports": [1] } }), 400),
        (json!({ "kind": "starve", "metric": "aws:all-bytes-out" }), 400),
        (json!({ "kind": "starve", "thingNames": ["none"] }), 404),
        (json!({ "kind": "starve", "thingGroupName": "none" }), 404),
        (json!({ "kind": "starve", "share": 2 }), 400),
        (json!({ "kind": "starve", "fromMs": START_MS - 1 }), 400),
        (json!({ "kind": "starve", "toMs": START_MS }), 400),
        (json!({ "kind": "flap", "onSeconds": 0 }), 400),
        (json!({ "kind": "starve", "colour": 1 }), 400),
    ] {
        assert_eq!(floor.0.call("POST", "/_control/detect/scenarios", &order).0, status, "{order}");
    }
    for switches in
        [json!({ "drop": 2 }), json!({ "delaySeconds": 10 }), json!({ "detach": "x" }), json!({ "a": 1 })]
    {
        assert_eq!(floor.0.call("POST", "/_control/detect/switches", &switches).0, 400, "{switches}");
    }
    assert_eq!(floor.0.call("DELETE", "/_control/detect/scenarios/0", &Value::Null).0, 404);
    assert_eq!(floor.0.call("PUT", "/_control/detect/x", &Value::Null).0, 404);
}

#[test]
fn a_scenario_ends_when_it_is_ended() {
    let floor = Floor::new();
    floor.profile("p", "thinggroup/lab", &[less_than("sent", "aws:num-messages-sent", 10_000)]);
    floor.advance(HOUR);
    let order = json!({ "kind": "compromised", "factor": 100_000.0, "thingGroupName": "lab" });
    let hit = floor.script(&order);
    floor.advance(HOUR);
    assert!(!hit.is_empty() && floor.active("").len() + 1 >= hit.len());
    floor.0.ok("DELETE", "/_control/detect/scenarios/0", &Value::Null);
    floor.advance(HOUR);
    assert!(floor.active("").is_empty());
    let listed = floor.0.ok("GET", "/_control/detect/scenarios", &Value::Null);
    assert_eq!(listed["scenarios"][0]["toMs"], floor.now() - HOUR.cast_signed());
}
