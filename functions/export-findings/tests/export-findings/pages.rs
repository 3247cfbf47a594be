//! Pages: each finding in the log once, however often and however brokenly delivered.

use fleetwarden_aws::testing::cloud::Stream;

use crate::setup::STREAM;
use crate::setup::deliver;
use crate::setup::finding;
use crate::setup::logged;
use crate::setup::page;
use crate::setup::parked;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use serde_json::json;

/// What is delivered when an earlier delivery's writer can no longer be alive.
const LATER: i64 = 61;

#[tokio::test]
async fn a_page_is_a_stream() {
    let cloud = Cloud::default();
    assert!(deliver(&cloud, &[page(&["a", "b"]).to_string()]).await.unwrap().is_empty());
    assert_eq!(logged(&cloud, STREAM), ["a", "b"]);
    assert_eq!(
        cloud.stream(STREAM).unwrap().events[0],
        finding("a").to_string(),
        "the text is as triage wrote it"
    );
    assert_eq!((cloud.calls("CreateLogStream").len(), cloud.calls("PutLogEvents").len()), (1, 1));
    assert_eq!((cloud.calls("DescribeLogStreams").len(), cloud.calls("GetLogEvents").len()), (0, 0));
}

#[tokio::test]
async fn a_part_of_a_page_and_an_unknown_check_have_their_own_names() {
    let cloud = Cloud::default();
    let mut part = page(&["a"]);
    part["check"] = "QUANTUM_CHECK".into();
    part["export"]["page"]["part"] = 2.into();
    deliver(&cloud, &[part.to_string()]).await.unwrap();
    assert_eq!(logged(&cloud, "QUANTUM_CHECK/t-1/00003-2"), ["a"]);
}

#[tokio::test]
async fn a_page_without_findings_makes_no_call() {
    let cloud = Cloud::default();
    assert!(deliver(&cloud, &[page(&[]).to_string()]).await.unwrap().is_empty());
    assert!(cloud.calls("").is_empty());
}

#[tokio::test]
async fn a_page_delivered_again_is_logged_once() {
    let cloud = Cloud::default();
    let body = page(&["a", "b", "c", "d", "e", "f", "g"]).to_string();
    deliver(&cloud, std::slice::from_ref(&body)).await.unwrap();
    cloud.pass_seconds(LATER);
    assert!(deliver(&cloud, &[body]).await.unwrap().is_empty());
    assert_eq!(logged(&cloud, STREAM).len(), 7);
}

#[tokio::test]
async fn while_another_delivery_may_be_writing_nothing_is_added() {
    let cloud = Cloud::default();
    let bodies = [page(&["a"]).to_string(), page(&["a"]).to_string()];
    assert_eq!(deliver(&cloud, &bodies).await.unwrap().len(), 1, "of two in one batch one is put off");
    assert_eq!(logged(&cloud, STREAM), ["a"]);
    cloud.pass_seconds(59);
    let error = deliver(&cloud, &bodies[..1]).await.unwrap_err();
    assert_eq!(error.name(), "Fleetwarden.Later");
    assert_eq!(logged(&cloud, STREAM), ["a"]);
}

#[tokio::test]
async fn a_half_written_page_is_completed() {
    let cloud = Cloud::default();
    let events = [finding("b").to_string(), finding("d").to_string(), "not ours".into()].to_vec();
    cloud.put_stream(STREAM, Stream { created: START, events });
    cloud.put_stream(&format!("{STREAM}-1"), Stream::default());
    cloud.pass_seconds(LATER);
    deliver(&cloud, &[page(&["a", "b", "c", "d"]).to_string()]).await.unwrap();
    let events = cloud.stream(STREAM).unwrap().events;
    assert_eq!(events[3..], [finding("a").to_string(), finding("c").to_string()]);
}

#[tokio::test]
async fn a_stream_that_is_not_listed_yet_is_waited_for() {
    let cloud = Cloud::default();
    cloud.put_stream(STREAM, Stream::default());
    cloud.fail("DescribeLogStreams", 1, Answer::ok(json!({"logStreams": []})));
    assert_eq!(deliver(&cloud, &[page(&["a"]).to_string()]).await.unwrap_err().name(), "Fleetwarden.Later");
}

#[tokio::test]
async fn whatever_fails_the_next_delivery_heals_it() {
    for operation in ["CreateLogStream", "PutLogEvents", "DescribeLogStreams", "GetLogEvents"] {
        for effect in [false, true] {
            let cloud = Cloud::default();
            let body = [page(&["a", "b"]).to_string()];
            if effect {
                cloud.lose(operation, Answer::refused());
            } else {
                cloud.fail(operation, 1, Answer::refused());
            }
            for _ in 0..4 {
                drop(deliver(&cloud, &body).await);
                cloud.pass_seconds(LATER);
            }
            assert_eq!(logged(&cloud, STREAM), ["a", "b"], "{operation}, with effect: {effect}");
            assert!(parked(&cloud).is_empty(), "{operation}");
        }
    }
}

#[tokio::test]
async fn events_that_the_log_does_not_take_park_the_page() {
    let cloud = Cloud::default();
    let answer =
        json!({"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 3}});
    cloud.fail("PutLogEvents", 1, Answer::ok(answer));
    assert!(deliver(&cloud, &[page(&["a", "b", "c", "d"]).to_string()]).await.unwrap().is_empty());
    insta::assert_snapshot!(parked(&cloud).join("\n"));
}

#[tokio::test]
async fn a_finding_too_large_for_an_event_lets_the_others_through() {
    let cloud = Cloud::default();
    let mut large = page(&["a", "huge", "b"]);
    large["export"]["page"]["findings"][1]["reason"] = "x".repeat(1 << 20).into();
    assert!(deliver(&cloud, &[large.to_string()]).await.unwrap().is_empty());
    assert_eq!(logged(&cloud, STREAM), ["a", "b"]);
    assert!(parked(&cloud)[0].contains("finding huge has 1048"), "{:?}", parked(&cloud));
}

#[tokio::test]
async fn a_large_page_is_packed_into_few_calls() {
    let cloud = Cloud::default();
    let ids: Vec<String> = (0..300).map(|n| format!("f-{n}")).collect();
    let mut large = page(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    for finding in large["export"]["page"]["findings"].as_array_mut().unwrap() {
        finding["reason"] = "x".repeat(5000).into();
    }
    deliver(&cloud, &[large.to_string()]).await.unwrap();
    assert_eq!(cloud.calls("PutLogEvents").len(), 2);
    assert_eq!(logged(&cloud, STREAM), ids);
    // Half of it is there, then the process dies: the rest comes once, in its place.
    let cloud = Cloud::default();
    cloud.fail_later("PutLogEvents", 1, 1, Answer::refused());
    deliver(&cloud, &[large.to_string()]).await.unwrap_err();
    assert!((1..300).contains(&logged(&cloud, STREAM).len()));
    cloud.pass_seconds(LATER);
    deliver(&cloud, &[large.to_string()]).await.unwrap();
    assert_eq!(logged(&cloud, STREAM), ids);
}
