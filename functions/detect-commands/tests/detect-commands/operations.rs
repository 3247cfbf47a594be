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
use fleetwarden_core::api::DETECT;
use fleetwarden_core::api::Operation;
use serde_json::Value;
use serde_json::json;

use crate::setup::ACCOUNT;
use crate::setup::GROUP;
use crate::setup::Setup;
use crate::setup::messages;
use crate::setup::model;
use crate::setup::setup;

const ALL: &str = "arn:aws:iot:us-east-1:123456789012:all/registered-things";

/// A setup in which every command of the table can be done.
pub(crate) struct Prepared {
    pub(crate) setup: Setup,
    /// A violation that no task has. Another one the task `running` has.
    pub(crate) violation: Value,
}

impl Fixture for Prepared {
    const OPERATIONS: &'static [Operation] = &DETECT;
    const KEY: &'static str = "SNS";

    async fn new() -> Self {
        let setup = setup();
        let metric =
            json!({"command": "CreateCustomMetric", "metricName": "battery", "metricType": "number"});
        setup.ok(metric).await;
        let dimension = json!({
            "command": "CreateDimension", "name": "admin", "type": "TOPIC_FILTER", "stringValues": ["admin/#"],
        });
        setup.ok(dimension).await;
        setup.profile("noisy", &json!([messages("always", 0)])).await;
        setup.attach("noisy", GROUP).await;
        setup.profile("spare", &json!([messages("never", 1_000_000)])).await;
        setup.profile("trained", &json!([model("learned")])).await;
        setup.attach("trained", ALL).await;
        setup.quarantine_action("quarantine");
        setup.pass(900);
        let active = setup.active().await;
        let [violation, taken] = [active[0].clone(), active[1].clone()];
        setup.ok(start("running", &taken)).await;
        setup.calls();
        Self { setup, violation }
    }

    async fn invoke(&self, event: Value) -> Result<Value, Failure> {
        self.setup.invoke(event).await
    }

    fn services(&self) -> &LocalServices {
        &self.setup
    }

    fn tasks(&self, command: &str) -> (usize, usize) {
        let tasks = self.setup.control("GET", "detect/state", &Value::Null)["mitigationTasks"].clone();
        (tasks.as_array().unwrap().len(), 1 + usize::from(command == "StartDetectMitigationActionsTask"))
    }
}

fn start(task: &str, violation: &Value) -> Value {
    json!({
        "command": "StartDetectMitigationActionsTask", "taskId": task, "actions": ["quarantine"],
        "target": {"violationIds": [violation["violationId"]]},
    })
}

fn period() -> Value {
    json!({"startTime": "2026-11-22T00:00:00Z", "endTime": 1_795_400_000.5})
}

fn profile(name: &str) -> Value {
    json!({"securityProfileName": name})
}

fn targets(name: &str) -> Value {
    named("ListTargetsForSecurityProfile", "securityProfileName", name)
}

static TABLE: Table<Prepared> = Table(&ROWS);

