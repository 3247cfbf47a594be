//! What becomes of the checks of an audit.

use crate::setup::CHECKS;
use crate::setup::alerts;
use crate::setup::audit;
use crate::setup::event;
use crate::setup::invoke;
use crate::setup::metrics;
use crate::setup::triage_requests;
use fleetwarden_aws::testing::cloud::Cloud;
use serde_json::Value;
use serde_json::json;

const KEYS: &str = "DEVICE_CERTIFICATE_KEY_QUALITY_CHECK";
const LOGGING: &str = "LOGGING_DISABLED_CHECK";
const SHARED: &str = "DEVICE_CERTIFICATE_SHARED_CHECK";

fn history(cloud: &Cloud, check: &str, open: u64) {
    cloud.put_item(json!({"pk": {"S": format!("history#{check}")}, "sk": {"S": "latest"}, "open": {"N": open.to_string()}}));
}

#[tokio::test]
async fn each_check_with_findings_is_one_message() {
    let cloud = Cloud::default();
    let checks = [(KEYS, "COMPLETED_NON_COMPLIANT", 7, 2), (LOGGING, "COMPLETED_COMPLIANT", 0, 0)];
    invoke(&cloud, event(&[audit("t-1", &checks)])).await.unwrap();
    let sent: Vec<Value> = cloud.sent_to(CHECKS).iter().map(|b| serde_json::from_str(b).unwrap()).collect();
    insta::assert_json_snapshot!(sent);
    assert_eq!(metrics(), (vec![format!("{LOGGING} 0")], vec!["1/0/0".into()]));
    assert!(alerts(&cloud).is_empty());
    insta::assert_json_snapshot!(cloud.item("audit#t-1", "audit").unwrap());
}

/// A public integration does nothing on such an audit, and what was fixed stays open there for ever; another
/// fails on it, is retried, and loses it.
#[tokio::test]
async fn a_fully_compliant_audit_is_a_result() {
    let cloud = Cloud::default();
    let checks = [(KEYS, "COMPLETED_COMPLIANT", 0, 0), (LOGGING, "COMPLETED_COMPLIANT", 0, 0)];
    invoke(&cloud, event(&[audit("t-1", &checks)])).await.unwrap();
    assert!(triage_requests(&cloud).is_empty());
    assert_eq!(metrics().0, [format!("{KEYS} 0"), format!("{LOGGING} 0")]);
    assert_eq!(cloud.item("audit#t-1", "audit").unwrap()["compliant_checks"], 2);
    assert_eq!(cloud.calls("SendMessageBatch").len(), 0);
    assert_eq!(cloud.calls("BatchGetItem").len(), 1, "one read for all checks");
}

#[tokio::test]
async fn a_compliant_check_with_findings_before_is_brought_up_to_date() {
    let cloud = Cloud::default();
    history(&cloud, KEYS, 3);
    history(&cloud, LOGGING, 0);
    let compliant = |check, suppressed| (check, "COMPLETED_COMPLIANT", 0, suppressed);
    let checks = [compliant(KEYS, 0), compliant(LOGGING, 0), compliant(SHARED, 4)];
    invoke(&cloud, event(&[audit("t-1", &checks)])).await.unwrap();
    assert_eq!(triage_requests(&cloud), [format!("t-1 {KEYS}"), format!("t-1 {SHARED}")]);
    let reads = cloud.calls("BatchGetItem");
    assert!(!reads[0].body.contains(SHARED), "what is suppressed is triaged anyway");
}

#[tokio::test]
async fn nothing_is_read_when_no_check_is_compliant() {
    let cloud = Cloud::default();
    invoke(&cloud, event(&[audit("t-1", &[(KEYS, "COMPLETED_NON_COMPLIANT", 1, 0)])])).await.unwrap();
    assert_eq!(cloud.calls("BatchGetItem").len(), 0);
}

#[tokio::test]
async fn what_was_found_is_looked_at_whatever_the_check_ended_with() {
    let cloud = Cloud::default();
    let checks = [
        ("QUANTUM_CHECK", "SHELVED", 2, 0),
        ("IDLE_CHECK", "WAITING_FOR_DATA_COLLECTION", 0, 0),
        (LOGGING, "COMPLETED_COMPLIANT", 1, 0),
        ("REVOKED_DEVICE_CERT_CHECK", "COMPLETED_NON_COMPLIANT", 1, 0),
        (KEYS, "COMPLETED_COMPLIANT", 0, 0),
        (KEYS, "COMPLETED_NON_COMPLIANT", 5, 0),
    ];
    invoke(&cloud, event(&[audit("t-1", &checks)])).await.unwrap();
    let expected = [KEYS, LOGGING, "QUANTUM_CHECK", "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK"];
    assert_eq!(triage_requests(&cloud), expected.map(|check| format!("t-1 {check}")));
    assert!(metrics().0.is_empty());
    assert_eq!(cloud.item("audit#t-1", "audit").unwrap()["unclear_checks"], 1);
}

#[tokio::test]
async fn checks_that_were_not_done_are_one_alert() {
    let cloud = Cloud::default();
    let mut ended = audit("t-1", &[(KEYS, "COMPLETED_NON_COMPLIANT", 1, 0), (LOGGING, "FAILED", 0, 0)]);
    let details = ended["auditDetails"].as_array_mut().unwrap();
    details[1]["errorCode"] = "INSUFFICIENT_PERMISSIONS".into();
    details[1]["message"] = "role *may* not\n`iam:GetRole`".into();
    details.push(
        json!({"checkName": SHARED, "checkRunStatus": "CANCELED", "errorCode": "AUDIT_CHECK_DISABLED"}),
    );
    details
        .push(json!({"checkName": "ODD_CHECK", "checkRunStatus": "FAILED", "nonCompliantResourcesCount": 8}));
    ended["taskStatus"] = "FAILED".into();
    invoke(&cloud, event(&[ended])).await.unwrap();
    // Half of a check's findings would make triage take the other half as fixed.
    assert_eq!(triage_requests(&cloud), [format!("t-1 {KEYS}")]);
    insta::assert_json_snapshot!(alerts(&cloud));
}

#[tokio::test]
async fn an_audit_that_somebody_canceled_is_said_so() {
    let cloud = Cloud::default();
    let mut ended = audit("t-1", &[(KEYS, "CANCELED", 0, 0)]);
    ended["taskStatus"] = "CANCELED".into();
    ended.as_object_mut().unwrap().remove("scheduledAuditName");
    let mut bare = audit("t-2", &[]);
    bare["taskStatus"] = "FAILED".into();
    invoke(&cloud, event(&[ended, bare])).await.unwrap();
    let said: Vec<_> = alerts(&cloud).into_iter().map(|alert| alert["content"].clone()).collect();
    insta::assert_json_snapshot!(said);
}
