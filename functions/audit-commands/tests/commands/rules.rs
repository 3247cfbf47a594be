//! What only a look at the account tells, what has to be confirmed, and that no change is made when it is refused.

use fleetwarden_core::ids::check::KNOWN;
use serde_json::Value;
use serde_json::json;

use crate::house::ACCOUNT;
use crate::house::House;
use crate::house::LOGGING;
use crate::house::POLICY;
use crate::house::SHARED;
use crate::house::house;

fn disable(checks: &[&str]) -> Value {
    let checks: Value = checks.iter().map(|check| ((*check).to_owned(), json!({"enabled": false}))).collect();
    json!({"command": "UpdateAccountAuditConfiguration", "auditCheckConfigurations": checks})
}

async fn enabled(house: &House) -> Vec<String> {
    let now = house.ok(json!({"command": "DescribeAccountAuditConfiguration"})).await;
    let checks = now["auditCheckConfigurations"].as_object().unwrap();
    let enabled = checks.iter().filter(|(_, check)| check["enabled"] == true).map(|(name, _)| name.clone());
    house.calls();
    enabled.collect()
}

#[tokio::test(start_paused = true)]
async fn a_check_has_to_be_enabled() {
    let house = house();
    house.enable(&[LOGGING]).await;
    let checks = [LOGGING, SHARED, "IOT_POLICY_UNRESTRICTED_CHECK"];
    let refused = "InvalidInput\n\
        $.targetCheckNames[1]: DEVICE_CERTIFICATE_SHARED_CHECK is not enabled for the account; \
        UpdateAccountAuditConfiguration enables it\n\
        $.targetCheckNames[2]: IOT_POLICY_OVERLY_PERMISSIVE_CHECK is not enabled for the account; \
        UpdateAccountAuditConfiguration enables it";
    let start = json!({"command": "StartOnDemandAuditTask", "targetCheckNames": checks});
    assert_eq!(house.fails(start.clone()).await, refused);
    let create = json!({
        "command": "CreateScheduledAudit", "scheduledAuditName": "s", "frequency": "DAILY", "targetCheckNames": checks,
    });
    assert_eq!(house.fails(create).await, refused);
    let update =
        json!({"command": "UpdateScheduledAudit", "scheduledAuditName": "s", "targetCheckNames": checks});
    assert_eq!(house.fails(update).await, refused);
    let mut dry = start;
    dry["dryRun"] = true.into();
    assert_eq!(house.fails(dry).await, refused);
    assert_eq!(house.calls(), ["GET /audit/configuration"; 4].join("\n"));
}

#[tokio::test(start_paused = true)]
async fn what_may_disable_a_check_is_confirmed_too() {
    let house = house();
    house.enable(&[LOGGING, SHARED]).await;
    house.calls();
    let mut event = disable(&[LOGGING]);
    event["auditCheckConfigurations"] = json!({LOGGING: {}, SHARED: {"enabled": true}, POLICY: {}});
    assert_eq!(
        house.fails(event.clone()).await,
        "ConfirmationRequired\nto disable LOGGING_DISABLED_CHECK deletes what was collected for it, and to leave \
         'enabled' out may disable it. Confirm with --confirm 123456789012 (in an event: \"confirm\": \"123456789012\")"
    );
    assert!(!house.calls().contains("PATCH"));
    event["confirm"] = ACCOUNT.into();
    house.ok(event).await;
}

#[tokio::test(start_paused = true)]
async fn there_are_five_schedules_at_most() {
    let house = house();
    house.enable(&[LOGGING]).await;
    let create = |name: &str| {
        json!({
            "command": "CreateScheduledAudit", "scheduledAuditName": name, "frequency": "DAILY",
            "targetCheckNames": [LOGGING],
        })
    };
    for name in ["a", "b", "c", "d", "e"] {
        house.schedule(name, &[LOGGING]).await;
    }
    assert_eq!(
        house.fails(create("f")).await,
        "LimitExceededException\nan account has 5 scheduled audits at most, and has 'a', 'b', 'c', 'd', 'e'; \
         delete one first"
    );
    assert_eq!(house.calls(), "GET /audit/configuration\nGET /audit/scheduledaudits?maxResults=250");
    assert!(house.fails(create("e")).await.starts_with("ResourceAlreadyExistsException\n"));
}

