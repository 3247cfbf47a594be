//! People are told what ends, what has ended, what somebody changed, and how much is hidden: each once.

use fleetwarden_aws::testing::Answer;
use serde_json::json;

use crate::setup::House;
use crate::setup::PRESSES;

/// `Cloud` shows attempts that failed, too.
const FAILED: usize = 3;
const NOTHING: &str = "version: 1\nmode: enforce\nrules: []\n";

#[tokio::test(start_paused = true)]
async fn an_end_is_told_a_month_a_week_and_a_day_before_it() {
    let mut house = House::new(PRESSES, 2);
    let mut told = Vec::new();
    for day in 0..225 {
        house.review().await;
        let alerts = house.alerts("suppression-ending");
        told.extend(
            alerts[told.len()..].iter().map(|title| format!("day {day}: {title}")).collect::<Vec<_>>(),
        );
        house.pass_days(1);
    }
    insta::assert_snapshot!(told.join("\n"));
    insta::assert_json_snapshot!(house.messages("suppression-ending")[0]["content"]);
}

#[tokio::test(start_paused = true)]
async fn what_lives_for_a_fortnight_is_not_warned_of_for_a_month() {
    let mut house = House::new(NOTHING, 3);
    house.review().await;
    house.suppress(1, Some(14), "for a fortnight");
    for _ in 0..14 {
        house.review().await;
        house.pass_days(1);
    }
    insta::assert_snapshot!(house.alerts("suppression-ending").join("\n"));
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_and_then_what_the_next_audit_finds_again() {
    for lapsed_stay in [true, false] {
        let house = House::new(NOTHING, 3);
        house.list_lapsed(lapsed_stay);
        end_is_told(house).await;
    }
}

async fn end_is_told(mut house: House) {
    // The certificate of a resource that an audit finds, and one that none does.
    house.audit();
    let tasks = house.ask(
        "GET",
        "/audit/tasks?startTime=2026-11-22T00:00:00Z&endTime=2026-11-24T00:00:00Z",
        &json!(null),
    );
    let task = tasks["tasks"][0]["taskId"].clone();
    let found =
        house.ask("POST", "/audit/findings", &json!({"taskId": task, "checkName": crate::setup::SHARED}));
    let resource = &found["findings"][0]["nonCompliantResource"]["resourceIdentifier"];
    let end = house.cloud.clock().now().seconds() + 3 * 86_400;
    for (token, resource) in
        [("one", resource), ("two", &json!({"deviceCertificateId": house.certificate(1)}))]
    {
        house.ask(
            "POST",
            "/audit/suppressions/create",
            &json!({
                "checkName": crate::setup::SHARED, "resourceIdentifier": resource, "expirationDate": end,
                "description": "Fleetwarden: rule shared; owner ops; for now", "clientRequestToken": token,
            }),
        );
    }
    house.review().await;
    house.pass_days(4);
    let told = house.review().await;
    assert_eq!(told["ended"][0].get("back"), None, "{told}");
    house.review().await;
    house.audit();
    house.review().await;
    house.review().await;
    assert_eq!(
        house.alerts("suppression-ended"),
        [
            "2 suppressions of rule shared (ops) ended on 2026-11-26",
            "2 suppressions of rule shared (ops) ended on 2026-11-26, and 1 of the findings are back",
        ]
    );
    assert!(house.suppressions().iter().all(|line| line.contains(" 2026-11-26 ")), "nothing is renewed");
}

#[tokio::test(start_paused = true)]
async fn a_standing_suppression_that_lapsed_is_never_renewed() {
    for lapsed_stay in [true, false] {
        let mut house = House::new(PRESSES, 1);
        house.list_lapsed(lapsed_stay);
        house.review().await;
        house.pass_days(220);
        for _ in 0..2 {
            let told = house.review().await;
            assert_eq!(told["standing"]["presses"]["lapsed"], true);
            assert!(house.suppressions().iter().all(|line| line.contains(" 2027-06-30 ")));
            assert_eq!(house.calls("/suppressions/create") + house.calls("/suppressions/update"), 0);
        }
        assert_eq!(
            house.alerts("suppression-ended"),
            ["2 suppressions of standing presses (lab) ended on 2027-06-30"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_a_review_runs_was_deleted_by_nobody() {
    let mut house = House::new(NOTHING, 1);
    house.list_lapsed(false);
    house.suppress(1, Some(1), "Fleetwarden: rule shared; owner ops; for now");
    house.review().await;
    house.pass(86_400 - 30);
    // Half a minute before the end when the review begins, and after it when it lists.
    *house.slowness.lock().unwrap() = 40;
    let told = house.review().await;
    assert_eq!(told["drift"], json!([]), "{told}");
    assert_eq!(told["ended"][0]["suppressions"], 1);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changed_or_deleted_is_told_and_mended() {
    let mut house = House::new(PRESSES, 3);
    house.review().await;
    house.delete(1);
    let resource = json!({"deviceCertificateId": house.certificate(2)});
    house.ask(
        "PATCH",
        "/audit/suppressions/update",
        &json!({
            "checkName": crate::setup::SHARED, "resourceIdentifier": resource, "suppressIndefinitely": true,
        }),
    );
    let told = house.review().await;
    insta::assert_json_snapshot!(told["drift"]);
    assert_eq!((house.suppressions().len(), house.alerts("suppression-drift").len()), (6, 1));
    assert!(house.suppressions().iter().all(|line| line.contains(" 2027-06-30 ")));
    assert_eq!(house.review().await["drift"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn the_debt_is_counted_kept_and_told_once_a_week() {
    let mut house = House::new(PRESSES, 4);
    house.review().await;
    house.suppress(5, None, "for ever");
    house.suppress(6, Some(20), "Fleetwarden: rule shared; owner ops; for now");
    house.review().await;
    house.pass_days(1);
    house.audit();
    house.pass_days(1);
    let told = house.review().await;
    insta::assert_json_snapshot!(told["debt"]);
    let kept = house.cloud.item("debt", "latest").unwrap()["debt"].as_str().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&kept).unwrap(), told["debt"]);
    assert_eq!(house.alerts("suppression-debt").len(), 1, "one a week");
    house.pass_days(7);
    house.review().await;
    let digests = house.messages("suppression-debt");
    insta::assert_snapshot!(digests[1]["content"]["title"].as_str().unwrap());
    insta::assert_snapshot!(digests[1]["content"]["description"].as_str().unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_a_review_mended_and_did_not_live_to_tell_is_told() {
    let mut house = House::new(PRESSES, 3);
    house.review().await;
    house.delete(1);
    let event = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    let broken = || Answer::error(500, "InternalError", json!({"message": "broken"}));
    house.cloud.fail("Publish", 3, broken());
    house.invoke("first", event.clone()).await.unwrap_err();
    house.invoke("second", event).await.unwrap();
    assert_eq!((house.suppressions().len(), house.alerts("suppression-drift").len()), (6, 1 + FAILED));
    house.review().await;
    assert_eq!(house.alerts("suppression-drift").len(), 1 + FAILED, "once is enough");
}

#[tokio::test(start_paused = true)]
async fn what_a_review_deleted_before_it_died_was_deleted_by_nobody_else() {
    let mut house = House::new(PRESSES, 3);
    house.review().await;
    house.attach("press-1", &house.certificate(1), false);
    // The memory is written before a change and at the end; the end fails.
    let broken = Answer::error(500, "InternalError", json!({"message": "broken"}));
    house.cloud.fail_later("PUT", 1, 3, broken);
    let event = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    house.invoke("first", event.clone()).await.unwrap_err();
    assert_eq!(house.suppressions().len(), 5);
    house.invoke("second", event).await.unwrap();
    assert_eq!(house.alerts("suppression-drift"), [""; 0]);
    // From then on it is drift again.
    house.delete(2);
    house.review().await;
    assert_eq!(house.alerts("suppression-drift").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn more_than_people_read_is_told_as_one_and_nothing_is_lost() {
    let mut house = House::new(NOTHING, 0);
    house.review().await;
    for n in 0..260 {
        house.suppress_other(n, 60 * 86_400, &format!("Fleetwarden: rule r{n:03}; owner ops; for now"));
    }
    house.review().await;
    house.pass_days(45);
    for _ in 0..2 {
        house.review().await;
        house.pass_days(1);
    }
    let titles = house.alerts("suppression-ending");
    assert_eq!(titles.len(), 200);
    insta::assert_json_snapshot!(house.messages("suppression-ending")[199]["content"]);
    for message in house.cloud.published_to(crate::setup::ALERTS) {
        assert!(message.len() < 256 * 1024);
    }
}

#[tokio::test(start_paused = true)]
async fn who_ends_later_on_the_same_day_is_told_too() {
    let mut house = House::new(NOTHING, 0);
    house.review().await;
    house.suppress_other(1, 86_400 + 3_600, "mine");
    house.suppress_other(2, 86_400 + 10 * 3_600, "mine, too");
    house.review().await;
    house.pass(86_400 + 2 * 3_600);
    house.review().await;
    house.pass_days(1);
    house.review().await;
    house.review().await;
    insta::assert_snapshot!(house.alerts("suppression-ended").join("\n"));
}

#[tokio::test(start_paused = true)]
async fn what_people_make_by_hand_is_told_once() {
    let mut house = House::new(NOTHING, 3);
    house.suppress(1, Some(90), "before the first review");
    house.review().await;
    house.suppress(2, None, "for ever");
    house.suppress(3, Some(90), "for a while");
    house.review().await;
    house.review().await;
    assert_eq!(house.alerts("suppression-by-hand").len(), 1);
    insta::assert_json_snapshot!(house.messages("suppression-by-hand")[0]["content"]);
}

#[tokio::test(start_paused = true)]
async fn a_standing_suppression_that_loses_all_its_members_is_told_before_they_are() {
    let mut house = House::new(PRESSES, 2);
    house.review().await;
    // A type that nothing has: the service says so by an empty list.
    house.have(&PRESSES.replace("thingType: press", "thingType: pres"));
    for _ in 0..2 {
        house.review().await;
    }
    house.have(PRESSES);
    house.review().await;
    house.have(NOTHING);
    house.review().await;
    insta::assert_snapshot!(house.alerts("suppression-dropped").join("\n"));
    house.have(&PRESSES.replace("enforce", "observe").replace("thingType: press", "thingType: pres"));
    house.pass_days(7);
    house.review().await;
    let digests = house.messages("suppression-debt");
    insta::assert_snapshot!(digests.last().unwrap()["content"]["description"].as_str().unwrap());
    assert_eq!(house.alerts("suppression-dropped").len(), 2, "who observes deletes nothing");
}
