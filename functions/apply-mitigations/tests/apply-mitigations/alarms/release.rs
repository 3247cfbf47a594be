//! What was put into groups comes out again: exactly that, once, when the alarm has been clear for long enough.

use std::collections::BTreeSet;

use fleetwarden_aws::testing::Answer;

use super::*;

const QUIET: [(&str, &str); 2] = [("camera-1", "marked"), ("camera-1", "quarantine")];

impl Detect {
    fn removals(&self) -> Vec<(String, String)> {
        self.state().removals.clone()
    }

    /// Delivers a release and what comes of it until nothing comes or a moment is reached. Gives the next message.
    async fn release_until(&self, policy: &str, mut message: Value, until: Millis) -> Option<Value> {
        while self.now() < until {
            deliver_under(self, policy, &message).await.unwrap();
            if self.state().queue.is_empty() {
                return None;
            }
            message = self.next();
        }
        Some(message)
    }
}

fn owned(removals: &[(&str, &str)]) -> Vec<(String, String)> {
    removals.iter().map(|(thing, group)| ((*thing).to_owned(), (*group).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn it_waits_while_the_alarm_lasts_and_an_hour_more() {
    let detect = Detect::with_alarms(1).await;
    let release = detect.mitigate(&message([1])).await.unwrap();
    let release = detect.release_until(ENFORCE, release, START.plus_seconds(20_000)).await.unwrap();
    detect.clear("v-1", "camera-1", "messages").await;
    let clear = detect.now();
    let release = detect.release_until(ENFORCE, release, clear.plus_seconds(3_599)).await.unwrap();
    assert_eq!(
        (detect.removals().len(), detect.now()),
        (0, clear.plus_seconds(3_600)),
        "it wakes when it is due"
    );
    assert_eq!(detect.release_until(ENFORCE, release.clone(), FAR).await, None);
    assert_eq!(detect.removals(), owned(&QUIET));
    assert_eq!(detect.groups_of("camera-1"), ["site-1"]);
    assert_eq!(detect.notes("v-1").await, ["mitigated", "released"]);
    insta::assert_json_snapshot!(detect.alerts());
    // A copy that comes later changes nothing, whoever put the thing back.
    detect.state().things.get_mut("camera-1").unwrap().insert("quarantine".into());
    for again in [release, step(&message([1]), "release"), step(&message([1]), "follow")] {
        deliver(&detect, &again).await.unwrap();
    }
    assert_eq!((detect.removals().len(), detect.take_queue().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn only_what_was_added_is_taken_back_and_only_if_it_is_still_there() {
    let detect = Detect::with_alarms(3).await;
    let groups = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    // One was in quarantine before, of another somebody takes one group away.
    detect.state().things.insert("camera-1".into(), groups(&["quarantine", "site-1"]));
    let release = detect.mitigate(&message([1, 2, 3])).await.unwrap();
    detect.state().things.get_mut("camera-2").unwrap().remove("marked");
    for n in [1, 2] {
        detect.clear(&format!("v-{n}"), &format!("camera-{n}"), "messages").await;
    }
    let next = detect.release_until(ENFORCE, release, START.plus_seconds(7_200)).await;
    assert_eq!(detect.removals(), owned(&[("camera-1", "marked"), ("camera-2", "quarantine")]));
    assert_eq!(detect.groups_of("camera-1"), ["quarantine", "site-1"]);
    assert_eq!(detect.groups_of("camera-3"), ["marked", "quarantine", "site-3"], "its alarm lasts");
    assert!(next.is_some());
}

#[tokio::test(start_paused = true)]
async fn another_raise_starts_the_count_again() {
    let detect = Detect::with_alarms(1).await;
    let release = detect.mitigate(&message([1])).await.unwrap();
    detect.clear("v-1", "camera-1", "messages").await;
    let release = detect.release_until(ENFORCE, release, START.plus_seconds(3_000)).await.unwrap();
    // It raises under a new id for a while, which is longer than the time of the release.
    detect.raise("v-9", "camera-1", "messages").await;
    let release = detect.release_until(ENFORCE, release, START.plus_seconds(20_000)).await.unwrap();
    detect.clear("v-9", "camera-1", "messages").await;
    let clear = detect.now();
    let release = detect.release_until(ENFORCE, release, clear.plus_seconds(3_599)).await;
    assert!(detect.removals().is_empty());
    assert_eq!(detect.release_until(ENFORCE, release.unwrap(), FAR).await, None);
    assert_eq!(detect.removals(), owned(&QUIET));
    assert!(detect.now() <= clear.plus_seconds(3_600 + 2 * 900), "a look or two later at most");
}

#[tokio::test(start_paused = true)]
async fn a_raise_between_two_looks_starts_the_count_again() {
    let detect = Detect::with_alarms(1).await;
    let release = detect.mitigate(&message([1])).await.unwrap();
    detect.clear("v-1", "camera-1", "messages").await;
    let release = detect.release_until(ENFORCE, release, START.plus_seconds(3_000)).await.unwrap();
    detect.raise("v-9", "camera-1", "messages").await;
    detect.cloud.pass_seconds(5);
    detect.clear("v-9", "camera-1", "messages").await;
    let clear = detect.now();
    let release = detect.release_until(ENFORCE, release, clear.plus_seconds(3_599)).await;
    assert!(detect.removals().is_empty());
    detect.release_until(ENFORCE, release.unwrap(), FAR).await;
    assert_eq!(detect.removals(), owned(&QUIET));
}

#[tokio::test(start_paused = true)]
async fn another_alarm_of_the_thing_keeps_it_in_its_groups() {
    // One that found it there, and one whose own mitigation ran beside the first.
    for together in [false, true] {
        let detect = Detect::with_alarms(1).await;
        let offline = with(message([1]), "/alarms/behavior", "offline");
        let offline =
            with(with(offline, "/alarms/rule", "offline"), "/alarms/actions", json!(["Quarantine"]));
        let offline = with(offline, "/alarms/violations/0/violationId", "v-9");
        detect.raise("v-9", "camera-1", "offline").await;
        if together {
            deliver(&detect, &message([1])).await.unwrap();
            deliver(&detect, &offline).await.unwrap();
            detect.take_queue();
            detect.run(&id(&message([1])));
            detect.run(&id(&offline));
            deliver(&detect, &step(&offline, "follow")).await.unwrap();
            detect.take_queue();
            deliver(&detect, &step(&message([1]), "follow")).await.unwrap();
        } else {
            let release = detect.mitigate(&message([1])).await.unwrap();
            deliver(&detect, &offline).await.unwrap();
            detect.state().queue.push((0, release.to_string()));
        }
        let release = detect.next();
        let noted = if together { "mitigated" } else { "already-in-groups" };
        assert_eq!(detect.notes("v-9").await, [noted]);
        detect.clear("v-1", "camera-1", "messages").await;
        let release = detect.release_until(ENFORCE, release, START.plus_seconds(50_000)).await.unwrap();
        assert!(detect.removals().is_empty(), "{together}");
        detect.clear("v-9", "camera-1", "offline").await;
        detect.release_until(ENFORCE, release, FAR).await;
        assert_eq!(detect.removals(), owned(&QUIET), "{together}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_policy_of_now_says_whether_and_when() {
    let observe = ENFORCE.replace("mode: enforce", "mode: observe");
    let no_release = ENFORCE.replace(", release: after 1h", "");
    let gone = ENFORCE.replace("name: quarantine", "name: other");
    let closed = "windows: { zone: UTC, freeze: [{ from: 2026-11-23, to: 2026-11-30 }] }";
    let of_rule = ENFORCE.replace("release: after 1h", &format!("release: after 1h, {closed}"));
    let of_action = ENFORCE.replace("rules:", &format!("actions: {{ Mark: {{ {closed} }} }}\nrules:"));
    let closed = ENFORCE.replace("rules:", &format!("{closed}\nrules:"));
    let longer = ENFORCE.replace("after 1h", "after 2d");
    for policy in [observe, no_release, gone, closed, of_rule, of_action, longer] {
        let detect = Detect::with_alarms(1).await;
        let release = detect.mitigate(&message([1])).await.unwrap();
        detect.clear("v-1", "camera-1", "messages").await;
        let release = detect.release_until(&policy, release, START.plus_seconds(10_000)).await.unwrap();
        assert!(detect.removals().is_empty(), "{policy}");
        assert!(detect.alerts().is_empty(), "{policy}");
        assert_eq!(detect.notes("v-1").await.contains(&"would-release".into()), policy.contains("observe"));
        assert_eq!(detect.release_until(ENFORCE, release, FAR).await, None);
        assert_eq!(detect.removals(), owned(&QUIET));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_never_clear_stays_and_is_told_after_ninety_days() {
    let detect = Detect::with_alarms(1).await;
    let release = detect.mitigate(&message([1])).await.unwrap();
    detect.cloud.pass_seconds(90 * 86_400);
    assert_eq!(detect.release_until(ENFORCE, release, FAR).await, None);
    assert!(detect.removals().is_empty());
    assert_eq!(detect.notes("v-1").await, ["mitigated", "not-released"]);
    insta::assert_json_snapshot!(detect.alerts());
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_taken_out_is_told_once_and_tried_again() {
    let detect = Detect::with_alarms(1).await;
    let release = detect.mitigate(&message([1])).await.unwrap();
    detect.clear("v-1", "camera-1", "messages").await;
    detect.state().faults.insert("remove".into(), Answer::refused());
    let release = detect.release_until(ENFORCE, release, START.plus_seconds(10_000)).await.unwrap();
    assert_eq!(detect.titles(), ["cameras messages: `camera-1` cannot be released"]);
    detect.state().faults.clear();
    assert_eq!(detect.release_until(ENFORCE, release, FAR).await, None);
    assert_eq!(detect.removals(), owned(&QUIET));
}
