//! What a change of a profile, a target or the registry does to alarms.

use super::*;

fn alarmed(behaviors: &[Value]) -> Floor {
    let floor = Floor::new();
    floor.profile("p", "thinggroup/lab", behaviors);
    floor.advance(HOUR);
    assert!(!floor.active("").is_empty());
    floor.alerts();
    floor
}

fn sent() -> Value {
    less_than("sent", "aws:num-messages-sent", 0)
}

#[test]
fn a_detached_profile_ends_its_alarms_with_an_event_or_in_silence() {
    for (switch, count) in [("event", true), ("silence", false)] {
        let floor = alarmed(&[sent()]);
        floor.switch(&json!({ "detach": switch }));
        let active = floor.active("").len();
        let at = floor.now();
        floor.detach("p", "thinggroup/lab");
        assert!(floor.active("").is_empty());
        let ended: Vec<Value> = floor
            .events("")
            .into_iter()
            .filter(|event| event["violationEventType"] == "alarm-invalidated")
            .collect();
        assert_eq!(ended.len(), if count { active } else { 0 });
        assert_eq!(floor.alerts().len(), ended.len());
        assert!(ended.iter().all(|event| millis(&event["violationEventTime"]) == at));
        floor.advance(4 * DAY);
        assert!(floor.active("").is_empty() && floor.alerts().is_empty());
    }
}

#[test]
fn a_deleted_profile_leaves_its_history() {
    let floor = alarmed(&[sent()]);
    let events = floor.events("").len();
    floor.0.ok("DELETE", "/security-profiles/p", &Value::Null);
    assert!(floor.active("").is_empty());
    assert_eq!(floor.0.call("GET", "/active-violations?securityProfileName=p", &Value::Null).0, 404);
    assert_eq!(floor.events("securityProfileName=p").len(), 2 * events);
    floor.advance(HOUR);
    assert_eq!(floor.events("").len(), 2 * events);
}

#[test]
fn a_behavior_that_is_taken_away_or_renamed_is_another() {
    let floor = alarmed(&[sent(), less_than("other", "aws:num-messages-received", 0)]);
    let before = floor.active("").len();
    let renamed = json!({ "behaviors": [less_than("renamed", "aws:num-messages-sent", 0), less_than("other", "aws:num-messages-received", 0)] });
    floor.0.ok("PATCH", "/security-profiles/p", &renamed);
    assert_eq!(floor.active("").len(), before / 2);
    assert!(floor.active("").iter().all(|one| one["behavior"]["name"] == "other"));
    floor.advance(HOUR);
    assert_eq!(floor.active("").len(), before);
}

#[test]
fn other_criteria_keep_the_alarm_until_they_clear_it() {
    let floor = alarmed(&[sent()]);
    let ids = |floor: &Floor| {
        let mut ids: Vec<Value> = floor.active("").iter().map(|one| one["violationId"].clone()).collect();
        ids.sort_by_key(ToString::to_string);
        ids
    };
    let before = ids(&floor);
    let looser = json!({ "behaviors": [less_than("sent", "aws:num-messages-sent", 1_000_000)] });
    floor.0.ok("PATCH", "/security-profiles/p", &looser);
    assert_eq!(ids(&floor), before);
    let shown = &floor.active("")[0]["behavior"]["criteria"]["value"]["count"];
    assert_eq!(shown, 1_000_000, "the behavior is shown as it is now");
    floor.advance(HOUR);
    assert!(floor.active("").is_empty());
    assert!(kinds(&floor.alerts()).iter().all(|kind| *kind == "alarm-cleared"));
}

#[test]
fn a_thing_that_leaves_the_group_is_no_longer_watched_and_one_that_joins_is() {
    let floor = alarmed(&[sent()]);
    let thing = floor.thing_of("lab");
    let move_it = |member: bool| {
        let body = json!({ "thingName": thing, "thingGroupName": "lab", "member": member });
        floor.0.ok("POST", "/_control/membership", &body);
    };
    move_it(false);
    let query = format!("thingName={thing}");
    assert!(floor.active(&query).is_empty());
    assert_eq!(kinds(&floor.events(&query)), ["alarm-invalidated", "in-alarm"]);
    floor.advance(HOUR);
    assert!(floor.active(&query).is_empty());
    move_it(true);
    floor.advance(HOUR);
    assert_eq!(floor.active(&query).len(), 1);
    let ids: std::collections::BTreeSet<String> =
        floor.events(&query).iter().map(|event| event["violationId"].to_string()).collect();
    assert_eq!(ids.len(), 2, "a new violation");
}

#[test]
fn a_change_counts_from_its_time_however_far_the_clock_goes_then() {
    let floor = Floor::new();
    floor.profile("p", "thinggroup/lab", &[sent()]);
    floor.advance(HOUR);
    floor.events("");
    floor.advance(HOUR);
    let at = floor.now();
    floor.detach("p", "thinggroup/lab");
    floor.advance(DAY);
    assert!(floor.events("").iter().all(|event| millis(&event["violationEventTime"]) <= at));
}
