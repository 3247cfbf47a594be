//! Summaries: metrics, the check's record, and the alert.

use crate::setup::ALERTS;
use crate::setup::CHECK;
use crate::setup::deliver;
use crate::setup::message;
use crate::setup::parked;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::emitted;
use serde_json::Value;
use serde_json::json;

fn published_alerts(cloud: &Cloud) -> Vec<Value> {
    cloud.published_to(ALERTS).iter().map(|message| serde_json::from_str(message).unwrap()).collect()
}

async fn summarized(tally: &Value) -> Cloud {
    let cloud = Cloud::default();
    assert!(deliver(&cloud, &[summary(tally)]).await.unwrap().is_empty());
    assert!(parked(&cloud).is_empty(), "{:?}", parked(&cloud));
    cloud
}

fn summary(tally: &Value) -> String {
    message(&json!({"summary": tally})).to_string()
}

#[tokio::test]
async fn a_summary_is_metrics_a_record_and_an_alert() {
    let cloud = summarized(&json!({
        "CRITICAL": {"nonCompliant": 2, "loudest": "critical", "reported": 2, "new": 1, "returned": 1, "oldest": START.0 - 86_400_000},
        "MEDIUM": {"nonCompliant": 20, "suppressed": 4, "loudest": "medium", "reported": 10, "mitigate": 7, "suppress": 3, "new": 2, "fixed": 5, "reasons": {"A": 17, "B": 3}},
    }))
    .await;
    insta::assert_json_snapshot!("alert", published_alerts(&cloud));
    insta::assert_json_snapshot!("record", cloud.item("audit#t-1", &format!("check#{CHECK}")).unwrap());
    let lines = emitted();
    let of_check = lines.iter().filter(|line| line["Check"] == CHECK);
    assert_eq!(of_check.map(|line| line["NonCompliant"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 20, 22]);
}

/// What observe mode would have done is not told as done or to be done.
#[tokio::test]
async fn would_and_did_are_told_apart() {
    let decided = |outcome: &str, mode: &str, findings: u64| json!({"rule": "r", "outcome": outcome, "mode": mode, "findings": findings});
    let cloud = summarized(&json!({"HIGH": {
        "nonCompliant": 60, "loudest": "high", "reported": 1, "mitigate": 54, "suppress": 5,
        "decisions": [decided("mitigate", "observe", 50), decided("mitigate", "enforce", 4), decided("suppress", "observe", 5)],
    }}))
    .await;
    let alert = published_alerts(&cloud).remove(0);
    let description = alert["content"]["description"].as_str().unwrap();
    let line = "1 reported of 60; 4 to be mitigated, 50 would be mitigated (mode is observe), \
                5 would be suppressed (mode is observe)";
    assert!(description.contains(line), "{description}");
    let metrics = emitted().into_iter().rfind(|line| line["Severity"] == "HIGH").unwrap();
    let of = |names: [&str; 4]| names.map(|name| metrics[name].as_u64().unwrap());
    let names = ["MitigateDecided", "MitigateObserved", "SuppressDecided", "SuppressObserved"];
    assert_eq!(of(names), [54, 50, 5, 5]);
    assert!(metrics.get("Mitigated").is_none(), "nothing is mitigated before its task has ended");
}

#[tokio::test]
async fn people_are_told_only_of_what_is_new_or_grave() {
    let quiet = [
        json!({}),
        json!({"MEDIUM": {"nonCompliant": 5, "loudest": "medium", "reported": 5}}),
        json!({"HIGH": {"nonCompliant": 3, "reported": 3, "silent": 3, "new": 3}}),
        json!({"CRITICAL": {"nonCompliant": 5, "mitigate": 5, "new": 5}}),
        json!({"HIGH": {"suppressed": 9}, "LOW": {"fixed": 3}}),
    ];
    for tally in quiet {
        assert!(published_alerts(&summarized(&tally).await).is_empty(), "{tally}");
    }
    let mut titles = vec![];
    let loud = [
        json!({"HIGH": {"nonCompliant": 1, "loudest": "high", "reported": 1}}),
        json!({"LOW": {"nonCompliant": 12, "loudest": "low", "reported": 12, "new": 3}}),
        json!({"LOW": {"nonCompliant": 12, "loudest": "critical", "reported": 12}}),
        json!({"UNHEARD_OF": {"nonCompliant": 2, "loudest": "medium", "reported": 2, "returned": 1}}),
        json!({"MEDIUM": {"nonCompliant": u64::MAX, "loudest": "medium", "reported": u64::MAX, "new": 1}, "HIGH": {"loudest": "high", "reported": u64::MAX}}),
    ];
    for tally in loud {
        let alerts = published_alerts(&summarized(&tally).await);
        titles.push(format!(
            "{} {}",
            alerts[0]["content"]["title"], alerts[0]["metadata"]["additionalContext"]
        ));
    }
    insta::assert_snapshot!(titles.join("\n"));
}

#[tokio::test]
async fn a_summary_delivered_again_tells_nobody_twice() {
    let cloud = Cloud::default();
    let body = [summary(&json!({"HIGH": {"nonCompliant": 1, "loudest": "high", "reported": 1}}))];
    deliver(&cloud, &body).await.unwrap();
    let record = cloud.item("audit#t-1", &format!("check#{CHECK}"));
    deliver(&cloud, &body).await.unwrap();
    assert_eq!(published_alerts(&cloud).len(), 1);
    assert_eq!(cloud.item("audit#t-1", &format!("check#{CHECK}")), record);
}

/// Public integrations lose an alert when its receiver is down.
#[tokio::test]
async fn an_alert_that_was_not_taken_is_told_by_the_next_delivery() {
    let cloud = Cloud::default();
    let body = [summary(&json!({"HIGH": {"nonCompliant": 1, "loudest": "high", "reported": 1}}))];
    cloud.fail("Publish", 1, Answer::refused());
    deliver(&cloud, &body).await.unwrap_err();
    assert!(deliver(&cloud, &body).await.unwrap().is_empty());
    assert_eq!(published_alerts(&cloud).len(), 2, "the first was not taken");
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_is_tried_again() {
    let cloud = Cloud::default();
    cloud.fail("PutItem", 1, Answer::refused());
    deliver(&cloud, &[summary(&json!({}))]).await.unwrap_err();
    assert!(cloud.item("audit#t-1", &format!("check#{CHECK}")).is_none());
}
