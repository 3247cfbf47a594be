//! What somebody does to suppressions between the list and a change, and a review that dies at any call.

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::gate::Moment;
use serde_json::Value;
use serde_json::json;

use crate::setup::House;
use crate::setup::PRESSES;
use crate::setup::SHARED;

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
    /// A review in which somebody makes these calls right after it has listed the suppressions.
    async fn review_with(&self, calls: Vec<(&'static str, String, Value)>) -> Value {
        let person = async {
            for (method, path, body) in calls {
                self.ask(method, &path, &body);
            }
        };
        let listed = Moment::after("POST /audit/suppressions/list", 0);
        let review = self.invoke("with-a-person", json!({}));
        let (told, done) = self.cloud.interleave(listed, review, person).await;
        assert!(done.is_some());
        told.unwrap()
    }

    fn count(&self, what: &str) -> usize {
        self.suppressions().iter().filter(|line| line.contains(what)).count()
    }
}

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
        let told = house.review_with(calls).await;
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
    let told = house.review_with(vec![call(&house, "update", 1, Some(ours))]).await;
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
    let told = house
        .review_with(vec![call(&house, "update", 1, Some(BY_KIM)), call(&house, "delete", 2, None)])
        .await;
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
    let told = house.review_with(vec![call(&house, "create", 1, Some(BY_KIM))]).await;
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
    let told = house
        .review_with(vec![call(&house, "update", 1, Some("Fleetwarden: rule shared; owner ops; for now"))])
        .await;
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

/// A house of which a review is to create, to update and to delete.
async fn with_changes() -> House {
    let mut house = House::new(PRESSES, 2);
    house.review().await;
    house.pass_days(1);
    house.press(3);
    house.attach("press-1", &house.certificate(1), false);
    house.have(&PRESSES.replace("2027-06-30", "2027-09-30"));
    house
}

async fn expect_end(mut house: House, whole: &[String], at: &Moment) {
    assert_eq!(house.suppressions(), whole, "{at:?}");
    assert_eq!(house.review().await["drift"], json!([]), "{at:?}");
    assert_eq!(house.alerts("suppression-drift"), [""; 0], "{at:?}");
}

async fn without_trouble() -> Vec<String> {
    let mut house = with_changes().await;
    house.review().await;
    let whole = house.suppressions();
    assert_eq!(whole.len(), 5);
    whole
}

#[tokio::test(start_paused = true)]
async fn whenever_a_review_dies_the_end_is_the_same() {
    let event = json!({"scheduledAt": "2026-11-24T06:00:00Z"});
    let whole = without_trouble().await;
    for at in Moment::all() {
        let house = with_changes().await;
        let ended = house.cloud.kill(at.clone(), house.invoke("first", event.clone())).await;
        if ended.is_some() {
            break;
        }
        house.pass(1_000);
        house.invoke("second", event.clone()).await.unwrap();
        expect_end(house, &whole, &at).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_reviews_side_by_side_come_to_the_same_end() {
    let whole = without_trouble().await;
    for at in Moment::all() {
        let house = with_changes().await;
        let second = async {
            house.pass(1);
            house.invoke("second", json!({})).await.unwrap();
        };
        let first = house.invoke("first", json!({}));
        let (first, second) = house.cloud.interleave(at.clone(), first, second).await;
        first.unwrap();
        if second.is_none() {
            break;
        }
        expect_end(house, &whole, &at).await;
    }
}
