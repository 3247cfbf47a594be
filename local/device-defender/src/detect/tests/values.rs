//! Metric values: on the grid or with reports, while a profile keeps them, for 14 days.

use super::*;

#[test]
fn cloud_side_values_are_on_the_grid_with_zeros_and_device_side_ones_are_not() {
    let floor = Floor::new();
    floor.profile(
        "p",
        "thinggroup/production",
        &[
            less_than("failures", "aws:num-authorization-failures", 5),
            less_than("bytes", "aws:all-bytes-out", 1_000_000_000),
        ],
    );
    let thing = floor.thing_of("production");
    floor.advance(6 * HOUR);
    let cloud = floor.values(&thing, "aws:num-authorization-failures", "");
    assert!(cloud.len() > 60, "{}", cloud.len());
    assert!(cloud.iter().all(|datum| millis(&datum["timestamp"]) % 300_000 == 0));
    assert!(cloud.iter().all(|datum| datum["value"]["count"].as_u64().unwrap() < 2));
    assert!(cloud.windows(2).all(|two| two[0]["timestamp"].as_f64() > two[1]["timestamp"].as_f64()));
    let device = floor.values(&thing, "aws:all-bytes-out", "");
    let phase = millis(&device[0]["timestamp"]) % 300_000;
    assert!(phase != 0 && device.iter().all(|datum| millis(&datum["timestamp"]) % 300_000 == phase));
    assert_eq!(floor.values(&thing, "aws:num-messages-sent", ""), Vec::<Value>::new(), "nobody keeps it");
    assert!(floor.values("nobody", "aws:all-bytes-out", "").is_empty());
}

#[test]
fn values_are_kept_for_fourteen_days_also_after_the_profile() {
    let floor = Floor::new();
    floor.profile("p", "thinggroup/production", &[less_than("bytes", "aws:all-bytes-out", 1_000_000_000)]);
    let thing = floor.thing_of("production");
    floor.advance(20 * DAY);
    let all = floor.values(&thing, "aws:all-bytes-out", "");
    assert!((3_700..=4_032).contains(&all.len()), "{}", all.len());
    let before = all[0].clone();
    floor.detach("p", "thinggroup/production");
    floor.advance(2 * DAY);
    let rest = floor.values(&thing, "aws:all-bytes-out", "");
    assert!(rest.len() < all.len() && rest.contains(&before), "what was kept is as it was");
    let start = rfc3339((floor.now() - 15 * DAY.cast_signed()) / 1_000);
    let query = format!(
        "thingName={thing}&metricName=aws:all-bytes-out&startTime={start}&endTime=2040-01-01T00:00:00Z"
    );
    assert_eq!(floor.0.call("GET", &format!("/metric-values?{query}"), &Value::Null).0, 400);
    floor.advance(13 * DAY);
    assert!(floor.values(&thing, "aws:all-bytes-out", "").is_empty());
}

#[test]
fn both_sides_of_a_dimension_add_up() {
    let floor = Floor::new();
    let body =
        json!({ "type": "TOPIC_FILTER", "stringValues": ["devices/+/telemetry"], "clientRequestToken": "a" });
    floor.0.ok("POST", "/dimensions/telemetry", &body);
    let retained = |operator: &str| {
        let dimension = json!({ "dimensionName": "telemetry", "operator": operator });
        json!({ "metric": "aws:num-messages-sent", "metricDimension": dimension })
    };
    let body = json!({
        "behaviors": [less_than("sent", "aws:num-messages-sent", 1_000_000)],
        "additionalMetricsToRetainV2": [retained("IN"), retained("NOT_IN")],
    });
    floor.0.ok("POST", "/security-profiles/p", &body);
    floor.attach("p", "thinggroup/production");
    let thing = floor.thing_of("production");
    floor.advance(12 * HOUR);
    let counts = |query: &str| -> Vec<u64> {
        let data = floor.values(&thing, "aws:num-messages-sent", query);
        data.iter().map(|datum| datum["value"]["count"].as_u64().unwrap()).collect()
    };
    let (all, inside) = (counts(""), counts("dimensionName=telemetry"));
    let outside = counts("dimensionName=telemetry&dimensionValueOperator=NOT_IN");
    assert!(all.len() > 100 && inside.iter().sum::<u64>() > outside.iter().sum::<u64>());
    for ((all, inside), outside) in all.iter().zip(&inside).zip(&outside) {
        assert_eq!(*all, inside + outside);
    }
    let call = |query: &str| {
        let times = "startTime=2023-11-14T00:00:00Z&endTime=2040-01-01T00:00:00Z";
        floor.0.call("GET", &format!("/metric-values?thingName=a&{query}&{times}"), &Value::Null).0
    };
    assert_eq!(call("metricName=none"), 404);
    assert_eq!(call("metricName=aws:num-messages-sent&dimensionName=none"), 404);
    assert_eq!(call("metricName=aws:all-bytes-out&dimensionName=telemetry"), 400);
    assert_eq!(call("metricName=aws:num-messages-sent&dimensionValueOperator=IN"), 400);
}

