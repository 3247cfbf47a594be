//! What only a look at the account tells, what has to be confirmed, and that no change is made when it is refused.

use fleetwarden_core::ids::check::KNOWN;
use serde_json::Value;
use serde_json::json;

use crate::setup::ACCOUNT;
use crate::setup::LOGGING;
use crate::setup::POLICY;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::setup;

fn disable(checks: &[&str]) -> Value {
    let checks: Value = checks.iter().map(|check| ((*check).to_owned(), json!({"enabled": false}))).collect();
    json!({"command": "UpdateAccountAuditConfiguration", "auditCheckConfigurations": checks})
}

async fn enabled(setup: &Setup) -> Vec<String> {
    let now = setup.ok(json!({"command": "DescribeAccountAuditConfiguration"})).await;
    let checks = now["auditCheckConfigurations"].as_object().unwrap();
    let enabled = checks.iter().filter(|(_, check)| check["enabled"] == true).map(|(name, _)| name.clone());
    setup.calls();
    enabled.collect()
}

#[tokio::test(start_paused = true)]
async fn a_check_has_to_be_enabled() {
    let setup = setup();
    setup.enable(&[LOGGING]).await;
    let checks = [LOGGING, SHARED, "IOT_POLICY_UNRESTRICTED_CHECK"];
    let refused = "InvalidInput\n\
        $.targetCheckNames[1]: DEVICE_CERTIFICATE_SHARED_CHECK is not enabled for the account; \
        UpdateAccountAuditConfiguration enables it\n\
        $.targetCheckNames[2]: IOT_POLICY_OVERLY_PERMISSIVE_CHECK is not enabled for the account; \
        UpdateAccountAuditConfiguration enables it";
    let start = json!({"command": "StartOnDemandAuditTask", "targetCheckNames": checks});
    assert_eq!(setup.fails(start.clone()).await, refused);
    let create = json!({
        "command": "CreateScheduledAudit", "scheduledAuditName": "s", "frequency": "DAILY", "targetCheckNames": checks,
    });
    assert_eq!(setup.fails(create).await, refused);
    let update =
        json!({"command": "UpdateScheduledAudit", "scheduledAuditName": "s", "targetCheckNames": checks});
    assert_eq!(setup.fails(update).await, refused);
    let mut dry = start;
    dry["dryRun"] = true.into();
    assert_eq!(setup.fails(dry).await, refused);
    assert_eq!(setup.calls(), ["GET /audit/configuration"; 4].join("\n"));
}

#[tokio::test(start_paused = true)]
async fn what_may_disable_a_check_is_confirmed_too() {
    let setup = setup();
    setup.enable(&[LOGGING, SHARED]).await;
    setup.calls();
    let mut event = disable(&[LOGGING]);
    event["auditCheckConfigurations"] = json!({LOGGING: {}, SHARED: {"enabled": true}, POLICY: {}});
    assert_eq!(
        setup.fails(event.clone()).await,
        "ConfirmationRequired\nto disable LOGGING_DISABLED_CHECK deletes what was collected for it, and to leave \
         'enabled' out may disable it. Confirm with --confirm 123456789012 (in an event: \"confirm\": \"123456789012\")"
    );
    assert!(!setup.calls().contains("PATCH"));
    event["confirm"] = ACCOUNT.into();
    setup.ok(event).await;
}

#[tokio::test(start_paused = true)]
async fn there_are_five_schedules_at_most() {
    let setup = setup();
    setup.enable(&[LOGGING]).await;
    let create = |name: &str| {
        json!({
            "command": "CreateScheduledAudit", "scheduledAuditName": name, "frequency": "DAILY",
            "targetCheckNames": [LOGGING],
        })
    };
    for name in ["a", "b", "c", "d", "e"] {
        setup.schedule(name, &[LOGGING]).await;
    }
    assert_eq!(
        setup.fails(create("f")).await,
        "LimitExceededException\nan account has 5 scheduled audits at most, and has 'a', 'b', 'c', 'd', 'e'; \
         delete one first"
    );
    assert_eq!(setup.calls(), "GET /audit/configuration\nGET /audit/scheduledaudits?maxResults=250");
    assert!(setup.fails(create("e")).await.starts_with("ResourceAlreadyExistsException\n"));
}

