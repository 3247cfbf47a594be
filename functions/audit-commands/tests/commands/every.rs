//! Every command by one table: good input, each kind of bad input for each of its members, throttling, and retries.

use std::collections::BTreeSet;

use fleetwarden_commands::testing::Bad;
use fleetwarden_commands::testing::bad_inputs;
use fleetwarden_commands::testing::is_of;
use fleetwarden_commands::testing::merged;
use fleetwarden_commands::testing::put;
use fleetwarden_core::api::AUDIT;
use fleetwarden_core::api::Operation;
use fleetwarden_core::api::shape::Shape;
use serde_json::Value;
use serde_json::json;

use crate::house::ACCOUNT;
use crate::house::House;
use crate::house::LOGGING;
use crate::house::POLICY;
use crate::house::ROLE;
use crate::house::SHARED;
use crate::house::house;

const OTHER_ROLE: &str = "arn:aws:iam::123456789012:role/Other";
const CLIENTS: &str = "CONFLICTING_CLIENT_IDS_CHECK";

/// A house in which every command of the table can be done.
struct World {
    house: House,
    /// An audit that has ended.
    ended: String,
    /// An audit that runs.
    running: String,
    /// The ids of findings of the one that has ended. A mitigation task, `running`, has the first.
    findings: Vec<String>,
}

impl World {
    async fn new() -> Self {
        let house = house();
        let ended = house.audit(&[LOGGING, SHARED]).await;
        let list =
            json!({"command": "ListAuditFindings", "taskId": ended, "checkName": SHARED, "maxResults": 3});
        let listed = house.ok(list).await;
        let findings = listed["findings"].as_array().unwrap().iter();
        let findings: Vec<String> = findings.map(|f| f["findingId"].as_str().unwrap().to_owned()).collect();
        house.schedule("nightly", &[LOGGING]).await;
        house.ok(suppression("CreateAuditSuppression", "old", json!({"suppressIndefinitely": true}))).await;
        for name in ["off", "spare"] {
            house.ok(action("CreateMitigationAction", name, ROLE)).await;
        }
        house.ok(mitigation("running", &findings[0])).await;
        let start = json!({
            "command": "StartOnDemandAuditTask", "targetCheckNames": [LOGGING, SHARED], "clientRequestToken": "running",
        });
        let running = house.ok(start).await["taskId"].as_str().unwrap().to_owned();
        house.calls();
        Self { house, ended, running, findings }
    }

    /// What a member of an answer is; null if the thing is gone.
    async fn look(&self, (event, pointer): (Value, &str)) -> Value {
        match self.house.invoke(event).await {
            Ok(answer) => answer.pointer(pointer).cloned().unwrap_or_default(),
            Err(failure) => {
                assert_eq!(failure.name(), "ResourceNotFoundException", "{failure}");
                Value::Null
            }
        }
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
        "auditCheckToActionsMapping": {SHARED: ["off"]},
    })
}

