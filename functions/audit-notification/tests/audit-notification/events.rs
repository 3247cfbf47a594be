//! Events of every shape, from files and by hand.

use std::path::Path;

use crate::setup::alerts;
use crate::setup::audit;
use crate::setup::event;
use crate::setup::invoke;
use crate::setup::metrics;
use crate::setup::triage_requests;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::emitted;
use serde_json::Value;
use serde_json::json;

fn file(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name);
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

/// What an event leaves behind: messages, alerts, parked records with their reasons, metrics.
async fn left_behind(name: &str) -> Value {
    let cloud = Cloud::default();
    emitted();
    let outcome = invoke(&cloud, file(name)).await.map_err(|error| error.to_string());
    let reason = |call: &fleetwarden_aws::testing::Call| {
        call.json()["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap().to_owned()
    };
    let (zeros, counts) = metrics();
    json!({
        "asked": triage_requests(&cloud),
        "alerts": alerts(&cloud).iter().map(|alert| alert["content"]["title"].clone()).collect::<Vec<_>>(),
        "parked": cloud.calls("SendMessage").iter().map(reason).collect::<Vec<_>>(),
        "zeros": zeros,
        "records/failed/parked": counts,
        "error": outcome.err(),
    })
}

#[tokio::test]
async fn every_event_of_the_repository_comes_to_its_end() {
    let names = [
        "sns-audit-completed.json",
        "sns-audit-compliant.json",
        "sns-audit-failed-checks.json",
        "sns-audit-canceled.json",
        "sns-audit-old-names.json",
        "sns-published-finding.json",
        "sns-unknown-shape.json",
        "sns-no-json.json",
        "sns-other-account.json",
        "sns-many-records.json",
        "sqs-check.json",
    ];
    let mut all = serde_json::Map::new();
    for name in names {
        all.insert(name.to_owned(), left_behind(name).await);
    }
    insta::assert_json_snapshot!(all);
}

/// Payloads that AWS and others published, if they lie beside the checkout.
#[tokio::test]
async fn published_payloads_come_to_their_end() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases");
    let read = |name: &str| {
        let text = std::fs::read_to_string(cases.join(name)).ok()?;
        serde_json::from_str::<Value>(&text).ok()
    };
    let Some(example) = read("sns-audit-notification-doc-example.json") else {
        eprintln!("skipped: no published payloads in {}", cases.display());
        return;
    };
    let cloud = Cloud::default();
    // The example lists the alternatives of a value in the value itself: no audit can be that.
    invoke(&cloud, event(std::slice::from_ref(&example))).await.unwrap();
    assert_eq!(metrics().1, ["1/0/1"]);
    let text = example.to_string().replace("FAILED|CANCELED|COMPLETED_COMPLIANT|", "");
    let text = text.replace("FAILED|CANCELED|COMPLETED\"", "COMPLETED\"");
    let text = text.split("DEVICE_CERT_APPROACHING_EXPIRATION_CHECK|").collect::<String>();
    let (start, rest) = text.split_once("REVOKED_DEVICE_CERT_CHECK|").unwrap();
    let (_, end) = rest.split_once("LOGGING_DISABLED_CHECK").unwrap();
    invoke(&cloud, event(&[format!("{start}LOGGING_DISABLED_CHECK{end}").into()])).await.unwrap();
    assert_eq!(triage_requests(&cloud), ["4e2bcd1ccbc2a5dd15292a82ab80c380 LOGGING_DISABLED_CHECK"]);
    // A device's acknowledgement, on the same topic by somebody's rule.
    metrics();
    invoke(&cloud, read("sns-workshop-lambda-event.json").unwrap()).await.unwrap();
    assert_eq!(metrics().1, ["1/0/1"]);
}

#[tokio::test]
async fn an_event_of_another_service_is_refused() {
    let cloud = Cloud::default();
    let scheduled = json!({"version": "0", "source": "aws.events", "detail": {}});
    let error = invoke(&cloud, scheduled).await.unwrap_err();
    assert!(error.to_string().starts_with("Records of the event: missing"), "{error}");
    assert_eq!(error.name(), "Fleetwarden.Input");
    assert!(cloud.calls("").is_empty());
}

