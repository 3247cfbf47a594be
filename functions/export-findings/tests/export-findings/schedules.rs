//! Pages under every schedule: answers lost, processes killed, two deliveries at the same time. Each finding is in the
//! log once.

use fleetwarden_aws::testing::cloud::Stream;
use fleetwarden_aws::testing::gate::Moment;

use crate::setup::STREAM;
use crate::setup::deliver;
use crate::setup::finding;
use crate::setup::logged;
use crate::setup::page;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;

/// What is delivered after this many seconds finds no live writer of an earlier delivery.
const LATER: i64 = 61;
const CALLS: [&str; 4] = ["CreateLogStream", "PutLogEvents", "DescribeLogStreams", "GetLogEvents"];

fn body() -> [String; 1] {
    [page(&["a", "b", "c", "d", "e"]).to_string()]
}

fn all_logged(cloud: &Cloud) -> bool {
    let mut ids = logged(cloud, STREAM);
    ids.sort();
    ids == ["a", "b", "c", "d", "e"]
}

/// A cloud in which an earlier delivery has written two of the findings, and its writer has died.
fn half_written() -> Cloud {
    let cloud = Cloud::default();
    let events = vec![finding("b").to_string(), finding("d").to_string()];
    cloud.put_stream(STREAM, Stream { created: START, events });
    cloud.pass_seconds(LATER);
    cloud
}

/// Delivers a page until it is done.
async fn until_done(cloud: &Cloud) {
    for _ in 0..4 {
        if deliver(cloud, &body()).await.is_ok() {
            return;
        }
        cloud.pass_seconds(LATER);
    }
    panic!("the page is not done after four deliveries");
}

#[tokio::test(start_paused = true)]
async fn a_page_is_logged_once_whichever_answer_is_lost() {
    for begin in [Cloud::default, half_written] {
        for operation in [CALLS.as_slice(), &["PutItem", "UpdateItem"]].concat() {
            for answer in [Answer::broken(), Answer::Reset, Answer::Never] {
                let cloud = begin();
                cloud.lose(operation, answer.clone());
                until_done(&cloud).await;
                assert!(all_logged(&cloud), "{operation} {answer:?}: {:?}", logged(&cloud, STREAM));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_certainly_not_written_is_sent_again_at_once() {
    let cloud = Cloud::default();
    cloud.fail("PutLogEvents", 2, Answer::error(400, "ThrottlingException", "{}"));
    assert!(deliver(&cloud, &body()).await.unwrap().is_empty());
    assert!(all_logged(&cloud));
}

#[tokio::test]
async fn a_page_is_logged_once_wherever_its_process_dies() {
    for begin in [Cloud::default, half_written] {
        for at in Moment::all() {
            let cloud = begin();
            let ended = cloud.kill(at.clone(), deliver(&cloud, &body())).await;
            cloud.pass_seconds(LATER);
            until_done(&cloud).await;
            assert!(all_logged(&cloud), "{at:?}: {:?}", logged(&cloud, STREAM));
            if ended.is_some() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_page_is_logged_once_by_two_deliveries_at_the_same_time() {
    for begin in [Cloud::default, half_written] {
        for at in Moment::all() {
            let cloud = begin();
            let (first, second) = (body(), body());
            let (_, second) =
                cloud.interleave(at.clone(), deliver(&cloud, &first), deliver(&cloud, &second)).await;
            cloud.pass_seconds(LATER);
            until_done(&cloud).await;
            assert!(all_logged(&cloud), "{at:?}: {:?}", logged(&cloud, STREAM));
            if second.is_none() {
                break;
            }
        }
    }
}
