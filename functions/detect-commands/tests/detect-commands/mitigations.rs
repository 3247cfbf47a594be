//! The gate before a mitigation of alarms, its claim, and what a repeat of it finds.

use fleetwarden_aws::testing::Answer;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmStep;
use serde_json::Value;
use serde_json::json;

use crate::setup::GROUP;
use crate::setup::QUEUE;
use crate::setup::Setup;
use crate::setup::messages;
use crate::setup::setup_with;

const ENFORCE: &str = "version: 1\nbudgets: none\nmode: enforce\nrules: []\n";

/// A setup with a policy, in which things of a group alarm; and the violations.
pub(crate) async fn alarmed(policy: &'static str) -> (Setup, Vec<Value>) {
    let setup = setup_with(policy);
    setup.profile("noisy", &json!([messages("always", 0)])).await;
    setup.attach("noisy", GROUP).await;
    setup.quarantine_action("quarantine");
    setup.pass(900);
    let active = setup.active().await;
    assert!(active.len() >= 3, "{active:?}");
    (setup, active)
}

pub(crate) fn start(violations: &[&Value]) -> Value {
    let ids: Vec<&Value> = violations.iter().map(|violation| &violation["violationId"]).collect();
    json!({
        "command": "StartDetectMitigationActionsTask", "taskId": "m", "actions": ["quarantine"],
        "target": {"violationIds": ids},
    })
}

fn with(mut event: Value, member: &str, value: Value) -> Value {
    event[member] = value;
    event
}

/// What the ledger has of the task.
pub(crate) fn task(setup: &Setup) -> Value {
    setup.cloud.item("mitigation#m", "task").map_or(Value::Null, Value::from)
}

pub(crate) fn claim(setup: &Setup, violation: &Value) -> Value {
    let pk = format!("violation#{}", violation["violationId"].as_str().unwrap());
    setup.cloud.item(&pk, "mitigation").map_or(Value::Null, Value::from)
}

pub(crate) fn follow_ups(setup: &Setup) -> Vec<AlarmMitigationMessage> {
    setup.cloud.sent_to(QUEUE).iter().map(|body| serde_json::from_str(body).unwrap()).collect()
}

