//! Every command by one table: good input, each kind of bad input for each of its members, throttling, and retries.

use fleetwarden_commands::Failure;
use fleetwarden_commands::testing::Fixture;
use fleetwarden_commands::testing::LocalServices;
use fleetwarden_commands::testing::Row;
use fleetwarden_commands::testing::Table;
use fleetwarden_commands::testing::changes;
use fleetwarden_commands::testing::merged;
use fleetwarden_commands::testing::named;
use fleetwarden_commands::testing::reads;
use fleetwarden_commands::testing::without_command;
use fleetwarden_core::api::AUDIT;
use fleetwarden_core::api::Operation;
use serde_json::Value;
use serde_json::json;

use crate::setup::ACCOUNT;
use crate::setup::LOGGING;
use crate::setup::POLICY;
use crate::setup::ROLE;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::setup;

const OTHER_ROLE: &str = "arn:aws:iam::123456789012:role/Other";
const CLIENTS: &str = "CONFLICTING_CLIENT_IDS_CHECK";

/// A setup in which every command of the table can be done.
pub(crate) struct Prepared {
    setup: Setup,
    /// An audit that has ended.
    ended: String,
    /// An audit that runs.
    running: String,
    /// The ids of findings of the one that has ended. A mitigation task, `running`, has the first.
    findings: Vec<String>,
}

impl Fixture for Prepared {
    const OPERATIONS: &'static [Operation] = &AUDIT;
    const KEY: &'static str = LOGGING;

    async fn new() -> Self {
        let setup = setup();
        let ended = setup.audit(&[LOGGING, SHARED]).await;
        let list =
            json!({"command": "ListAuditFindings", "taskId": ended, "checkName": SHARED, "maxResults": 3});
        let listed = setup.ok(list).await;
        let findings = listed["findings"].as_array().unwrap().iter();
        let findings: Vec<String> = findings.map(|f| f["findingId"].as_str().unwrap().to_owned()).collect();
        setup.schedule("nightly", &[LOGGING]).await;
        setup.ok(suppression("CreateAuditSuppression", "old", json!({"suppressIndefinitely": true}))).await;
        for name in ["off", "spare"] {
            setup.ok(action("CreateMitigationAction", name, ROLE)).await;
        }
        setup.ok(mitigation("running", &findings[0])).await;
        let start = json!({
            "command": "StartOnDemandAuditTask", "targetCheckNames": [LOGGING, SHARED], "clientRequestToken": "running",
        });
        let running = setup.ok(start).await["taskId"].as_str().unwrap().to_owned();
        setup.calls();
        Self { setup, ended, running, findings }
    }

    async fn invoke(&self, event: Value) -> Result<Value, Failure> {
        self.setup.invoke(event).await
    }

    fn services(&self) -> &LocalServices {
        &self.setup
    }

    fn tasks(&self, command: &str) -> (usize, usize) {
        (self.setup.audits(), 2 + usize::from(command == "StartOnDemandAuditTask"))
    }

    fn is_unsafe_to_repeat(command: &str) -> bool {
        command == "StartOnDemandAuditTask"
    }
}

fn suppression(command: &str, client: &str, more: Value) -> Value {
    let key = json!({"command": command, "checkName": CLIENTS, "resourceIdentifier": {"clientId": client}});
    merged(key, more)
}

fn action(command: &str, name: &str, role: &str) -> Value {
    let params = json!({"updateDeviceCertificateParams": {"action": "DEACTIVATE"}});
    json!({"command": command, "actionName": name, "roleArn": role, "actionParams": params})
}

fn mitigation(task: &str, finding: &str) -> Value {
    json!({
        "command": "StartAuditMitigationActionsTask", "taskId": task, "target": {"findingIds": [finding]},
        "auditCheckToActionsMapping": {SHARED: ["off"]}, "devices": {"any": true},
    })
}

fn period() -> Value {
    json!({"startTime": "2026-11-01T00:00:00Z", "endTime": 1_796_000_000.5})
}

static TABLE: Table<Prepared> = Table(&ROWS);

