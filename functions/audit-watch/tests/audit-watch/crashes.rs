//! A run that dies at any call, and two runs at once.

use std::collections::BTreeSet;

use fleetwarden_aws::testing::gate::Moment;
use serde_json::json;

use crate::setup::DAY;
use crate::setup::HOUR;
use crate::setup::ROLE;
use crate::setup::Setup;
use crate::setup::TOPIC;

/// An audit whose notification was lost, a schedule that stopped, and a target that is disabled.
async fn with_problems() -> Setup {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    setup.pass(7 * HOUR);
    setup.only(&setup.tasks().await);
    setup.pass(3 * DAY);
    setup.configure(json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": false})).await;
    setup
}

/// Delivers what was published: the audit is handled, and people know of each problem.
async fn expect_end(setup: &Setup, context: &str) {
    let published = setup.cloud.published_to(TOPIC);
    assert!(!published.is_empty(), "{context}");
    for message in published {
        setup.handle(&message).await;
    }
    assert_eq!(setup.cloud.items("audit#").keys().filter(|(_, sk)| sk == "audit").count(), 1, "{context}");
    let alerts: BTreeSet<String> = setup.alerts().into_iter().collect();
    for title in
        ["Notification of scheduled audit nightly was lost ", "Scheduled audit nightly did not start"]
    {
        assert_eq!(
            alerts.iter().filter(|alert| alert.starts_with(title)).count(),
            1,
            "{context}: {alerts:?}"
        );
    }
    assert!(alerts.iter().any(|alert| alert.starts_with("Audit notifications are disabled")), "{context}");
}

#[tokio::test(start_paused = true)]
async fn whenever_a_run_dies_the_next_try_comes_to_the_same_end() {
    let event = || json!({"scheduledAt": "2026-11-26T07:00:00Z"});
    for at in Moment::all() {
        let setup = with_problems().await;
        let ended = setup.cloud.kill(at.clone(), setup.invoke(event())).await;
        setup.pass(1_000);
        setup.invoke(event()).await.unwrap();
        expect_end(&setup, &format!("{at:?}")).await;
        assert_eq!(setup.invoke(event()).await.unwrap()["repeated"], true, "{at:?}");
        if ended.is_some() {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_come_to_the_same_end() {
    for at in Moment::all() {
        let setup = with_problems().await;
        let run = || setup.invoke(json!({}));
        let (one, other) = setup.cloud.interleave(at.clone(), run(), run()).await;
        one.unwrap();
        let Some(other) = other else { break };
        // It may find the first one raising an alert; whoever invoked it tries again.
        if let Err(error) = other {
            assert!(error.to_string().contains("another worker holds"), "{at:?}: {error}");
        }
        expect_end(&setup, &format!("{at:?}")).await;
    }
}
