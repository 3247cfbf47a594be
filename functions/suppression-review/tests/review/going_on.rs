//! Over several invocations, delivered twice, and while the service is busy, a review comes to the same end.

use fleetwarden_aws::testing::Answer;
use serde_json::Value;
use serde_json::json;

use crate::house::House;
use crate::house::PRESSES;
use crate::house::QUEUE;

/// Takes one of the messages that the function sent itself, and gives what of it failed.
async fn step(house: &House, n: usize) -> Value {
    let body = house.cloud.sent_to(QUEUE)[n].clone();
    let event = json!({"Records": [{"messageId": "m", "body": body}]});
    house.invoke("ignored", event).await.unwrap()["batchItemFailures"].clone()
}

/// Takes the messages on the function's queue until there are none, and gives how many there were.
async fn go_on(house: &House) -> usize {
    let mut taken = 0;
    while taken < house.cloud.sent_to(QUEUE).len() {
        assert_eq!(step(house, taken).await, json!([]));
        taken += 1;
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn in_small_steps_it_comes_to_the_same_end() {
    let whole = {
        let mut house = House::new(PRESSES, 9);
        house.review().await;
        house.suppressions()
    };
    let mut house = House::new(PRESSES, 9);
    // With 15 minutes to go, of which one is kept back, six calls fit into an invocation.
    *house.slowness.lock().unwrap() = 150;
    let told = house.review().await;
    assert_eq!(told["continues"], true, "{told}");
    let steps = go_on(&house).await;
    assert!(steps >= 3, "{steps}");
    *house.slowness.lock().unwrap() = 0;
    assert_eq!(house.suppressions(), whole);
    let debt = house.cloud.item("debt", "latest").unwrap()["debt"].as_str().unwrap().to_owned();
    let debt: Value = serde_json::from_str(&debt).unwrap();
    assert_eq!(debt["suppressions"], 18);
}

#[tokio::test(start_paused = true)]
async fn a_review_that_a_later_one_overtook_tells_and_keeps_nothing() {
    let mut house = House::new("version: 1\nmode: enforce\nrules: []\n", 1);
    house.suppress(1, Some(90), "Fleetwarden: rule shared; owner ops; for now");
    house.review().await;
    // Seven calls take all the time that there is: it has listed all when it is put aside.
    *house.slowness.lock().unwrap() = 130;
    assert_eq!(house.review().await["phase"], "tell");
    *house.slowness.lock().unwrap() = 0;
    house.delete(1);
    house.review().await;
    assert_eq!(house.alerts("suppression-drift").len(), 1);
    assert_eq!(go_on(&house).await, 1);
    house.review().await;
    assert_eq!(house.alerts("suppression-drift").len(), 1, "it is not told twice");
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_repeated_does_nothing_twice() {
    let house = House::new(PRESSES, 2);
    let event = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    let told = house.invoke("first", event.clone()).await.unwrap();
    assert_eq!(told["standing"]["presses"]["created"], 4);
    house.delete(1);
    let again = house.invoke("second", event).await.unwrap();
    assert_eq!(again, json!({"slot": "2026-11-23T06:00:00Z", "repeated": true}));
    assert_eq!(house.suppressions().len(), 3);
    let wrong = house.invoke("third", json!({"scheduledAt": "soon"})).await.unwrap_err();
    assert_eq!(wrong.to_string(), "scheduledAt: 'soon' is not a time in RFC 3339 format");
    let wrong = house.invoke("fourth", json!({"dryrun": true})).await.unwrap_err();
    assert!(wrong.to_string().contains("unknown field `dryrun`"), "{wrong}");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_an_object_is_no_review() {
    let house = House::new(PRESSES, 2);
    for event in [json!([]), json!(["2026-11-23T06:00:00Z"]), json!(null), json!("{}"), json!(7)] {
        let refused = house.invoke("odd", event).await.unwrap_err();
        assert_eq!(refused.to_string(), r#"the event: it must be an object, such as {"dryRun": true}"#);
    }
    assert!(house.suppressions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_leaves_the_review_of_its_time_to_come() {
    let house = House::new(PRESSES, 2);
    let scheduled = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    let dry = json!({"scheduledAt": "2026-11-23T06:00:00Z", "dryRun": true});
    assert_eq!(house.invoke("dry", dry).await.unwrap()["dryRun"], true);
    assert!(house.suppressions().is_empty());
    let answer = house.invoke("scheduled", scheduled).await.unwrap();
    assert_eq!(answer["standing"]["presses"]["created"], 4);
    assert_eq!(house.suppressions().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_review_that_failed_can_be_repeated() {
    let house = House::new(PRESSES, 2);
    *house.denied.lock().unwrap() = Some("/audit/suppressions/list");
    let event = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    house.invoke("first", event.clone()).await.unwrap_err();
    assert_eq!(house.suppressions().len(), 0);
    *house.denied.lock().unwrap() = None;
    let told = house.invoke("second", event).await.unwrap();
    assert_eq!(told["standing"]["presses"]["created"], 4);
}

#[tokio::test(start_paused = true)]
async fn throttling_only_slows_it_down() {
    let mut house = House::new(PRESSES, 3);
    for operation in ["ListThings", "ListAuditSuppressions", "CreateAuditSuppression"] {
        house.order(operation, "throttle", 9);
    }
    let began = tokio::time::Instant::now();
    let told = house.review().await;
    assert_eq!(told["standing"]["presses"]["created"], 6, "{told}");
    assert_eq!(house.suppressions().len(), 6);
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_made_than_the_account_may_make() {
    let mut house = House::new("version: 1\nrules: []\n", 0);
    house.control(
        "suppressions",
        &json!({"checkName": crate::house::SHARED, "count": 10_000, "expiresInDays": 90}),
    );
    let began = tokio::time::Instant::now();
    let told = house.review().await;
    assert_eq!((&told["pages"]["suppressions"], &told["debt"]["suppressions"]), (&json!(40), &json!(10_000)));
    assert!(began.elapsed().as_millis() >= 3_900, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn pages_that_go_in_circles_end_a_review() {
    for (path, entries) in [("/audit/suppressions/list", "suppressions"), ("/things", "things")] {
        let mut house = House::new(PRESSES, 1);
        *house.slowness.lock().unwrap() = 1;
        let page = |token: &str| json!({entries: [], "nextToken": token});
        *house.instead.lock().unwrap() = Some((path, vec![page("A"), page("B"), page("C")]));
        let done = house.invoke("circle", json!({})).await;
        let told = done.unwrap_or_else(|error| json!(error.to_string())).to_string();
        assert!(told.contains("the service gave the same token twice"), "{told}");
        *house.instead.lock().unwrap() = None;
        house.review().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_changes_while_a_review_goes_on_makes_no_drift() {
    let mut house = House::new(PRESSES, 9);
    house.review().await;
    (1..=9).for_each(|n| house.attach(&format!("press-{n}"), &house.certificate(n), false));
    *house.slowness.lock().unwrap() = 70;
    assert_eq!(house.review().await["continues"], true);
    let mut steps = 0;
    while house.suppressions().len() == 18 {
        assert_eq!(step(&house, steps).await, json!([]));
        steps += 1;
    }
    assert!(house.suppressions().len() > 9, "it is still to be gone on with");
    *house.slowness.lock().unwrap() = 0;
    house.have(&PRESSES.replace("in summer", "in autumn"));
    assert_eq!(step(&house, steps).await, json!([]));
    assert_eq!(house.suppressions().len(), 9);
    assert_eq!(house.alerts("suppression-drift"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn while_one_review_keeps_another_looks_and_tells() {
    let mut house = House::new(PRESSES, 9);
    house.suppress_other(1, 6 * 86_400, "for a week");
    *house.slowness.lock().unwrap() = 150;
    assert_eq!(house.review().await["continues"], true);
    *house.slowness.lock().unwrap() = 0;
    house.pass(3_600);
    let told = house.review().await;
    assert_eq!((&told["keptBy"], &told["standing"]["presses"]["created"]), (&json!("review-1"), &json!(0)));
    assert_eq!(house.alerts("suppression-ending").len(), 1);
    go_on(&house).await;
    assert_eq!(house.suppressions().len(), 19);
    assert_eq!(house.review().await["keptBy"], json!(null), "it has ended");
    assert_eq!(house.alerts("suppression-drift"), [""; 0]);

    // One of which nothing was heard for long is not waited for.
    (1..=9).for_each(|n| house.attach(&format!("press-{n}"), &house.certificate(n), false));
    *house.slowness.lock().unwrap() = 150;
    assert_eq!(house.review().await["continues"], true);
    *house.slowness.lock().unwrap() = 0;
    house.pass_days(1);
    assert_eq!(house.review().await["standing"]["presses"]["deleted"], 9);
}

#[tokio::test(start_paused = true)]
async fn a_review_that_was_replaced_only_looks_when_it_is_heard_of_again() {
    let mut house = House::new(PRESSES, 9);
    *house.slowness.lock().unwrap() = 150;
    assert_eq!(house.review().await["continues"], true);
    house.pass_days(1);
    assert_eq!(house.review().await["continues"], true, "it replaces the one that is silent");
    *house.slowness.lock().unwrap() = 0;
    let found = house.suppressions().len();
    assert_eq!(step(&house, 0).await, json!([]), "the one that was replaced comes back");
    assert_eq!(house.suppressions().len(), found, "it changes nothing");
    assert_eq!(house.review().await["keptBy"], json!("review-2"), "and leaves the note of the other");
}

#[tokio::test(start_paused = true)]
async fn who_only_looks_deletes_nothing_under_a_policy_without_standing_suppressions() {
    let mut house = House::new(PRESSES, 9);
    house.review().await;
    *house.slowness.lock().unwrap() = 150;
    assert_eq!(house.review().await["continues"], true);
    *house.slowness.lock().unwrap() = 0;
    house.have("version: 1\nmode: enforce\nrules: []\n");
    let told = house.review().await;
    assert_eq!((&told["keptBy"], &told["goneFromPolicy"]), (&json!("review-2"), &json!(0)));
    assert_eq!((house.suppressions().len(), house.alerts("suppression-dropped")), (18, vec![]));
    go_on(&house).await;
    assert_eq!((house.suppressions().len(), house.alerts("suppression-dropped").len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_review_does_not_wait_for_itself() {
    let house = House::new(PRESSES, 9);
    *house.slowness.lock().unwrap() = 150;
    let broken = Answer::error(500, "InternalError", json!({"message": "broken"}));
    house.cloud.fail("SendMessageBatch", 3, broken);
    let event = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    house.invoke("first", event.clone()).await.unwrap_err();
    assert_eq!(house.invoke("second", event).await.unwrap()["continues"], true);
    let failed = house.cloud.calls("SendMessageBatch").len() - 1;
    for n in failed.. {
        if n == house.cloud.sent_to(QUEUE).len() {
            break;
        }
        assert_eq!(step(&house, n).await, json!([]));
    }
    assert_eq!(house.suppressions().len(), 18);
}

#[tokio::test(start_paused = true)]
async fn a_failure_among_many_members_is_tried_again_from_there() {
    // As often as the client tries, or for good: then the clients are known, and their certificates are not.
    for (failures, made) in [(3, 18), (100, 9)] {
        let mut house = House::new(PRESSES, 9);
        let fault = json!({"operation": "ListThingPrincipals", "kind": "internal-failure", "skip": 8, "count": failures});
        house.control("faults", &json!({"faults": [fault]}));
        assert_eq!(house.review().await["continues"], true);
        assert_eq!(go_on(&house).await, 1);
        assert_eq!(house.suppressions().len(), made);
        assert_eq!(house.alerts("suppression-not-kept").len(), usize::from(made == 9));
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_comes_while_changes_are_made_is_an_end() {
    let mut house = House::new(PRESSES, 9);
    house.pass_days(218);
    house.pass(86_400 - 1_000);
    *house.slowness.lock().unwrap() = 40;
    house.review().await;
    go_on(&house).await;
    assert_eq!(house.alerts("suppression-not-kept"), [""; 0]);
}
