//! What expires, has expired, was modified outside Fleetwarden, and how much is hidden: one alert each.

use fleetwarden_aws::testing::Answer;
use serde_json::json;

use crate::setup::PRESSES;
use crate::setup::Setup;

/// `Cloud` shows attempts that failed, too.
const FAILED: usize = 3;
const NOTHING: &str = "version: 1\nmode: enforce\nrules: []\n";

#[tokio::test(start_paused = true)]
async fn an_expiry_raises_alerts_a_month_a_week_and_a_day_before() {
    let mut setup = Setup::new(PRESSES, 2);
    let mut raised = Vec::new();
    for day in 0..225 {
        setup.review().await;
        let alerts = setup.alerts("suppression-ending");
        raised.extend(
            alerts[raised.len()..].iter().map(|title| format!("day {day}: {title}")).collect::<Vec<_>>(),
        );
        setup.pass_days(1);
    }
    insta::assert_snapshot!(raised.join("\n"));
    insta::assert_json_snapshot!(setup.messages("suppression-ending")[0]["content"]);
}

#[tokio::test(start_paused = true)]
async fn what_lives_for_a_fortnight_raises_no_alert_a_month_before() {
    let mut setup = Setup::new(NOTHING, 3);
    setup.review().await;
    setup.suppress(1, Some(14), "for a fortnight");
    for _ in 0..14 {
        setup.review().await;
        setup.pass_days(1);
    }
    insta::assert_snapshot!(setup.alerts("suppression-ending").join("\n"));
}

#[tokio::test(start_paused = true)]
async fn an_expiry_raises_an_alert_and_another_after_the_next_audit() {
    for lapsed_stay in [true, false] {
        let setup = Setup::new(NOTHING, 3);
        setup.list_lapsed(lapsed_stay);
        expect_expiry_alerts(setup).await;
    }
}

async fn expect_expiry_alerts(mut setup: Setup) {
    // The certificate of a resource that an audit finds, and one that none does.
    setup.audit();
    let tasks = setup.ask(
        "GET",
        "/audit/tasks?startTime=2026-11-22T00:00:00Z&endTime=2026-11-24T00:00:00Z",
        &json!(null),
    );
    let task = tasks["tasks"][0]["taskId"].clone();
    let found =
        setup.ask("POST", "/audit/findings", &json!({"taskId": task, "checkName": crate::setup::SHARED}));
    let resource = &found["findings"][0]["nonCompliantResource"]["resourceIdentifier"];
    let end = setup.cloud.clock().now().seconds() + 3 * 86_400;
    for (token, resource) in
        [("one", resource), ("two", &json!({"deviceCertificateId": setup.certificate(1)}))]
    {
        setup.ask(
            "POST",
            "/audit/suppressions/create",
            &json!({
                "checkName": crate::setup::SHARED, "resourceIdentifier": resource, "expirationDate": end,
                "description": "Fleetwarden: rule shared; owner ops; for now", "clientRequestToken": token,
            }),
        );
    }
    setup.review().await;
    setup.pass_days(4);
    let answer = setup.review().await;
    assert_eq!(answer["ended"][0].get("back"), None, "{answer}");
    setup.review().await;
    setup.audit();
    setup.review().await;
    setup.review().await;
    assert_eq!(
        setup.alerts("suppression-ended"),
        [
            "2 suppressions of rule shared (ops) expired on 2026-11-26",
            "2 suppressions of rule shared (ops) expired on 2026-11-26, and 1 finding is back",
        ]
    );
    assert!(setup.suppressions().iter().all(|line| line.contains(" 2026-11-26 ")), "nothing is renewed");
}

