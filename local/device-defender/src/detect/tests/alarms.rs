//! Alarms begin, last, are cleared and are invalidated, and alerts say so.

use super::*;

#[test]
fn a_compromised_device_alarms_on_the_grid_lasts_and_clears() {
    let floor = Floor::new();
    floor.profile("p", "all/registered-things", &[less_than("bytes", "aws:all-bytes-out", 150_000)]);
    floor.profile("q", "all/registered-things", &[less_than("sent", "aws:num-messages-sent", 400)]);
    floor.advance(HOUR);
    assert!(floor.events("").is_empty(), "a fleet by itself stays below");
    let thing = floor.thing_of("production");
    let at = floor.now();
    floor.script(
        &json!({ "kind": "compromised", "thingNames": [thing], "forSeconds": 3600, "factor": 500.0 }),
    );
    floor.advance(30 * MINUTE);
    let active = floor.active("");
    assert_eq!(active.len(), 2);
    for violation in &active {
        let start = millis(&violation["violationStartTime"]);
        assert!(start % 300_000 == 0 && (at..at + 600_001).contains(&start), "{start}");
        assert!(violation["lastViolationTime"].as_f64() > violation["violationStartTime"].as_f64());
        assert_eq!(
            (&violation["thingName"], &violation["verificationState"]),
            (&json!(thing), &json!("UNKNOWN"))
        );
    }
    let alerts = floor.alerts();
    assert_eq!(kinds(&alerts), ["in-alarm", "in-alarm"], "an alarm that lasts is told once");
    let value = &floor.active("securityProfileName=p")[0]["lastViolationValue"]["count"];
    floor.advance(HOUR);
    let ended = floor.alerts();
    assert_eq!(kinds(&ended), ["alarm-cleared", "alarm-cleared"]);
    assert!(floor.active("").is_empty() && value.as_u64().unwrap() >= 150_000);
    let events = floor.events(&format!("thingName={thing}&securityProfileName=p"));
    assert_eq!(kinds(&events), ["alarm-cleared", "in-alarm"], "the newest first");
    assert_eq!(events[0]["violationId"], events[1]["violationId"]);
    assert!(events[0].get("metricValue").is_none());
}

#[test]
fn an_alert_has_the_shape_of_the_captured_one() {
    let floor = Floor::new();
    floor.profile("p", "thinggroup/production", &[less_than("sent", "aws:num-messages-sent", 400)]);
    let thing = floor.thing_of("production");
    floor.script(&json!({
        "kind": "metric", "metric": "aws:num-messages-sent", "value": { "count": 540 }, "thingNames": [thing],
    }));
    floor.advance(11 * MINUTE);
    let alert = floor.alerts()[0].clone();
    let id = alert["violationId"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let expected = json!({
        "violationEventTime": GRID,
        "thingName": thing,
        "behavior": {
            "criteria": {
                "consecutiveDatapointsToClear": 1,
                "value": { "count": 540 - 140 },
                "durationSeconds": 300,
                "consecutiveDatapointsToAlarm": 1,
                "comparisonOperator": "less-than",
            },
            "name": "sent",
            "metric": "aws:num-messages-sent",
            "suppressAlerts": false,
        },
        "violationEventType": "in-alarm",
        "metricValue": { "count": 540 },
        "violationId": id,
        "securityProfileName": "p",
    });
    // The profile was attached within a period, so the first whole one is the next.
    let mut expected = expected;
    expected["violationEventTime"] = json!(GRID + 300_000);
    assert_eq!(alert, expected);
}

#[test]
fn what_is_delivered_later_than_its_time_is_evaluated_then() {
    let floor = Floor::new();
    floor.switch(&json!({ "delaySeconds": 600 }));
    floor.profile("p", "all/things", &[less_than("sent", "aws:num-messages-sent", 0)]);
    let to_grid = u64::try_from(GRID + 300_000 - START_MS).unwrap();
    floor.advance(to_grid + 9 * MINUTE);
    assert!(floor.events("").is_empty());
    floor.advance(2 * MINUTE);
    let events = floor.events("");
    assert!(events.iter().all(|event| millis(&event["violationEventTime"]) == GRID + 300_000));
    let clients = events.iter().filter(|event| event["thingName"].as_str().unwrap().starts_with("sensor-"));
    assert!(clients.count() > 2, "also of clients that are no things");
}

#[test]
fn silence_of_two_days_invalidates_off_the_grid() {
    let floor = Floor::new();
    floor.profile("p", "all/registered-things", &[less_than("bytes", "aws:all-bytes-out", 100)]);
    floor.advance(DAY);
    let thing = floor.thing_of("production");
    let silent = floor.now();
    floor.script(&json!({ "kind": "starve", "thingNames": [thing] }));
    floor.advance(47 * HOUR);
    let query = format!("thingName={thing}");
    let before = floor.active(&query);
    assert_eq!(before.len(), 1);
    let last = millis(&before[0]["lastViolationTime"]);
    assert!((silent - 300_000..silent + 300_000).contains(&last), "it stands still");
    floor.advance(3 * HOUR);
    assert!(floor.active(&query).is_empty());
    let event = floor.events(&query)[0].clone();
    assert_eq!(event["violationEventType"], "alarm-invalidated");
    assert_eq!(event["violationId"], before[0]["violationId"]);
    let at = millis(&event["violationEventTime"]);
    assert!(at % 300_000 != 0 && at > silent + 48 * HOUR.cast_signed() - 300_000);
    assert!(at < silent + 50 * HOUR.cast_signed() && event.get("metricValue").is_none());
    floor.advance(10 * DAY);
    assert!(floor.active(&query).is_empty(), "it stays away");
}

#[test]
fn suppressed_alerts_are_listed_and_not_sent() {
    let floor = Floor::new();
    let mut quiet = less_than("quiet", "aws:num-messages-sent", 0);
    quiet["suppressAlerts"] = true.into();
    floor.profile("p", "thinggroup/lab", &[quiet, less_than("loud", "aws:num-messages-sent", 0)]);
    floor.advance(HOUR);
    let alerts = floor.alerts();
    assert!(!alerts.is_empty() && alerts.iter().all(|alert| alert["behavior"]["name"] == "loud"));
    let names = |query: &str| {
        let active = floor.active(query);
        let names: std::collections::BTreeSet<String> =
            active.iter().map(|one| one["behavior"]["name"].as_str().unwrap().to_owned()).collect();
        names.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["loud", "quiet"]);
    assert_eq!(names("listSuppressedAlerts=true"), ["quiet"]);
    assert_eq!(names("listSuppressedAlerts=false"), ["loud"]);
    assert!(names("behaviorCriteriaType=STATISTICAL").is_empty());
}

#[test]
fn a_verification_state_is_a_label_that_stays() {
    let floor = Floor::new();
    floor.profile("p", "thinggroup/lab", &[less_than("sent", "aws:num-messages-sent", 0)]);
    floor.advance(HOUR);
    let id = floor.active("")[0]["violationId"].as_str().unwrap().to_owned();
    floor.alerts();
    let path = format!("/violations/verification-state/{id}");
    let state = json!({ "verificationState": "BENIGN_POSITIVE", "verificationStateDescription": "a test" });
    floor.0.ok("POST", &path, &state);
    assert!(floor.alerts().is_empty());
    let found = floor.active("verificationState=BENIGN_POSITIVE");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["violationId"], &found[0]["verificationStateDescription"]),
        (&json!(id), &json!("a test"))
    );
    assert_eq!(floor.events("verificationState=BENIGN_POSITIVE").len(), 1);
    assert_eq!(floor.active("verificationState=UNKNOWN").len(), floor.active("").len() - 1);
    let unknown = floor.0.call("POST", "/violations/verification-state/none", &state);
    assert_eq!((unknown.0, unknown.1["message"].as_str().is_some()), (400, true));
}

