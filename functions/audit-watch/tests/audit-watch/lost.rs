//! Audits that ended and whose notification was lost.

use std::time::Duration;

use fleetwarden_aws::testing::Answer;
use fleetwarden_core::api::notification::Notification;
use serde_json::Value;
use serde_json::json;

use crate::setup::CHECKS;
use crate::setup::DAY;
use crate::setup::HOUR;
use crate::setup::LOGGING;
use crate::setup::PARKED;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::TOPIC;
use crate::setup::notification_of;

#[tokio::test(start_paused = true)]
async fn a_lost_notification_is_published_again_and_raises_an_alert() {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    setup.pass(7 * HOUR);
    // It began at six and may have ended a moment ago.
    assert_eq!(setup.problems().await, Vec::<String>::new());
    setup.pass(HOUR);
    let mut seen = setup.run().await;
    let task = setup.tasks().await.remove(0);
    let seen_task = &mut seen["problems"][0]["audits"][0]["taskId"];
    assert_eq!(*seen_task, json!(task));
    *seen_task = "TASK".into();
    insta::assert_json_snapshot!(seen);
    let [sent] = <[String; 1]>::try_from(setup.cloud.published_to(TOPIC)).unwrap();
    assert!(matches!(Notification::parse(&sent).unwrap(), Notification::AuditEnded(_)));
    insta::assert_snapshot!(sent.replace(&task, "TASK").replace(",\"", ",\n\""));
    insta::assert_snapshot!(setup.alerts().join("\n\n").replace(&task, "TASK"));
    // The topic brings it to the function: then it is an audit like any other, and stays one.
    setup.handle(&sent).await;
    let asked = setup.cloud.sent_to(CHECKS);
    assert!(!asked.is_empty() && asked.iter().all(|message| message.contains(&task)), "{asked:?}");
    setup.handle(&sent).await;
    assert_eq!(setup.cloud.sent_to(CHECKS), asked);
    assert_eq!(setup.problems().await, Vec::<String>::new());
    assert_eq!((setup.alerts().len(), setup.cloud.published_to(TOPIC).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_audit_whose_messages_were_never_accepted_is_unheard() {
    for operation in ["SendMessageBatch", "Publish"] {
        let setup = Setup::configured(10).await;
        setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
        setup.run().await;
        setup.control("check-failures", &json!({"failing": [LOGGING]}));
        setup.pass(9 * HOUR);
        let task = setup.tasks().await.remove(0);
        let notification = setup.notification(&task).await;
        setup.cloud.fail(operation, 3, Answer::refused());
        for _ in 0..3 {
            setup.deliver(&notification).await.unwrap_err();
            setup.pass(120);
        }
        // That triage may read the check is on record, and does not count as the audit's end.
        assert!(setup.cloud.item(&format!("history#{SHARED}"), "audit").is_some());
        assert_eq!(setup.problems().await, ["unheard"]);
        let [sent] = <[String; 1]>::try_from(setup.cloud.published_to(TOPIC)).unwrap();
        setup.handle(&sent).await;
        assert!(setup.cloud.sent_to(CHECKS).iter().any(|message| message.contains(&task)), "{operation}");
        assert!(setup.alerts().iter().any(|alert| alert.contains("audit-failed")), "{operation}");
        assert_eq!(setup.problems().await, Vec::<String>::new());
    }
}

/// Neither a forged notification of an audit that is running nor one that reports no findings counts as handled.
#[tokio::test(start_paused = true)]
async fn a_forged_notification_does_not_count_as_handled() {
    let setup = Setup::configured(3 * HOUR).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    setup.pass(6 * HOUR + 60);
    let task = setup.tasks().await.remove(0);
    let answer = setup.call("DescribeAuditTask", json!({"taskId": task})).await;
    let mut early: Value = serde_json::from_str(&notification_of(&task, &answer)).unwrap();
    early["taskStatus"] = "COMPLETED".into();
    for check in early["auditDetails"].as_array_mut().unwrap() {
        check["checkRunStatus"] = "COMPLETED_COMPLIANT".into();
    }
    assert_eq!(setup.deliver(&early.to_string()).await.unwrap_err().name(), "Fleetwarden.Later");
    early["taskId"] = "00000000".into();
    setup.deliver(&early.to_string()).await.unwrap();
    assert_eq!(setup.cloud.sent_to(PARKED).len(), 1);
    // Its true notification is lost.
    setup.pass(9 * HOUR);
    assert_eq!(setup.problems().await, ["unheard"]);
    let [sent] = <[String; 1]>::try_from(setup.cloud.published_to(TOPIC)).unwrap();
    setup.deliver(&sent).await.unwrap();
    assert_eq!(setup.cloud.sent_to(PARKED).len(), 1, "what the watch makes agrees with the service");
    assert!(setup.cloud.sent_to(CHECKS).iter().all(|message| message.contains(&task)));
    assert_eq!(setup.problems().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_refuses_raises_an_alert_and_is_tried_again() {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    setup.control("check-failures", &json!({"failing": [LOGGING, SHARED]}));
    setup.pass(9 * HOUR);
    let refused = "<ErrorResponse><Error><Code>KMSAccessDenied</Code><Message>kms:GenerateDataKey</Message></Error></ErrorResponse>";
    setup.cloud.fail("Publish", 1, Answer::error(400, "KMSAccessDenied", refused));
    let seen = setup.run().await;
    assert_eq!((&seen["auditsUnheard"], &seen["checksFailed"]), (&json!(1), &json!(2)));
    let task = setup.tasks().await.remove(0);
    insta::assert_snapshot!(setup.alerts().join("\n\n").replace(&task, "TASK"));
    // The topic accepts it at the next run and delivers it to nobody.
    assert_eq!(
        (setup.problems().await, setup.problems().await),
        (vec!["unheard".into()], vec!["undelivered".into()])
    );
    assert_eq!(setup.alerts().len(), 3);
    setup.alerts_once().await;
    assert!(setup.cloud.published_to(TOPIC).len() > 3, "each run tries again while it is not handled");
}

#[tokio::test(start_paused = true)]
async fn a_notification_on_its_way_is_waited_for() {
    let setup = Setup::configured(3 * HOUR).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    // The audit took three hours and ended now; its notification is handled during the run.
    setup.pass(9 * HOUR);
    let task = setup.tasks().await.remove(0);
    let notification = setup.notification(&task).await;
    let comes = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        setup.handle(&notification).await;
    };
    let (seen, ()) = futures_util::future::join(setup.run(), comes).await;
    assert_eq!((&seen["audits"], &seen["problems"]), (&json!(1), &json!([])));
    assert_eq!(setup.cloud.published_to(TOPIC), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn audits_from_before_the_first_run_count_as_handled() {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.pass(40 * DAY);
    assert_eq!(setup.problems().await, Vec::<String>::new());
    setup.pass(3 * HOUR);
    let seen = setup.run().await;
    assert_eq!((&seen["audits"], &seen["problems"]), (&json!(0), &json!([])));
}

#[tokio::test(start_paused = true)]
async fn a_path_that_is_broken_for_weeks_raises_one_alert_and_another_if_nothing_helps() {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    setup.pass(9 * HOUR);
    // Notifications do not come; those that the watch makes do.
    for _ in 0..10 {
        assert_eq!(setup.run().await["auditsUnheard"], json!(1));
        setup.handle_all().await;
        setup.pass(DAY);
    }
    assert_eq!(setup.alerts().len(), 1);
    // Now those do not come either.
    for _ in 0..10 {
        setup.run().await;
        setup.pass(DAY);
    }
    assert_eq!(setup.problems().await, ["unheard", "undelivered"]);
    assert_eq!(setup.alerts().len(), 2);
    let last = setup.alerts().remove(1);
    let ids = setup.tasks().await;
    insta::assert_snapshot!(ids.iter().fold(last, |text, id| text.replace(id, "TASK")));
}

#[tokio::test(start_paused = true)]
async fn more_than_one_run_describes_is_left_to_the_next_ones() {
    let setup = Setup::configured(10).await;
    setup.schedule("monthly", json!({"frequency": "MONTHLY", "dayOfMonth": "1"})).await;
    setup.run().await;
    setup.pass(10 * DAY);
    for _ in 0..30 {
        setup.call("StartOnDemandAuditTask", json!({"targetCheckNames": [LOGGING]})).await;
        setup.pass(60);
    }
    setup.pass(3 * HOUR);
    // The run of the month is the oldest of them, and what was left out.
    assert_eq!(setup.problems().await, ["unheard"]);
    let asked = |setup: &Setup| {
        let calls = setup.calls.lock().unwrap();
        calls.iter().filter(|call| call.starts_with("GET /audit/tasks/")).count()
    };
    assert_eq!(asked(&setup), 20);
    for sent in setup.cloud.published_to(TOPIC) {
        setup.handle(&sent).await;
    }
    let seen = setup.run().await;
    assert_eq!((&seen["auditsUnheard"], asked(&setup)), (&json!(11), 11));
    assert_eq!(setup.alerts().len(), 1);
}
