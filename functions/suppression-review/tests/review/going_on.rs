//! Over several invocations, delivered twice, and while the service is busy, a review comes to the same end.

use serde_json::Value;
use serde_json::json;

use crate::house::House;
use crate::house::PRESSES;
use crate::house::QUEUE;

/// Takes the messages on the function's queue until there are none, and gives how many there were.
async fn go_on(house: &House) -> usize {
    let mut taken = 0;
    while let Some(body) = house.cloud.sent_to(QUEUE).get(taken) {
        taken += 1;
        let event = json!({"Records": [{"messageId": "m", "body": body}]});
        let answer = house.invoke("ignored", event).await.unwrap();
        assert_eq!(answer["batchItemFailures"], json!([]));
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
    assert_eq!(wrong.to_string(), "scheduledAt: 'soon' is no time in RFC 3339");
    let wrong = house.invoke("fourth", json!({"dryrun": true})).await.unwrap_err();
    assert!(wrong.to_string().contains("unknown field `dryrun`"), "{wrong}");
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
