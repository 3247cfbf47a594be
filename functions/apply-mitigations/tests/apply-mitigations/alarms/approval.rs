//! A rule for alarms whose mitigations wait for a person: they start only as they were approved, only while the alarm lasts,
//! and never after a rejection.

use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_aws::mitigations::Rejection;
use fleetwarden_aws::mitigations::Word;
use fleetwarden_core::model::mitigation::approval::Standing;

use super::*;

const DAY: i64 = 86_400;

/// The policy of the other tests, whose first rule asks for approvals.
fn policy(approval: &str) -> String {
    ENFORCE.replace("release: after 1h }", &format!("release: after 1h, approval: {approval} }}"))
}

async fn send(detect: &Detect, policy: &str, message: &Value) {
    deliver_under(detect, policy, message).await.unwrap();
}

async fn known(detect: &Detect, asked: &Value) -> KnownApproval {
    detect.mitigations().approval(&id(asked)).await.unwrap().unwrap()
}

fn word() -> Word {
    Word { by: Some("mia".into()), reason: "known".into(), request_id: None }
}

async fn approve(detect: &Detect, asked: &Value) -> bool {
    let known = known(detect, asked).await;
    detect.mitigations().approve(&id(asked), &known, &word(), detect.now()).await.unwrap().is_some()
}

async fn reject(detect: &Detect, asked: &Value) -> Rejection {
    let known = known(detect, asked).await;
    let rejected = (Standing::Rejected, &word());
    detect.mitigations().reject(&id(asked), Some(&known), rejected, detect.now()).await.unwrap()
}

fn reason(detect: &Detect, asked: &Value) -> String {
    detect.attribute(&format!("mitigation#{}", id(asked)), "task", "reason")
}

#[tokio::test(start_paused = true)]
async fn it_waits_is_alerted_once_and_starts_when_it_is_approved() {
    let detect = Detect::with_alarms(2).await;
    let (asked, policy) = (message([1, 2]), policy("always"));
    send(&detect, &policy, &asked).await;
    assert_eq!(detect.task_state(&id(&asked)), "held");
    assert_eq!(reason(&detect, &asked), "waits for approval: the rule asks for an approval always");
    assert_eq!(detect.claim("v-1"), (id(&asked), "held".into()), "it is not claimed meanwhile");
    let mut waits = detect.next();
    detect.state().calls.clear();
    for _ in 0..3 {
        send(&detect, &policy, &waits).await;
        // It takes its round, reads its approval and sends itself: the service is asked nothing.
        let calls = std::mem::take(&mut detect.state().calls);
        assert_eq!(calls, ["TransactWriteItems", "GetItem", "SendMessageBatch"]);
        waits = detect.next();
    }
    assert_eq!(detect.titles(), ["cameras messages: a mitigation of 2 devices waits for approval"]);
    let said = detect.alerts()[0]["content"]["description"].as_str().unwrap().to_owned();
    let explanation = known(&detect, &asked).await.asking.explanation;
    let command =
        format!("fleetwarden mitigation approve {} --explanation {} --reason", id(&asked), explanation.id());
    assert!(said.contains(&command), "{said}");
    assert!(said.contains("thingGroupNames=marked"), "{said}");
    assert!(approve(&detect, &asked).await);
    send(&detect, &policy, &waits).await;
    assert_eq!(detect.starts(), [id(&asked)]);
    assert_eq!(detect.violations_of(&id(&asked)), ["v-1", "v-2"]);
    // Neither it nor a copy starts again.
    for message in [&asked, &waits] {
        send(&detect, &policy, message).await;
    }
    assert_eq!((detect.starts().len(), detect.alerts().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_ends_while_it_waits_is_not_mitigated_although_it_is_approved() {
    for left in [vec![], vec!["v-2"]] {
        let detect = Detect::with_alarms(2).await;
        let (asked, policy) = (message([1, 2]), policy("always"));
        send(&detect, &policy, &asked).await;
        let waits = detect.next();
        assert!(approve(&detect, &asked).await);
        for n in [1, 2] {
            let violation = format!("v-{n}");
            if !left.contains(&violation.as_str()) {
                detect.clear(&violation, &format!("camera-{n}"), "messages").await;
            }
        }
        send(&detect, &policy, &waits).await;
        // Less than was approved is approved, too.
        let state = if left.is_empty() { "superseded" } else { "started" };
        assert_eq!((detect.task_state(&id(&asked)), detect.starts().len()), (state.into(), left.len()));
        if !left.is_empty() {
            assert_eq!(detect.violations_of(&id(&asked)), left);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_rejection_and_after_a_lapse_nothing_starts_it() {
    let (asked, policy) = (message([1]), policy("{ always: true, within: 1h }"));
    for is_rejected in [true, false] {
        let detect = Detect::with_alarms(1).await;
        send(&detect, &policy, &asked).await;
        let mut waits = detect.next();
        if is_rejected {
            assert_eq!(reject(&detect, &asked).await, Rejection::Done);
        } else {
            for _ in 0..5 {
                send(&detect, &policy, &waits).await;
                let Some((delay, next)) = detect.take_queue().pop() else { break };
                detect.cloud.pass_seconds(i64::try_from(delay).unwrap());
                waits = next;
            }
        }
        assert_eq!(detect.task_state(&id(&asked)), "rejected");
        let standing = if is_rejected { Standing::Rejected } else { Standing::Lapsed };
        assert_eq!(known(&detect, &asked).await.standing, standing);
        assert!(!approve(&detect, &asked).await, "it comes too late");
        // Its message, a copy days later, and one under a policy that asks for nothing any more.
        for (seconds, policy) in [(0, policy.as_str()), (5 * DAY, &policy), (0, ENFORCE)] {
            detect.cloud.pass_seconds(seconds);
            for message in [&waits, &asked] {
                send(&detect, policy, message).await;
            }
        }
        assert!(detect.starts().is_empty() && detect.take_queue().is_empty());
        assert_eq!((detect.task_state(&id(&asked)), detect.alerts().len()), ("rejected".into(), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_action_does_now_is_asked_for_again() {
    let detect = Detect::with_alarms(1).await;
    let (asked, policy) = (message([1]), policy("always"));
    send(&detect, &policy, &asked).await;
    let waits = detect.next();
    assert!(approve(&detect, &asked).await);
    let other = json!({
        "actionType": "ADD_THINGS_TO_THING_GROUP",
        "actionParams": {"addThingsToThingGroupParams": {"thingGroupNames": ["cut-off"]}},
    });
    detect.state().actions.insert("Mark".into(), other);
    send(&detect, &policy, &waits).await;
    assert_eq!((detect.task_state(&id(&asked)), detect.starts().len()), ("held".into(), 0));
    assert_eq!((known(&detect, &asked).await.standing, detect.alerts().len()), (Standing::Waiting, 2));
    let waits = detect.next();
    assert!(approve(&detect, &asked).await);
    send(&detect, &policy, &waits).await;
    assert_eq!(detect.starts(), [id(&asked)]);
}

#[tokio::test(start_paused = true)]
async fn observing_says_that_it_would_wait_and_asks_nobody() {
    let detect = Detect::with_alarms(1).await;
    let observe = policy("always").replace("mode: enforce", "mode: observe");
    let asked = message([1]);
    send(&detect, &observe, &asked).await;
    assert_eq!(detect.task_state(&id(&asked)), "observed");
    assert_eq!(reason(&detect, &asked), "would wait for approval: the rule asks for an approval always");
    assert!(
        detect.alerts().is_empty() && detect.mitigations().approval(&id(&asked)).await.unwrap().is_none()
    );
}