#[tokio::test(start_paused = true)]
async fn a_day_fits_the_frequency_that_is_there() {
    let house = house();
    house.enable(&[LOGGING]).await;
    house.schedule("daily", &[LOGGING]).await;
    let day = json!({"command": "UpdateScheduledAudit", "scheduledAuditName": "daily", "dayOfMonth": "LAST"});
    assert_eq!(
        house.fails(day).await,
        "InvalidInput\n$.dayOfMonth: is not for the frequency DAILY that the scheduled audit has"
    );
    let both = json!({
        "command": "UpdateScheduledAudit", "scheduledAuditName": "daily", "frequency": "MONTHLY", "dayOfMonth": "LAST",
    });
    house.calls();
    house.ok(both).await;
    assert_eq!(house.calls(), "PATCH /audit/scheduledaudits/daily");
    house
        .ok(json!({"command": "UpdateScheduledAudit", "scheduledAuditName": "daily", "dayOfMonth": "1"}))
        .await;
    let missing = json!({"command": "UpdateScheduledAudit", "scheduledAuditName": "none", "dayOfMonth": "1"});
    assert!(house.fails(missing).await.starts_with("ResourceNotFoundException\nDescribeScheduledAudit: "));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_a_schedule_uses_is_not_disabled() {
    let house = house();
    house.enable(&[LOGGING, SHARED, POLICY]).await;
    house.schedule("one", &[LOGGING, SHARED]).await;
    house.schedule("two", &[SHARED]).await;
    let mut event = disable(&[LOGGING, SHARED, POLICY]);
    event["confirm"] = ACCOUNT.into();
    insta::assert_snapshot!(house.fails(event).await, @r"
    InvalidInput
    $.auditCheckConfigurations.DEVICE_CERTIFICATE_SHARED_CHECK.enabled: scheduled audits use the check: 'one', 'two'; take it out of them first
    $.auditCheckConfigurations.LOGGING_DISABLED_CHECK.enabled: scheduled audits use the check: 'one'; take it out of them first
    ");
    assert!(!house.calls().contains("PATCH"));
    assert_eq!(enabled(&house).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn to_disable_a_check_has_to_be_confirmed() {
    let house = house();
    house.enable(&[LOGGING, SHARED, POLICY]).await;
    let asked = "ConfirmationRequired\nto disable DEVICE_CERTIFICATE_SHARED_CHECK, LOGGING_DISABLED_CHECK deletes \
        what was collected for it. Confirm with --confirm 123456789012 (in an event: \"confirm\": \"123456789012\")";
    // Of one that is disabled already nothing is lost.
    let mut event = disable(&[LOGGING, SHARED, KNOWN[1]]);
    assert_eq!(house.fails(event.clone()).await, asked);
    event["confirm"] = "210987654321".into();
    assert!(
        house
            .fails(event.clone())
            .await
            .ends_with("confirm names another account than this one, 123456789012")
    );
    assert_eq!(enabled(&house).await.len(), 3);
    event["confirm"] = ACCOUNT.into();
    assert_eq!(house.ok(event).await, json!({}));
    assert_eq!(enabled(&house).await, [POLICY]);
    house.ok(disable(&[LOGGING])).await;
    assert_eq!(house.calls(), "GET /audit/configuration\nPATCH /audit/configuration");
    // What disables nothing costs no look at the schedules.
    house.enable(&[LOGGING]).await;
    let role = json!({"command": "UpdateAccountAuditConfiguration", "roleArn": crate::house::ROLE});
    house.ok(role).await;
    assert_eq!(house.calls(), "GET /audit/configuration\nPATCH /audit/configuration");
}

#[tokio::test(start_paused = true)]
async fn to_delete_the_configuration_has_to_be_confirmed() {
    let house = house();
    house.enable(&[LOGGING, SHARED]).await;
    house.schedule("nightly", &[LOGGING]).await;
    let delete = |more: Value| {
        let mut event = json!({"command": "delete-account-audit-configuration"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let mut told = vec![
        house.fails(delete(json!({}))).await,
        house.fails(delete(json!({"deleteScheduledAudits": true}))).await,
    ];
    house.schedule("weekly", &[SHARED]).await;
    told.push(house.fails(delete(json!({"deleteScheduledAudits": true, "confirm": "1"}))).await);
    insta::assert_snapshot!(told.join("\n\n"), @r#"
    ConfirmationRequired
    to delete the audit configuration disables 2 checks and deletes what was collected for them, the audit's role and its notification target; scheduled audits stay and find their checks disabled: 'nightly'. Confirm with --confirm 123456789012 (in an event: "confirm": "123456789012")

    ConfirmationRequired
    to delete the audit configuration disables 2 checks and deletes what was collected for them, the audit's role and its notification target, and deletes 1 scheduled audit: 'nightly'. Confirm with --confirm 123456789012 (in an event: "confirm": "123456789012")

    ConfirmationRequired
    to delete the audit configuration disables 2 checks and deletes what was collected for them, the audit's role and its notification target, and deletes 2 scheduled audits: 'nightly', 'weekly'. confirm names another account than this one, 123456789012
    "#);
    assert!(!house.calls().contains("DELETE"));
    house.ok(delete(json!({"deleteScheduledAudits": true, "confirm": ACCOUNT}))).await;
    assert_eq!(house.calls(), "DELETE /audit/configuration?deleteScheduledAudits=true");
    assert!(enabled(&house).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_lets_nothing_pass() {
    let house = house();
    house.enable(&[LOGGING]).await;
    for (operation, event) in [
        (
            "DescribeAccountAuditConfiguration",
            json!({"command": "StartOnDemandAuditTask", "targetCheckNames": [LOGGING]}),
        ),
        ("ListScheduledAudits", disable(&[LOGGING])),
    ] {
        house.order(operation, "throttle", 3, 0);
        assert!(house.fails(event).await.starts_with("ThrottlingException\n"), "{operation}");
    }
    house.order("DescribeAccountAuditConfiguration", "nulls", 1, 0);
    let start = json!({"command": "StartOnDemandAuditTask", "targetCheckNames": [LOGGING]});
    let unreadable =
        "UnreadableAnswer\nDescribeAccountAuditConfiguration: the answer has no auditCheckConfigurations";
    assert_eq!(house.fails(start).await, unreadable);
    // Nobody knows what is enabled: to disable it may delete something.
    house.order("DescribeAccountAuditConfiguration", "nulls", 1, 0);
    assert_eq!(house.fails(disable(&[LOGGING])).await, unreadable);
    assert_eq!((house.audits(), enabled(&house).await.len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_first_configuration_is_complete_and_so_is_an_enabled_target() {
    let house = house();
    let update = |more: Value| {
        let mut event = json!({"command": "UpdateAccountAuditConfiguration"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let role = crate::house::ROLE;
    let on = json!({LOGGING: {"enabled": true}});
    let target = json!({"auditNotificationTargetConfigurations": {"SNS": {"enabled": true}}});
    insta::assert_snapshot!(house.fails(update(target.clone())).await, @"
    InvalidInput
    $.roleArn: is missing: nothing is configured yet
    $.auditCheckConfigurations: must enable a check: nothing is configured yet
    $.auditNotificationTargetConfigurations.SNS.targetArn: is missing: the target is enabled
    $.auditNotificationTargetConfigurations.SNS.roleArn: is missing: the target is enabled
    ");
    house.ok(update(json!({"roleArn": role, "auditCheckConfigurations": on}))).await;
    let mut half = target.clone();
    half["auditNotificationTargetConfigurations"]["SNS"]["targetArn"] =
        "arn:aws:sns:us-east-1:123456789012:t".into();
    insta::assert_snapshot!(house.fails(update(half.clone())).await, @"
    InvalidInput
    $.auditNotificationTargetConfigurations.SNS.roleArn: is missing: the target is enabled
    ");
    // What is there already counts: a target that was disabled is enabled by one member.
    half["auditNotificationTargetConfigurations"]["SNS"]["enabled"] = false.into();
    half["auditNotificationTargetConfigurations"]["SNS"]["roleArn"] = role.into();
    house.ok(update(half)).await;
    house.ok(update(target)).await;
}
