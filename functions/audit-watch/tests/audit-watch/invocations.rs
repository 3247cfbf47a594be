//! What wakes the function: a schedule once for each of its times, a person, a dry run.

use fleetwarden_aws::testing::Answer;
use serde_json::json;

use crate::setup::HOUR;
use crate::setup::Setup;
use crate::setup::TOPIC;

/// The notification came, and what it causes was never taken: Lambda gives it up after its retries, and an operator
/// who reviews and then purges, as the runbook says, must not lose the audit.
#[tokio::test(start_paused = true)]
async fn a_dry_run_sees_the_same_and_leaves_no_trace() {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    setup.pass(8 * HOUR);
    let before = setup.cloud.items("");
    let seen = setup.dry_run().await;
    assert_eq!((&seen["audits"], &seen["problems"][0]["problem"]), (&json!(1), &json!("unheard")), "{seen}");
    assert_eq!((setup.alerts().len(), setup.cloud.published_to(TOPIC).len()), (0, 0));
    assert_eq!(setup.cloud.items(""), before);
    assert_eq!(setup.run().await["problems"], seen["problems"]);
    assert_eq!((setup.alerts().len(), setup.cloud.published_to(TOPIC).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_time_of_the_schedule_is_run_once() {
    let setup = Setup::unconfigured(10);
    let event = |at: &str| json!({"scheduledAt": at});
    let seen = setup.invoke(event("2026-11-23T06:00:00Z")).await.unwrap();
    assert_eq!(seen["problems"][0]["problem"], "not-set-up", "{seen}");
    // EventBridge Scheduler may deliver twice, and Lambda may retry.
    let repeated = setup.invoke(event("2026-11-23T07:00:00+01:00")).await.unwrap();
    assert_eq!(repeated, json!({"slot": "2026-11-23T06:00:00Z", "repeated": true}));
    assert_eq!(setup.calls.lock().unwrap().len(), 0);
    let seen = setup.invoke(event("2026-11-24T06:00:00Z")).await.unwrap();
    assert_eq!(seen["problems"][0]["problem"], "not-set-up", "{seen}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_leaves_the_run_at_its_time_to_come() {
    let setup = Setup::unconfigured(10);
    let event = |dry_run: bool| json!({"scheduledAt": "2026-11-23T06:00:00Z", "dryRun": dry_run});
    for dry_run in [true, true, false] {
        let seen = setup.invoke(event(dry_run)).await.unwrap();
        assert_eq!(seen["problems"][0]["problem"], "not-set-up", "{seen}");
        assert_eq!(setup.alerts().len(), usize::from(!dry_run));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_alerts_are_refused_is_tried_again_and_raises_them() {
    let setup = Setup::unconfigured(10);
    setup.cloud.fail("Publish", 1, Answer::refused());
    let event = || json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    setup.invoke(event()).await.unwrap_err();
    // Each try to publish counts.
    assert_eq!(setup.alerts().len(), 1);
    setup.invoke(event()).await.unwrap();
    assert_eq!(setup.alerts().len(), 2);
    setup.run().await;
    assert_eq!(setup.alerts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_two_runs_at_once_none_forgets_what_the_other_published() {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    setup.pass(9 * HOUR);
    // Both read the state before one of them writes it.
    let (one, other) = futures_util::future::join(setup.problems(), setup.problems()).await;
    assert_eq!((one, other), (vec!["unheard".to_owned()], vec!["unheard".to_owned()]));
    assert_eq!(setup.alerts().len(), 1);
    assert_eq!(setup.problems().await, ["undelivered"]);
}

#[tokio::test]
async fn an_invalid_event_says_what_is_wrong() {
    let setup = Setup::unconfigured(10);
    for (event, error) in [
        (json!([]), "the event: it must be an object, such as {\"dryRun\": true}"),
        (json!({"dryrun": true}), "the event: unknown field `dryrun`, expected `scheduledAt` or `dryRun`"),
        (json!({"scheduledAt": "soon"}), "scheduledAt: 'soon' is not a time in RFC 3339 format"),
    ] {
        assert_eq!(setup.invoke(event).await.unwrap_err().to_string(), error);
    }
}