pub(crate) fn started(setup: &Setup) -> usize {
    setup.control("GET", "detect/state", &Value::Null)["mitigationTasks"].as_array().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_claimed_followed_and_started_with_both_flags() {
    let (setup, active) = alarmed(ENFORCE).await;
    let event = start(&[&active[0], &active[1]]);
    assert_eq!(setup.ok(event.clone()).await, json!({"taskId": "m"}));
    let described = setup.ok(json!({"command": "DescribeDetectMitigationActionsTask", "taskId": "m"})).await;
    let summary = &described["taskSummary"];
    assert_eq!(summary["target"], event["target"]);
    assert_eq!(
        (&summary["onlyActiveViolationsIncluded"], &summary["suppressedAlertsIncluded"]),
        (&json!(true), &json!(false))
    );
    assert_eq!((&task(&setup)["state"], &task(&setup)["origin"]), (&json!("started"), &json!("command")));
    for violation in &active[..2] {
        assert_eq!(claim(&setup, violation)["task_id"], "m");
    }
    assert_eq!(claim(&setup, &active[2]), Value::Null);
    let sent = follow_ups(&setup);
    let [message] = &sent[..] else { panic!("{sent:?}") };
    let request = &message.alarms;
    assert_eq!((message.step, &request.origin), (AlarmStep::Follow, &Origin::Command("m".into())));
    assert_eq!((request.profile.as_str(), request.behavior.as_str()), ("noisy", "always"));
    assert_eq!(request.violations[1].thing, active[1]["thingName"].as_str().unwrap());
    // What the start is to change is written down before it.
    let thing = active[0]["thingName"].as_str().unwrap();
    let before = &setup.cloud.item("mitigation#m", &format!("before#thing#{thing}")).unwrap()["before"];
    let before: Value = serde_json::from_str(before.as_str().unwrap()).unwrap();
    assert_eq!(before["state"]["adds"], json!({"quarantine": ["quarantine"]}));
    assert_eq!(before["parts"], json!([active[0]["violationId"]]));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_answered_from_the_ledger_also_when_the_alarm_is_over() {
    let (setup, active) = alarmed(ENFORCE).await;
    let event = start(&[&active[0]]);
    for kind in ["lost-answer", "done-but-failed"] {
        setup.order("StartDetectMitigationActionsTask", kind, 1, 0);
        assert_eq!(setup.ok(event.clone()).await, json!({"taskId": "m"}), "{kind}");
    }
    let detach = json!({
        "command": "DetachSecurityProfile", "securityProfileName": "noisy", "securityProfileTargetArn": GROUP,
    });
    setup.ok(detach).await;
    setup.pass(300);
    assert!(setup.active().await.is_empty());
    assert_eq!(setup.ok(event.clone()).await, json!({"taskId": "m"}));
    assert_eq!(setup.calls(), "");
    assert_eq!((started(&setup), follow_ups(&setup).len()), (1, 1));
    let other = with(event, "includeSuppressedAlerts", true.into());
    assert!(setup.fails(other).await.starts_with("InvalidInput\n"), "its alarm is over");
}

#[tokio::test(start_paused = true)]
async fn what_other_tasks_have_is_not_taken() {
    let (setup, active) = alarmed(ENFORCE).await;
    setup.ok(start(&[&active[1]])).await;
    let other = with(start(&[&active[0], &active[1]]), "taskId", "n".into());
    let id = active[1]["violationId"].as_str().unwrap();
    let taken = format!(
        "ViolationsTaken\n$.target.violationIds[1]: the mitigation task 'm' has the violation '{id}'"
    );
    assert_eq!(setup.fails(other.clone()).await, taken);
    assert_eq!(setup.fails(with(other, "dryRun", true.into())).await, taken);
    assert_eq!(claim(&setup, &active[0]), Value::Null, "all or none");
    // Another command of the same task id is another mitigation.
    let same_id = start(&[&active[2]]);
    assert!(setup.fails(same_id).await.starts_with("TaskAlreadyExistsException\n"));
    assert_eq!(started(&setup), 1);
}

#[tokio::test(start_paused = true)]
async fn in_observe_and_dry_nothing_starts() {
    let observe = "version: 1\nbudgets: none\nmode: observe\nrules: []\n";
    for (policy, dry) in [(observe, false), (observe, true), (ENFORCE, true)] {
        let (setup, active) = alarmed(policy).await;
        let answer = setup.ok(with(start(&[&active[0]]), "dryRun", dry.into())).await;
        assert_eq!(answer["observed"], policy == observe);
        let starts = if dry { &answer["changes"][0]["to"] } else { &answer["wouldStart"] };
        assert_eq!(
            (&starts["includeOnlyActiveViolations"], &starts["includeSuppressedAlerts"]),
            (&json!(true), &json!(false))
        );
        let mitigates = &answer["mitigates"][0];
        assert_eq!(mitigates["thingName"], active[0]["thingName"]);
        assert_eq!(mitigates["adds"], json!({"quarantine": ["quarantine"]}));
        let written = if dry { Value::Null } else { json!("observed") };
        assert_eq!((task(&setup)["state"].clone(), claim(&setup, &active[0])), (written, Value::Null));
        assert_eq!((started(&setup), follow_ups(&setup).len()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_budget_of_a_group_counts_what_is_in_it() {
    let with = |group: &str| {
        let budget = format!("budgets: [{{ most: 2, within: 1h, group: {group} }}]");
        format!("version: 1\nmode: enforce\n{budget}\nrules: []\n").leak()
    };
    let (setup, active) = alarmed(with("lab")).await;
    let told = setup.fails(start(&[&active[0], &active[1], &active[2]])).await;
    assert!(
        told.starts_with("OverBudget\nover the budget of 2 of group lab in 1h: 0 of 2 are used"),
        "{told}"
    );
    setup.ok(start(&[&active[0], &active[1]])).await;
    let (setup, active) = alarmed(with("museum")).await;
    setup.ok(start(&[&active[0], &active[1], &active[2]])).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_protected_or_unknown_or_outside_of_the_windows_does_not_start() {
    for (policy, name) in [
        ("version: 1\nbudgets: none\nmode: enforce\nprotect: { things: ['*'] }\nrules: []\n", "Protected"),
        ("version: 1\nbudgets: none\nmode: enforce\nprotect: { groups: [lab] }\nrules: []\n", "Protected"),
        (
            "version: 1\nbudgets: none\nmode: enforce\nwindows: { zone: Europe/Berlin, open: [{ days: [Tue], hours: 08:00-10:00 }] }\nrules: []\n",
            "OutsideWindow",
        ),
        (
            "version: 1\nbudgets: none\nmode: enforce\nactions: { quarantine: { windows: { zone: UTC, open: [{ days: [Tue] }] } } }\nrules: []\n",
            "OutsideWindow",
        ),
        ("version: 1\nbudgets: none\nmode: enforce\nrules: [", "Fleetwarden.Policy"),
    ] {
        let (setup, active) = alarmed(policy).await;
        let error = setup.fails(start(&[&active[0]])).await;
        assert!(error.starts_with(&format!("{name}\n")), "{name}: {error}");
        assert_eq!((started(&setup), claim(&setup, &active[0])), (0, Value::Null));
    }
    let (setup, active) =
        alarmed("version: 1\nbudgets: none\nmode: enforce\nprotect: { groups: [museum] }\nrules: []\n").await;
    *setup.instead.lock().unwrap() = Some(|path| {
        let answer = Answer::error(403, "AccessDeniedException", json!({"message": "no"}));
        path.contains("/thing-groups").then_some(answer)
    });
    let error = setup.fails(start(&[&active[0]])).await;
    assert!(error.starts_with("ProtectionUnknown\n$.target.violationIds[0]: "), "{error}");
    *setup.instead.lock().unwrap() = None;
    setup.ok(start(&[&active[0]])).await;
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_told_by_its_place() {
    let (setup, active) = alarmed(ENFORCE).await;
    setup.action("shut", &json!({"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}));
    let mut other = messages("other", 0);
    other["suppressAlerts"] = true.into();
    setup.profile("second", &json!([other])).await;
    setup.attach("second", GROUP).await;
    setup.pass(900);
    let of = |profile: &str, active: &[Value]| {
        active.iter().find(|violation| violation["securityProfileName"] == profile).unwrap().clone()
    };
    let now = setup.active().await;
    let suppressed = of("second", &now);
    let none = json!({"violationId": "none"});
    let mut told = Vec::new();
    for event in [
        with(start(&[&active[0]]), "actions", json!(["quarantine", "shut", "missing"])),
        start(&[&active[0], &none, &suppressed]),
        with(start(&[&active[0], &suppressed]), "includeSuppressedAlerts", true.into()),
        with(start(&[]), "target", json!({"securityProfileName": "noisy", "behaviorName": "none"})),
        with(
            with(start(&[]), "target", json!({"securityProfileName": "noisy"})),
            "includeOnlyActiveViolations",
            false.into(),
        ),
        with(start(&[&none]), "includeOnlyActiveViolations", false.into()),
    ] {
        told.push(setup.fails(event).await);
    }
    assert_eq!((started(&setup), follow_ups(&setup).len()), (0, 0));
    let told = told.join("\n\n").replace(suppressed["violationId"].as_str().unwrap(), "VIOLATION");
    insta::assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn a_profile_is_the_violations_that_it_has() {
    let (setup, active) = alarmed(ENFORCE).await;
    let event = with(start(&[]), "target", json!({"securityProfileName": "noisy", "behaviorName": "always"}));
    if active.len() > 25 {
        let error = setup.fails(event.clone()).await;
        assert!(
            error.starts_with(&format!("InvalidInput\n$.target: {} active violations", active.len())),
            "{error}"
        );
    }
    let at = active[0]["violationStartTime"].as_f64().unwrap();
    let later = with(
        event.clone(),
        "violationEventOccurrenceRange",
        json!({"startTime": at + 1.0, "endTime": at + 2.0}),
    );
    let error = setup.fails(later).await;
    assert!(error.starts_with("InvalidInput\n$.target: no active violation is meant"), "{error}");
    // One thing goes on to alarm, the others stop.
    let one = active[0]["thingName"].as_str().unwrap();
    let silent: Vec<&str> = active[1..].iter().map(|v| v["thingName"].as_str().unwrap()).collect();
    for thing in silent {
        let silence = json!({"kind": "silence", "thingNames": [thing], "metric": "aws:num-messages-sent"});
        setup.control("POST", "detect/scenarios", &silence);
    }
    setup.pass(3 * 86_400);
    let left = setup.active().await;
    assert!(left.iter().all(|violation| violation["thingName"] == one) && left.len() == 1, "{left:?}");
    setup.ok(event.clone()).await;
    let described = setup.ok(json!({"command": "DescribeDetectMitigationActionsTask", "taskId": "m"})).await;
    assert_eq!(described["taskSummary"]["target"], json!({"violationIds": [left[0]["violationId"]]}));
    assert_eq!(setup.ok(event).await, json!({"taskId": "m"}));
}

#[tokio::test(start_paused = true)]
async fn a_refused_start_gives_the_claims_back() {
    let (setup, active) = alarmed(ENFORCE).await;
    setup.order("StartDetectMitigationActionsTask", "throttle", 3, 0);
    assert!(setup.fails(start(&[&active[0]])).await.starts_with("ThrottlingException\n"));
    assert_eq!(task(&setup)["state"], "refused");
    setup.ok(start(&[&active[0]])).await;
    assert_eq!((started(&setup), &task(&setup)["state"]), (1, &json!("started")));
    // The follow-up cannot be sent: nothing is started.
    let (setup, active) = alarmed(ENFORCE).await;
    setup.cloud.fail("SendMessageBatch", 1, Answer::error(400, "AccessDenied", json!({"message": "no"})));
    setup.fails(start(&[&active[0]])).await;
    assert_eq!((started(&setup), task(&setup)), (0, Value::Null));
}