static ROWS: [Row<Prepared>; 30] = [
    changes(
        "UpdateAccountAuditConfiguration",
        |_| json!({"roleArn": ROLE, "auditCheckConfigurations": {POLICY: {"enabled": true}}}),
        |_| {
            let at = "/auditCheckConfigurations/IOT_POLICY_OVERLY_PERMISSIVE_CHECK/enabled";
            (json!({"command": "DescribeAccountAuditConfiguration"}), at, json!(true))
        },
    ),
    reads("DescribeAccountAuditConfiguration", |_| json!({})),
    changes(
        "DeleteAccountAuditConfiguration",
        |_| json!({"confirm": ACCOUNT, "deleteScheduledAudits": true}),
        |_| {
            let at = "/auditCheckConfigurations/LOGGING_DISABLED_CHECK/enabled";
            (json!({"command": "DescribeAccountAuditConfiguration"}), at, json!(false))
        },
    ),
    changes(
        "CreateScheduledAudit",
        |_| {
            json!({
                "scheduledAuditName": "weekly", "frequency": "WEEKLY", "dayOfWeek": "MON",
                "targetCheckNames": [LOGGING], "tags": [{"Key": "team", "Value": "fleet"}],
            })
        },
        |_| (named("DescribeScheduledAudit", "scheduledAuditName", "weekly"), "/dayOfWeek", json!("MON")),
    ),
    changes(
        "UpdateScheduledAudit",
        |_| json!({"scheduledAuditName": "nightly", "frequency": "MONTHLY", "dayOfMonth": "LAST"}),
        |_| (named("DescribeScheduledAudit", "scheduledAuditName", "nightly"), "/dayOfMonth", json!("LAST")),
    ),
    reads("DescribeScheduledAudit", |_| json!({"scheduledAuditName": "nightly"})),
    reads("ListScheduledAudits", |_| json!({"maxResults": 5})),
    changes(
        "DeleteScheduledAudit",
        |_| json!({"scheduledAuditName": "nightly"}),
        |_| (named("DescribeScheduledAudit", "scheduledAuditName", "nightly"), "", Value::Null),
    ),
    changes(
        "StartOnDemandAuditTask",
        |_| json!({"targetCheckNames": [LOGGING], "clientRequestToken": "another"}),
        |_| {
            (
                merged(json!({"command": "ListAuditTasks"}), period()),
                "/tasks/2/taskType",
                json!("ON_DEMAND_AUDIT_TASK"),
            )
        },
    ),
    reads("DescribeAuditTask", |fixture| json!({"taskId": fixture.ended})),
    reads("ListAuditTasks", |_| merged(period(), json!({"taskStatus": "COMPLETED"}))),
    changes(
        "CancelAuditTask",
        |fixture| json!({"taskId": fixture.running}),
        |fixture| (named("DescribeAuditTask", "taskId", &fixture.running), "/taskStatus", json!("CANCELED")),
    ),
    reads(
        "ListAuditFindings",
        |fixture| json!({"taskId": fixture.ended, "checkName": SHARED, "maxResults": 2}),
    ),
    reads("DescribeAuditFinding", |fixture| json!({"findingId": fixture.findings[0]})),
    reads("ListRelatedResourcesForAuditFinding", |fixture| json!({"findingId": fixture.findings[0]})),
    changes(
        "CreateAuditSuppression",
        |_| {
            let end = json!({"expirationDate": "2026-12-24T00:00:00Z", "description": "looked at"});
            without_command(suppression("", "new", end))
        },
        |_| (suppression("DescribeAuditSuppression", "new", json!({})), "/description", json!("looked at")),
    ),
    reads(
        "DescribeAuditSuppression",
        |_| json!({"checkName": CLIENTS, "resourceIdentifier": {"clientId": "old"}}),
    ),
    changes(
        "UpdateAuditSuppression",
        |_| json!({"checkName": CLIENTS, "resourceIdentifier": {"clientId": "old"}, "description": "why"}),
        |_| (suppression("DescribeAuditSuppression", "old", json!({})), "/description", json!("why")),
    ),
    reads("ListAuditSuppressions", |_| json!({"checkName": CLIENTS, "ascendingOrder": true})),
    changes(
        "DeleteAuditSuppression",
        |_| json!({"checkName": CLIENTS, "resourceIdentifier": {"clientId": "old"}}),
        |_| (suppression("DescribeAuditSuppression", "old", json!({})), "", Value::Null),
    ),
    changes(
        "CreateMitigationAction",
        |_| without_command(action("", "new", ROLE)),
        |_| (named("DescribeMitigationAction", "actionName", "new"), "/roleArn", json!(ROLE)),
    ),
    changes(
        "UpdateMitigationAction",
        |_| json!({"actionName": "off", "roleArn": OTHER_ROLE}),
        |_| (named("DescribeMitigationAction", "actionName", "off"), "/roleArn", json!(OTHER_ROLE)),
    ),
    reads("DescribeMitigationAction", |_| json!({"actionName": "off"})),
    reads("ListMitigationActions", |_| json!({"actionType": "UPDATE_DEVICE_CERTIFICATE", "maxResults": 1})),
    changes(
        "DeleteMitigationAction",
        |_| json!({"actionName": "spare"}),
        |_| (named("DescribeMitigationAction", "actionName", "spare"), "", Value::Null),
    ),
    changes(
        "StartAuditMitigationActionsTask",
        |fixture| without_command(mitigation("by-hand", &fixture.findings[1])),
        |_| {
            (
                named("DescribeAuditMitigationActionsTask", "taskId", "by-hand"),
                "/taskStatus",
                json!("IN_PROGRESS"),
            )
        },
    ),
    reads("DescribeAuditMitigationActionsTask", |_| json!({"taskId": "running"})),
    reads("ListAuditMitigationActionsTasks", |_| merged(period(), json!({"taskStatus": "IN_PROGRESS"}))),
    reads(
        "ListAuditMitigationActionsExecutions",
        |fixture| json!({"taskId": "running", "findingId": fixture.findings[0]}),
    ),
    changes(
        "CancelAuditMitigationActionsTask",
        |_| json!({"taskId": "running"}),
        |_| {
            (
                named("DescribeAuditMitigationActionsTask", "taskId", "running"),
                "/taskStatus",
                json!("CANCELED"),
            )
        },
    ),
];

