//! Records of every shape: none takes the others along, and nothing that can never be exported is retried.

use std::path::Path;

use crate::setup::STREAM;
use crate::setup::deliver;
use crate::setup::deliver_event;
use crate::setup::finding;
use crate::setup::logged;
use crate::setup::message;
use crate::setup::page;
use crate::setup::parked;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::Cloud;
use serde_json::json;

fn file(name: &str) -> SqsEvent {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name);
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

/// A public integration drops the rest of a batch with the first bad record.
#[tokio::test]
async fn bad_records_are_parked_with_their_reasons_and_the_others_exported() {
    let cloud = Cloud::default();
    let good = page(&["a"]);
    let with = |member: &str, value: &str| {
        let mut bad = good.clone();
        bad["audit"][member] = value.into();
        bad.to_string()
    };
    let mut check = good.clone();
    check["check"] = "A:CHECK*".into();
    let half = good.to_string();
    let bodies = [
        half[..half.len() / 2].to_owned(),
        with("account", "210987654321"),
        with("taskId", "../t"),
        with("region", "us/east"),
        check.to_string(),
        message(&json!({"surprise": {}})).to_string(),
        message(&json!({"page": {"page": -1, "part": 0, "findings": []}})).to_string(),
        good.to_string() + "{}",
        String::new(),
        good.to_string(),
    ];
    assert!(deliver(&cloud, &bodies).await.unwrap().is_empty());
    assert_eq!(logged(&cloud, STREAM), ["a"]);
    let mut reasons = parked(&cloud);
    reasons.sort();
    insta::assert_snapshot!(reasons.join("\n"));
}

/// A public integration handles only the first record of an event.
#[tokio::test]
async fn one_failure_of_many_is_one_record_again() {
    let cloud = Cloud::default();
    cloud.fail_later("CreateLogStream", 4, 1, Answer::refused());
    let bodies: Vec<String> = (0..10)
        .map(|n| message(&json!({"page": {"page": n, "part": 0, "findings": [finding("a")]}})).to_string())
        .collect();
    assert_eq!(deliver(&cloud, &bodies).await.unwrap(), [4]);
    assert_eq!(cloud.calls("PutLogEvents").len(), 9);
}

#[tokio::test]
async fn a_thousand_records_are_exported() {
    let cloud = Cloud::default();
    let bodies: Vec<String> = (0..1000)
        .map(|n| message(&json!({"page": {"page": n, "part": 0, "findings": [finding("a")]}})).to_string())
        .collect();
    assert!(deliver(&cloud, &bodies).await.unwrap().is_empty());
    assert_eq!(cloud.calls("PutLogEvents").len(), 1000);
}

/// A public integration swallows every error, so that its dead-letter queue can never receive anything.
#[tokio::test]
async fn what_cannot_be_parked_is_delivered_again() {
    let cloud = Cloud::default();
    cloud.fail("SendMessage", 1, Answer::refused());
    assert_eq!(deliver(&cloud, &["half".into(), page(&["a"]).to_string()]).await.unwrap(), [0]);
}

#[tokio::test]
async fn the_events_of_the_repository_are_exported() {
    for name in ["sqs-finding-page.json", "sqs-finding-summary.json", "sqs-finding-batch.json"] {
        let cloud = Cloud::default();
        let event = file(name);
        assert!(deliver_event(&cloud, event).await.unwrap().is_empty(), "{name}");
        assert!(!cloud.calls("").is_empty(), "{name}");
        insta::assert_snapshot!(name, parked(&cloud).join("\n"));
    }
}
