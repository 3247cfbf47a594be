//! Deaths at every point, lost answers, two workers, and messages that come twice.

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::gate::Moment;

use super::*;

/// Runs what a mitigation needs from its message to its release, again and again until nothing is left to deliver.
async fn to_the_end(detect: &Detect, asked: &Value) {
    deliver(detect, asked).await.unwrap();
    detect.run(&id(asked));
    let mut cleared = false;
    for _ in 0..40 {
        let queue = detect.take_queue();
        if queue.is_empty() {
            return;
        }
        for (_, message) in queue {
            if message["step"] == "release" && !cleared {
                detect.clear("v-1", "camera-1", "messages").await;
                cleared = true;
            }
            deliver(detect, &message).await.unwrap();
        }
        detect.cloud.pass_seconds(4_000);
    }
    panic!("it does not end");
}

fn is_mitigated_and_released(detect: &Detect, what: &str) {
    assert_eq!(detect.starts().len(), 1, "{what}");
    assert_eq!(detect.state().removals.len(), 2, "{what}");
    assert_eq!(detect.groups_of("camera-1"), ["site-1"], "{what}");
    assert_eq!(detect.task_state(&id(&message([1]))), "completed", "{what}");
}

#[tokio::test(start_paused = true)]
async fn whenever_a_start_dies_the_task_is_started_once_and_all_that_it_adds_is_released() {
    for at in Moment::all() {
        // The service may be as far as it likes when the message comes again.
        let mut ended = false;
        for has_run in [false, true] {
            let detect = Detect::with_alarms(1).await;
            let first = detect.cloud.kill(at.clone(), deliver(&detect, &message([1]))).await;
            ended = first.is_some();
            if has_run && !detect.starts().is_empty() {
                detect.run(&id(&message([1])));
            }
            detect.cloud.pass_seconds(61);
            deliver(&detect, &message([1])).await.unwrap();
            to_the_end(&detect, &message([1])).await;
            is_mitigated_and_released(&detect, &format!("{at:?} {has_run}"));
        }
        if ended {
            return;
        }
    }
}

/// The call that starts the task.
fn start_call() -> String {
    format!("PUT /detect/mitigationactions/tasks/{}", id(&message([1])))
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_halfway_when_its_message_comes_again_is_released_as_a_whole() {
    let detect = Detect::with_alarms(1).await;
    let started = Moment::after(&start_call(), 0);
    assert!(detect.cloud.kill(started, deliver(&detect, &message([1]))).await.is_none());
    assert_eq!(detect.starts().len(), 1);
    detect.state().things.get_mut("camera-1").unwrap().insert("quarantine".into());
    to_the_end(&detect, &message([1])).await;
    is_mitigated_and_released(&detect, "halfway");
}

#[tokio::test(start_paused = true)]
async fn what_was_started_before_its_action_or_permission_was_taken_away_is_followed() {
    for gone in ["action", "start"] {
        let detect = Detect::with_alarms(1).await;
        let started = Moment::after(&start_call(), 0);
        assert!(detect.cloud.kill(started, deliver(&detect, &message([1]))).await.is_none());
        if gone == "action" {
            detect.state().actions.remove("Mark");
        } else {
            detect.state().faults.insert("start".into(), Answer::refused());
        }
        deliver(&detect, &message([1])).await.unwrap();
        assert_eq!(detect.task_state(&id(&message([1]))), "started", "{gone}");
        assert_eq!((detect.take_queue().len(), detect.alerts().len()), (1, 0), "{gone}");
    }
}

#[tokio::test(start_paused = true)]
async fn whenever_a_follow_up_or_a_release_dies_the_end_is_the_same() {
    for dying in ["follow", "release"] {
        for at in Moment::all() {
            let detect = Detect::with_alarms(1).await;
            deliver(&detect, &message([1])).await.unwrap();
            detect.run(&id(&message([1])));
            detect.take_queue();
            let follow = step(&message([1]), "follow");
            if dying == "release" {
                deliver(&detect, &follow).await.unwrap();
                detect.take_queue();
                detect.clear("v-1", "camera-1", "messages").await;
                detect.cloud.pass_seconds(3_600);
            }
            let step = step(&message([1]), dying);
            let ended = detect.cloud.kill(at.clone(), deliver(&detect, &step)).await.is_some();
            detect.cloud.pass_seconds(61);
            deliver(&detect, &step).await.unwrap();
            to_the_end(&detect, &message([1])).await;
            is_mitigated_and_released(&detect, &format!("{dying} {at:?}"));
            assert_eq!(detect.notes("v-1").await, ["mitigated", "released"]);
            if ended {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_or_a_call_whose_answer_is_lost_is_ones_own() {
    for operation in ["TransactWriteItems", "UpdateItem", "BatchWriteItem", "start", "remove"] {
        for answer in [Answer::broken(), Answer::Reset] {
            let detect = Detect::with_alarms(1).await;
            let call = match operation {
                "start" => start_call(),
                "remove" => "PUT /thing-groups/removeThingFromThingGroup".to_owned(),
                operation => operation.to_owned(),
            };
            detect.cloud.lose(&call, answer);
            if operation == "remove" {
                detect.state().removes_twice = true;
            }
            to_the_end(&detect, &message([1])).await;
            is_mitigated_and_released(&detect, operation);
        }
    }
}

/// Two workers have the same message, or messages that share a violation: the second one runs at each moment of the
/// first.
#[tokio::test(start_paused = true)]
async fn beside_a_second_worker_a_task_is_started_once_and_a_violation_mitigated_once() {
    let one = message([1, 2]);
    for other in [one.clone(), message([2, 3])] {
        for at in Moment::all() {
            let detect = Detect::with_alarms(3).await;
            let deliveries = (deliver(&detect, &one), deliver(&detect, &other));
            let (first, second) = detect.cloud.interleave(at.clone(), deliveries.0, deliveries.1).await;
            first.unwrap();
            let Some(second) = second else { break };
            second.unwrap();
            let mut ids = vec![id(&one), id(&other)];
            ids.dedup();
            assert_eq!(detect.starts().len(), ids.len(), "{at:?}");
            assert!(ids.iter().all(|id| detect.task_state(id) == "started"), "{at:?}");
            let mut violations: Vec<String> = ids.iter().flat_map(|id| detect.violations_of(id)).collect();
            violations.sort_unstable();
            let count = violations.len();
            violations.dedup();
            assert_eq!(violations.len(), count, "{at:?}: a violation is in two tasks");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_message_comes_twice_and_the_copies_end() {
    let detect = Detect::with_alarms(1).await;
    let asked = message([1]);
    deliver(&detect, &asked).await.unwrap();
    deliver(&detect, &asked).await.unwrap();
    detect.run(&id(&asked));
    detect.clear("v-1", "camera-1", "messages").await;
    let mut delivered = 0;
    loop {
        let queue = detect.take_queue();
        if queue.is_empty() {
            break;
        }
        for (_, message) in queue {
            for _ in 0..2 {
                deliver(&detect, &message).await.unwrap();
                delivered += 1;
            }
        }
        detect.cloud.pass_seconds(900);
    }
    assert!(delivered < 60, "{delivered}: the copies do not multiply");
    is_mitigated_and_released(&detect, "twice");
    assert_eq!(
        (detect.alerts().len(), detect.notes("v-1").await),
        (1, vec!["mitigated".into(), "released".into()])
    );
}