/// A public integration drops the rest of a batch with the first bad record, another reads the first only.
#[tokio::test]
async fn bad_records_do_not_take_the_others_along() {
    let cloud = Cloud::default();
    let checks = [("LOGGING_DISABLED_CHECK", "COMPLETED_NON_COMPLIANT", 1, 0)];
    let mut other = audit("t-9", &checks);
    other["accountId"] = "210987654321".into();
    let mut hostile = audit("t-8", &checks);
    hostile["auditDetails"][0]["checkName"] = "../../A:CHECK*".into();
    let mut event = event(&[
        "no json".into(),
        audit("t-1", &checks),
        other,
        hostile,
        json!({"findingId": "f", "taskId": "t", "checkName": "LOGGING_DISABLED_CHECK"}),
        audit("../t", &checks),
        audit("t-2", &checks),
    ]);
    event["Records"]
        .as_array_mut()
        .unwrap()
        .extend([json!(null), json!({"EventSource": "aws:sns", "Sns": {}})]);
    invoke(&cloud, event).await.unwrap();
    assert_eq!(triage_requests(&cloud), ["t-1", "t-2"].map(|task| format!("{task} LOGGING_DISABLED_CHECK")));
    assert_eq!(metrics().1, ["9/0/6"]);
    let parked: Vec<_> = cloud.calls("SendMessage");
    let mut reasons: Vec<String> =
        parked.iter().map(|c| c.json()["MessageAttributes"]["reason"]["StringValue"].to_string()).collect();
    reasons.sort();
    insta::assert_snapshot!(reasons.join("\n"));
    let body = parked[0].json()["MessageBody"].as_str().unwrap().to_owned();
    let again: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(again["Records"].as_array().unwrap().len(), 1, "a parked record is an event of its own");
}

#[tokio::test]
async fn members_that_the_service_cannot_have_sent_are_named() {
    let good = audit("t-1", &[("LOGGING_DISABLED_CHECK", "COMPLETED_NON_COMPLIANT", 1, 0)]);
    let with = |member: &str, value: Value| {
        let mut bad = good.clone();
        bad[member] = value;
        bad
    };
    let bad = [
        with("accountId", "".into()),
        with("taskId", "a#b".into()),
        with("taskId", "x".repeat(41).into()),
        with("scheduledAuditName", "weekly audit\n".into()),
        with("taskStartTime", (-1).into()),
        with("taskStartTime", i64::MAX.into()),
        with("taskStatus", json!(null)),
    ];
    let cloud = Cloud::default();
    let count = bad.len();
    invoke(&cloud, event(&bad)).await.unwrap();
    let parked: Vec<_> = cloud
        .calls("SendMessage")
        .iter()
        .map(|c| c.json()["MessageAttributes"]["reason"]["StringValue"].to_string())
        .collect();
    assert_eq!(parked.len(), count);
    assert!(triage_requests(&cloud).is_empty());
    insta::assert_snapshot!(parked.join("\n"));
}

#[tokio::test]
async fn a_bad_record_does_not_pass_for_the_audit_whose_id_it_has() {
    let cloud = Cloud::default();
    let good = audit("t-1", &[("LOGGING_DISABLED_CHECK", "COMPLETED_NON_COMPLIANT", 1, 0)]);
    let mut other = good.clone();
    other["accountId"] = "210987654321".into();
    invoke(&cloud, event(&[other, good])).await.unwrap();
    assert_eq!(triage_requests(&cloud), ["t-1 LOGGING_DISABLED_CHECK"]);
}

#[tokio::test]
async fn a_thousand_records_are_handled_each_audit_once() {
    let cloud = Cloud::default();
    let checks = [("LOGGING_DISABLED_CHECK", "COMPLETED_NON_COMPLIANT", 1, 0)];
    let messages: Vec<Value> = (0..1000).map(|n| audit(&format!("t-{}", n % 250), &checks)).collect();
    invoke(&cloud, event(&messages)).await.unwrap();
    assert_eq!(triage_requests(&cloud).len(), 250);
    assert_eq!(metrics().1, ["1000/0/0"]);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn no_message_makes_it_panic(text in "(?s).{0,200}", keep in 0_usize..400) {
        let whole = audit("t-1", &[("LOGGING_DISABLED_CHECK", "COMPLETED_NON_COMPLIANT", 1, 0)]).to_string();
        let half: String = whole.chars().take(keep).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let cloud = Cloud::default();
        runtime.block_on(invoke(&cloud, event(&[text.into(), half.into()]))).unwrap();
    }
}
