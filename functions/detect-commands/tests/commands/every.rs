//! Every command by one table: good input, each kind of bad input for each of its members, throttling, and retries.

use std::collections::BTreeSet;

use fleetwarden_commands::testing::Bad;
use fleetwarden_commands::testing::bad_inputs;
use fleetwarden_commands::testing::is_of;
use fleetwarden_commands::testing::merged;
use fleetwarden_commands::testing::put;
use fleetwarden_core::api::DETECT;
use fleetwarden_core::api::Operation;
use fleetwarden_core::api::shape::Shape;
use serde_json::Value;
use serde_json::json;

use crate::house::ACCOUNT;
use crate::house::GROUP;
use crate::house::House;
use crate::house::house;
use crate::house::messages;
use crate::house::model;

const ALL: &str = "arn:aws:iot:us-east-1:123456789012:all/registered-things";

/// A house in which every command of the table can be done.
pub(crate) struct World {
    pub(crate) house: House,
    /// A violation that no task has. Another one the task `running` has.
    pub(crate) violation: Value,
}

impl World {
    pub(crate) async fn new() -> Self {
        let house = house();
        let metric =
            json!({"command": "CreateCustomMetric", "metricName": "battery", "metricType": "number"});
        house.ok(metric).await;
        let dimension = json!({
            "command": "CreateDimension", "name": "admin", "type": "TOPIC_FILTER", "stringValues": ["admin/#"],
        });
        house.ok(dimension).await;
        house.profile("noisy", &json!([messages("always", 0)])).await;
        house.attach("noisy", GROUP).await;
        house.profile("spare", &json!([messages("never", 1_000_000)])).await;
        house.profile("trained", &json!([model("learned")])).await;
        house.attach("trained", ALL).await;
        house.quarantine_action("quarantine");
        house.pass(900);
        let active = house.active().await;
        let [violation, taken] = [active[0].clone(), active[1].clone()];
        house.ok(start("running", &taken)).await;
        house.calls();
        Self { house, violation }
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

fn start(task: &str, violation: &Value) -> Value {
    json!({
        "command": "StartDetectMitigationActionsTask", "taskId": task, "actions": ["quarantine"],
        "target": {"violationIds": [violation["violationId"]]},
    })
}

fn without_command(mut event: Value) -> Value {
    event.as_object_mut().unwrap().remove("command");
    event
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
    json!({"startTime": "2026-11-22T00:00:00Z", "endTime": 1_795_400_000.5})
}

fn named(command: &str, member: &str, name: &str) -> Value {
    json!({"command": command, member: name})
}

fn profile(name: &str) -> Value {
    json!({"securityProfileName": name})
}

fn targets(name: &str) -> Value {
    named("ListTargetsForSecurityProfile", "securityProfileName", name)
}

static TABLE: [Row; 30] = [
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
        |world| json!({"violationId": world.violation["violationId"], "verificationState": "FALSE_POSITIVE"}),
        |world| {
            let list = json!({
                "command": "ListActiveViolations", "thingName": world.violation["thingName"],
                "verificationState": "FALSE_POSITIVE",
            });
            (list, "/activeViolations/0/verificationState", json!("FALSE_POSITIVE"))
        },
    ),
    reads("ListMetricValues", |world| {
        merged(
            period(),
            json!({"thingName": world.violation["thingName"], "metricName": "aws:num-messages-sent"}),
        )
    }),
    reads("GetBehaviorModelTrainingSummaries", |_| profile("trained")),
    changes(
        "StartDetectMitigationActionsTask",
        |world| without_command(start("by-hand", &world.violation)),
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

impl Row {
    fn operation(&self) -> &'static Operation {
        DETECT.iter().find(|operation| operation.name == self.name).unwrap()
    }

    fn event(&self, world: &World) -> Value {
        merged(json!({"command": self.name}), (self.input)(world))
    }

    /// Holds what there is against what the command is to bring about.
    async fn holds(&self, world: &World, when: &str) {
        let Some(shows) = self.shows else { return };
        let (event, pointer, wanted) = shows(world);
        assert_eq!(world.look((event, pointer)).await, wanted, "{} {when}", self.name);
        let tasks = world.house.control("GET", "detect/state", &Value::Null)["mitigationTasks"].clone();
        let started = usize::from(self.name == "StartDetectMitigationActionsTask");
        assert_eq!(tasks.as_array().unwrap().len(), 1 + started, "{} {when}", self.name);
    }
}

#[test]
fn the_table_has_every_command() {
    let table: BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(table, DETECT.iter().map(|operation| operation.name).collect());
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
async fn what_fails_before_its_effect_is_tried_again() {
    for row in &TABLE {
        for kind in ["internal-failure", "reset", "html"] {
            let world = World::new().await;
            world.house.order(row.name, kind, 1, 0);
            world.house.ok(row.event(&world)).await;
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
            world.house.ok(row.event(&world)).await;
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
        for Bad { path, value, told } in bad_inputs(row.operation().members, "SNS") {
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

/// What the service's documents say in words only, and members of our own.
#[tokio::test(start_paused = true)]
async fn bad_combinations_are_told_before_any_call() {
    let world = World::new().await;
    let past = "2026-01-01T00:00:00Z";
    for (command, members, told) in [
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
    ] {
        let row = TABLE.iter().find(|row| row.name == command).unwrap();
        let event = merged(row.event(&world), members);
        let error = world.house.fails(event.clone()).await;
        let named = error.lines().skip(1).any(|line| line.starts_with(&format!("{told}: ")));
        assert!(error.starts_with("InvalidInput\n") && named, "{told} of {event}\n{error}");
    }
    assert_eq!(world.house.calls(), "");
}
