//! How a task ends, and what is told of it.

use super::*;

/// Follows a task that has been started and has run.
async fn end(detect: &Detect, asked: &Value) -> Vec<(u64, Value)> {
    detect.take_queue();
    deliver(detect, &step(asked, "follow")).await.unwrap();
    detect.take_queue()
}

#[tokio::test(start_paused = true)]
async fn an_action_that_fails_is_told_and_only_what_succeeded_is_released() {
    let detect = Detect::with_alarms(2).await;
    detect.state().actions.get_mut("Mark").unwrap()["actionParams"]["addThingsToThingGroupParams"]["thingGroupNames"] =
        json!(["full"]);
    let asked = message([1, 2]);
    deliver(&detect, &asked).await.unwrap();
    detect.run(&id(&asked));
    let release = end(&detect, &asked).await;
    assert_eq!((detect.task_state(&id(&asked)), release.len()), ("failed".into(), 1));
    let result = |name| detect.attribute(&format!("mitigation#{}", id(&asked)), "violation#v-1", name);
    assert_eq!((result("state"), result("groups")), ("failed".into(), r#"["quarantine"]"#.into()));
    assert_eq!(detect.notes("v-1").await, ["mitigation-failed"]);
    insta::assert_json_snapshot!(detect.alerts());
}

#[tokio::test(start_paused = true)]
async fn a_task_over_nothing_is_done_to_nobody() {
    let detect = Detect::with_alarms(1).await;
    let asked = message([1]);
    deliver(&detect, &asked).await.unwrap();
    detect.state().violations.get_mut("v-1").unwrap().1 = false;
    detect.run(&id(&asked));
    assert!(end(&detect, &asked).await.is_empty(), "there is nothing to release");
    assert_eq!(
        (detect.task_state(&id(&asked)), detect.notes("v-1").await),
        ("completed".into(), vec!["not-mitigated".into()])
    );
    let calls = detect.state().calls.clone();
    assert!(!calls.contains(&"executions".to_owned()) && detect.alerts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_canceled_or_gone_is_told() {
    let detect = Detect::with_alarms(1).await;
    let asked = message([1]);
    deliver(&detect, &asked).await.unwrap();
    detect.state().tasks.get_mut(&id(&asked)).unwrap()["taskStatus"] = json!("CANCELED");
    assert!(end(&detect, &asked).await.is_empty());
    assert_eq!((detect.task_state(&id(&asked)), detect.alerts().len()), ("canceled".into(), 1));

    let detect = Detect::with_alarms(1).await;
    deliver(&detect, &asked).await.unwrap();
    detect.state().tasks.clear();
    assert!(end(&detect, &asked).await.is_empty());
    assert_eq!(
        (detect.task_state(&id(&asked)), detect.titles()),
        ("lost".into(), vec!["cameras messages: a mitigation task is gone".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_hangs_is_told_after_a_day_and_not_followed_after_ninety() {
    let detect = Detect::with_alarms(1).await;
    let asked = message([1]);
    deliver(&detect, &asked).await.unwrap();
    detect.take_queue();
    let mut follow = step(&asked, "follow");
    detect.state().tasks.get_mut(&id(&asked)).unwrap()["taskStatus"] = json!("NEW_WORD");
    for days in [1, 90] {
        detect.cloud.pass_seconds(days * 86_400);
        deliver(&detect, &follow).await.unwrap();
        if days == 1 {
            follow = detect.take_queue().remove(0).1;
        }
    }
    assert!(detect.take_queue().is_empty());
    assert_eq!(detect.task_state(&id(&asked)), "lost");
    insta::assert_json_snapshot!(detect.titles());
}
