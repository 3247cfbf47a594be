//! Processes that die on the way: the audit's item stands only when everything that it speaks for is out.

use std::time::Duration;

use super::*;

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
        assert!(asked(&cloud).contains(&format!("t-1 {KEYS}")), "{operation}");
    }
}

/// The process dies before each of its calls in turn, and the event comes again.
#[tokio::test(start_paused = true)]
async fn wherever_it_dies_the_item_comes_last_and_the_repeat_does_the_rest() {
    let cloud = Cloud::default();
    invoke(&cloud, event(&[ended()])).await.unwrap();
    let calls = cloud.calls("").len();
    assert!(calls >= 10, "{calls}");
    for before in 0..calls {
        let cloud = Cloud::default();
        cloud.fail_later("", before, 1, Answer::Never);
        let dies = tokio::time::timeout(Duration::from_secs(5), invoke(&cloud, event(&[ended()])));
        assert!(dies.await.is_err(), "call {before}");
        let sent = asked(&cloud);
        // The call that never came back was never made.
        let made = |operation: &str| {
            let calls = cloud.calls("");
            calls.iter().take(before).filter(|call| call.operation == operation).count()
        };
        if is_recorded(&cloud) {
            assert_eq!((made("SendMessageBatch"), made("Publish")), (1, 1), "call {before}");
        }
        // Lambda tries again after the time-out.
        cloud.pass_seconds(61);
        invoke(&cloud, event(&[ended()])).await.unwrap();
        assert!(is_recorded(&cloud), "call {before}");
        assert!(asked(&cloud).len() > sent.len() || made("SendMessageBatch") == 1, "call {before}");
        assert!(cloud.calls("Publish").len() > 1 || made("Publish") <= 1, "call {before}");
        assert_eq!(cloud.item("audit-notification#t-1", "claim").unwrap()["state"], "done", "call {before}");
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
    assert_eq!((asked(&cloud).len(), told(&cloud).len()), (1, 1));
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
        assert_eq!(asked(&cloud), [format!("t-1 {KEYS}")], "{status}");
    }
}