#[tokio::test(start_paused = true)]
async fn an_expired_standing_suppression_is_never_renewed() {
    for lapsed_stay in [true, false] {
        let mut setup = Setup::new(PRESSES, 1);
        setup.list_lapsed(lapsed_stay);
        setup.review().await;
        setup.pass_days(220);
        for _ in 0..2 {
            let answer = setup.review().await;
            assert_eq!(answer["standing"]["presses"]["lapsed"], true);
            assert!(setup.suppressions().iter().all(|line| line.contains(" 2027-06-30 ")));
            assert_eq!(setup.calls("/suppressions/create") + setup.calls("/suppressions/update"), 0);
        }
        assert_eq!(
            setup.alerts("suppression-ended"),
            ["2 suppressions of standing suppression presses (lab) expired on 2027-06-30"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_expires_during_a_review_is_no_drift() {
    let mut setup = Setup::new(NOTHING, 1);
    setup.list_lapsed(false);
    setup.suppress(1, Some(1), "Fleetwarden: rule shared; owner ops; for now");
    setup.review().await;
    setup.pass(86_400 - 30);
    // Half a minute before the end when the review begins, and after it when it lists.
    *setup.slowness.lock().unwrap() = 40;
    let answer = setup.review().await;
    assert_eq!(answer["drift"], json!([]), "{answer}");
    assert_eq!(answer["ended"][0]["suppressions"], 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_modified_outside_raises_an_alert_and_is_restored() {
    let mut setup = Setup::new(PRESSES, 3);
    setup.review().await;
    setup.delete(1);
    let resource = json!({"deviceCertificateId": setup.certificate(2)});
    setup.ask(
        "PATCH",
        "/audit/suppressions/update",
        &json!({
            "checkName": crate::setup::SHARED, "resourceIdentifier": resource, "suppressIndefinitely": true,
        }),
    );
    let answer = setup.review().await;
    insta::assert_json_snapshot!(answer["drift"]);
    assert_eq!((setup.suppressions().len(), setup.alerts("suppression-drift").len()), (6, 1));
    assert!(setup.suppressions().iter().all(|line| line.contains(" 2027-06-30 ")));
    assert_eq!(setup.review().await["drift"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn the_debt_is_counted_and_raises_an_alert_once_a_week() {
    let mut setup = Setup::new(PRESSES, 4);
    setup.review().await;
    setup.suppress(5, None, "for ever");
    setup.suppress(6, Some(20), "Fleetwarden: rule shared; owner ops; for now");
    setup.review().await;
    setup.pass_days(1);
    setup.audit();
    setup.pass_days(1);
    let answer = setup.review().await;
    insta::assert_json_snapshot!(answer["debt"]);
    let debt = setup.cloud.item("debt", "latest").unwrap()["debt"].as_str().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&debt).unwrap(), answer["debt"]);
    assert_eq!(setup.alerts("suppression-debt").len(), 1, "one a week");
    setup.pass_days(7);
    setup.review().await;
    let digests = setup.messages("suppression-debt");
    insta::assert_snapshot!(digests[1]["content"]["title"].as_str().unwrap());
    insta::assert_snapshot!(digests[1]["content"]["description"].as_str().unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_a_review_restored_before_it_died_raises_an_alert() {
    let mut setup = Setup::new(PRESSES, 3);
    setup.review().await;
    setup.delete(1);
    let event = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    let broken = || Answer::error(500, "InternalError", json!({"message": "broken"}));
    setup.cloud.fail("Publish", 3, broken());
    setup.invoke("first", event.clone()).await.unwrap_err();
    setup.invoke("second", event).await.unwrap();
    assert_eq!((setup.suppressions().len(), setup.alerts("suppression-drift").len()), (6, 1 + FAILED));
    setup.review().await;
    assert_eq!(setup.alerts("suppression-drift").len(), 1 + FAILED, "once is enough");
}

#[tokio::test(start_paused = true)]
async fn what_a_review_deleted_before_it_died_is_no_drift() {
    let mut setup = Setup::new(PRESSES, 3);
    setup.review().await;
    setup.attach("press-1", &setup.certificate(1), false);
    // The memory is written before a change and at the end; the end fails.
    let broken = Answer::error(500, "InternalError", json!({"message": "broken"}));
    setup.cloud.fail_later("PUT", 1, 3, broken);
    let event = json!({"scheduledAt": "2026-11-23T06:00:00Z"});
    setup.invoke("first", event.clone()).await.unwrap_err();
    assert_eq!(setup.suppressions().len(), 5);
    setup.invoke("second", event).await.unwrap();
    assert_eq!(setup.alerts("suppression-drift"), [""; 0]);
    // From then on it is drift again.
    setup.delete(2);
    setup.review().await;
    assert_eq!(setup.alerts("suppression-drift").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn too_many_alerts_become_one_and_nothing_is_lost() {
    let mut setup = Setup::new(NOTHING, 0);
    setup.review().await;
    for n in 0..260 {
        setup.suppress_other(n, 60 * 86_400, &format!("Fleetwarden: rule r{n:03}; owner ops; for now"));
    }
    setup.review().await;
    setup.pass_days(45);
    for _ in 0..2 {
        setup.review().await;
        setup.pass_days(1);
    }
    let titles = setup.alerts("suppression-ending");
    assert_eq!(titles.len(), 200);
    insta::assert_json_snapshot!(setup.messages("suppression-ending")[199]["content"]);
    for message in setup.cloud.published_to(crate::setup::ALERTS) {
        assert!(message.len() < 256 * 1024);
    }
}

#[tokio::test(start_paused = true)]
async fn what_expires_later_on_the_same_day_raises_an_alert_too() {
    let mut setup = Setup::new(NOTHING, 0);
    setup.review().await;
    setup.suppress_other(1, 86_400 + 3_600, "mine");
    setup.suppress_other(2, 86_400 + 10 * 3_600, "mine, too");
    setup.review().await;
    setup.pass(86_400 + 2 * 3_600);
    setup.review().await;
    setup.pass_days(1);
    setup.review().await;
    setup.review().await;
    insta::assert_snapshot!(setup.alerts("suppression-ended").join("\n"));
}

#[tokio::test(start_paused = true)]
async fn what_is_made_by_hand_raises_one_alert() {
    let mut setup = Setup::new(NOTHING, 3);
    setup.suppress(1, Some(90), "before the first review");
    setup.review().await;
    setup.suppress(2, None, "for ever");
    setup.suppress(3, Some(90), "for a while");
    setup.review().await;
    setup.review().await;
    assert_eq!(setup.alerts("suppression-by-hand").len(), 1);
    insta::assert_json_snapshot!(setup.messages("suppression-by-hand")[0]["content"]);
}

#[tokio::test(start_paused = true)]
async fn a_standing_suppression_without_members_raises_an_alert_before_it_is_dropped() {
    let mut setup = Setup::new(PRESSES, 2);
    setup.review().await;
    // A type that nothing has: the service says so by an empty list.
    setup.have(&PRESSES.replace("thingType: press", "thingType: pres"));
    for _ in 0..2 {
        setup.review().await;
    }
    setup.have(PRESSES);
    setup.review().await;
    setup.have(NOTHING);
    setup.review().await;
    insta::assert_snapshot!(setup.alerts("suppression-dropped").join("\n"));
    setup.have(&PRESSES.replace("enforce", "observe").replace("thingType: press", "thingType: pres"));
    setup.pass_days(7);
    setup.review().await;
    let digests = setup.messages("suppression-debt");
    insta::assert_snapshot!(digests.last().unwrap()["content"]["description"].as_str().unwrap());
    assert_eq!(setup.alerts("suppression-dropped").len(), 2, "who observes deletes nothing");
}
