//! Device Defender has the operator's words in ASCII; what people are told and what is counted has them as they wrote them.

use serde_json::Value;
use serde_json::json;

use crate::setup::House;
use crate::setup::PRESSES;

const OWNER: &str = "jürgen.müller@example.com";
const NOTHING: &str = "version: 1\nmode: enforce\nrules: []\n";

fn policy() -> String {
    PRESSES.replace("owner: lab", &format!("owner: {OWNER}")).replace("replaced in summer", "设备将更换")
}

fn owners(told: &Value) -> Vec<(&str, u64)> {
    let owners = told["debt"]["owners"].as_object().unwrap().iter();
    owners.map(|(owner, owned)| (owner.as_str(), owned["suppressions"].as_u64().unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_in_ascii_is_found_again_counted_and_told_in_the_operators_words() {
    let mut house = House::new(&policy(), 2);
    for created in [4, 0, 0] {
        let told = house.review().await;
        let presses = &told["standing"]["presses"];
        assert_eq!((&presses["created"], &presses["updated"]), (&json!(created), &json!(0)), "{told}");
        assert_eq!((owners(&told), &told["debt"]["ownerless"]), (vec![(OWNER, 4)], &json!(0)));
        assert_eq!((&told["makers"][0]["owner"], &told["drift"]), (&json!(OWNER), &json!([])));
    }
    let described = "Fleetwarden: standing presses; owner jurgen.muller@example.com; She Bei Jiang Geng Huan";
    assert!(house.suppressions().iter().all(|line| line.ends_with(described)), "{:?}", house.suppressions());
    assert_eq!(house.calls("/suppressions/update") + house.calls("/suppressions/create"), 0);
    assert!(house.messages("suppression-debt")[0].to_string().contains(OWNER));
}

#[tokio::test(start_paused = true)]
async fn the_words_outlive_the_policy_and_its_end() {
    let mut house = House::new(&policy(), 2);
    house.review().await;
    // Another owner is in the policy that observes now, and what is there says who answers for it.
    house.have(&PRESSES.replace("owner: lab", "owner: Zoë").replace("enforce", "observe"));
    let told = house.review().await;
    assert_eq!((owners(&told), &told["drift"]), (vec![(OWNER, 4)], &json!([])), "{told}");
    assert_eq!(house.cloud.item("suppression-words#standing presses", "Zoe"), None);
    house.pass_days(220);
    house.review().await;
    assert_eq!(
        house.alerts("suppression-ended"),
        [format!("4 suppressions of standing presses (`{OWNER}`) ended on 2027-06-30")]
    );
}

#[tokio::test(start_paused = true)]
async fn drift_is_told_in_the_operators_words_and_another_spelling_is_none() {
    let mut house = House::new(&policy(), 3);
    house.review().await;
    house.delete(1);
    let told = house.review().await;
    assert_eq!(told["drift"][0]["owner"], OWNER, "{told}");
    let alert = house.messages("suppression-drift")[0].to_string();
    assert!(alert.contains(OWNER), "{alert}");
    // In Device Defender it is the same.
    house.have(&policy().replace("jürgen", "jurgén"));
    let told = house.review().await;
    assert_eq!((&told["standing"]["presses"]["updated"], &told["drift"]), (&json!(0), &json!([])));
    assert_eq!(owners(&told), [("jurgén.müller@example.com", 6)]);
}

#[tokio::test(start_paused = true)]
async fn owners_that_have_no_room_or_no_letters_in_ascii_are_owners_all_the_same() {
    for owner in ["李雷".repeat(300), "\u{e000}\u{e001}".to_owned(), "a; b".to_owned()] {
        let mut house = House::new(&PRESSES.replace("owner: lab", &format!("owner: '{owner}'")), 1);
        house.review().await;
        let told = house.review().await;
        assert_eq!((owners(&told), &told["debt"]["ownerless"]), (vec![(owner.as_str(), 2)], &json!(0)));
        assert_eq!(told["standing"]["presses"]["unchanged"], 2, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn words_are_kept_before_the_first_suppression_and_not_by_a_dry_run() {
    let kept = |house: &House| house.cloud.items("suppression-words#").len();
    let house = House::new(&policy(), 2);
    house.invoke("dry", json!({"dryRun": true})).await.unwrap();
    assert_eq!(kept(&house), 0);
    *house.denied.lock().unwrap() = Some("/audit/suppressions/create");
    house.invoke("real", json!({})).await.unwrap();
    assert_eq!((kept(&house), house.suppressions().len()), (2, 0));

    let mut house = House::new(NOTHING, 1);
    house.suppress(1, None, "by hand; owner x");
    let told = house.review().await;
    assert_eq!((owners(&told), kept(&house)), (vec![("", 1)], 0));
}
