//! What somebody does to suppressions between the list and a change, and a review that dies at any call.

use std::time::Duration;

use fleetwarden_aws::testing::Answer;
use serde_json::Value;
use serde_json::json;

use crate::house::House;
use crate::house::PRESSES;
use crate::house::SHARED;

const NOTHING: &str = "version: 1\nmode: enforce\nrules: []\n";
const BY_KIM: &str = "by Kim";

/// A person's call about the suppression of a press's certificate.
fn call(
    house: &House,
    what: &'static str,
    n: u32,
    description: Option<&str>,
) -> (&'static str, String, Value) {
    let mut body =
        json!({"checkName": SHARED, "resourceIdentifier": {"deviceCertificateId": house.certificate(n)}});
    if let Some(description) = description {
        body["description"] = description.into();
        body["suppressIndefinitely"] = true.into();
    }
    if what == "create" {
        body["clientRequestToken"] = format!("person-{n}").into();
    }
    let method = if what == "update" { "PATCH" } else { "POST" };
    (method, format!("/audit/suppressions/{what}"), body)
}

impl House {
    /// Right after the review's first call of a path, somebody makes these calls.
    fn then(&self, path: &'static str, calls: Vec<(&'static str, String, Value)>) {
        *self.then.lock().unwrap() = Some((path, calls));
    }

    fn count(&self, what: &str) -> usize {
        self.suppressions().iter().filter(|line| line.contains(what)).count()
    }
}

const LIST: &str = "/audit/suppressions/list";

#[tokio::test(start_paused = true)]
async fn what_somebody_made_since_the_list_is_not_deleted() {
    for again in [false, true] {
        let mut house = House::new(PRESSES, 2);
        house.review().await;
        house.have(NOTHING);
        let calls = if again {
            vec![call(&house, "delete", 1, None), call(&house, "create", 1, Some(BY_KIM))]
        } else {
            vec![call(&house, "update", 1, Some(BY_KIM))]
        };
        house.then(LIST, calls);
        let told = house.review().await;
        assert_eq!((&told["goneFromPolicy"], house.suppressions().len()), (&json!(3), 1), "{told}");
        assert_eq!(house.count(BY_KIM), 1);
        assert_eq!(
            told["drift"],
            json!([{"by": "standing presses", "owner": "lab", "what": "changed", "suppressions": 1}])
        );
        assert_eq!(house.alerts("suppression-drift").len(), 1);
        assert_eq!(house.alerts("suppression-by-hand").len(), 1);
        // The next one knows all that.
        let told = house.review().await;
        assert_eq!((&told["drift"], house.count(BY_KIM)), (&json!([]), 1));
        assert_eq!(house.alerts("suppression-drift").len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_somebody_moved_since_the_list_keeps_a_suppression() {
    let mut house = House::new(PRESSES, 2);
    house.review().await;
    (1..=2).for_each(|n| house.attach(&format!("press-{n}"), &house.certificate(n), false));
    let ours = "Fleetwarden: standing presses; owner lab; replaced in summer";
    house.then(LIST, vec![call(&house, "update", 1, Some(ours))]);
    let told = house.review().await;
    assert_eq!(told["standing"]["presses"]["deleted"], 1, "{told}");
    assert_eq!(told["drift"][0]["what"], "changed");
    // It is ours all the same: the next one deletes what it has listed.
    assert_eq!(house.review().await["standing"]["presses"]["deleted"], 1);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changed_since_the_list_is_not_updated() {
    let mut house = House::new(PRESSES, 2);
    house.review().await;
    house.have(&PRESSES.replace("2027-06-30", "2027-09-30"));
    house.then(LIST, vec![call(&house, "update", 1, Some(BY_KIM)), call(&house, "delete", 2, None)]);
    let told = house.review().await;
    assert_eq!(told["standing"]["presses"]["updated"], 2, "{told}");
    assert_eq!((house.count(BY_KIM), house.suppressions().len()), (1, 3));
    let deeds: Vec<&Value> = told["drift"].as_array().unwrap().iter().map(|drift| &drift["what"]).collect();
    assert_eq!(deeds, ["changed", "deleted"]);
    let told = house.review().await;
    let presses = &told["standing"]["presses"];
    assert_eq!((&presses["byHand"], &presses["created"]), (&json!(1), &json!(1)), "{told}");
    assert_eq!((&told["drift"], house.alerts("suppression-drift").len()), (&json!([]), 1));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_made_since_the_list_counts_as_theirs() {
    let mut house = House::new(PRESSES, 2);
    house.then(LIST, vec![call(&house, "create", 1, Some(BY_KIM))]);
    let told = house.review().await;
    assert_eq!((&told["standing"]["presses"]["created"], house.count(BY_KIM)), (&json!(3), 1), "{told}");
    let told = house.review().await;
    assert_eq!(told["standing"]["presses"]["byHand"], 1);
    assert_eq!(house.alerts("suppression-drift"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_took_over_since_the_list_is_left_to_it() {
    let mut house = House::new(PRESSES, 2);
    house.review().await;
    house.have(NOTHING);
    house.then(LIST, vec![call(&house, "update", 1, Some("Fleetwarden: rule shared; owner ops; for now"))]);
    let told = house.review().await;
    assert_eq!((&told["goneFromPolicy"], house.count("rule shared")), (&json!(3), 1));
    assert_eq!(house.alerts("suppression-drift"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_between_two_tries_of_a_review_is_created_again() {
    let house = House::new(PRESSES, 2);
    let event = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    // It creates all, and cannot write down that it did.
    house.cloud.fail("PUT", 3, Answer::error(500, "InternalError", ""));
    house.invoke("first", event.clone()).await.unwrap_err();
    assert_eq!(house.suppressions().len(), 4);
    house.delete(1);
    house.pass(60);
    house.invoke("second", event).await.unwrap();
    assert_eq!(house.suppressions().len(), 4);
}

/// Some are to be created, some to be updated and some to be deleted; the review dies after each call in turn, and is
/// invoked again.
#[tokio::test(start_paused = true)]
async fn whenever_a_review_dies_the_end_is_the_same() {
    let event = json!({"scheduledAt": "2026-11-24T06:00:00Z"});
    let prepare = async || {
        let mut house = House::new(PRESSES, 2);
        house.review().await;
        house.pass_days(1);
        house.press(3);
        house.attach("press-1", &house.certificate(1), false);
        house.have(&PRESSES.replace("2027-06-30", "2027-09-30"));
        *house.made.lock().unwrap() = 0;
        house
    };
    let (whole, all) = {
        let house = prepare().await;
        house.invoke("whole", event.clone()).await.unwrap();
        (house.suppressions(), *house.made.lock().unwrap())
    };
    assert_eq!(whole.len(), 5);
    for at in 0..all {
        let mut house = prepare().await;
        *house.dies.lock().unwrap() = Some(at);
        let died = tokio::time::timeout(Duration::from_secs(800), house.invoke("first", event.clone())).await;
        assert!(!matches!(died, Ok(Ok(_))), "call {at}");
        *house.dies.lock().unwrap() = None;
        house.pass(1_000);
        house.invoke("second", event.clone()).await.unwrap();
        assert_eq!(house.suppressions(), whole, "call {at}");
        assert_eq!(house.review().await["drift"], json!([]), "call {at}");
        assert_eq!(house.alerts("suppression-drift"), [""; 0], "call {at}");
    }
}
