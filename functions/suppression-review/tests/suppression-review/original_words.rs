//! Device Defender has the operator's words in ASCII; alerts and counts have the original words.

use serde_json::Value;
use serde_json::json;

use crate::setup::PRESSES;
use crate::setup::Setup;

const OWNER: &str = "jürgen.müller@example.com";
const NOTHING: &str = "version: 1\nmode: enforce\nrules: []\n";

fn policy() -> String {
    PRESSES.replace("owner: lab", &format!("owner: {OWNER}")).replace("replaced in summer", "设备将更换")
}

fn owners(answer: &Value) -> Vec<(&str, u64)> {
    let owners = answer["debt"]["owners"].as_object().unwrap().iter();
    owners.map(|(owner, owned)| (owner.as_str(), owned["suppressions"].as_u64().unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_in_ascii_is_counted_and_reported_in_the_operators_words() {
    let mut setup = Setup::new(&policy(), 2);
    for created in [4, 0, 0] {
        let answer = setup.review().await;
        let presses = &answer["standing"]["presses"];
        assert_eq!((&presses["created"], &presses["updated"]), (&json!(created), &json!(0)), "{answer}");
        assert_eq!((owners(&answer), &answer["debt"]["ownerless"]), (vec![(OWNER, 4)], &json!(0)));
        assert_eq!((&answer["makers"][0]["owner"], &answer["drift"]), (&json!(OWNER), &json!([])));
    }
    let described = "Fleetwarden: standing presses; owner jurgen.muller@example.com; She Bei Jiang Geng Huan";
    assert!(setup.suppressions().iter().all(|line| line.ends_with(described)), "{:?}", setup.suppressions());
    assert_eq!(setup.calls("/suppressions/update") + setup.calls("/suppressions/create"), 0);
    assert!(setup.messages("suppression-debt")[0].to_string().contains(OWNER));
}

#[tokio::test(start_paused = true)]
async fn the_words_outlive_the_policy_and_its_end() {
    let mut setup = Setup::new(&policy(), 2);
    setup.review().await;
    // Another owner is in the policy that observes now, and what is there says who answers for it.
    setup.have(&PRESSES.replace("owner: lab", "owner: Zoë").replace("enforce", "observe"));
    let answer = setup.review().await;
    assert_eq!((owners(&answer), &answer["drift"]), (vec![(OWNER, 4)], &json!([])), "{answer}");
    assert_eq!(setup.cloud.item("suppression-words#standing presses", "Zoe"), None);
    setup.pass_days(220);
    setup.review().await;
    assert_eq!(
        setup.alerts("suppression-ended"),
        [format!("4 suppressions of standing suppression presses (`{OWNER}`) expired on 2027-06-30")]
    );
}

#[tokio::test(start_paused = true)]
async fn drift_is_reported_in_the_operators_words_and_another_spelling_is_none() {
    let mut setup = Setup::new(&policy(), 3);
    setup.review().await;
    setup.delete(1);
    let answer = setup.review().await;
    assert_eq!(answer["drift"][0]["owner"], OWNER, "{answer}");
    let alert = setup.messages("suppression-drift")[0].to_string();
    assert!(alert.contains(OWNER), "{alert}");
    // In Device Defender it is the same.
    setup.have(&policy().replace("jürgen", "jurgén"));
    let answer = setup.review().await;
    assert_eq!((&answer["standing"]["presses"]["updated"], &answer["drift"]), (&json!(0), &json!([])));
    assert_eq!(owners(&answer), [("jurgén.müller@example.com", 6)]);
}

#[tokio::test(start_paused = true)]
async fn owners_that_have_no_room_or_no_letters_in_ascii_are_owners_all_the_same() {
    for owner in ["李雷".repeat(300), "\u{e000}\u{e001}".to_owned(), "a; b".to_owned()] {
        let mut setup = Setup::new(&PRESSES.replace("owner: lab", &format!("owner: '{owner}'")), 1);
        setup.review().await;
        let answer = setup.review().await;
        assert_eq!((owners(&answer), &answer["debt"]["ownerless"]), (vec![(owner.as_str(), 2)], &json!(0)));
        assert_eq!(answer["standing"]["presses"]["unchanged"], 2, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn words_are_saved_before_the_first_suppression_and_not_by_a_dry_run() {
    let saved = |setup: &Setup| setup.cloud.items("suppression-words#").len();
    let setup = Setup::new(&policy(), 2);
    setup.invoke("dry", json!({"dryRun": true})).await.unwrap();
    assert_eq!(saved(&setup), 0);
    *setup.denied.lock().unwrap() = Some("/audit/suppressions/create");
    setup.invoke("real", json!({})).await.unwrap();
    assert_eq!((saved(&setup), setup.suppressions().len()), (2, 0));

    let mut setup = Setup::new(NOTHING, 1);
    setup.suppress(1, None, "by hand; owner x");
    let answer = setup.review().await;
    assert_eq!((owners(&answer), saved(&setup)), (vec![("", 1)], 0));
}