#[tokio::test(start_paused = true)]
async fn a_day_fits_the_frequency_that_is_there() {
    let setup = setup();
    setup.enable(&[LOGGING]).await;
    setup.schedule("daily", &[LOGGING]).await;
    let day = json!({"command": "UpdateScheduledAudit", "scheduledAuditName": "daily", "dayOfMonth": "LAST"});
    assert_eq!(
        setup.fails(day).await,
        "InvalidInput\n$.dayOfMonth: is not for the frequency DAILY that the scheduled audit has"
    );
    let both = json!({
        "command": "UpdateScheduledAudit", "scheduledAuditName": "daily", "frequency": "MONTHLY", "dayOfMonth": "LAST",
    });
    setup.calls();
    setup.ok(both).await;
    assert_eq!(setup.calls(), "PATCH /audit/scheduledaudits/daily");
    setup
        .ok(json!({"command": "UpdateScheduledAudit", "scheduledAuditName": "daily", "dayOfMonth": "1"}))
        .await;
    let missing = json!({"command": "UpdateScheduledAudit", "scheduledAuditName": "none", "dayOfMonth": "1"});
    assert!(setup.fails(missing).await.starts_with("ResourceNotFoundException\nDescribeScheduledAudit: "));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_a_schedule_uses_is_not_disabled() {
    let setup = setup();
    setup.enable(&[LOGGING, SHARED, POLICY]).await;
    setup.schedule("one", &[LOGGING, SHARED]).await;
    setup.schedule("two", &[SHARED]).await;
    let mut event = disable(&[LOGGING, SHARED, POLICY]);
    event["confirm"] = ACCOUNT.into();
    insta::assert_snapshot!(setup.fails(event).await, @r"
    InvalidInput
    $.auditCheckConfigurations.DEVICE_CERTIFICATE_SHARED_CHECK.enabled: scheduled audits use the check: 'one', 'two'; take it out of them first
    $.auditCheckConfigurations.LOGGING_DISABLED_CHECK.enabled: scheduled audits use the check: 'one'; take it out of them first
    ");
    assert!(!setup.calls().contains("PATCH"));
    assert_eq!(enabled(&setup).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn to_disable_a_check_has_to_be_confirmed() {
    let setup = setup();
    setup.enable(&[LOGGING, SHARED, POLICY]).await;
    let asked = "ConfirmationRequired\nto disable DEVICE_CERTIFICATE_SHARED_CHECK, LOGGING_DISABLED_CHECK deletes \
        what was collected for it. Confirm with --confirm 123456789012 (in an event: \"confirm\": \"123456789012\")";
    // Of one that is disabled already nothing is lost.
    let mut event = disable(&[LOGGING, SHARED, KNOWN[1]]);
    assert_eq!(setup.fails(event.clone()).await, asked);
    event["confirm"] = "210987654321".into();
    assert!(
        setup
            .fails(event.clone())
            .await
            .ends_with("confirm names another account than this one, 123456789012")
    );
    assert_eq!(enabled(&setup).await.len(), 3);
    event["confirm"] = ACCOUNT.into();
    assert_eq!(setup.ok(event).await, json!({}));
    assert_eq!(enabled(&setup).await, [POLICY]);
    setup.ok(disable(&[LOGGING])).await;
    assert_eq!(setup.calls(), "GET /audit/configuration\nPATCH /audit/configuration");
    // What disables nothing costs no look at the schedules.
    setup.enable(&[LOGGING]).await;
    let role = json!({"command": "UpdateAccountAuditConfiguration", "roleArn": crate::setup::ROLE});
    setup.ok(role).await;
    assert_eq!(setup.calls(), "GET /audit/configuration\nPATCH /audit/configuration");
}

#[tokio::test(start_paused = true)]
async fn to_delete_the_configuration_has_to_be_confirmed() {
    let setup = setup();
    setup.enable(&[LOGGING, SHARED]).await;
    setup.schedule("nightly", &[LOGGING]).await;
    let delete = |more: Value| {
        let mut event = json!({"command": "delete-account-audit-configuration"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let mut told = vec![
        setup.fails(delete(json!({}))).await,
        setup.fails(delete(json!({"deleteScheduledAudits": true}))).await,
    ];
    setup.schedule("weekly", &[SHARED]).await;
    told.push(setup.fails(delete(json!({"deleteScheduledAudits": true, "confirm": "1"}))).await);
    insta::assert_snapshot!(told.join("\n\n"), @r#"
    ConfirmationRequired
    to delete the audit configuration disables 2 checks and deletes what was collected for them, the audit's role and its notification target; scheduled audits stay and find their checks disabled: 'nightly'. Confirm with --confirm 123456789012 (in an event: "confirm": "123456789012")

    ConfirmationRequired
    to delete the audit configuration disables 2 checks and deletes what was collected for them, the audit's role and its notification target, and deletes 1 scheduled audit: 'nightly'. Confirm with --confirm 123456789012 (in an event: "confirm": "123456789012")

    ConfirmationRequired
    to delete the audit configuration disables 2 checks and deletes what was collected for them, the audit's role and its notification target, and deletes 2 scheduled audits: 'nightly', 'weekly'. confirm names another account than this one, 123456789012
    "#);
    assert!(!setup.calls().contains("DELETE"));
    setup.ok(delete(json!({"deleteScheduledAudits": true, "confirm": ACCOUNT}))).await;
    assert_eq!(setup.calls(), "DELETE /audit/configuration?deleteScheduledAudits=true");
    assert!(enabled(&setup).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_lets_nothing_pass() {
    let setup = setup();
    setup.enable(&[LOGGING]).await;
    for (operation, event) in [
        (
            "DescribeAccountAuditConfiguration",
            json!({"command": "StartOnDemandAuditTask", "targetCheckNames": [LOGGING]}),
        ),
        ("ListScheduledAudits", disable(&[LOGGING])),
    ] {
        setup.order(operation, "throttle", 3, 0);
        assert!(setup.fails(event).await.starts_with("ThrottlingException\n"), "{operation}");
    }
    setup.order("DescribeAccountAuditConfiguration", "nulls", 1, 0);
    let start = json!({"command": "StartOnDemandAuditTask", "targetCheckNames": [LOGGING]});
    let unreadable =
        "UnreadableAnswer\nDescribeAccountAuditConfiguration: the answer has no auditCheckConfigurations";
    assert_eq!(setup.fails(start).await, unreadable);
    // Nobody knows what is enabled: to disable it may delete something.
    setup.order("DescribeAccountAuditConfiguration", "nulls", 1, 0);
    assert_eq!(setup.fails(disable(&[LOGGING])).await, unreadable);
    assert_eq!((setup.audits(), enabled(&setup).await.len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_first_configuration_is_complete_and_so_is_an_enabled_target() {
    let setup = setup();
    let update = |more: Value| {
        let mut event = json!({"command": "UpdateAccountAuditConfiguration"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let role = crate::setup::ROLE;
    let on = json!({LOGGING: {"enabled": true}});
    let target = json!({"auditNotificationTargetConfigurations": {"SNS": {"enabled": true}}});
    insta::assert_snapshot!(setup.fails(update(target.clone())).await, @"
    InvalidInput
    $.roleArn: is missing: nothing is configured yet
    $.auditCheckConfigurations: must enable a check: nothing is configured yet
    $.auditNotificationTargetConfigurations.SNS.targetArn: is missing: the target is enabled
    $.auditNotificationTargetConfigurations.SNS.roleArn: is missing: the target is enabled
    ");
    setup.ok(update(json!({"roleArn": role, "auditCheckConfigurations": on}))).await;
    let mut half = target.clone();
    half["auditNotificationTargetConfigurations"]["SNS"]["targetArn"] =
        "arn:aws:sns:us-east-1:123456789012:t".into();
    insta::assert_snapshot!(setup.fails(update(half.clone())).await, @"
    InvalidInput
    $.auditNotificationTargetConfigurations.SNS.roleArn: is missing: the target is enabled
    ");
    // What is there already counts: a target that was disabled is enabled by one member.
    half["auditNotificationTargetConfigurations"]["SNS"]["enabled"] = false.into();
    half["auditNotificationTargetConfigurations"]["SNS"]["roleArn"] = role.into();
    setup.ok(update(half)).await;
    setup.ok(update(target)).await;
}
