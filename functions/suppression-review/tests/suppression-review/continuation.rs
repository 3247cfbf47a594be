//! Over several invocations, delivered twice, and while the service is busy, a review comes to the same end.

use fleetwarden_aws::testing::Answer;
use serde_json::Value;
use serde_json::json;

use crate::setup::PRESSES;
use crate::setup::QUEUE;
use crate::setup::Setup;

/// Takes one of the messages that the function sent itself, and gives what of it failed.
async fn take(setup: &Setup, n: usize) -> Value {
    let body = setup.cloud.sent_to(QUEUE)[n].clone();
    let event = json!({"Records": [{"messageId": "m", "body": body}]});
    setup.invoke("ignored", event).await.unwrap()["batchItemFailures"].clone()
}

/// Takes the messages on the function's queue until there are none, and gives how many there were.
async fn finish(setup: &Setup) -> usize {
    let mut taken = 0;
    while taken < setup.cloud.sent_to(QUEUE).len() {
        assert_eq!(take(setup, taken).await, json!([]));
        taken += 1;
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn in_small_steps_it_comes_to_the_same_end() {
    let whole = {
        let mut setup = Setup::new(PRESSES, 9);
        setup.review().await;
        setup.suppressions()
    };
    let mut setup = Setup::new(PRESSES, 9);
    // With 15 minutes to go, of which one is kept back, six calls fit into an invocation.
    *setup.slowness.lock().unwrap() = 150;
    let answer = setup.review().await;
    assert_eq!(answer["continues"], true, "{answer}");
    let steps = finish(&setup).await;
    assert!(steps >= 3, "{steps}");
    *setup.slowness.lock().unwrap() = 0;
    assert_eq!(setup.suppressions(), whole);
    let debt = setup.cloud.item("debt", "latest").unwrap()["debt"].as_str().unwrap().to_owned();
    let debt: Value = serde_json::from_str(&debt).unwrap();
    assert_eq!(debt["suppressions"], 18);
}

#[tokio::test(start_paused = true)]
async fn an_overtaken_review_raises_no_alert_and_saves_nothing() {
    let mut setup = Setup::new("version: 1\nmode: enforce\nrules: []\n", 1);
    setup.suppress(1, Some(90), "Fleetwarden: rule shared; owner ops; for now");
    setup.review().await;
    // Five calls take all the time that there is: everything is listed when the review is put aside.
    *setup.slowness.lock().unwrap() = 170;
    assert_eq!(setup.review().await["phase"], "tell");
    *setup.slowness.lock().unwrap() = 0;
    setup.delete(1);
    setup.review().await;
    assert_eq!(setup.alerts("suppression-drift").len(), 1);
    assert_eq!(finish(&setup).await, 1);
    setup.review().await;
    assert_eq!(setup.alerts("suppression-drift").len(), 1, "it raises no second alert");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_delivery_does_nothing_twice() {
    let setup = Setup::new(PRESSES, 2);
    let event = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    let answer = setup.invoke("first", event.clone()).await.unwrap();
    assert_eq!(answer["standing"]["presses"]["created"], 4);
    setup.delete(1);
    let again = setup.invoke("second", event).await.unwrap();
    assert_eq!(again, json!({"slot": "2026-11-23T06:00:00Z", "repeated": true}));
    assert_eq!(setup.suppressions().len(), 3);
    let wrong = setup.invoke("third", json!({"scheduledAt": "soon"})).await.unwrap_err();
    assert_eq!(wrong.to_string(), "scheduledAt: 'soon' is not a time in RFC 3339 format");
    let wrong = setup.invoke("fourth", json!({"dryrun": true})).await.unwrap_err();
    assert!(wrong.to_string().contains("unknown field `dryrun`"), "{wrong}");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_no_object_is_refused() {
    let setup = Setup::new(PRESSES, 2);
    for event in [json!([]), json!(["2026-11-23T06:00:00Z"]), json!(null), json!("{}"), json!(7)] {
        let refused = setup.invoke("odd", event).await.unwrap_err();
        assert_eq!(refused.to_string(), r#"the event: it must be an object, such as {"dryRun": true}"#);
    }
    assert!(setup.suppressions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_leaves_the_review_of_its_time_to_come() {
    let setup = Setup::new(PRESSES, 2);
    let scheduled = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    let dry = json!({"scheduledAt": "2026-11-23T06:00:00Z", "dryRun": true});
    assert_eq!(setup.invoke("dry", dry).await.unwrap()["dryRun"], true);
    assert!(setup.suppressions().is_empty());
    let answer = setup.invoke("scheduled", scheduled).await.unwrap();
    assert_eq!(answer["standing"]["presses"]["created"], 4);
    assert_eq!(setup.suppressions().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_review_that_failed_can_be_repeated() {
    let setup = Setup::new(PRESSES, 2);
    *setup.denied.lock().unwrap() = Some("/audit/suppressions/list");
    let event = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    setup.invoke("first", event.clone()).await.unwrap_err();
    assert_eq!(setup.suppressions().len(), 0);
    *setup.denied.lock().unwrap() = None;
    let answer = setup.invoke("second", event).await.unwrap();
    assert_eq!(answer["standing"]["presses"]["created"], 4);
}

#[tokio::test(start_paused = true)]
async fn throttling_only_slows_it_down() {
    let mut setup = Setup::new(PRESSES, 3);
    for operation in ["ListThings", "ListAuditSuppressions", "CreateAuditSuppression"] {
        setup.order(operation, "throttle", 9);
    }
    let began = tokio::time::Instant::now();
    let answer = setup.review().await;
    assert_eq!(answer["standing"]["presses"]["created"], 6, "{answer}");
    assert_eq!(setup.suppressions().len(), 6);
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_made_than_the_account_may_make() {
    let mut setup = Setup::new("version: 1\nrules: []\n", 0);
    setup.control(
        "suppressions",
        &json!({"checkName": crate::setup::SHARED, "count": 10_000, "expiresInDays": 90}),
    );
    let began = tokio::time::Instant::now();
    let answer = setup.review().await;
    assert_eq!(
        (&answer["pages"]["suppressions"], &answer["debt"]["suppressions"]),
        (&json!(40), &json!(10_000))
    );
    assert!(began.elapsed().as_millis() >= 3_900, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn pages_that_repeat_end_a_review() {
    for (path, entries) in [("/audit/suppressions/list", "suppressions"), ("/things", "things")] {
        let mut setup = Setup::new(PRESSES, 1);
        *setup.slowness.lock().unwrap() = 1;
        let page = |token: &str| json!({entries: [], "nextToken": token});
        *setup.instead.lock().unwrap() = Some((path, vec![page("A"), page("B"), page("C")]));
        let done = setup.invoke("circle", json!({})).await;
        let answer = done.unwrap_or_else(|error| json!(error.to_string())).to_string();
        assert!(answer.contains("the service gave the same token twice"), "{answer}");
        *setup.instead.lock().unwrap() = None;
        setup.review().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_changes_during_a_review_makes_no_drift() {
    let mut setup = Setup::new(PRESSES, 9);
    setup.review().await;
    (1..=9).for_each(|n| setup.attach(&format!("press-{n}"), &setup.certificate(n), false));
    *setup.slowness.lock().unwrap() = 70;
    assert_eq!(setup.review().await["continues"], true);
    let mut steps = 0;
    while setup.suppressions().len() == 18 {
        assert_eq!(take(&setup, steps).await, json!([]));
        steps += 1;
    }
    assert!(setup.suppressions().len() > 9, "it is still to be gone on with");
    *setup.slowness.lock().unwrap() = 0;
    setup.have(&PRESSES.replace("in summer", "in autumn"));
    assert_eq!(take(&setup, steps).await, json!([]));
    assert_eq!(setup.suppressions().len(), 9);
    assert_eq!(setup.alerts("suppression-drift"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn while_one_review_reconciles_another_reads_and_reports() {
    let mut setup = Setup::new(PRESSES, 9);
    setup.suppress_other(1, 6 * 86_400, "for a week");
    *setup.slowness.lock().unwrap() = 150;
    assert_eq!(setup.review().await["continues"], true);
    *setup.slowness.lock().unwrap() = 0;
    setup.pass(3_600);
    let answer = setup.review().await;
    assert_eq!(
        (&answer["keptBy"], &answer["standing"]["presses"]["created"]),
        (&json!("review-1"), &json!(0))
    );
    assert_eq!(setup.alerts("suppression-ending").len(), 1);
    finish(&setup).await;
    assert_eq!(setup.suppressions().len(), 19);
    assert_eq!(setup.review().await["keptBy"], json!(null), "it has ended");
    assert_eq!(setup.alerts("suppression-drift"), [""; 0]);

    // A review without a checkpoint for eight hours is treated as failed.
    (1..=9).for_each(|n| setup.attach(&format!("press-{n}"), &setup.certificate(n), false));
    *setup.slowness.lock().unwrap() = 150;
    assert_eq!(setup.review().await["continues"], true);
    *setup.slowness.lock().unwrap() = 0;
    setup.pass_days(1);
    assert_eq!(setup.review().await["standing"]["presses"]["deleted"], 9);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_review_only_reads_when_it_is_continued() {
    let mut setup = Setup::new(PRESSES, 9);
    *setup.slowness.lock().unwrap() = 150;
    assert_eq!(setup.review().await["continues"], true);
    setup.pass_days(1);
    assert_eq!(setup.review().await["continues"], true, "it replaces the one that is silent");
    *setup.slowness.lock().unwrap() = 0;
    let found = setup.suppressions().len();
    assert_eq!(take(&setup, 0).await, json!([]), "the one that was replaced comes back");
    assert_eq!(setup.suppressions().len(), found, "it changes nothing");
    assert_eq!(setup.review().await["keptBy"], json!("review-2"), "and leaves the note of the other");
}

#[tokio::test(start_paused = true)]
async fn a_review_that_only_reads_deletes_nothing_without_standing_suppressions() {
    let mut setup = Setup::new(PRESSES, 9);
    setup.review().await;
    *setup.slowness.lock().unwrap() = 150;
    assert_eq!(setup.review().await["continues"], true);
    *setup.slowness.lock().unwrap() = 0;
    setup.have("version: 1\nmode: enforce\nrules: []\n");
    let answer = setup.review().await;
    assert_eq!((&answer["keptBy"], &answer["goneFromPolicy"]), (&json!("review-2"), &json!(0)));
    assert_eq!((setup.suppressions().len(), setup.alerts("suppression-dropped")), (18, vec![]));
    finish(&setup).await;
    assert_eq!((setup.suppressions().len(), setup.alerts("suppression-dropped").len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_review_does_not_wait_for_itself() {
    let setup = Setup::new(PRESSES, 9);
    *setup.slowness.lock().unwrap() = 150;
    let broken = Answer::error(500, "InternalError", json!({"message": "broken"}));
    setup.cloud.fail("SendMessageBatch", 3, broken);
    let event = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    setup.invoke("first", event.clone()).await.unwrap_err();
    assert_eq!(setup.invoke("second", event).await.unwrap()["continues"], true);
    let failed = setup.cloud.calls("SendMessageBatch").len() - 1;
    for n in failed.. {
        if n == setup.cloud.sent_to(QUEUE).len() {
            break;
        }
        assert_eq!(take(&setup, n).await, json!([]));
    }
    assert_eq!(setup.suppressions().len(), 18);
}

#[tokio::test(start_paused = true)]
async fn a_failure_among_many_members_is_retried_from_there() {
    // As often as the client tries, or for good: then the clients are known, and their certificates are not.
    for (failures, made) in [(3, 18), (100, 9)] {
        let mut setup = Setup::new(PRESSES, 9);
        let fault = json!({"operation": "ListThingPrincipals", "kind": "internal-failure", "skip": 8, "count": failures});
        setup.control("faults", &json!({"faults": [fault]}));
        assert_eq!(setup.review().await["continues"], true);
        assert_eq!(finish(&setup).await, 1);
        assert_eq!(setup.suppressions().len(), made);
        assert_eq!(setup.alerts("suppression-not-kept").len(), usize::from(made == 9));
    }
}

#[tokio::test(start_paused = true)]
async fn an_expiry_during_changes_counts() {
    let mut setup = Setup::new(PRESSES, 9);
    setup.pass_days(218);
    setup.pass(86_400 - 1_000);
    *setup.slowness.lock().unwrap() = 40;
    setup.review().await;
    finish(&setup).await;
    assert_eq!(setup.alerts("suppression-not-kept"), [""; 0]);
}
