//! Work that is done once, under every schedule: answers lost, processes killed, two workers.

use std::time::Duration;

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use futures_util::future::join;
use serde_json::Value;
use tokio::sync::Notify;

use super::*;
use crate::clients::Shared;
use crate::testing::Answer;
use crate::testing::cloud::Cloud;
use crate::testing::gate::Moment;
use crate::topic::Topic;

const LEASE: Duration = Duration::from_mins(1);
const TOPIC: &str = "arn:topic";

fn ledger(aws: &Shared) -> Ledger {
    Ledger::new(aws.dynamodb(), "ledger".into())
}

/// Work that publishes a message, by a worker of its own.
async fn work(cloud: &Cloud) -> Result<(), Error> {
    let (aws, now) = (cloud.clients(), cloud.clock().now());
    let publish = async { Topic::new(aws.sns(), TOPIC.into()).publish("done").await };
    ledger(&aws).run_once("thing", now, now.plus(LEASE), publish).await.map(drop)
}

/// How often the work was done.
fn done(cloud: &Cloud) -> usize {
    cloud.published_to(TOPIC).len()
}

fn claim(cloud: &Cloud, attribute: &str) -> Value {
    cloud.item("thing", "claim").and_then(|item| item.get(attribute).cloned()).unwrap_or_default()
}

fn is_busy(outcome: &Result<(), Error>) -> bool {
    matches!(outcome, Err(Error::Later(_)))
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_is_lost_is_ones_own() {
    for operation in ["PutItem", "UpdateItem"] {
        for answer in [Answer::broken(), Answer::Reset, Answer::Never] {
            let cloud = Cloud::default();
            cloud.lose(operation, answer);
            work(&cloud).await.unwrap();
            assert_eq!((done(&cloud), claim(&cloud, "state")), (1, "done".into()), "{operation}");
            work(&cloud).await.unwrap();
            assert_eq!(done(&cloud), 1, "{operation}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_every_answer_is_lost_blocks_no_later_try() {
    let cloud = Cloud::default();
    (0..3).for_each(|_| cloud.lose("PutItem", Answer::Reset));
    assert!(matches!(work(&cloud).await, Err(Error::Aws { operation: "PutItem", .. })));
    cloud.pass_seconds(1);
    work(&cloud).await.unwrap();
    assert_eq!(done(&cloud), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_cannot_be_read_blocks_no_later_try() {
    let cloud = Cloud::default();
    cloud.lose("PutItem", Answer::ok("{\"Attr"));
    work(&cloud).await.unwrap_err();
    cloud.pass_seconds(1);
    work(&cloud).await.unwrap();
    assert_eq!(done(&cloud), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_last_try_is_refused_blocks_no_later_try() {
    let cloud = Cloud::default();
    cloud.lose("PutItem", Answer::broken());
    cloud.fail("PutItem", 2, Answer::error(400, "ThrottlingException", "{}"));
    work(&cloud).await.unwrap_err();
    cloud.pass_seconds(1);
    work(&cloud).await.unwrap();
    assert_eq!(done(&cloud), 1);
}

#[tokio::test]
async fn the_claim_of_a_killed_worker_ends_with_its_lease() {
    let mut at_call = Vec::new();
    for at in Moment::all() {
        let cloud = Cloud::default();
        if cloud.kill(at, work(&cloud)).await.is_some() {
            break;
        }
        let before = done(&cloud);
        let at_once = work(&cloud).await;
        assert!(at_once.is_ok() || is_busy(&at_once), "{at_once:?}");
        cloud.pass_seconds(61);
        work(&cloud).await.unwrap();
        work(&cloud).await.unwrap();
        at_call.push((before, at_once.is_ok(), done(&cloud)));
    }
    // Before and after the claim, the work, and its completion. Only between work and completion nothing shows that
    // the work was done: it is done again.
    let claimed = [(0, true, 1), (0, false, 1)];
    let worked = [(0, false, 1), (1, false, 2)];
    let completed = [(1, false, 2), (1, true, 1)];
    assert_eq!(at_call, [claimed, worked, completed].concat());
}

#[tokio::test]
async fn of_two_workers_one_does_the_work() {
    let mut seconds = Vec::new();
    for at in Moment::all() {
        let cloud = Cloud::default();
        let (first, second) = cloud.interleave(at, work(&cloud), work(&cloud)).await;
        assert_eq!(done(&cloud), 1);
        let Some(second) = second else { break };
        assert!(first.is_ok() && (second.is_ok() || is_busy(&second)), "{first:?} {second:?}");
        seconds.push(second.is_ok());
    }
    assert_eq!(seconds, [true, false, false, false, false, true]);
}

#[tokio::test]
async fn of_two_workers_one_does_the_work_also_if_the_answer_of_the_other_is_lost() {
    for lost in [Answer::broken(), Answer::Reset] {
        for at in Moment::all() {
            let cloud = Cloud::default();
            cloud.lose("PutItem", lost.clone());
            let (first, second) = cloud.interleave(at, work(&cloud), work(&cloud)).await;
            assert_eq!(done(&cloud), 1);
            assert!(first.is_ok(), "{first:?}");
            if second.is_none() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_worker_whose_lease_ended_leaves_the_claim_of_the_next_alone() {
    for fails in [false, true] {
        let cloud = Cloud::default();
        let aws = cloud.clients();
        let (second_works, first_ended) = (Notify::new(), Notify::new());
        let first = async {
            let now = cloud.clock().now();
            let work = async {
                second_works.notified().await;
                if fails { Err(Error::Later("the first fails".into())) } else { Ok(()) }
            };
            let ended = ledger(&aws).run_once("thing", now, now.plus(LEASE), work).await;
            first_ended.notify_one();
            ended
        };
        let second = async {
            cloud.pass_seconds(61);
            let now = cloud.clock().now();
            let lease = now.plus(LEASE);
            let work = async {
                second_works.notify_one();
                first_ended.notified().await;
                assert_eq!(
                    (claim(&cloud, "state"), claim(&cloud, "lease_until")),
                    ("running".into(), lease.0.into())
                );
                assert!(is_busy(&self::work(&cloud).await), "a third worker waits for the second");
                Ok(())
            };
            ledger(&aws).run_once("thing", now, lease, work).await
        };
        let (first, second) = join(first, second).await;
        assert_eq!((first.is_err(), second.is_ok()), (fails, true), "{first:?}");
        assert_eq!(claim(&cloud, "state"), "done");
    }
}

#[tokio::test(start_paused = true)]
async fn an_audit_recorded_twice_because_an_answer_was_lost_is_the_latest_all_the_same() {
    let cloud = Cloud::default();
    let audit = Audit {
        account: "123456789012".parse().unwrap(),
        region: "us-east-1".parse().unwrap(),
        task_id: "t".parse().unwrap(),
        schedule: None,
        started_at: cloud.clock().now(),
    };
    cloud.lose("PutItem", Answer::Reset);
    let check = CheckName::new("LOGGING_DISABLED_CHECK");
    assert!(ledger(&cloud.clients()).record_audit_of_check(&audit, &check).await.unwrap());
}