static ROWS: [Row<Prepared>; 30] = [
    changes(
        "CreateSecurityProfile",
        |_| json!({"securityProfileName": "new", "behaviors": [messages("b", 50)], "securityProfileDescription": "why"}),
        |_| {
            (
                named("DescribeSecurityProfile", "securityProfileName", "new"),
                "/securityProfileDescription",
                json!("why"),
            )
        },
    ),
    changes(
        "UpdateSecurityProfile",
        |_| json!({"securityProfileName": "spare", "behaviors": [messages("b", 60)]}),
        |_| {
            (
                named("DescribeSecurityProfile", "securityProfileName", "spare"),
                "/behaviors/0/criteria/value/count",
                json!(60),
            )
        },
    ),
    reads("DescribeSecurityProfile", |_| profile("noisy")),
    reads("ListSecurityProfiles", |_| json!({"maxResults": 2})),
    changes(
        "DeleteSecurityProfile",
        |_| json!({"securityProfileName": "trained", "confirm": ACCOUNT}),
        |_| (named("DescribeSecurityProfile", "securityProfileName", "trained"), "", Value::Null),
    ),
    reads("ValidateSecurityProfileBehaviors", |_| json!({"behaviors": [messages("b", 50)]})),
    changes(
        "AttachSecurityProfile",
        |_| json!({"securityProfileName": "spare", "securityProfileTargetArn": GROUP}),
        |_| (targets("spare"), "/securityProfileTargets/0/arn", json!(GROUP)),
    ),
    changes(
        "DetachSecurityProfile",
        |_| json!({"securityProfileName": "noisy", "securityProfileTargetArn": GROUP}),
        |_| (targets("noisy"), "/securityProfileTargets/0/arn", Value::Null),
    ),
    reads("ListSecurityProfilesForTarget", |_| json!({"securityProfileTargetArn": GROUP, "recursive": true})),
    reads("ListTargetsForSecurityProfile", |_| profile("noisy")),
    reads("ListActiveViolations", |_| json!({"securityProfileName": "noisy", "maxResults": 3})),
    reads("ListViolationEvents", |_| {
        merged(period(), json!({"behaviorCriteriaType": "STATIC", "maxResults": 3}))
    }),
    changes(
        "PutVerificationStateOnViolation",
        |fixture| json!({"violationId": fixture.violation["violationId"], "verificationState": "FALSE_POSITIVE"}),
        |fixture| {
            let list = json!({
                "command": "ListActiveViolations", "thingName": fixture.violation["thingName"],
                "verificationState": "FALSE_POSITIVE",
            });
            (list, "/activeViolations/0/verificationState", json!("FALSE_POSITIVE"))
        },
    ),
    reads("ListMetricValues", |fixture| {
        merged(
            period(),
            json!({"thingName": fixture.violation["thingName"], "metricName": "aws:num-messages-sent"}),
        )
    }),
    reads("GetBehaviorModelTrainingSummaries", |_| profile("trained")),
    changes(
        "StartDetectMitigationActionsTask",
        |fixture| without_command(start("by-hand", &fixture.violation)),
        |_| {
            (
                named("DescribeDetectMitigationActionsTask", "taskId", "by-hand"),
                "/taskSummary/taskStatus",
                json!("IN_PROGRESS"),
            )
        },
    ),
    reads("DescribeDetectMitigationActionsTask", |_| json!({"taskId": "running"})),
    reads("ListDetectMitigationActionsTasks", |_| period()),
    reads("ListDetectMitigationActionsExecutions", |_| json!({"taskId": "running"})),
    changes(
        "CancelDetectMitigationActionsTask",
        |_| json!({"taskId": "running"}),
        |_| {
            (
                named("DescribeDetectMitigationActionsTask", "taskId", "running"),
                "/taskSummary/taskStatus",
                json!("CANCELED"),
            )
        },
    ),
    changes(
        "CreateCustomMetric",
        |_| json!({"metricName": "signal", "metricType": "number", "displayName": "Signal"}),
        |_| (named("DescribeCustomMetric", "metricName", "signal"), "/displayName", json!("Signal")),
    ),
    changes(
        "UpdateCustomMetric",
        |_| json!({"metricName": "battery", "displayName": "Battery"}),
        |_| (named("DescribeCustomMetric", "metricName", "battery"), "/displayName", json!("Battery")),
    ),
    reads("DescribeCustomMetric", |_| json!({"metricName": "battery"})),
    reads("ListCustomMetrics", |_| json!({"maxResults": 5})),
    changes(
        "DeleteCustomMetric",
        |_| json!({"metricName": "battery"}),
        |_| (named("DescribeCustomMetric", "metricName", "battery"), "", Value::Null),
    ),
    changes(
        "CreateDimension",
        |_| json!({"name": "control", "type": "TOPIC_FILTER", "stringValues": ["control/+"]}),
        |_| (named("DescribeDimension", "name", "control"), "/stringValues/0", json!("control/+")),
    ),
    changes(
        "UpdateDimension",
        |_| json!({"name": "admin", "stringValues": ["root/#"]}),
        |_| (named("DescribeDimension", "name", "admin"), "/stringValues/0", json!("root/#")),
    ),
    reads("DescribeDimension", |_| json!({"name": "admin"})),
    reads("ListDimensions", |_| json!({"maxResults": 5})),
    changes(
        "DeleteDimension",
        |_| json!({"name": "admin"}),
        |_| (named("DescribeDimension", "name", "admin"), "", Value::Null),
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

/// What the service's documents say in words only, and members of our own.
#[tokio::test(start_paused = true)]
async fn bad_combinations_are_refused_before_any_call() {
    let fixture = Prepared::new().await;
    let past = "2026-01-01T00:00:00Z";
    let bad = vec![
        ("UpdateSecurityProfile", json!({"behaviors": null}), "$"),
        ("UpdateSecurityProfile", json!({"deleteBehaviors": true}), "$.deleteBehaviors"),
        ("ListSecurityProfiles", json!({"dimensionName": "a", "metricName": "b"}), "$.metricName"),
        ("ListViolationEvents", json!({"endTime": past}), "$.endTime"),
        ("ListMetricValues", json!({"endTime": past}), "$.endTime"),
        ("ListDetectMitigationActionsTasks", json!({"endTime": past}), "$.endTime"),
        ("ListDetectMitigationActionsExecutions", json!({"startTime": 1, "endTime": 2}), "$.taskId"),
        ("ListDetectMitigationActionsExecutions", json!({"taskId": null}), "$"),
        ("StartDetectMitigationActionsTask", json!({"target": {}}), "$.target"),
        (
            "StartDetectMitigationActionsTask",
            json!({"target": {"violationIds": ["a"], "securityProfileName": "b"}}),
            "$.target.violationIds",
        ),
        (
            "StartDetectMitigationActionsTask",
            json!({"violationEventOccurrenceRange": {"startTime": 2, "endTime": 1}}),
            "$.violationEventOccurrenceRange.endTime",
        ),
        ("CreateCustomMetric", json!({"metricName": "aws:x"}), "$.metricName"),
        ("CreateSecurityProfile", json!({"tryOn": []}), "$.tryOn"),
        ("AttachSecurityProfile", json!({"tryOn": vec!["t"; 11]}), "$.tryOn"),
        ("UpdateSecurityProfile", json!({"tryOn": ["t"], "tryHours": 337}), "$.tryHours"),
        ("DeleteSecurityProfile", json!({"tryOn": ["t"]}), "$.tryOn"),
        ("DescribeSecurityProfile", json!({"all": true}), "$.all"),
        ("ListActiveViolations", json!({"dryRun": true}), "$.dryRun"),
        ("ValidateSecurityProfileBehaviors", json!({"dryRun": true}), "$.dryRun"),
        ("DeleteSecurityProfile", json!({"confirm": 1}), "$.confirm"),
    ];
    TABLE.bad_combinations_are_refused(&fixture, bad).await;
}