#[test]
fn events_are_kept_for_thirty_days() {
    let floor = Floor::new();
    floor.profile("p", "thinggroup/lab", &[less_than("bytes", "aws:all-bytes-out", 100)]);
    floor.advance(HOUR);
    let (active, events) = (floor.active("").len(), floor.events("").len());
    assert!(active > 0 && events == active);
    floor.advance(31 * DAY);
    // Those of then are gone; the alarms last, and say since when.
    let old = floor.now() - 30 * DAY.cast_signed();
    assert!(floor.events("").iter().all(|event| millis(&event["violationEventTime"]) >= old));
    assert!(!floor.active("").is_empty());
}

#[test]
fn a_reconnect_storm_alarms_half_of_the_fleet_and_a_flap_alarms_again_and_again() {
    let floor = Floor::of(200);
    floor.profile(
        "p",
        "all/registered-things",
        &[
            less_than("connects", "aws:num-connection-attempts", 10),
            less_than("sent", "aws:num-messages-sent", 100_000),
        ],
    );
    floor.advance(10 * MINUTE);
    let all = floor.0.listed("/things", "maxResults=250", "things").len();
    let hit = floor.script(&json!({ "kind": "reconnect-storm", "forSeconds": 900 }));
    let thing = floor.thing_of("lab");
    floor.script(&json!({
        "kind": "flap", "metric": "aws:num-messages-sent", "factor": 1e9, "thingNames": [thing], "forSeconds": 7200,
    }));
    floor.advance(3 * HOUR);
    let storm: Vec<Value> =
        floor.events("").into_iter().filter(|event| event["behavior"]["name"] == "connects").collect();
    let alarmed = storm.iter().filter(|event| event["violationEventType"] == "in-alarm").count();
    assert!(hit.len() * 2 >= all && alarmed * 9 > all * 4 / 2, "{alarmed} of {all}");
    assert_eq!(storm.len(), 2 * alarmed, "each is over");
    let flaps = floor.events(&format!("thingName={thing}"));
    let flaps: Vec<Value> = flaps.into_iter().filter(|event| event["behavior"]["name"] == "sent").collect();
    assert!(flaps.len() >= 8, "{flaps:?}");
    let ids: std::collections::BTreeSet<&str> =
        flaps.iter().map(|event| event["violationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len() * 2, flaps.len(), "each has an id of its own");
}