/// What to ask, where to look in the answer, and what is there.
type Shown = (Value, &'static str, Value);

/// A command with good input.
struct Row {
    name: &'static str,
    /// The members, in a world.
    input: fn(&World) -> Value,
    /// For a change: what shows that it was made.
    shows: Option<fn(&World) -> Shown>,
}

const fn reads(name: &'static str, input: fn(&World) -> Value) -> Row {
    Row { name, input, shows: None }
}

const fn changes(name: &'static str, input: fn(&World) -> Value, shows: fn(&World) -> Shown) -> Row {
    Row { name, input, shows: Some(shows) }
}

fn period() -> Value {
    json!({"startTime": "2026-11-01T00:00:00Z", "endTime": 1_796_000_000.5})
}

fn named(command: &str, member: &str, name: &str) -> Value {
    json!({"command": command, member: name})
}

static TABLE: [Row; 30] = [
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
    reads("DescribeAuditTask", |world| json!({"taskId": world.ended})),
    reads("ListAuditTasks", |_| merged(period(), json!({"taskStatus": "COMPLETED"}))),
    changes(
        "CancelAuditTask",
        |world| json!({"taskId": world.running}),
        |world| (named("DescribeAuditTask", "taskId", &world.running), "/taskStatus", json!("CANCELED")),
    ),
    reads("ListAuditFindings", |world| json!({"taskId": world.ended, "checkName": SHARED, "maxResults": 2})),
    reads("DescribeAuditFinding", |world| json!({"findingId": world.findings[0]})),
    reads("ListRelatedResourcesForAuditFinding", |world| json!({"findingId": world.findings[0]})),
    changes(
        "CreateAuditSuppression",
        |_| {
            let end = json!({"expirationDate": "2026-12-24T00:00:00Z", "description": "looked at"});
            let mut event = suppression("", "new", end);
            event.as_object_mut().unwrap().remove("command");
            event
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
        |_| {
            let mut event = action("", "new", ROLE);
            event.as_object_mut().unwrap().remove("command");
            event
        },
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
        |world| {
            let mut event = mitigation("by-hand", &world.findings[1]);
            event.as_object_mut().unwrap().remove("command");
            event
        },
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
        |world| json!({"taskId": "running", "findingId": world.findings[0]}),
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

impl Row {
    fn operation(&self) -> &'static Operation {
        AUDIT.iter().find(|operation| operation.name == self.name).unwrap()
    }

    fn event(&self, world: &World) -> Value {
        merged(json!({"command": self.name}), (self.input)(world))
    }

    /// Holds what there is against what the command is to bring about.
    async fn holds(&self, world: &World, when: &str) {
        let Some(shows) = self.shows else { return };
        let (event, pointer, wanted) = shows(world);
        assert_eq!(world.look((event, pointer)).await, wanted, "{} {when}", self.name);
        let started = usize::from(self.name == "StartOnDemandAuditTask");
        assert_eq!(world.house.audits(), 2 + started, "{} {when}", self.name);
    }
}

#[test]
fn the_table_has_every_command() {
    let table: BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(table, AUDIT.iter().map(|operation| operation.name).collect());
    for row in &TABLE {
        assert_eq!(row.shows.is_some(), row.operation().changes(), "{}", row.name);
    }
}

#[tokio::test(start_paused = true)]
async fn good_input_is_done_and_answered_as_the_service_does() {
    for row in &TABLE {
        let world = World::new().await;
        if let Some(shows) = row.shows {
            let (event, pointer, wanted) = shows(&world);
            assert_ne!(world.look((event, pointer)).await, wanted, "{} has something to do", row.name);
        }
        let answer = world.house.ok(row.event(&world)).await;
        row.holds(&world, "is done").await;
        // What was asked last, asked of the endpoint itself.
        if row.shows.is_none() {
            assert_eq!(answer, world.house.again(), "{}", row.name);
            assert_ne!(answer, json!({}), "{}", row.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn throttled_at_first_it_is_done_once() {
    for row in &TABLE {
        for operation in [row.name, "*"] {
            let world = World::new().await;
            world.house.order(operation, "throttle", 2, 0);
            world.house.ok(row.event(&world)).await;
            world.house.control("DELETE", "faults", &Value::Null);
            row.holds(&world, "after throttling").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn throttled_for_good_it_fails_by_name_and_nothing_is_done() {
    for row in &TABLE {
        let world = World::new().await;
        world.house.order(row.name, "throttle", 3, 0);
        let error = world.house.fails(row.event(&world)).await;
        assert!(error.starts_with("ThrottlingException\n"), "{}: {error}", row.name);
        let calls = world.house.calls();
        let tries = calls.lines().filter(|call| is_of(row.operation(), call)).count();
        assert_eq!(tries, 3, "{}: {calls}", row.name);
        if let Some(shows) = row.shows {
            let (event, pointer, done) = shows(&world);
            assert_ne!(world.look((event, pointer)).await, done, "{}", row.name);
        }
        // The same command is done when the service takes it.
        world.house.ok(row.event(&world)).await;
        row.holds(&world, "after the service recovered").await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_its_effect_is_tried_again_where_that_is_safe() {
    for row in &TABLE {
        for kind in ["internal-failure", "reset", "html"] {
            let world = World::new().await;
            world.house.order(row.name, kind, 1, 0);
            let first = world.house.invoke(row.event(&world)).await;
            // It has no token at AWS, so that nobody can know whether a second one would be one too many.
            let unsafe_to_repeat = row.name == "StartOnDemandAuditTask";
            assert_eq!(first.is_err(), unsafe_to_repeat, "{} {kind}: {first:?}", row.name);
            if unsafe_to_repeat {
                assert_eq!(world.house.audits(), 2, "{kind}");
                world.house.pass(61);
                world.house.ok(row.event(&world)).await;
            }
            row.holds(&world, kind).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_done_and_not_answered_is_not_done_twice() {
    for row in &TABLE {
        for kind in ["lost-answer", "done-but-failed"] {
            let world = World::new().await;
            world.house.order(row.name, kind, 1, 0);
            // An audit has no token at AWS: only a repeat with ours tells which one it was.
            let first = world.house.invoke(row.event(&world)).await;
            assert_eq!(
                first.is_err(),
                row.name == "StartOnDemandAuditTask",
                "{} {kind}: {first:?}",
                row.name
            );
            row.holds(&world, kind).await;
            let _ = world.house.invoke(row.event(&world)).await;
            row.holds(&world, "after a repeat").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_bad_input_of_each_member_is_told_before_any_call() {
    let world = World::new().await;
    let mut count = 0;
    for row in &TABLE {
        for Bad { path, value, told } in bad_inputs(row.operation().members, LOGGING) {
            let mut event = row.event(&world);
            put(&mut event, &path, value);
            let error = world.house.fails(event.clone()).await;
            let named = error.lines().skip(1).any(|line| line.starts_with(&format!("{told}: ")));
            assert!(error.starts_with("InvalidInput\n") && named, "{told} of {event}\n{error}");
            count += 1;
        }
    }
    assert_eq!(world.house.calls(), "");
    assert!(count > 800, "{count}");
}

#[tokio::test(start_paused = true)]
async fn all_bad_members_are_told_at_once() {
    let world = World::new().await;
    for row in &TABLE {
        let members = row.operation().members;
        let mut event = json!({"command": row.name, "noSuchMember": 1});
        for member in members {
            event[member.name] = if matches!(member.shape, Shape::Flag) { json!(1) } else { json!(true) };
        }
        let error = world.house.fails(event).await;
        for name in members.iter().map(|member| member.name).chain(["noSuchMember"]) {
            assert!(error.contains(&format!("\n$.{name}: ")), "{}: {name}\n{error}", row.name);
        }
    }
    assert_eq!(world.house.calls(), "");
}

/// What the service's documents say in words only: members that exclude each other, that need each other, and times.
#[tokio::test(start_paused = true)]
async fn bad_combinations_are_told_before_any_call() {
    let world = World::new().await;
    let past = "2026-01-01T00:00:00Z";
    let (task, finding) = (world.ended.as_str(), world.findings[0].as_str());
    let audit_or_findings = json!({"auditTaskId": task, "findingIds": [finding]});
    let filter = json!({"findingIds": [finding], "auditCheckToReasonCodeFilter": {SHARED: ["X"]}});
    let unmapped = json!({"auditTaskId": task, "auditCheckToReasonCodeFilter": {LOGGING: ["X"]}});
    let two = json!({
        "updateDeviceCertificateParams": {"action": "DEACTIVATE"}, "publishFindingToSnsParams": {"topicArn": "arn:t"},
    });
    let silent = json!({"enableIoTLoggingParams": {"roleArnForLogging": ROLE, "logLevel": "DISABLED"}});
    let threshold = |days: &str| json!({LOGGING: {"configuration": {"CERT_AGE_THRESHOLD_IN_DAYS": days}}});
    let days = |days: &str| json!({"DEVICE_CERTIFICATE_AGE_CHECK": {"configuration": {"CERT_AGE_THRESHOLD_IN_DAYS": days}}});
    for (command, members, told) in [
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
    ] {
        let row = TABLE.iter().find(|row| row.name == command).unwrap();
        let event = merged(row.event(&world), members);
        let error = world.house.fails(event.clone()).await;
        let named = error.lines().skip(1).any(|line| line.starts_with(&format!("{told}: ")));
        assert!(error.starts_with("InvalidInput\n") && named, "{told} of {event}\n{error}");
    }
    assert_eq!(world.house.calls(), "");
}
