//! Detect mitigation tasks: what they do to things, and what is refused.

use super::*;

fn quarantine() -> Value {
    json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["quarantine"], "overrideDynamicGroups": true } })
}

/// A fleet in alarm, with an action.
fn alarmed(target: &str) -> Floor {
    let floor = Floor::new();
    floor.0.action("isolate", &quarantine());
    floor.profile("p", target, &[less_than("sent", "aws:num-messages-sent", 0)]);
    floor.advance(HOUR);
    floor
}

fn start(floor: &Floor, task: &str, body: &Value) -> (u16, Value) {
    let mut body = body.clone();
    let members = body.as_object_mut().unwrap();
    members.entry("actions").or_insert_with(|| json!(["isolate"]));
    members.entry("clientRequestToken").or_insert_with(|| task.into());
    floor.0.call("PUT", &format!("/detect/mitigationactions/tasks/{task}"), &body)
}

fn describe(floor: &Floor, task: &str) -> Value {
    floor.0.ok("GET", &format!("/detect/mitigationactions/tasks/{task}"), &Value::Null)["taskSummary"].clone()
}

fn executions(floor: &Floor, query: &str) -> Vec<Value> {
    floor.0.listed("/detect/mitigationactions/executions", query, "actionsExecutions")
}

fn counts(summary: &Value) -> [u64; 3] {
    ["actionsExecuted", "actionsSkipped", "actionsFailed"]
        .map(|name| summary["taskStatistics"][name].as_u64().unwrap())
}

fn ids(violations: &[Value]) -> Vec<Value> {
    violations.iter().map(|violation| violation["violationId"].clone()).collect()
}

