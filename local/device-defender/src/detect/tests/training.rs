//! Models: collected for 14 days, built, refreshed, expired; and what they alarm on.

use super::*;

fn summaries(floor: &Floor) -> Vec<Value> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = floor.0.ok("GET", &format!("/behavior-model-training/summaries?{token}"), &Value::Null);
        let summaries = page["summaries"].as_array().unwrap();
        assert!(summaries.len() <= 10);
        all.extend(summaries.clone());
        match page["nextToken"].as_str() {
            Some(next) => token = format!("nextToken={next}"),
            None => return all,
        }
    }
}

#[test]
fn a_model_becomes_active_after_fourteen_days_and_alarms() {
    let floor = Floor::new();
    floor.profile("p", "all/registered-things", &[model("sent", "aws:num-messages-sent")]);
    let fresh = summaries(&floor);
    assert_eq!(fresh[0]["modelStatus"], "PENDING_BUILD");
    assert!(fresh[0].get("trainingDataCollectionStartDate").is_none());
    assert_eq!(fresh[0]["datapointsCollectionPercentage"], 0.0);
    floor.advance(5 * DAY);
    let early = summaries(&floor)[0].clone();
    assert_eq!(early["modelStatus"], "PENDING_BUILD");
    assert_eq!(millis(&early["trainingDataCollectionStartDate"]) % HOUR.cast_signed(), 0);
    assert!(early["datapointsCollectionPercentage"].as_f64().unwrap() > 30.0);
    let thing = floor.thing_of("lab");
    floor.script(&json!({ "kind": "metric", "metric": "aws:num-messages-sent", "value": { "count": 5_000 },
        "thingNames": [thing], "fromMs": floor.now(), "forSeconds": 3600 }));
    floor.advance(DAY);
    assert!(floor.events("").is_empty(), "nothing alarms before there is a model");
    floor.advance(9 * DAY);
    let active = summaries(&floor)[0].clone();
    assert_eq!(active["modelStatus"], "ACTIVE");
    assert!(
        millis(&active["lastModelRefreshDate"]) >= START_MS + 14 * DAY.cast_signed() - HOUR.cast_signed()
    );
    floor.alerts();
    floor.script(&json!({ "kind": "metric", "metric": "aws:num-messages-sent", "value": { "count": 5_000 },
        "thingNames": [thing], "forSeconds": 3600 }));
    floor.advance(2 * HOUR);
    let alerts = floor.alerts();
    let own: Vec<&Value> = alerts.iter().filter(|alert| alert["thingName"] == thing.as_str()).collect();
    assert_eq!(own[0]["violationEventAdditionalInfo"], json!({ "confidenceLevel": "HIGH" }));
    assert_eq!(own[0]["metricValue"], json!({ "count": 5_000 }));
    let criteria = &own[0]["behavior"]["criteria"];
    assert!(criteria.get("comparisonOperator").is_none() && criteria["mlDetectionConfig"].is_object());
    assert_eq!(own[1]["violationEventType"], "alarm-cleared");
    assert!(own[1].get("metricValue").is_none());
    assert!(!floor.events("behaviorCriteriaType=MACHINE_LEARNING").is_empty());
}

#[test]
fn an_alarm_of_a_model_has_a_value_or_not() {
    let floor = Floor::new();
    floor.switch(&json!({ "modelMetricValue": false }));
    floor.profile("p", "all/registered-things", &[model("sent", "aws:num-messages-sent")]);
    floor.advance(15 * DAY);
    floor.alerts();
    floor.script(&json!({ "kind": "compromised", "share": 0.2, "factor": 100.0, "forSeconds": 3600 }));
    floor.advance(HOUR);
    let alerts = floor.alerts();
    assert!(!alerts.is_empty() && alerts.iter().all(|alert| alert.get("metricValue").is_none()));
}

#[test]
fn few_things_never_train_and_a_paused_model_expires() {
    let floor = Floor::new();
    floor.profile("few", "thinggroup/critical", &[model("sent", "aws:num-messages-sent")]);
    floor.profile("many", "all/registered-things", &[model("sent", "aws:num-messages-sent")]);
    let of = |name: &str| {
        let all = summaries(&floor);
        all.into_iter().find(|summary| summary["securityProfileName"] == name).unwrap()
    };
    let watched = floor.0.ok("GET", "/_control/detect/state", &Value::Null)["watched"].clone();
    assert!((1..7).contains(&watched["few"].as_u64().unwrap()), "{watched}");
    floor.advance(15 * DAY);
    assert_eq!(
        (&of("few")["modelStatus"], &of("many")["modelStatus"]),
        (&json!("PENDING_BUILD"), &json!("ACTIVE"))
    );
    floor.detach("many", "all/registered-things");
    floor.advance(29 * DAY);
    assert_eq!(of("many")["modelStatus"], "ACTIVE");
    floor.advance(3 * DAY);
    assert_eq!(
        (&of("few")["modelStatus"], &of("many")["modelStatus"]),
        (&json!("EXPIRED"), &json!("EXPIRED"))
    );
}

#[test]
fn summaries_come_ten_a_page() {
    let floor = Floor::new();
    for profile in ["a", "b"] {
        let behaviors: Vec<Value> =
            (0..8).map(|at| model(&format!("b{at}"), "aws:num-messages-sent")).collect();
        floor.profile(profile, "thinggroup/lab", &behaviors);
    }
    let all = summaries(&floor);
    assert_eq!(all.len(), 16);
    let first = floor.0.ok("GET", "/behavior-model-training/summaries", &Value::Null);
    assert_eq!(first["summaries"].as_array().unwrap().len(), 10);
    let of = floor.0.ok("GET", "/behavior-model-training/summaries?securityProfileName=b", &Value::Null);
    assert_eq!(of["summaries"].as_array().unwrap().len(), 8);
    let call = |query: &str| {
        floor.0.call("GET", &format!("/behavior-model-training/summaries?{query}"), &Value::Null).0
    };
    assert_eq!((call("maxResults=11"), call("securityProfileName=none")), (400, 404));
}
