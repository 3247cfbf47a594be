//! What is asked again right before a start, and what of a mitigation is left out then.

use std::collections::BTreeSet;

use fleetwarden_aws::testing::Answer;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::model::alarm::Action;

use super::*;

/// What of a mitigation of the cameras 1 and 2 is left out, when the first is not as it was: why, by the ledger.
async fn left_out(detect: &Detect, policy: &str) -> String {
    let asked = message([1, 2]);
    deliver_under(detect, policy, &asked).await.unwrap();
    assert_eq!(detect.starts(), [id(&asked)]);
    assert_eq!(detect.violations_of(&id(&asked)), ["v-2"]);
    assert_eq!(detect.claim("v-1").1, "superseded");
    let known = detect.alarms().known("v-1").await.unwrap();
    known.and_then(|known| known.life.actions.last()?.reason.clone()).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_has_ended_is_left_out_and_no_news() {
    for what in ["alarm-cleared", "alarm-invalidated"] {
        let detect = Detect::with_alarms(2).await;
        detect.cloud.pass_seconds(5);
        detect.hear(what, "messages", ("v-1", "camera-1")).await;
        assert_eq!(left_out(&detect, ENFORCE).await, "the alarm has ended");
        assert!(detect.alerts().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn another_raise_of_the_violation_is_another_mitigation() {
    let detect = Detect::with_alarms(2).await;
    detect.cloud.pass_seconds(60);
    detect.raise("v-1", "camera-1", "messages").await;
    assert_eq!(left_out(&detect, ENFORCE).await, "it is about another raise of the alarm");
    // Its own mitigation takes it, whatever the earlier one has written.
    let asked = with(message([1]), "/alarms/violations/0/raisedAt", detect.now().0);
    deliver(&detect, &asked).await.unwrap();
    assert_eq!(detect.claim("v-1"), (id(&asked), "claimed".into()));
}

#[tokio::test(start_paused = true)]
async fn a_raise_that_comes_after_a_mitigated_one_is_mitigated_again() {
    let detect = Detect::with_alarms(1).await;
    detect.mitigate(&message([1])).await;
    detect.clear("v-1", "camera-1", "messages").await;
    detect.cloud.pass_seconds(60);
    detect.raise("v-1", "camera-1", "messages").await;
    detect.state().things.insert("camera-1".into(), BTreeSet::new());
    let asked = with(message([1]), "/alarms/violations/0/raisedAt", detect.now().0);
    deliver(&detect, &asked).await.unwrap();
    assert_eq!((detect.starts().len(), detect.claim("v-1")), (2, (id(&asked), "claimed".into())));
    // The message of the first comes late: its task has ended.
    deliver(&detect, &message([1])).await.unwrap();
    assert_eq!((detect.starts().len(), detect.claim("v-1").0), (2, id(&asked)));
}

#[tokio::test(start_paused = true)]
async fn a_thing_that_is_in_the_groups_is_left_out_and_one_in_some_is_mitigated() {
    let detect = Detect::with_alarms(2).await;
    let all = BTreeSet::from(["quarantine".to_owned(), "marked".to_owned()]);
    detect.state().things.insert("camera-1".into(), all);
    detect.state().things.insert("camera-2".into(), BTreeSet::from(["quarantine".to_owned()]));
    assert_eq!(left_out(&detect, ENFORCE).await, "its thing is in the groups already");
    assert_eq!(detect.notes("v-1").await, ["already-in-groups"]);
    let task = format!("mitigation#{}", id(&message([1, 2])));
    let before = detect.attribute(&task, "before#thing#camera-2", "before");
    let before: Value = serde_json::from_str(&before).unwrap();
    let state =
        json!({"kind": "thing", "groups": ["quarantine"], "adds": {"Mark": ["marked"]}, "overrides": false});
    assert_eq!(before, json!({"name": "camera-2", "state": state, "parts": ["v-2"]}));
    assert_eq!(detect.attribute(&task, "before#thing#camera-1", "before"), "");
    assert!(detect.alerts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_policy_of_now_does_not_mitigate_so_is_left_out_and_told() {
    let rules = |rules: &str| ENFORCE.replace("rules:", &format!("rules:\n{rules}"));
    let reports = rules("  - { name: first, alarm: { thing: camera-1 }, report: {} }");
    let other = rules("  - { name: first, alarm: { thing: camera-1 }, mitigate: { actions: Quarantine } }");
    let protects = ENFORCE.replace("rules:", "protect: { things: [camera-1] }\nrules:");
    let group = ENFORCE.replace("rules:", "protect: { groups: [site-1] }\nrules:");
    for (policy, why) in [
        (reports, "rule first says report now"),
        (other, "rule first mitigates it now"),
        (protects, "it is protected by 'camera-1' of things"),
        (group, "it is protected by 'site-1' of groups"),
    ] {
        let detect = Detect::with_alarms(2).await;
        assert_eq!(left_out(&detect, &policy).await, why);
        assert_eq!(detect.titles(), ["cameras messages: some violations are not mitigated"]);
    }
    let detect = Detect::with_alarms(2).await;
    let actions = ENFORCE.replace("[Quarantine, Mark], ", "[Mark], ");
    deliver_under(&detect, &actions, &message([1])).await.unwrap();
    let task = format!("mitigation#{}", id(&message([1])));
    let reason = detect.attribute(&task, "task", "reason");
    assert!(reason.ends_with("v-1: rule quarantine mitigates it with other actions"), "{reason}");
    assert_eq!((detect.starts().len(), detect.task_state(&id(&message([1])))), (0, "superseded".into()));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_no_thing_is_left_out() {
    let detect = Detect::with_alarms(2).await;
    detect.state().things.remove("camera-1");
    assert_eq!(left_out(&detect, ENFORCE).await, "its thing is not registered");
    insta::assert_json_snapshot!(detect.alerts());
}

#[tokio::test(start_paused = true)]
async fn what_is_unknown_starts_nothing_and_is_asked_again() {
    let protects = ENFORCE.replace("rules:", "protect: { groups: [site-9] }\nrules:");
    for operation in ["group", "groups", "action", "BatchGetItem"] {
        let detect = Detect::with_alarms(1).await;
        detect.state().faults.insert(operation.into(), Answer::refused());
        let asked = message([1]);
        let delivered = deliver_under(&detect, &protects, &asked).await;
        // Either the record comes again by itself, or as a new one.
        let comes_again = match delivered {
            Err(error) => !error.is_permanent(),
            Ok(()) => detect.next()["step"] == "start",
        };
        assert!(comes_again, "{operation}");
        assert!(detect.starts().is_empty() && detect.claim("v-1").1.is_empty(), "{operation}");
        detect.state().faults.clear();
        deliver_under(&detect, &protects, &asked).await.unwrap();
        assert_eq!(detect.starts().len(), 1, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_devices_are_an_incident_and_none_is_mitigated_until_it_is_over() {
    let detect = Detect::with_alarms(21).await;
    let asked = message([1, 2]);
    deliver(&detect, &asked).await.unwrap();
    assert!(detect.starts().is_empty());
    assert_eq!(detect.task_state(&id(&asked)), "superseded");
    let known = detect.alarms().known("v-1").await.unwrap().unwrap();
    let Some(Action { what, reason, .. }) = known.life.actions.last() else { panic!("a note") };
    assert_eq!(
        (what.as_str(), reason.as_deref()),
        ("not-mitigated", Some("too many devices alarm on the behavior at once"))
    );
    assert!(detect.alerts().is_empty(), "the incident is told by who notices it");
    // Nor when the message comes late: it was raised among as many.
    detect.cloud.pass_seconds(7_200);
    deliver(&detect, &asked).await.unwrap();
    assert!(detect.starts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn as_many_devices_as_the_limit_are_no_incident_and_a_policy_of_now_has_other_limits() {
    let limit =
        |devices: u32| format!("alarms: {{ incidents: {{ devices: {devices} }} }}\n{}", ENFORCE.trim_start());
    for (devices, policy, starts) in
        [(20, ENFORCE.to_owned(), 1), (21, limit(21), 1), (20, limit(19), 0), (1, limit(1), 1)]
    {
        let detect = Detect::with_alarms(devices).await;
        deliver_under(&detect, &policy, &message([1])).await.unwrap();
        assert_eq!(detect.starts().len(), starts, "{devices} {policy}");
    }
}

/// The incident of 21 cameras, of which the first are members, and it is over.
async fn ended_incident(decision: Option<&str>) -> Detect {
    let detect = Detect::with_alarms(21).await;
    let alarms = detect.alarms();
    let life = alarms.known("v-1").await.unwrap().unwrap().life;
    let noticed = alarms.notice(&life, None, 900, detect.now()).await.unwrap();
    let key = life.alarm.behavior_key();
    let (incident, _) = alarms.open_incident(&key, &noticed, detect.now()).await.unwrap();
    for id in ["v-1", "v-2"] {
        alarms.join(id, START, &incident.id, detect.now()).await.unwrap();
    }
    deliver(&detect, &message([1, 2])).await.unwrap();
    assert!(detect.starts().is_empty(), "it lasts");
    detect.cloud.pass_seconds(60);
    alarms.end_incident(&incident.id, decision, detect.now()).await.unwrap();
    detect
}

#[tokio::test(start_paused = true)]
async fn members_of_an_incident_that_is_over_are_not_held_by_their_number() {
    for decision in [Some("mitigate"), None] {
        let detect = ended_incident(decision).await;
        let asked = message([1, 2]);
        deliver(&detect, &asked).await.unwrap();
        assert_eq!(detect.starts(), [id(&asked)], "{decision:?}");
        // What never was a member is one of many still.
        deliver(&detect, &message([3])).await.unwrap();
        assert_eq!(detect.starts().len(), 1, "{decision:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_person_left_is_not_mitigated_by_a_message_that_waited() {
    let detect = ended_incident(Some("leave")).await;
    detect.cloud.pass_seconds(7_200);
    deliver(&detect, &message([1, 2])).await.unwrap();
    assert!(detect.starts().is_empty());
    let known = detect.alarms().known("v-1").await.unwrap().unwrap();
    assert!(known.life.actions.iter().all(|action| action.what == "not-mitigated"), "{:?}", known.life);
}

#[tokio::test(start_paused = true)]
async fn a_burst_that_is_hours_late_starts_nothing() {
    let detect = Detect::with_alarms(0).await;
    detect.cloud.pass_seconds(3_600);
    let alarms = detect.alarms();
    for n in 1..=400 {
        detect.state().things.insert(format!("camera-{n}"), BTreeSet::new());
        let event = event("in-alarm", "messages", (&format!("v-{n}"), &format!("camera-{n}")), START);
        alarms.record(&event, detect.now()).await.unwrap();
    }
    for late in [0, 3_600, 86_400] {
        detect.cloud.pass_seconds(late);
        for n in (1..=400).step_by(25) {
            deliver(&detect, &message(n..n + 25)).await.unwrap();
        }
        assert!(detect.starts().is_empty(), "{late}");
    }
    assert!(detect.parked().is_empty() && detect.alerts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_devices_that_were_counted_is_an_incident_too() {
    for (counted, all, starts) in [(40, true, 0), (70, true, 1), (40, false, 1)] {
        let detect = Detect::with_alarms(6).await;
        let key = Digest::new("profile").part("123456789012").part("us-east-1").part("cameras").hex();
        detect.cloud.put_item(json!({
            "pk": {"S": format!("profile#{key}")}, "sk": {"S": "population"}, "at": {"N": START.0.to_string()},
            "population": {"S": json!({"devices": counted, "all": all, "targets": []}).to_string()},
        }));
        deliver(&detect, &message([1])).await.unwrap();
        assert_eq!(detect.starts().len(), starts, "{counted} {all}");
    }
}

/// Of the cameras only the first is connected.
fn connections(detect: &Detect, policy: &str) -> ApplyMitigations {
    let answers = detect.clone();
    let answer = move |call: fleetwarden_aws::testing::Call| {
        let thing = call.operation.strip_prefix("POST /things/");
        match thing.and_then(|thing| thing.strip_suffix("/connectivity-data")) {
            Some("camera-3") => Answer::refused(),
            Some(thing) => Answer::ok(json!({"connected": thing == "camera-1", "timestamp": 1})),
            None => answers.answer(&call),
        }
    };
    crate::setup::on(&detect.cloud, answer, policy)
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_connected_is_left_out_where_none_may_be() {
    let limited = ENFORCE.replace("Mark]", "Mark], devices: { most: 1, connected: 0 }");
    let detect = Detect::with_alarms(3).await;
    let asked = message([1, 2]);
    Box::pin(connections(&detect, &limited).message(&asked.to_string(), FAR)).await.unwrap();
    assert_eq!(
        (detect.starts(), detect.violations_of(&id(&asked))),
        (vec![id(&asked)], vec!["v-2".to_owned()])
    );
    let known = detect.alarms().known("v-1").await.unwrap();
    let reason = known.and_then(|known| known.life.actions.last()?.reason.clone()).unwrap_or_default();
    assert_eq!(reason, "of the devices behind thing 'camera-1' 1 is connected, and at most 0 may be");
    let guards = detect.attribute(&format!("mitigation#{}", id(&asked)), "task", "guards");
    assert!(
        guards.contains(r#"{"guard":"connections","passed":true,"reason":"0 behind one finding"#),
        "{guards}"
    );
    let titles: Vec<Value> = detect.alerts().iter().map(|alert| alert["content"]["title"].clone()).collect();
    assert_eq!(titles.len(), 1, "{titles:?}");
    assert!(titles[0].as_str().unwrap().ends_with("too many devices are connected"), "{titles:?}");
    // Who does not answer stops all of it.
    let asked = message([3]);
    Box::pin(connections(&detect, &limited).message(&asked.to_string(), FAR)).await.unwrap();
    assert_eq!(detect.starts().len(), 1);
    // And who only observes is told.
    let observed = limited.replace("mode: enforce", "mode: observe");
    let detect = Detect::with_alarms(2).await;
    let asked = message([1, 2]);
    Box::pin(connections(&detect, &observed).message(&asked.to_string(), FAR)).await.unwrap();
    let reason = detect.attribute(&format!("mitigation#{}", id(&asked)), "task", "reason");
    assert!(
        reason.starts_with("would leave out 1 of 2: v-1: of the devices behind thing 'camera-1'"),
        "{reason}"
    );
}
