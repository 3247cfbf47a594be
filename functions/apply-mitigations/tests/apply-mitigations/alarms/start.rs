//! What is started, followed, held, and waits for room.

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::gate::Moment;
use serde_json::json;

use super::*;

#[tokio::test(start_paused = true)]
async fn it_is_claimed_started_followed_and_told_in_the_ledger() {
    let detect = Detect::with_alarms(2).await;
    let asked = message([1, 2]);
    deliver(&detect, &asked).await.unwrap();
    let task = id(&asked);
    assert_eq!((detect.starts(), detect.task_state(&task)), (vec![task.clone()], "started".into()));
    assert_eq!(detect.violations_of(&task), ["v-1", "v-2"]);
    assert_eq!(detect.claim("v-2"), (task.clone(), "claimed".into()));
    let mut follow = step(&asked, "follow");
    follow["waits"] = json!(0);
    assert_eq!(detect.take_queue(), [(60, follow.clone())]);
    deliver(&detect, &follow).await.unwrap();
    let [(60, runs)] = &detect.take_queue()[..] else { panic!("it runs") };
    detect.run(&task);
    deliver(&detect, runs).await.unwrap();
    assert_eq!(detect.task_state(&task), "completed");
    let result = |name| detect.attribute(&format!("mitigation#{task}"), "violation#v-2", name);
    assert_eq!(
        (result("state"), result("groups"), result("thing")),
        ("completed".into(), r#"["marked","quarantine"]"#.into(), "camera-2".into())
    );
    assert_eq!(detect.notes("v-1").await, ["mitigated"]);
    assert_eq!(detect.groups_of("camera-1"), ["marked", "quarantine", "site-1"]);
    assert!(detect.alerts().is_empty());
    let [(60, release)] = &detect.take_queue()[..] else { panic!("a release") };
    assert_eq!(release["step"], "release");
    // Any message that comes again changes nothing.
    for again in [&asked, &follow, runs] {
        deliver(&detect, again).await.unwrap();
    }
    assert_eq!(
        (detect.starts().len(), detect.take_queue().len(), detect.notes("v-1").await.len()),
        (1, 0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn five_run_at_once_and_the_sixth_waits_for_room() {
    let detect = Detect::with_alarms(7).await;
    let function = under(&detect, ENFORCE);
    for n in 1..=7 {
        function.message(&message([n]).to_string(), FAR).await.unwrap();
    }
    assert_eq!(detect.starts().len(), 5);
    let waiting: Vec<Value> = detect.take_queue().into_iter().map(|(_, message)| message).skip(5).collect();
    let steps: Vec<&Value> = waiting.iter().map(|message| &message["step"]).collect();
    assert_eq!(steps, ["start", "start"]);
    let tried = detect.state().calls.iter().filter(|call| *call == "start").count();
    assert_eq!(tried, 6, "no start is tried a moment after there was no room");
    detect.run(&id(&message([1])));
    detect.run(&id(&message([2])));
    detect.cloud.pass_seconds(60);
    for message in waiting {
        deliver(&detect, &message).await.unwrap();
    }
    assert_eq!(detect.starts().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_for_a_day_is_given_up_and_can_be_sent_again() {
    let detect = Detect::with_alarms(1).await;
    detect.state().faults.insert("start".into(), Answer::error(410, "LimitExceededException", "{}"));
    let asked = message([1]);
    let mut next = asked.clone();
    while detect.parked().is_empty() {
        deliver(&detect, &next).await.unwrap();
        if detect.parked().is_empty() {
            next = detect.next();
        }
    }
    assert!(detect.now() >= START.plus_seconds(86_400));
    assert_eq!(
        (detect.task_state(&id(&asked)), detect.claim("v-1").1),
        ("given-up".into(), "given-up".into())
    );
    insta::assert_json_snapshot!(detect.alerts());
    detect.state().faults.clear();
    let parked = detect.parked().remove(0);
    deliver(&detect, &parked).await.unwrap();
    assert_eq!(detect.starts(), [id(&asked)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_free_again_and_told_once() {
    for (code, alert) in [
        ("InvalidRequestException", "cameras messages: a mitigation of 1 device was refused"),
        ("AccessDeniedException", "Rule quarantine cannot mitigate: apply-mitigations may not start tasks"),
    ] {
        let detect = Detect::with_alarms(1).await;
        let refusal = Answer::error(400, code, r#"{"message": "no"}"#);
        detect.state().faults.insert("start".into(), refusal);
        for _ in 0..2 {
            // An alarm that lasts is decided on once, so its message is parked and not done.
            assert!(deliver(&detect, &message([1])).await.unwrap_err().is_permanent());
        }
        assert_eq!(
            (detect.task_state(&id(&message([1]))), detect.claim("v-1").1),
            ("refused".into(), "refused".into())
        );
        assert_eq!(detect.titles(), [alert]);
        // It is redriven once what was refused is fixed, and the alarm lasts.
        detect.state().faults.clear();
        deliver(&detect, &message([1])).await.unwrap();
        assert_eq!(detect.starts(), [id(&message([1]))]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_action_that_is_none_for_alarms_is_refused_before_a_start() {
    let detect = Detect::with_alarms(1).await;
    detect
        .state()
        .actions
        .insert("Mark".into(), json!({"actionType": "PUBLISH_FINDING_TO_SNS", "actionParams": {}}));
    assert!(deliver(&detect, &message([1])).await.unwrap_err().is_permanent());
    let said = detect.alerts().remove(0)["content"]["description"].to_string();
    assert!(
        said.contains("'Mark' is of type PUBLISH_FINDING_TO_SNS: an alarm is mitigated only by"),
        "{said}"
    );
    detect.state().actions.remove("Mark");
    assert!(deliver(&detect, &message([1])).await.unwrap_err().is_permanent());
    assert_eq!(
        detect.attribute(&format!("mitigation#{}", id(&message([1]))), "task", "reason"),
        "there is no mitigation action 'Mark'"
    );
    assert!(detect.starts().is_empty() && detect.titles().len() == 1);
}

#[tokio::test(start_paused = true)]
async fn observing_writes_what_would_have_been_and_asks_the_service_nothing() {
    let detect = Detect::with_alarms(1).await;
    let observe = ENFORCE.replace("mode: enforce", "mode: observe");
    let asked = message([1]);
    for _ in 0..2 {
        deliver_under(&detect, &observe, &asked).await.unwrap();
    }
    assert_eq!((detect.task_state(&id(&asked)), detect.starts().len()), ("observed".into(), 0));
    assert_eq!(detect.notes("v-1").await, ["would-mitigate"]);
    let of_message = with(asked, "/alarms/mode", "observe");
    let other = Detect::with_alarms(1).await;
    deliver(&other, &of_message).await.unwrap();
    assert_eq!(other.task_state(&id(&of_message)), "observed");
    assert!(detect.take_queue().is_empty() && other.take_queue().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_would_have_been_is_noted_wherever_the_process_dies() {
    let observe = ENFORCE.replace("mode: enforce", "mode: observe");
    for at in Moment::all() {
        let detect = Detect::with_alarms(1).await;
        let asked = message([1]);
        let ended = detect.cloud.kill(at.clone(), deliver_under(&detect, &observe, &asked)).await;
        deliver_under(&detect, &observe, &asked).await.unwrap();
        assert_eq!(detect.notes("v-1").await, ["would-mitigate"], "{at:?}");
        if ended.is_some() {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn outside_of_the_windows_it_is_held_and_starts_when_one_opens_if_the_alarm_lasts() {
    let windows = "windows: { zone: UTC, open: [{ days: [Mon], hours: 01:00-05:00 }] }";
    let of_policy = ENFORCE.replace("rules:", &format!("{windows}\nrules:"));
    let of_rule = ENFORCE.replace("release: after 1h", &format!("release: after 1h, {windows}"));
    let of_action = ENFORCE.replace("rules:", &format!("actions: {{ Mark: {{ {windows} }} }}\nrules:"));
    let policies = [of_policy, of_rule, of_action];
    for (policy, lasts) in policies.iter().flat_map(|policy| [(policy, true), (policy, false)]) {
        let detect = Detect::with_alarms(1).await;
        let asked = message([1]);
        let mut next = asked.clone();
        while detect.now() < START.plus_seconds(3600) {
            deliver_under(&detect, policy, &next).await.unwrap();
            assert_eq!(detect.task_state(&id(&asked)), "held");
            next = detect.next();
        }
        if !lasts {
            detect.clear("v-1", "camera-1", "messages").await;
        }
        deliver_under(&detect, policy, &next).await.unwrap();
        let state = if lasts { "started" } else { "superseded" };
        assert_eq!(
            (detect.task_state(&id(&asked)), detect.starts().len()),
            (state.into(), usize::from(lasts))
        );
        assert!(detect.alerts().is_empty());
    }
}
