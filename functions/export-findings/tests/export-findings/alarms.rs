//! Alarms: each event in the log once and in the archive, told from findings by the message's shape.

use crate::setup::deliver;
use crate::setup::parked;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::cloud::Stream;
use fleetwarden_aws::testing::gate::Moment;
use serde_json::Value;
use serde_json::json;

const STREAM_OF_ALARM: &str = "alarms/v-1-in-alarm-1795392000000";

fn alarm(decision: &str) -> Value {
    json!({"account": "123456789012", "region": "us-east-1", "violationId": "v-1", "event": "in-alarm",
        "at": 1_795_392_000_000_i64,
        "alarmRecord": {"kind": "alarm", "violationId": "v-1", "thing": "caméra", "decision": {"outcome": decision}}})
}

#[tokio::test]
async fn an_event_is_a_stream_and_an_object() {
    let cloud = Cloud::default();
    let body = alarm("report");
    assert!(deliver(&cloud, &[body.to_string()]).await.unwrap().is_empty());
    let events = cloud.stream(STREAM_OF_ALARM).unwrap().events;
    assert_eq!(events, [body["alarmRecord"].to_string()]);
    insta::assert_snapshot!(cloud.calls("PUT")[0].operation);
    assert_eq!((cloud.calls("CreateLogStream").len(), cloud.calls("PutLogEvents").len()), (1, 1));
}

#[tokio::test]
async fn a_repeat_is_logged_once_also_if_it_was_decided_otherwise() {
    let cloud = Cloud::default();
    deliver(&cloud, &[alarm("report").to_string()]).await.unwrap();
    cloud.pass_seconds(61);
    for decision in ["report", "mitigate"] {
        assert!(deliver(&cloud, &[alarm(decision).to_string()]).await.unwrap().is_empty());
    }
    assert_eq!(cloud.stream(STREAM_OF_ALARM).unwrap().events.len(), 1);
    let [object] = cloud.objects().try_into().unwrap();
    let first = cloud.calls("PUT").swap_remove(0);
    assert_eq!(cloud.object(&object), Some(first.bytes), "what was archived first stays");
}

#[tokio::test]
async fn the_log_gets_what_the_archive_has() {
    let cloud = Cloud::default();
    cloud.fail("CreateLogStream", 1, Answer::refused());
    deliver(&cloud, &[alarm("report").to_string()]).await.unwrap_err();
    cloud.pass_seconds(61);
    assert!(deliver(&cloud, &[alarm("mitigate").to_string()]).await.unwrap().is_empty());
    let events = cloud.stream(STREAM_OF_ALARM).unwrap().events;
    assert_eq!(events, [alarm("report")["alarmRecord"].to_string()]);
    let cloud = Cloud::default();
    cloud.fail("PUT", 1, Answer::refused());
    deliver(&cloud, &[alarm("report").to_string()]).await.unwrap_err();
    assert!(cloud.calls("CreateLogStream").is_empty(), "the archive comes first");
}

#[tokio::test]
async fn two_deliveries_with_other_decisions_complete_a_stream_once() {
    for at in Moment::all() {
        let cloud = Cloud::default();
        // Whoever created the stream has died.
        cloud.put_stream(STREAM_OF_ALARM, Stream { created: START, events: Vec::new() });
        cloud.pass_seconds(61);
        let bodies = ["report", "mitigate"].map(|decision| [alarm(decision).to_string()]);
        let (first, second) = (deliver(&cloud, &bodies[0]), deliver(&cloud, &bodies[1]));
        let (_, second) = cloud.interleave(at.clone(), first, second).await;
        assert_eq!(cloud.stream(STREAM_OF_ALARM).unwrap().events.len(), 1, "{at:?}");
        if second.is_none() {
            break;
        }
    }
}

#[tokio::test]
async fn one_of_another_account_or_with_a_name_that_points_elsewhere_is_parked_alone() {
    let cloud = Cloud::default();
    let (mut foreign, mut odd, mut empty) = (alarm("report"), alarm("report"), alarm("report"));
    foreign["account"] = "999999999999".into();
    odd["violationId"] = "../v".into();
    empty["at"] = "soon".into();
    let bodies = [foreign, alarm("report"), odd, empty].map(|body| body.to_string());
    assert!(deliver(&cloud, &bodies).await.unwrap().is_empty());
    assert_eq!(cloud.stream(STREAM_OF_ALARM).unwrap().events.len(), 1);
    insta::assert_snapshot!(parked(&cloud).join("\n"));
}