#[test]
fn a_task_adds_the_things_of_violations_to_the_group_over_its_time() {
    let floor = alarmed("thinggroup/production");
    let active = floor.active("");
    let chosen = &active[..4];
    let body = json!({ "target": { "violationIds": ids(chosen) }, "includeOnlyActiveViolations": true, "includeSuppressedAlerts": true });
    assert_eq!(start(&floor, "t", &body), (200, json!({ "taskId": "t" })));
    assert_eq!(start(&floor, "t", &body).0, 200, "a replay");
    floor.advance(500);
    let running = describe(&floor, "t");
    assert_eq!((running["taskStatus"].as_str(), counts(&running)), (Some("IN_PROGRESS"), [2, 0, 0]));
    let statuses: Vec<Value> =
        executions(&floor, "taskId=t").iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, ["SUCCESSFUL", "SUCCESSFUL", "IN_PROGRESS"]);
    floor.advance(500);
    let done = describe(&floor, "t");
    assert_eq!((done["taskStatus"].as_str(), counts(&done)), (Some("SUCCESSFUL"), [4, 0, 0]));
    assert_eq!(millis(&done["taskEndTime"]) - millis(&done["taskStartTime"]), 1_000);
    assert_eq!(
        (&done["onlyActiveViolationsIncluded"], &done["suppressedAlertsIncluded"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(done["actionsDefinition"][0]["name"], "isolate");
    let mut members = floor.0.listed("/thing-groups/quarantine/things", "", "things");
    let mut things: Vec<Value> = chosen.iter().map(|one| one["thingName"].clone()).collect();
    members.sort_by_key(ToString::to_string);
    things.sort_by_key(ToString::to_string);
    assert_eq!(members, things);
    assert_eq!(floor.active("").len(), active.len(), "mitigation ends no alarm");
    let of = executions(&floor, &format!("violationId={}", chosen[0]["violationId"].as_str().unwrap()));
    assert_eq!((of.len(), &of[0]["thingName"]), (1, &chosen[0]["thingName"]));
    // Again: the things are there already.
    start(&floor, "again", &body);
    floor.advance(1_000);
    assert_eq!(counts(&describe(&floor, "again")), [4, 0, 0]);
}

#[test]
fn an_unregistered_device_fails_and_the_later_action_is_skipped() {
    let floor = alarmed("all/unregistered-things");
    let body = json!({ "target": { "violationIds": ids(&floor.active("")[..1]) }, "actions": ["isolate", "isolate"] });
    start(&floor, "t", &body);
    floor.advance(1_000);
    let done = describe(&floor, "t");
    assert_eq!((done["taskStatus"].as_str(), counts(&done)), (Some("FAILED"), [0, 1, 1]));
    let all = executions(&floor, "taskId=t");
    assert_eq!(
        (&all[0]["status"], &all[0]["errorCode"]),
        (&json!("FAILED"), &json!("ResourceNotFoundException"))
    );
    assert_eq!((&all[1]["status"], all[1].get("errorCode")), (&json!("SKIPPED"), None));
}

#[test]
fn what_is_over_suppressed_or_without_events_is_not_mitigated() {
    let floor = alarmed("thinggroup/production");
    let over = ids(&floor.active("")[..2]);
    floor.detach("p", "thinggroup/production");
    let run = |task: &str, body: &Value| {
        assert_eq!(start(&floor, task, body).0, 200, "{body}");
        floor.advance(1_000);
        let done = describe(&floor, task);
        assert_eq!(done["taskStatus"], "SUCCESSFUL");
        counts(&done)
    };
    assert_eq!(run("default", &json!({ "target": { "violationIds": over } })), [0, 2, 0]);
    assert_eq!(executions(&floor, "taskId=default")[0]["status"], "SKIPPED");
    let profile = json!({ "target": { "securityProfileName": "p" } });
    assert_eq!(run("profile", &profile), [0, 0, 0], "a task over nothing succeeds");
    let range = |start: i64| json!({ "startTime": start / 1_000, "endTime": start / 1_000 + 60 });
    let mut all = json!({ "target": { "securityProfileName": "p", "behaviorName": "sent" }, "includeOnlyActiveViolations": false });
    all["violationEventOccurrenceRange"] = range(floor.now() - 30 * DAY.cast_signed());
    assert_eq!(run("early", &all), [0, 0, 0]);
    all["violationEventOccurrenceRange"] =
        json!({ "startTime": START_MS / 1_000, "endTime": floor.now() / 1_000 });
    let [done, ..] = run("then", &all);
    assert!(done > 2);
    let listed = floor.0.listed(
        "/detect/mitigationactions/tasks",
        "startTime=2020-01-01T00:00:00Z&endTime=2040-01-01T00:00:00Z&maxResults=1",
        "tasks",
    );
    let names: Vec<&str> = listed.iter().map(|task| task["taskId"].as_str().unwrap()).collect();
    assert_eq!(names, ["then", "early", "profile", "default"]);
    assert_eq!(listed[0]["violationEventOccurrenceRange"], all["violationEventOccurrenceRange"]);
}

#[test]
fn five_tasks_run_at_once_and_a_canceled_one_takes_nothing_back() {
    let floor = alarmed("thinggroup/production");
    let body = json!({ "target": { "violationIds": ids(&floor.active("")[..4]) } });
    for number in 0..5 {
        assert_eq!(start(&floor, &format!("t{number}"), &body).0, 200);
    }
    let sixth = start(&floor, "t5", &body);
    assert_eq!(sixth.0, 410);
    floor.advance(500);
    floor.0.ok("PUT", "/detect/mitigationactions/tasks/t0/cancel", &Value::Null);
    assert_eq!(start(&floor, "t5", &body).0, 200);
    floor.advance(1_000);
    let canceled = describe(&floor, "t0");
    assert_eq!((canceled["taskStatus"].as_str(), counts(&canceled)), (Some("CANCELED"), [2, 2, 0]));
    assert_eq!(floor.0.call("PUT", "/detect/mitigationactions/tasks/t0/cancel", &Value::Null).0, 400);
    assert_eq!(floor.0.call("PUT", "/detect/mitigationactions/tasks/none/cancel", &Value::Null).0, 404);
    assert_eq!(floor.0.call("GET", "/detect/mitigationactions/tasks/none", &Value::Null).0, 404);
    floor.advance(91 * DAY);
    assert_eq!(floor.0.call("GET", "/detect/mitigationactions/tasks/t0", &Value::Null).0, 404);
}

#[test]
fn bad_tasks_are_refused() {
    let floor = alarmed("thinggroup/production");
    floor.0.action("off", &crate::harness::deactivate());
    let one = ids(&floor.active("")[..1]);
    let good = json!({ "violationIds": one });
    let many: Vec<String> = (0..26).map(|id| id.to_string()).collect();
    for body in [
        json!({ "target": {} }),
        json!({ "target": { "behaviorName": "sent" } }),
        json!({ "target": { "violationIds": one, "securityProfileName": "p" } }),
        json!({ "target": { "violationIds": one, "behaviorName": "sent" } }),
        json!({ "target": { "violationIds": ["none"] } }),
        json!({ "target": { "violationIds": [] } }),
        json!({ "target": { "violationIds": many } }),
        json!({ "target": { "securityProfileName": "none" } }),
        json!({ "target": good, "actions": ["none"] }),
        json!({ "target": good, "actions": ["off"] }),
        json!({ "target": good, "actions": [] }),
        json!({ "target": good, "actions": vec!["isolate"; 6] }),
        json!({ "target": good, "violationEventOccurrenceRange": { "startTime": 2, "endTime": 1 } }),
    ] {
        let (status, answer) = start(&floor, "t", &body);
        assert_eq!((status, answer["message"].as_str().is_some()), (400, true), "{body} {answer}");
    }
    assert_eq!(start(&floor, "t", &json!({ "target": good })).0, 200);
    let other = start(&floor, "t", &json!({ "target": good, "clientRequestToken": "other" }));
    assert!(other.0 == 400 && other.1["message"].as_str().unwrap().contains("already exists"));
    assert_eq!(start(&floor, "u", &json!({ "target": good, "clientRequestToken": "t" })).0, 400);
    let listed = |query: &str| {
        floor.0.call("GET", &format!("/detect/mitigationactions/executions?{query}"), &Value::Null).0
    };
    let times = "startTime=2020-01-01T00:00:00Z&endTime=2040-01-01T00:00:00Z";
    assert_eq!((listed(""), listed(&format!("taskId=t&{times}")), listed(times)), (400, 400, 200));
    assert_eq!(floor.0.call("GET", "/detect/mitigationactions/tasks", &Value::Null).0, 400);
}

#[test]
fn a_thing_in_another_group_of_the_hierarchy_fails_and_groups_must_exist_where_they_are_given() {
    let floor = alarmed("thinggroup/production");
    let lab = json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["lab"] } });
    floor.0.action("lab", &lab);
    start(
        &floor,
        "t",
        &json!({ "target": { "violationIds": ids(&floor.active("")[..1]) }, "actions": ["lab"] }),
    );
    floor.advance(1_000);
    assert_eq!(executions(&floor, "taskId=t")[0]["errorCode"], "InvalidRequestException");
}
