//! What somebody does to suppressions between the list and a change, and a review that dies at any call.

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::gate::Moment;
use serde_json::Value;
use serde_json::json;

use crate::setup::PRESSES;
use crate::setup::SHARED;
use crate::setup::Setup;

const NOTHING: &str = "version: 1\nmode: enforce\nrules: []\n";
const BY_KIM: &str = "by Kim";

/// A person's call about the suppression of a press's certificate.
fn call(
    setup: &Setup,
    what: &'static str,
    n: u32,
    description: Option<&str>,
) -> (&'static str, String, Value) {
    let mut body =
        json!({"checkName": SHARED, "resourceIdentifier": {"deviceCertificateId": setup.certificate(n)}});
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

impl Setup {
    /// A review in which somebody makes these calls right after it has listed the suppressions.
    async fn review_with(&self, calls: Vec<(&'static str, String, Value)>) -> Value {
        let person = async {
            for (method, path, body) in calls {
                self.ask(method, &path, &body);
            }
        };
        let listed = Moment::after("POST /audit/suppressions/list", 0);
        let review = self.invoke("with-a-person", json!({}));
        let (answer, done) = self.cloud.interleave(listed, review, person).await;
        assert!(done.is_some());
        answer.unwrap()
    }

    fn count(&self, what: &str) -> usize {
        self.suppressions().iter().filter(|line| line.contains(what)).count()
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_created_since_the_list_is_not_deleted() {
    for again in [false, true] {
        let mut setup = Setup::new(PRESSES, 2);
        setup.review().await;
        setup.have(NOTHING);
        let calls = if again {
            vec![call(&setup, "delete", 1, None), call(&setup, "create", 1, Some(BY_KIM))]
        } else {
            vec![call(&setup, "update", 1, Some(BY_KIM))]
        };
        let answer = setup.review_with(calls).await;
        assert_eq!((&answer["goneFromPolicy"], setup.suppressions().len()), (&json!(3), 1), "{answer}");
        assert_eq!(setup.count(BY_KIM), 1);
        assert_eq!(
            answer["drift"],
            json!([{"by": "standing presses", "owner": "lab", "what": "changed", "suppressions": 1}])
        );
        assert_eq!(setup.alerts("suppression-drift").len(), 1);
        assert_eq!(setup.alerts("suppression-by-hand").len(), 1);
        // The next one knows all that.
        let answer = setup.review().await;
        assert_eq!((&answer["drift"], setup.count(BY_KIM)), (&json!([]), 1));
        assert_eq!(setup.alerts("suppression-drift").len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_suppression_whose_end_moved_since_the_list_stays() {
    let mut setup = Setup::new(PRESSES, 2);
    setup.review().await;
    (1..=2).for_each(|n| setup.attach(&format!("press-{n}"), &setup.certificate(n), false));
    let ours = "Fleetwarden: standing presses; owner lab; replaced in summer";
    let answer = setup.review_with(vec![call(&setup, "update", 1, Some(ours))]).await;
    assert_eq!(answer["standing"]["presses"]["deleted"], 1, "{answer}");
    assert_eq!(answer["drift"][0]["what"], "changed");
    // It is ours all the same: the next one deletes what it has listed.
    assert_eq!(setup.review().await["standing"]["presses"]["deleted"], 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_modified_since_the_list_is_not_updated() {
    let mut setup = Setup::new(PRESSES, 2);
    setup.review().await;
    setup.have(&PRESSES.replace("2027-06-30", "2027-09-30"));
    let answer = setup
        .review_with(vec![call(&setup, "update", 1, Some(BY_KIM)), call(&setup, "delete", 2, None)])
        .await;
    assert_eq!(answer["standing"]["presses"]["updated"], 2, "{answer}");
    assert_eq!((setup.count(BY_KIM), setup.suppressions().len()), (1, 3));
    let deeds: Vec<&Value> = answer["drift"].as_array().unwrap().iter().map(|drift| &drift["what"]).collect();
    assert_eq!(deeds, ["changed", "deleted"]);
    let answer = setup.review().await;
    let presses = &answer["standing"]["presses"];
    assert_eq!((&presses["byHand"], &presses["created"]), (&json!(1), &json!(1)), "{answer}");
    assert_eq!((&answer["drift"], setup.alerts("suppression-drift").len()), (&json!([]), 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_created_since_the_list_counts_as_made_by_hand() {
    let mut setup = Setup::new(PRESSES, 2);
    let answer = setup.review_with(vec![call(&setup, "create", 1, Some(BY_KIM))]).await;
    assert_eq!((&answer["standing"]["presses"]["created"], setup.count(BY_KIM)), (&json!(3), 1), "{answer}");
    let answer = setup.review().await;
    assert_eq!(answer["standing"]["presses"]["byHand"], 1);
    assert_eq!(setup.alerts("suppression-drift"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_took_over_since_the_list_is_left_to_it() {
    let mut setup = Setup::new(PRESSES, 2);
    setup.review().await;
    setup.have(NOTHING);
    let answer = setup
        .review_with(vec![call(&setup, "update", 1, Some("Fleetwarden: rule shared; owner ops; for now"))])
        .await;
    assert_eq!((&answer["goneFromPolicy"], setup.count("rule shared")), (&json!(3), 1));
    assert_eq!(setup.alerts("suppression-drift"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_between_two_tries_of_a_review_is_created_again() {
    let setup = Setup::new(PRESSES, 2);
    let event = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    // It creates all, and cannot write down that it did.
    setup.cloud.fail("PUT", 3, Answer::error(500, "InternalError", ""));
    setup.invoke("first", event.clone()).await.unwrap_err();
    assert_eq!(setup.suppressions().len(), 4);
    setup.delete(1);
    setup.pass(60);
    setup.invoke("second", event).await.unwrap();
    assert_eq!(setup.suppressions().len(), 4);
}

/// A setup of which a review is to create, to update and to delete.
async fn with_changes() -> Setup {
    let mut setup = Setup::new(PRESSES, 2);
    setup.review().await;
    setup.pass_days(1);
    setup.press(3);
    setup.attach("press-1", &setup.certificate(1), false);
    setup.have(&PRESSES.replace("2027-06-30", "2027-09-30"));
    setup
}

async fn expect_same_end(mut setup: Setup, whole: &[String], at: &Moment) {
    assert_eq!(setup.suppressions(), whole, "{at:?}");
    assert_eq!(setup.review().await["drift"], json!([]), "{at:?}");
    assert_eq!(setup.alerts("suppression-drift"), [""; 0], "{at:?}");
}

async fn without_faults() -> Vec<String> {
    let mut setup = with_changes().await;
    setup.review().await;
    let whole = setup.suppressions();
    assert_eq!(whole.len(), 5);
    whole
}

#[tokio::test(start_paused = true)]
async fn whenever_a_review_dies_the_end_is_the_same() {
    let event = json!({"scheduledAt": "2026-11-24T06:00:00Z"});
    let whole = without_faults().await;
    for at in Moment::all() {
        let setup = with_changes().await;
        let ended = setup.cloud.kill(at.clone(), setup.invoke("first", event.clone())).await;
        if ended.is_some() {
            break;
        }
        setup.pass(1_000);
        setup.invoke("second", event.clone()).await.unwrap();
        expect_same_end(setup, &whole, &at).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_reviews_side_by_side_come_to_the_same_end() {
    let whole = without_faults().await;
    for at in Moment::all() {
        let setup = with_changes().await;
        let second = async {
            setup.pass(1);
            setup.invoke("second", json!({})).await.unwrap();
        };
        let first = setup.invoke("first", json!({}));
        let (first, second) = setup.cloud.interleave(at.clone(), first, second).await;
        first.unwrap();
        if second.is_none() {
            break;
        }
        expect_same_end(setup, &whole, &at).await;
    }
}
