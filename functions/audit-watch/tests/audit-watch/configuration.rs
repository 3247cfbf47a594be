//! What is wrong with the audit configuration.

use serde_json::Value;
use serde_json::json;

use crate::setup::Changes;
use crate::setup::DAY;
use crate::setup::HOUR;
use crate::setup::LOGGING;
use crate::setup::ROLE;
use crate::setup::Setup;
use crate::setup::TOPIC;

#[tokio::test(start_paused = true)]
async fn a_wrong_target_raises_an_alert_for_each_reason() {
    let setup = Setup::configured(10).await;
    let good = || json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": true});
    let look = async |target: Value, without| {
        setup.configure(target).await;
        setup.change(Changes { without, ..Changes::default() });
        assert_eq!(setup.run().await["targetMisconfigured"], json!(1));
        setup.change(Changes::default());
    };
    look(json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": false}), None).await;
    let other = "arn:aws:sns:us-east-1:123456789012:other";
    look(json!({"targetArn": other, "roleArn": ROLE, "enabled": true}), None).await;
    insta::assert_snapshot!(setup.alerts_once().await);
    look(good(), Some("auditNotificationTargetConfigurations")).await;
    look(good(), Some("targetArn")).await;
    assert_eq!(setup.alerts().len(), 3, "a target without a topic is no target");
    assert_eq!(setup.problems().await, Vec::<String>::new());
    insta::assert_snapshot!(setup.alerts().split_off(2).join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn an_account_without_audits_raises_one_alert_of_low_severity() {
    let setup = Setup::unconfigured(10);
    let seen = setup.run().await;
    assert_eq!((&seen["targetMisconfigured"], &seen["schedules"]), (&json!(1), &json!(0)));
    insta::assert_snapshot!(setup.alerts_once().await);
    for _ in 0..29 {
        setup.pass(DAY);
        assert_eq!(setup.problems().await, ["not-set-up"]);
    }
    assert_eq!(setup.alerts().len(), 1);
    setup.pass(DAY);
    setup.run().await;
    assert_eq!(setup.alerts().len(), 2, "30 days later it is said again");
}

#[tokio::test(start_paused = true)]
async fn what_was_fixed_and_breaks_again_raises_another_alert() {
    let setup = Setup::configured(10).await;
    let target = |enabled| json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": enabled});
    setup.configure(target(false)).await;
    setup.run().await;
    setup.configure(target(true)).await;
    setup.pass(DAY);
    assert_eq!(setup.problems().await, Vec::<String>::new());
    // What is switched to and fro by two tools is one thing.
    setup.configure(target(false)).await;
    setup.pass(HOUR);
    assert_eq!(setup.problems().await, ["target-disabled"]);
    assert_eq!(setup.alerts().len(), 1);
    setup.configure(target(true)).await;
    for _ in 0..3 {
        setup.pass(DAY);
        assert_eq!(setup.problems().await, Vec::<String>::new());
    }
    setup.configure(target(false)).await;
    assert_eq!(setup.problems().await, ["target-disabled"]);
    assert_eq!(setup.alerts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_problem_at_each_of_few_runs_raises_one_alert() {
    let setup = Setup::configured(10).await;
    setup.configure(json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": false})).await;
    for _ in 0..4 {
        assert_eq!(setup.problems().await, ["target-disabled"]);
        setup.pass(7 * DAY);
    }
    assert_eq!(setup.alerts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_configuration_raises_one_alert_for_all_schedules() {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.schedule("daily", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    setup.pass(7 * HOUR);
    setup.only(&setup.handle_all().await);
    setup.run().await;
    setup.call("DeleteAccountAuditConfiguration", json!({})).await;
    setup.pass(4 * DAY);
    assert_eq!(setup.problems().await, ["not-set-up"]);
    insta::assert_snapshot!(setup.alerts_once().await);
    // What could not run meanwhile is not called late once it can, and is expected from then on.
    setup.configure(json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": true})).await;
    assert_eq!(setup.problems().await, Vec::<String>::new());
    setup.pass(3 * DAY);
    assert_eq!(setup.problems().await, ["missing", "missing"]);
}

#[tokio::test(start_paused = true)]
async fn disabled_checks_of_a_schedule_are_named() {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.call("DeleteAccountAuditConfiguration", json!({})).await;
    let input = json!({
        "roleArn": ROLE, "auditCheckConfigurations": {LOGGING: {"enabled": true}},
        "auditNotificationTargetConfigurations": {"SNS": {"targetArn": TOPIC, "roleArn": ROLE, "enabled": true}},
    });
    setup.call("UpdateAccountAuditConfiguration", input).await;
    assert_eq!(setup.problems().await, ["disabled-checks"]);
    setup.call("DeleteScheduledAudit", json!({"scheduledAuditName": "nightly"})).await;
    let none = json!({"auditCheckConfigurations": {LOGGING: {"enabled": false}}});
    setup.call("UpdateAccountAuditConfiguration", none).await;
    assert_eq!(setup.problems().await, ["no-checks"]);
    insta::assert_snapshot!(setup.alerts_once().await);
}
