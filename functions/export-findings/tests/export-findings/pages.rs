//! Pages: each finding in the log once and in the archive, however often and however brokenly delivered.

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
async fn a_page_is_a_stream_and_an_object() {
    let cloud = Cloud::default();
    assert!(deliver(&cloud, &[page(&["a", "b"]).to_string()]).await.unwrap().is_empty());
    assert_eq!(logged(&cloud, STREAM), ["a", "b"]);
    assert_eq!(
        cloud.stream(STREAM).unwrap().events[0],
        finding("a").to_string(),
        "the text is as triage wrote it"
    );
    let objects = cloud.calls("PUT");
    assert_eq!(objects.len(), 1);
    insta::assert_snapshot!(objects[0].operation);
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
    assert!(cloud.calls("PUT")[0].operation.ends_with("t-1-00003-2.ndjson.gz"));
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
    let objects = cloud.calls("PUT");
    // The headers have the time.
    let [first, second] = [&objects[0], &objects[1]].map(|put| (&put.operation, &put.bytes));
    assert_eq!(first, second, "the object replaces itself");
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
    for operation in ["CreateLogStream", "PutLogEvents", "PUT", "DescribeLogStreams", "GetLogEvents"] {
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
            assert!(cloud.calls("PUT").len() >= 2 && parked(&cloud).is_empty(), "{operation}");
        }
    }
}

#[tokio::test]
async fn the_log_gets_what_the_archive_has() {
    let cloud = Cloud::default();
    cloud.fail("CreateLogStream", 1, Answer::refused());
    deliver(&cloud, &[page(&["a"]).to_string()]).await.unwrap_err();
    // Triage died before it had recorded the page, and has decided again.
    let mut other = page(&["a"]);
    other["export"]["page"]["findings"][0]["decision"] = json!({"outcome": "report"});
    cloud.pass_seconds(LATER);
    assert!(deliver(&cloud, &[other.to_string()]).await.unwrap().is_empty());
    assert_eq!(cloud.stream(STREAM).unwrap().events, [finding("a").to_string()]);
    let [object] = cloud.objects().try_into().unwrap();
    let first = cloud.calls("PUT").swap_remove(0);
    assert_eq!(cloud.object(&object), Some(first.bytes), "the first stays");
    let cloud = Cloud::default();
    cloud.fail("PUT", 1, Answer::refused());
    deliver(&cloud, &[page(&["a"]).to_string()]).await.unwrap_err();
    assert!(cloud.calls("CreateLogStream").is_empty(), "the archive comes first");
}

#[tokio::test]
async fn events_that_the_log_does_not_take_park_the_page() {
    let cloud = Cloud::default();
    let answer =
        json!({"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 3}});
    cloud.fail("PutLogEvents", 1, Answer::ok(answer));
    assert!(deliver(&cloud, &[page(&["a", "b", "c", "d"]).to_string()]).await.unwrap().is_empty());
    insta::assert_snapshot!(parked(&cloud).join("\n"));
    assert_eq!(cloud.calls("PUT").len(), 1, "the archive has them all");
}

#[tokio::test]
async fn a_page_is_not_parked_before_the_archive_has_it() {
    let cloud = Cloud::default();
    cloud.fail(
        "PutLogEvents",
        1,
        Answer::ok(json!({"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1}})),
    );
    cloud.fail("PUT", 1, Answer::refused());
    deliver(&cloud, &[page(&["a"]).to_string()]).await.unwrap_err();
    assert!(parked(&cloud).is_empty());
}

#[tokio::test]
async fn a_finding_too_large_for_an_event_lets_the_others_through() {
    let cloud = Cloud::default();
    let mut large = page(&["a", "huge", "b"]);
    large["export"]["page"]["findings"][1]["reason"] = "x".repeat(1 << 20).into();
    assert!(deliver(&cloud, &[large.to_string()]).await.unwrap().is_empty());
    assert_eq!(logged(&cloud, STREAM), ["a", "b"]);
    assert!(parked(&cloud)[0].contains("finding huge has 1048"), "{:?}", parked(&cloud));
    assert_eq!(cloud.calls("PUT").len(), 1, "the archive takes it");
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