#[test]
fn lists_numbers_and_disconnections_are_values_too() {
    let floor = Floor::new();
    for (name, kind) in [
        ("load", "number"),
        ("modes", "number-list"),
        ("services", "string-list"),
        ("peers", "ip-address-list"),
    ] {
        let body = json!({ "metricType": kind, "clientRequestToken": name });
        floor.0.ok("POST", &format!("/custom-metric/{name}"), &body);
    }
    let metrics = [
        ("load", "number"),
        ("modes", "numbers"),
        ("services", "strings"),
        ("peers", "cidrs"),
        ("aws:listening-tcp-ports", "ports"),
        ("aws:source-ip-address", "cidrs"),
        ("aws:destination-ip-addresses", "cidrs"),
        ("aws:message-byte-size", "count"),
        ("aws:disconnect-duration", "count"),
        ("aws:num-established-tcp-connections", "count"),
        ("aws:num-disconnects", "count"),
        ("aws:num-connection-attempts", "count"),
    ];
    let names: Vec<&str> = metrics.iter().map(|(name, _)| *name).collect();
    floor.0.ok("POST", "/security-profiles/p", &json!({ "additionalMetricsToRetain": names }));
    floor.attach("p", "all/things");
    let thing = floor.thing_of("production");
    floor.advance(3 * HOUR);
    for (metric, member) in metrics {
        let values = floor.values(&thing, metric, "");
        assert!(
            values.len() >= 2 && values.iter().all(|datum| !datum["value"][member].is_null()),
            "{metric}"
        );
    }
    let from = floor.now();
    floor.script(&json!({ "kind": "starve", "thingNames": [thing] }));
    floor.advance(5 * HOUR);
    assert!(floor.values(&thing, "load", "").iter().all(|datum| millis(&datum["timestamp"]) <= from));
    let durations = floor.values(&thing, "aws:disconnect-duration", "");
    let last = durations[0]["value"]["count"].as_u64().unwrap();
    let expected = (millis(&durations[0]["timestamp"]) - from) / 1_000;
    assert!(last > 3 * 3_600 && last == expected.cast_unsigned(), "seconds: {last} {expected}");
}

#[test]
fn a_report_sooner_than_five_minutes_is_dropped() {
    let floor = Floor::new();
    floor.profile("p", "thinggroup/production", &[less_than("bytes", "aws:all-bytes-out", 1_000_000_000)]);
    let thing = floor.thing_of("production");
    floor.advance(DAY);
    let from = floor.now();
    floor.script(
        &json!({ "kind": "chatty", "thingNames": [thing], "reportSeconds": 30, "forSeconds": 86_400 }),
    );
    floor.advance(2 * DAY);
    let values = floor.values(&thing, "aws:all-bytes-out", "");
    let times: Vec<i64> = values.iter().map(|datum| millis(&datum["timestamp"])).collect();
    assert!(times.windows(2).all(|two| two[0] - two[1] >= 300_000), "the newest first");
    let of = |after: i64| -> u64 {
        let day = after..after + DAY.cast_signed();
        let of_day = values.iter().zip(&times).filter(|(_, at)| day.contains(at));
        of_day.map(|(datum, _)| datum["value"]["count"].as_u64().unwrap()).sum()
    };
    let (chatty, before, after) = (of(from), of(from - DAY.cast_signed()), of(from + DAY.cast_signed()));
    assert!(chatty > 0 && chatty * 5 < before.min(after), "{before} {chatty} {after}");
}
