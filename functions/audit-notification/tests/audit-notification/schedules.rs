//! Processes that die on the way: the audit's item stands only when everything that it speaks for is out.

use fleetwarden_aws::testing::gate::Moment;

use crate::setup::alerts;
use crate::setup::audit;
use crate::setup::event;
use crate::setup::invoke;
use crate::setup::triage_requests;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::Cloud;
use serde_json::Value;

const KEYS: &str = "DEVICE_CERTIFICATE_KEY_QUALITY_CHECK";
const LOGGING: &str = "LOGGING_DISABLED_CHECK";

/// An audit with a check to triage, one that is well, and one to alert on.
fn ended() -> Value {
    let checks = [
        (KEYS, "COMPLETED_NON_COMPLIANT", 7, 2),
        (LOGGING, "COMPLETED_COMPLIANT", 0, 0),
        ("DEVICE_CERTIFICATE_AGE_CHECK", "FAILED", 0, 0),
    ];
    audit("t-1", &checks)
}

fn is_recorded(cloud: &Cloud) -> bool {
    cloud.item("audit#t-1", "audit").is_some()
}

/// A send that fails until the dead-letter queue has the event: then the watch on audits must find no item, or
/// nothing would bring the audit in.
#[tokio::test]
async fn an_audit_whose_messages_are_never_taken_has_no_item() {
    for operation in ["SendMessageBatch", "Publish"] {
        let cloud = Cloud::default();
        cloud.fail(operation, 3, Answer::refused());
        for _ in 0..3 {
            invoke(&cloud, event(&[ended()])).await.unwrap_err();
            assert!(!is_recorded(&cloud), "{operation}");
            cloud.pass_seconds(61);
        }
        // What the watch publishes in its place, days later.
        cloud.pass_seconds(2 * 86_400);
        invoke(&cloud, event(&[ended()])).await.unwrap();
        assert!(is_recorded(&cloud), "{operation}");
        assert!(triage_requests(&cloud).contains(&format!("t-1 {KEYS}")), "{operation}");
    }
}

/// The process dies before or after each of its calls in turn, and the event comes again.
#[tokio::test]
async fn wherever_it_dies_the_item_comes_last_and_the_repeat_does_the_rest() {
    let mut deaths = 0;
    for moment in Moment::all() {
        let cloud = Cloud::default();
        let killed = cloud.kill(moment.clone(), invoke(&cloud, event(&[ended()]))).await;
        if is_recorded(&cloud) {
            assert_eq!((triage_requests(&cloud).len(), alerts(&cloud).len()), (1, 1), "{moment:?}");
        }
        if killed.is_some() {
            break;
        }
        deaths += 1;
        // Lambda tries again after the time-out.
        cloud.pass_seconds(61);
        invoke(&cloud, event(&[ended()])).await.unwrap();
        assert!(is_recorded(&cloud), "{moment:?}");
        // Twice if their claims were not completed: triage and people's tools know them by their keys.
        assert!(
            (1..=2).contains(&triage_requests(&cloud).len()) && (1..=2).contains(&alerts(&cloud).len()),
            "{moment:?}"
        );
        assert_eq!(cloud.item("audit-notification#t-1", "claim").unwrap()["state"], "done", "{moment:?}");
    }
    assert!(deaths >= 20, "{deaths}");
}

/// The same notification comes a second time, from the watch or twice from SNS, at each moment of the first.
#[tokio::test]
async fn a_second_delivery_at_any_moment_changes_nothing() {
    for moment in Moment::all() {
        let cloud = Cloud::default();
        let (first, second) = cloud
            .interleave(moment.clone(), invoke(&cloud, event(&[ended()])), invoke(&cloud, event(&[ended()])))
            .await;
        let all_ended = second.is_none();
        // Whichever found the other at work comes again.
        if first.is_err() || second.is_some_and(|second| second.is_err()) {
            cloud.pass_seconds(61);
            invoke(&cloud, event(&[ended()])).await.unwrap();
        }
        assert!(is_recorded(&cloud), "{moment:?}");
        assert_eq!((triage_requests(&cloud).len(), alerts(&cloud).len()), (1, 1), "{moment:?}");
        if all_ended {
            break;
        }
    }
}

/// Between the messages and the item the watch may publish the notification again: a repeat that only writes the item.
#[tokio::test(start_paused = true)]
async fn a_repeat_before_the_item_sends_nothing_twice() {
    let cloud = Cloud::default();
    // The claims, the marks of two checks, and then the item.
    let item = |call: &fleetwarden_aws::testing::Call| call.body.contains("audit#t-1");
    invoke(&cloud, event(&[ended()])).await.unwrap();
    let puts = cloud.calls("PutItem");
    assert!(puts.iter().rposition(item) == Some(puts.len() - 1), "it is the last");
    let cloud = Cloud::default();
    cloud.fail_later("PutItem", puts.len() - 1, 1, Answer::refused());
    invoke(&cloud, event(&[ended()])).await.unwrap_err();
    assert!(!is_recorded(&cloud));
    invoke(&cloud, event(&[ended()])).await.unwrap();
    assert!(is_recorded(&cloud));
    assert_eq!((triage_requests(&cloud).len(), alerts(&cloud).len()), (1, 1));
}

/// Only checks that triage will look at, or that comply, count as looked at: any other would overtake the mitigations
/// of an audit whose findings nothing has replaced.
#[tokio::test]
async fn only_checks_with_a_result_are_marked_whatever_became_of_the_audit() {
    for status in ["COMPLETED", "FAILED", "CANCELED"] {
        let cloud = Cloud::default();
        let mut ended = audit(
            "t-1",
            &[
                (KEYS, "COMPLETED_NON_COMPLIANT", 7, 2),
                (LOGGING, "COMPLETED_COMPLIANT", 0, 0),
                ("DEVICE_CERTIFICATE_AGE_CHECK", "FAILED", 3, 0),
                ("DEVICE_CERTIFICATE_SHARED_CHECK", "CANCELED", 0, 0),
                ("CA_CERTIFICATE_EXPIRING_CHECK", "WAITING_FOR_DATA_COLLECTION", 0, 0),
                ("REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK", "COMPLETED_COMPLIANT", 0, 0),
            ],
        );
        ended["taskStatus"] = status.into();
        ended["auditDetails"][5]["errorCode"] = "AUDIT_CHECK_DISABLED".into();
        invoke(&cloud, event(&[ended])).await.unwrap();
        let marked: Vec<String> =
            cloud.items("history#").into_keys().map(|(pk, sk)| format!("{pk} {sk}")).collect();
        assert_eq!(marked, [format!("history#{KEYS} audit"), format!("history#{LOGGING} audit")], "{status}");
        assert_eq!(triage_requests(&cloud), [format!("t-1 {KEYS}")], "{status}");
    }
}