#[test]
fn the_table_has_every_command() {
    TABLE.has_every_command();
}

#[tokio::test(start_paused = true)]
async fn good_input_is_done_and_answered_as_the_service_does() {
    TABLE.good_input_is_done().await;
}

#[tokio::test(start_paused = true)]
async fn throttled_at_first_it_is_done_once() {
    TABLE.throttled_at_first_it_is_done_once().await;
}

#[tokio::test(start_paused = true)]
async fn throttled_for_good_it_fails_by_name_and_nothing_is_done() {
    TABLE.throttled_for_good_nothing_is_done().await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_its_effect_is_tried_again_where_that_is_safe() {
    TABLE.failed_before_its_effect_it_is_tried_again().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_done_and_not_answered_is_not_done_twice() {
    TABLE.not_answered_it_is_not_done_twice().await;
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_bad_input_of_each_member_is_refused_before_any_call() {
    TABLE.each_bad_input_is_refused_before_any_call().await;
}

#[tokio::test(start_paused = true)]
async fn all_bad_members_are_named_at_once() {
    TABLE.all_bad_members_are_named_at_once().await;
}

/// What the service's documents say in words only: members that exclude each other, that need each other, and times.
#[tokio::test(start_paused = true)]
async fn bad_combinations_are_refused_before_any_call() {
    let fixture = Prepared::new().await;
    let past = "2026-01-01T00:00:00Z";
    let (task, finding) = (fixture.ended.as_str(), fixture.findings[0].as_str());
    let audit_or_findings = json!({"auditTaskId": task, "findingIds": [finding]});
    let filter = json!({"findingIds": [finding], "auditCheckToReasonCodeFilter": {SHARED: ["X"]}});
    let unmapped = json!({"auditTaskId": task, "auditCheckToReasonCodeFilter": {LOGGING: ["X"]}});
    let two = json!({
        "updateDeviceCertificateParams": {"action": "DEACTIVATE"}, "publishFindingToSnsParams": {"topicArn": "arn:t"},
    });
    let silent = json!({"enableIoTLoggingParams": {"roleArnForLogging": ROLE, "logLevel": "DISABLED"}});
    let threshold = |days: &str| json!({LOGGING: {"configuration": {"CERT_AGE_THRESHOLD_IN_DAYS": days}}});
    let days = |days: &str| json!({"DEVICE_CERTIFICATE_AGE_CHECK": {"configuration": {"CERT_AGE_THRESHOLD_IN_DAYS": days}}});
    let bad = vec![
        ("UpdateAccountAuditConfiguration", json!({"roleArn": null, "auditCheckConfigurations": null}), "$"),
        (
            "UpdateAccountAuditConfiguration",
            json!({"auditCheckConfigurations": {"NO_CHECK": {}}}),
            "$.auditCheckConfigurations.NO_CHECK",
        ),
        (
            "UpdateAccountAuditConfiguration",
            json!({"auditCheckConfigurations": threshold("90")}),
            "$.auditCheckConfigurations.LOGGING_DISABLED_CHECK.configuration.CERT_AGE_THRESHOLD_IN_DAYS",
        ),
        (
            "UpdateAccountAuditConfiguration",
            json!({"auditCheckConfigurations": days("29")}),
            "$.auditCheckConfigurations.DEVICE_CERTIFICATE_AGE_CHECK.configuration.CERT_AGE_THRESHOLD_IN_DAYS",
        ),
        ("CreateScheduledAudit", json!({"dayOfWeek": null}), "$.dayOfWeek"),
        ("CreateScheduledAudit", json!({"frequency": "DAILY"}), "$.dayOfWeek"),
        ("CreateScheduledAudit", json!({"frequency": "MONTHLY", "dayOfWeek": null}), "$.dayOfMonth"),
        ("CreateScheduledAudit", json!({"targetCheckNames": []}), "$.targetCheckNames"),
        ("CreateScheduledAudit", json!({"targetCheckNames": [LOGGING, "NO_CHECK"]}), "$.targetCheckNames[1]"),
        ("UpdateScheduledAudit", json!({"frequency": null, "dayOfMonth": null}), "$"),
        ("UpdateScheduledAudit", json!({"frequency": null, "dayOfWeek": "MON"}), "$.dayOfMonth"),
        ("StartOnDemandAuditTask", json!({"targetCheckNames": ["NO_CHECK"]}), "$.targetCheckNames[0]"),
        ("ListAuditTasks", json!({"startTime": past}), "$.startTime"),
        ("ListAuditTasks", json!({"endTime": "2026-10-31T00:00:00Z"}), "$.endTime"),
        ("ListAuditFindings", json!({"taskId": null}), "$"),
        ("ListAuditFindings", json!({"startTime": 1, "endTime": 2}), "$.taskId"),
        ("ListAuditFindings", json!({"taskId": null, "startTime": 1}), "$.endTime"),
        ("ListAuditFindings", json!({"taskId": null, "endTime": 1}), "$.startTime"),
        ("ListAuditFindings", json!({"taskId": null, "startTime": 2, "endTime": 1}), "$.endTime"),
        ("ListAuditFindings", json!({"checkName": "NO_CHECK"}), "$.checkName"),
        ("CreateAuditSuppression", json!({"expirationDate": past}), "$.expirationDate"),
        ("CreateAuditSuppression", json!({"expirationDate": null}), "$"),
        ("CreateAuditSuppression", json!({"suppressIndefinitely": true}), "$.expirationDate"),
        ("CreateAuditSuppression", json!({"resourceIdentifier": {}}), "$.resourceIdentifier"),
        ("DescribeAuditSuppression", json!({"resourceIdentifier": {}}), "$.resourceIdentifier"),
        ("DeleteAuditSuppression", json!({"checkName": "NO_CHECK"}), "$.checkName"),
        ("UpdateAuditSuppression", json!({"description": null}), "$"),
        ("UpdateAuditSuppression", json!({"expirationDate": past}), "$.expirationDate"),
        ("UpdateAuditSuppression", json!({"suppressIndefinitely": false}), "$.suppressIndefinitely"),
        ("ListAuditSuppressions", json!({"checkName": "NO_CHECK"}), "$.checkName"),
        ("CreateMitigationAction", json!({"actionParams": two}), "$.actionParams"),
        ("CreateMitigationAction", json!({"actionParams": {}}), "$.actionParams"),
        (
            "CreateMitigationAction",
            json!({"actionParams": silent}),
            "$.actionParams.enableIoTLoggingParams.logLevel",
        ),
        ("UpdateMitigationAction", json!({"roleArn": null}), "$"),
        ("UpdateMitigationAction", json!({"actionParams": two}), "$.actionParams"),
        ("StartAuditMitigationActionsTask", json!({"target": audit_or_findings}), "$.target"),
        ("StartAuditMitigationActionsTask", json!({"target": {}}), "$.target"),
        (
            "StartAuditMitigationActionsTask",
            json!({"target": filter}),
            "$.target.auditCheckToReasonCodeFilter",
        ),
        (
            "StartAuditMitigationActionsTask",
            json!({"target": unmapped}),
            "$.auditCheckToActionsMapping.LOGGING_DISABLED_CHECK",
        ),
        (
            "StartAuditMitigationActionsTask",
            json!({"auditCheckToActionsMapping": {}}),
            "$.auditCheckToActionsMapping",
        ),
        ("ListAuditMitigationActionsTasks", json!({"endTime": past}), "$.endTime"),
        ("DescribeAuditTask", json!({"all": true}), "$.all"),
        ("ListAuditTasks", json!({"dryRun": true}), "$.dryRun"),
        ("DeleteAccountAuditConfiguration", json!({"confirm": 123_456_789_012_u64}), "$.confirm"),
    ];
    TABLE.bad_combinations_are_refused(&fixture, bad).await;
}
