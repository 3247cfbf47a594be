//! What a dry run tells, and that it changes nothing.

use fleetwarden_core::api::AUDIT;
use serde_json::Value;
use serde_json::json;

use crate::setup::ACCOUNT;
use crate::setup::LOGGING;
use crate::setup::ROLE;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::setup;
use crate::setup::setup_with;

async fn dry(setup: &Setup, mut event: Value) -> Value {
    event["dryRun"] = true.into();
    setup.calls();
    let answer = setup.ok(event).await;
    for call in setup.calls().lines() {
        // Lists and descriptions of suppressions are POST, by the service's own design.
        assert!(call.starts_with("GET ") || call.ends_with("/describe") || call.ends_with("/list"), "{call}");
    }
    assert_eq!(answer["dryRun"], true);
    answer
}

async fn changes(setup: &Setup, event: Value) -> Value {
    dry(setup, event).await["changes"].take()
}

#[tokio::test(start_paused = true)]
async fn an_update_is_told_member_by_member() {
    let setup = setup();
    setup.enable(&[LOGGING, SHARED]).await;
    setup.schedule("nightly", &[LOGGING]).await;
    let answer = dry(&setup, json!({
        "command": "UpdateAccountAuditConfiguration", "roleArn": ROLE,
        "auditCheckConfigurations": {SHARED: {"enabled": false}, LOGGING: {"enabled": true},
            "DEVICE_CERTIFICATE_AGE_CHECK": {"enabled": true, "configuration": {"CERT_AGE_THRESHOLD_IN_DAYS": "90"}}},
    })).await;
    insta::assert_json_snapshot!(answer);
    let schedule = json!({
        "command": "UpdateScheduledAudit", "scheduledAuditName": "nightly", "frequency": "MONTHLY", "dayOfMonth": "LAST",
        "targetCheckNames": [LOGGING, SHARED],
    });
    insta::assert_json_snapshot!(changes(&setup, schedule).await);
    let same =
        json!({"command": "UpdateScheduledAudit", "scheduledAuditName": "nightly", "frequency": "DAILY"});
    assert_eq!(changes(&setup, same).await, json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_of_a_suppression_refuses_what_the_real_run_would() {
    let setup = setup();
    let (id, never) = ("ab".repeat(32), json!({"suppressIndefinitely": true}));
    let of = |check: &str, resource: Value, more: &Value| {
        let mut event = json!({"checkName": check, "resourceIdentifier": resource});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let arn = json!({"deviceCertificateId": format!("arn:aws:iot:eu-west-1:{ACCOUNT}:cert/{id}")});
    let certificate = json!({ "deviceCertificateId": id });
    let policy = "IOT_POLICY_OVERLY_PERMISSIVE_CHECK";
    let events = [
        of(SHARED, arn, &never),
        of(SHARED, json!({"clientId": "c"}), &never),
        of(SHARED, json!({}), &never),
        of(policy, json!({"policyVersionIdentifier": {"policyName": "base"}}), &never),
        of(policy, certificate.clone(), &never),
        of("INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK", certificate.clone(), &never),
        of(SHARED, certificate.clone(), &json!({"suppressIndefinitely": true, "description": "jürgen"})),
        of(
            SHARED,
            certificate.clone(),
            &json!({"suppressIndefinitely": true, "description": "x".repeat(1001)}),
        ),
        of(SHARED, certificate.clone(), &json!({"expirationDate": 1})),
        of(SHARED, certificate, &json!({"expirationDate": 4_000_000_000_i64, "suppressIndefinitely": true})),
    ];
    for command in ["CreateAuditSuppression", "UpdateAuditSuppression"] {
        for mut event in events.clone() {
            event["command"] = command.into();
            let real = setup.fails(event.clone()).await;
            event["dryRun"] = true.into();
            let trial = setup.fails(event.clone()).await;
            let name = |error: &str| error.lines().next().map(ToOwned::to_owned);
            assert_eq!(name(&trial), name(&real), "{event}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn suppressions_and_actions_are_told_too() {
    let setup = setup();
    let key =
        || json!({"checkName": "CONFLICTING_CLIENT_IDS_CHECK", "resourceIdentifier": {"clientId": "c"}});
    let of = |command: &str, more: Value| {
        let mut event = key();
        event["command"] = command.into();
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let end = json!({"expirationDate": "2027-01-01T00:00:00Z"});
    let create = of("CreateAuditSuppression", end.clone());
    let forever = of("CreateAuditSuppression", json!({"suppressIndefinitely": true}));
    let nothing = of("DeleteAuditSuppression", json!({}));
    assert_eq!(changes(&setup, nothing.clone()).await, json!([]));
    insta::assert_json_snapshot!(changes(&setup, create.clone()).await);
    setup.ok(create.clone()).await;
    assert_eq!(changes(&setup, create).await, json!([]), "it is there just so");
    let mut exists = forever;
    exists["dryRun"] = true.into();
    assert_eq!(
        setup.fails(exists).await,
        "ResourceAlreadyExistsException\nCreateAuditSuppression: it exists already; update it, or delete it first"
    );
    let update = of("UpdateAuditSuppression", json!({"expirationDate": 1_798_761_600, "description": "why"}));
    insta::assert_json_snapshot!(changes(&setup, update).await);
    insta::assert_json_snapshot!(changes(&setup, nothing).await);

    let params = json!({"updateDeviceCertificateParams": {"action": "DEACTIVATE"}});
    let action = json!({"command": "CreateMitigationAction", "actionName": "a", "roleArn": ROLE, "actionParams": params});
    insta::assert_json_snapshot!(changes(&setup, action.clone()).await);
    setup.ok(action).await;
    let other = json!({
        "command": "UpdateMitigationAction", "actionName": "a",
        "actionParams": {"replaceDefaultPolicyVersionParams": {"templateName": "BLANK_POLICY"}},
    });
    insta::assert_json_snapshot!(changes(&setup, other).await);
    let missing =
        json!({"command": "UpdateMitigationAction", "actionName": "b", "roleArn": ROLE, "dryRun": true});
    assert_eq!(
        setup.fails(missing).await,
        "ResourceNotFoundException\nUpdateMitigationAction: there is no such thing"
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_update_takes_away_is_told_too() {
    let setup = setup();
    setup.enable(&[LOGGING]).await;
    let weekly = json!({
        "command": "CreateScheduledAudit", "scheduledAuditName": "s", "frequency": "WEEKLY", "dayOfWeek": "MON",
        "targetCheckNames": [LOGGING],
    });
    setup.ok(weekly).await;
    let key = json!({"checkName": "CONFLICTING_CLIENT_IDS_CHECK", "resourceIdentifier": {"clientId": "c"}});
    let suppression = |command: &str, more: Value| {
        let mut event = key.clone();
        event["command"] = command.into();
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let until = json!({"expirationDate": 1_798_761_600});
    setup.ok(suppression("CreateAuditSuppression", until.clone())).await;
    let schedule = |more: Value| {
        let mut event = json!({"command": "UpdateScheduledAudit", "scheduledAuditName": "s"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    // Told and done, one after another: what is told is what differs afterwards.
    for (event, describe) in [
        (schedule(json!({"frequency": "BIWEEKLY", "dayOfWeek": "MON"})), "DescribeScheduledAudit"),
        (schedule(json!({"frequency": "DAILY"})), "DescribeScheduledAudit"),
        (schedule(json!({"frequency": "MONTHLY", "dayOfMonth": "LAST"})), "DescribeScheduledAudit"),
        (schedule(json!({"frequency": "WEEKLY", "dayOfWeek": "SUN"})), "DescribeScheduledAudit"),
        (
            suppression("UpdateAuditSuppression", json!({"suppressIndefinitely": true})),
            "DescribeAuditSuppression",
        ),
        (suppression("UpdateAuditSuppression", until), "DescribeAuditSuppression"),
    ] {
        let mut look = if describe == "DescribeScheduledAudit" {
            json!({"scheduledAuditName": "s"})
        } else {
            key.clone()
        };
        look["command"] = describe.into();
        let before = setup.ok(look.clone()).await;
        let told = changes(&setup, event.clone()).await;
        setup.ok(event).await;
        let mut after = before.clone();
        for change in told.as_array().unwrap() {
            let member = change["path"].as_str().unwrap().strip_prefix("$.").unwrap();
            assert_eq!(change["from"], before.get(member).cloned().unwrap_or_default(), "{told}");
            match &change["to"] {
                Value::Null => drop(after.as_object_mut().unwrap().remove(member)),
                Value::Number(to) if member == "expirationDate" => after[member] = to.as_f64().into(),
                to => after[member] = to.clone(),
            }
        }
        assert_eq!(setup.ok(look).await, after, "{told}");
        assert_ne!(after, before);
    }
}

#[tokio::test(start_paused = true)]
async fn what_would_be_refused_is_refused() {
    let setup = setup();
    let delete = json!({"command": "DeleteAccountAuditConfiguration", "dryRun": true});
    let update = |more: Value| {
        let mut event = json!({"command": "UpdateAccountAuditConfiguration", "dryRun": true});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let target = json!({"SNS": {"enabled": true}});
    let create = json!({
        "command": "CreateAuditSuppression", "checkName": "CONFLICTING_CLIENT_IDS_CHECK",
        "resourceIdentifier": {"clientId": "c"}, "suppressIndefinitely": true,
    });
    setup.ok(create.clone()).await;
    let mut own = create;
    own["clientRequestToken"] = "mine".into();
    own["dryRun"] = true.into();
    let mut told = Vec::new();
    for event in [
        delete,
        update(json!({"auditCheckConfigurations": {LOGGING: {"enabled": true}}})),
        update(json!({"roleArn": ROLE, "auditCheckConfigurations": {LOGGING: {"enabled": false}}})),
        update(json!({"auditNotificationTargetConfigurations": target})),
        own,
    ] {
        let dry = setup.fails(event.clone()).await;
        let mut real = event;
        real["dryRun"] = false.into();
        real["confirm"] = ACCOUNT.into();
        setup.fails(real).await;
        told.push(dry);
    }
    insta::assert_snapshot!(told.join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn actions_that_could_do_nothing_are_told() {
    for (policy, dry_run) in [
        ("version: 1\nbudgets: none\nrules: []\n", false),
        ("version: 1\nbudgets: none\nmode: enforce\nrules: []\n", true),
    ] {
        let setup = setup_with(policy);
        let task = setup.audit(&[LOGGING, SHARED]).await;
        let params = json!({"updateDeviceCertificateParams": {"action": "DEACTIVATE"}});
        setup.ok(json!({"command": "CreateMitigationAction", "actionName": "off", "roleArn": ROLE, "actionParams": params})).await;
        let mitigate = |mapping: Value| {
            json!({
                "command": "StartAuditMitigationActionsTask", "taskId": "m", "target": {"auditTaskId": task},
                "auditCheckToActionsMapping": mapping, "dryRun": dry_run, "devices": {"any": true},
            })
        };
        setup.ok(mitigate(json!({SHARED: ["off"]}))).await;
        let told = setup.fails(mitigate(json!({SHARED: ["none", "off"], LOGGING: ["off", "none"]}))).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(told, @"
            InvalidInput
            $.auditCheckToActionsMapping.DEVICE_CERTIFICATE_SHARED_CHECK[0]: there is no mitigation action 'none'; CreateMitigationAction makes it
            $.auditCheckToActionsMapping.LOGGING_DISABLED_CHECK[0]: 'off' is UPDATE_DEVICE_CERTIFICATE; LOGGING_DISABLED_CHECK takes PUBLISH_FINDING_TO_SNS, ENABLE_IOT_LOGGING
            $.auditCheckToActionsMapping.LOGGING_DISABLED_CHECK[1]: there is no mitigation action 'none'; CreateMitigationAction makes it
            ");
        }
        setup.order("DescribeMitigationAction", "unknown-enum", 9, 0);
        setup.ok(mitigate(json!({LOGGING: ["off"]}))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_starts_and_ends_is_told_too() {
    let setup = setup();
    setup.enable(&[LOGGING]).await;
    setup.schedule("nightly", &[LOGGING]).await;
    let start = json!({"command": "StartOnDemandAuditTask", "targetCheckNames": [LOGGING]});
    insta::assert_json_snapshot!(changes(&setup, start.clone()).await);
    assert_eq!(setup.audits(), 0);
    let task = setup.ok(start).await["taskId"].clone();
    let cancel = json!({"command": "CancelAuditTask", "taskId": task});
    insta::assert_json_snapshot!(changes(&setup, cancel.clone()).await);
    setup.pass(2);
    let mut late = cancel;
    late["dryRun"] = true.into();
    assert_eq!(
        setup.fails(late).await,
        "InvalidRequestException\nCancelAuditTask: it is COMPLETED, and only what is IN_PROGRESS can be canceled"
    );
    let delete = json!({"command": "DeleteScheduledAudit", "scheduledAuditName": "none", "dryRun": true});
    assert!(setup.fails(delete).await.starts_with("ResourceNotFoundException\n"));
    let all = json!({"command": "DeleteAccountAuditConfiguration", "deleteScheduledAudits": true});
    let answer = dry(&setup, all).await;
    let paths: Vec<&str> =
        answer["changes"].as_array().unwrap().iter().map(|change| change["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["$", "$.scheduledAudits.nightly"]);
    assert_eq!(answer["changes"][1]["from"]["frequency"], "DAILY");
    assert!(
        answer["confirmationRequired"].as_str().unwrap().contains("deletes 1 scheduled audit: 'nightly'")
    );
}

/// Whatever changes can be tried.
#[tokio::test(start_paused = true)]
async fn every_command_that_changes_knows_what_it_would_change() {
    let setup = setup();
    for operation in AUDIT.iter().filter(|operation| operation.changes()) {
        let event = json!({"command": operation.name, "dryRun": true});
        let told = setup.invoke(event).await.map_err(|failure| failure.to_string());
        let refused = told.as_ref().err().is_some_and(|what| what.contains("$.dryRun"));
        assert!(!refused, "{}: {told:?}", operation.name);
    }
}
