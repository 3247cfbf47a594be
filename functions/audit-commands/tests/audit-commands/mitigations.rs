//! The gate before a mitigation that somebody asks for.

use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::mitigations::Claim;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Rejection;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Word;
use fleetwarden_aws::pause;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_commands::testing::AnswerInstead;
use fleetwarden_core::api;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Past;
use fleetwarden_core::message::Step;
use fleetwarden_core::message::Target;
use fleetwarden_core::model::mitigation::approval::Standing;
use fleetwarden_core::model::mitigation::pause::Pause;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Diagnostic;
use proptest::prelude::ProptestConfig;
use proptest::prelude::Strategy;
use serde_json::Value;
use serde_json::json;

use crate::setup::ACCOUNT;
use crate::setup::LOGGING;
use crate::setup::POLICY;
use crate::setup::QUEUE;
use crate::setup::ROLE;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::setup;
use crate::setup::setup_with;

pub(crate) async fn findings(setup: &Setup, task: &str, check: &str, count: usize) -> Vec<Value> {
    let list = json!({"command": "ListAuditFindings", "taskId": task, "checkName": check, "all": true});
    let listed = setup.ok(list).await;
    listed["findings"].as_array().unwrap().iter().take(count).cloned().collect()
}

pub(crate) async fn action(setup: &Setup) {
    let params = json!({"publishFindingToSnsParams": {"topicArn": "arn:aws:sns:us-east-1:123456789012:t"}});
    setup
        .ok(json!({"command": "CreateMitigationAction", "actionName": "tell", "roleArn": ROLE, "actionParams": params}))
        .await;
    setup.calls();
}

/// A setup in which an audit has found so many shared certificates, and can tell of them.
pub(crate) async fn found(count: usize) -> (Setup, Vec<Value>) {
    let setup = setup();
    let audit = setup.audit(&[SHARED]).await;
    setup.record(&[SHARED], &audit, setup.function.service.clock.now());
    action(&setup).await;
    let found = findings(&setup, &audit, SHARED, count).await;
    (setup, found)
}

pub(crate) fn mitigate(target: &Value, checks: &[&str]) -> Value {
    let mapping: Value = checks.iter().map(|check| ((*check).to_owned(), json!(["tell"]))).collect();
    json!({
        "command": "StartAuditMitigationActionsTask", "taskId": "m", "target": target,
        "auditCheckToActionsMapping": mapping,
    })
}

pub(crate) fn by_id(findings: &[Value]) -> Value {
    json!({"findingIds": findings.iter().map(|finding| &finding["findingId"]).collect::<Vec<_>>()})
}

#[tokio::test(start_paused = true)]
async fn each_finding_is_looked_at_before_the_start() {
    let setup = setup();
    let task = setup.audit(&[SHARED, LOGGING]).await;
    action(&setup).await;
    let mut found = findings(&setup, &task, SHARED, 2).await;
    setup.calls();
    assert_eq!(setup.ok(mitigate(&by_id(&found), &[SHARED])).await, json!({"taskId": "m"}));
    let calls = setup.calls();
    assert_eq!(calls.lines().filter(|call| call.starts_with("GET /audit/findings/")).count(), 2, "{calls}");
    assert!(calls.ends_with("\nPOST /audit/mitigationactions/tasks/m"), "{calls}");

    found.extend(findings(&setup, &task, LOGGING, 1).await);
    found.push(json!({"findingId": "none"}));
    let mut event = mitigate(&by_id(&found), &[SHARED]);
    event["taskId"] = "other".into();
    insta::assert_snapshot!(setup.fails(event).await, @r"
    InvalidInput
    $.target.findingIds[2]: auditCheckToActionsMapping has no actions for LOGGING_DISABLED_CHECK, the check of the finding
    $.target.findingIds[3]: there is no such finding
    ");
}

#[tokio::test(start_paused = true)]
async fn in_observe_nothing_starts() {
    for (policy, dry) in [("observe", false), ("observe", true), ("enforce", true)] {
        let setup = setup_with(match policy {
            "observe" => "version: 1\nbudgets: none\nmode: observe\nrules: []\n",
            _ => "version: 1\nbudgets: none\nmode: enforce\nrules: []\n",
        });
        let task = setup.audit(&[LOGGING]).await;
        action(&setup).await;
        let found = findings(&setup, &task, LOGGING, 1).await;
        let mut event = mitigate(&by_id(&found), &[LOGGING]);
        event["dryRun"] = dry.into();
        setup.calls();
        let answer = setup.ok(event).await;
        assert_eq!(answer["observed"], policy == "observe");
        assert_eq!(answer["mitigates"][0]["findingId"], found[0]["findingId"]);
        assert_eq!(answer["mitigates"][0]["actions"], json!(["tell"]));
        let starts = if dry { &answer["changes"][0]["to"] } else { &answer["wouldStart"] };
        assert_eq!((&starts["taskId"], &starts["target"]), (&json!("m"), &by_id(&found)));
        assert!(!setup.calls().contains("POST"));
        let written = if dry { Value::Null } else { json!("observed") };
        assert_eq!((task_item(&setup, "m")["state"].clone(), follow_ups(&setup).len()), (written, 0));
        assert_eq!(claim(&setup, &found[0]).1, Value::Null, "nothing is held");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_protected_is_not_mitigated() {
    let setup =
        setup_with("version: 1\nbudgets: none\nmode: enforce\nprotect: { policies: ['*'] }\nrules: []\n");
    let task = setup.audit(&[POLICY, SHARED, LOGGING]).await;
    action(&setup).await;
    let protected = findings(&setup, &task, POLICY, 1).await;
    let name = &protected[0]["nonCompliantResource"]["resourceIdentifier"]["policyVersionIdentifier"];
    let label =
        format!("{}:{}", name["policyName"].as_str().unwrap(), name["policyVersionId"].as_str().unwrap());
    assert_eq!(
        setup.fails(mitigate(&by_id(&protected), &[POLICY])).await,
        format!("Protected\n$.target.findingIds[0]: {label} is protected, by '*' of policies")
    );
    let whole = json!({"auditTaskId": task});
    assert_eq!(
        setup.fails(mitigate(&whole, &[LOGGING, POLICY])).await,
        "Protected\n$.target: protect of the policy may concern resources of IOT_POLICY_OVERLY_PERMISSIVE_CHECK; \
         name the findings"
    );
    assert!(!setup.calls().contains("mitigationactions/tasks"));
    // Whether a filter leaves out a check that has actions, AWS does not say.
    let filtered =
        json!({"auditTaskId": task, "auditCheckToReasonCodeFilter": {LOGGING: ["LOGGING_DISABLED"]}});
    assert!(setup.fails(mitigate(&filtered, &[LOGGING, POLICY])).await.starts_with("Protected\n"));
    setup.ok(mitigate(&filtered, &[LOGGING])).await;
}

/// The names of the things behind a finding's certificate.
async fn things(setup: &Setup, finding: &Value) -> Vec<String> {
    let id = &finding["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"];
    let principal = format!("arn:aws:iot:us-east-1:{ACCOUNT}:cert/{}", id.as_str().unwrap());
    let list = api::REGISTRY.iter().find(|operation| operation.name == "ListPrincipalThings").unwrap();
    let input = json!({ "principal": principal });
    let answer = setup.function.service.iot.call(list, input.as_object().unwrap()).await.unwrap();
    let answer: Value = serde_json::from_str(answer.get()).unwrap();
    serde_json::from_value(answer["things"].clone()).unwrap()
}

/// A setup in which this is protected, with an audit and some of its findings on shared certificates.
async fn protecting(protect: &str) -> (Setup, Vec<Value>) {
    let policy = format!("version: 1\nbudgets: none\nmode: enforce\nprotect: {{ {protect} }}\nrules: []\n");
    let setup = setup_with(policy.leak());
    let task = setup.audit(&[SHARED]).await;
    action(&setup).await;
    let found = findings(&setup, &task, SHARED, 5).await;
    setup.calls();
    (setup, found)
}

#[tokio::test(start_paused = true)]
async fn of_several_things_behind_a_certificate_one_that_is_protected_is_enough() {
    let (setup, found) = protecting("things: [none]").await;
    let behind = things(&setup, &found[1]).await;
    assert!(behind.len() > 1, "{behind:?}");
    for thing in behind {
        let (setup, found) = protecting(&format!("things: ['{thing}']")).await;
        let id = found[1]["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"].as_str();
        let error = setup.fails(mitigate(&by_id(&found[..2]), &[SHARED])).await;
        let says = format!("{} is protected, by '{thing}' of things", id.unwrap());
        assert_eq!(error, format!("Protected\n$.target.findingIds[1]: {says}"));
        assert!(!setup.calls().contains("mitigationactions/tasks"));
        setup.ok(mitigate(&by_id(&found[..1]), &[SHARED])).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_thing_of_a_protected_group_or_of_one_below_it_is_not_mitigated() {
    let (setup, found) = protecting("groups: [production]").await;
    let one = by_id(&found[..1]);
    let error = setup.fails(mitigate(&one, &[SHARED])).await;
    assert!(error.starts_with("Protected\n$.target.findingIds[0]: "), "{error}");
    assert!(error.ends_with(" is protected, by 'production' of groups"), "{error}");
    let calls = setup.calls();
    assert!(
        calls.contains("/thing-groups/production-") && !calls.contains("mitigationactions/tasks"),
        "{calls}"
    );
    // Where no thing is in such a group, it starts.
    let (setup, found) = protecting("groups: [museum]").await;
    setup.ok(mitigate(&by_id(&found), &[SHARED])).await;
    let calls = setup.calls();
    let principals = calls.lines().filter(|call| call.starts_with("GET /principals/things")).count();
    assert_eq!(principals, found.len(), "{calls}");
    assert!(!calls.contains("GET /things/thing"), "nobody asks for types: {calls}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_looked_up_that_no_protection_asks_for() {
    let (setup, found) = protecting(&format!("certificates: {}, policies: [none]", "f".repeat(64))).await;
    setup.ok(mitigate(&by_id(&found), &[SHARED])).await;
    let calls = setup.calls();
    assert!(!calls.contains("/principals") && !calls.contains("/things"), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_up_is_no_consent_and_says_why() {
    let denied = |path: &str| {
        let answer = Answer::error(403, "AccessDeniedException", json!({"message": "no (request 4711)"}));
        path.contains("/thing-groups").then_some(answer)
    };
    let many = |path: &str| {
        let things: Vec<String> = (0..26).map(|number| format!("thing-{number}")).collect();
        path.starts_with("/principals").then(|| Answer::ok(json!({ "things": things })))
    };
    let instead: [(AnswerInstead, &str); 2] = [
        (denied, "ListThingGroupsForThing: AccessDeniedException"),
        (many, "the certificate is attached to more than 25 things"),
    ];
    for (answer, why) in instead {
        let (setup, found) = protecting("groups: [museum]").await;
        *setup.instead.lock().unwrap() = Some(answer);
        let error = setup.fails(mitigate(&by_id(&found[..1]), &[SHARED])).await;
        assert!(
            error.starts_with("ProtectionUnknown\n$.target.findingIds[0]: it is unknown whether"),
            "{error}"
        );
        assert!(error.ends_with(&format!(" is protected: {why}")), "{error}");
        assert!(!setup.calls().contains("mitigationactions/tasks"));
        assert_eq!(claim(&setup, &found[0]).0, Value::Null, "nothing is held");
    }
    let (setup, found) = protecting("groups: [museum]").await;
    for (operation, kind, code) in [
        ("ListPrincipalThings", "internal-failure", "InternalFailureException"),
        ("DescribeThingGroup", "internal-failure", "InternalFailureException"),
        ("ListThingGroupsForThing", "nulls", "an answer without content"),
    ] {
        setup.order(operation, kind, 3, 0);
        let error = setup.fails(mitigate(&by_id(&found[..1]), &[SHARED])).await;
        assert!(error.ends_with(&format!(" is protected: {operation}: {code}")), "{error}");
        setup.control("DELETE", "faults", &Value::Null);
    }
    // What is protected for certain is told as that.
    let (setup, found) = protecting("groups: [production]").await;
    setup.order("ListPrincipalThings", "internal-failure", 3, 1);
    let error = setup.fails(mitigate(&by_id(&found[..2]), &[SHARED])).await;
    assert!(error.starts_with("Protected\n") && error.lines().count() == 3, "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_throttled_is_asked_a_few_times() {
    let (setup, found) = protecting("groups: [museum]").await;
    setup.order("ListPrincipalThings", "throttle", 3, 0);
    let error = setup.fails(mitigate(&by_id(&found[..1]), &[SHARED])).await;
    assert!(error.ends_with("is protected: ListPrincipalThings: ThrottlingException"), "{error}");
    assert!(!setup.calls().contains("mitigationactions/tasks"));
    setup.order("ListPrincipalThings", "throttle", 2, 0);
    setup.ok(mitigate(&by_id(&found[..1]), &[SHARED])).await;
}

#[tokio::test(start_paused = true)]
async fn what_has_no_things_behind_it_is_not_held_and_what_names_nothing_is() {
    let setup = setup_with(
        "version: 1\nbudgets: none\nmode: enforce\nprotect: { groups: [production] }\nrules: []\n",
    );
    let task = setup.audit(&[SHARED, LOGGING]).await;
    action(&setup).await;
    let logging = findings(&setup, &task, LOGGING, 1).await;
    setup.ok(mitigate(&by_id(&logging), &[LOGGING])).await;
    let found = findings(&setup, &task, SHARED, 1).await;
    setup.order("DescribeAuditFinding", "no-resource", 1, 0);
    let error = setup.fails(mitigate(&by_id(&found), &[SHARED])).await;
    assert!(
        error.starts_with("ProtectionUnknown\n") && error.contains("names no resource that is known"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn outside_of_the_windows_nothing_starts() {
    // It is Monday, midnight.
    for (policy, says) in [
        (
            "version: 1\nbudgets: none\nmode: enforce\nwindows: { zone: Europe/Berlin, open: [{ days: [Tue], hours: 08:00-10:00 }] }\nrules: []\n",
            "OutsideWindow\noutside of the policy's windows until 2026-11-24T08:00:00+01:00 (Europe/Berlin)",
        ),
        (
            "version: 1\nbudgets: none\nmode: enforce\nactions: { tell: { windows: { zone: UTC, freeze: [{ from: 11-23, to: 11-24 }] } } }\nrules: []\n",
            "OutsideWindow\noutside of the windows of action tell until 2026-11-25T00:00:00+00:00 (UTC)",
        ),
        ("version: 1\nbudgets: none\nmode: enforce\nrules: [", "Fleetwarden.Policy\n"),
    ] {
        let setup = setup_with(policy);
        let task = setup.audit(&[LOGGING]).await;
        action(&setup).await;
        let target = json!({"auditTaskId": task});
        let error = setup.fails(mitigate(&target, &[LOGGING])).await;
        assert!(error.starts_with(says), "{error}");
        assert!(!setup.calls().contains("mitigationactions/tasks"));
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_whole_check_a_dry_run_has_the_counts() {
    let setup = setup();
    let task = setup.audit(&[SHARED, LOGGING]).await;
    action(&setup).await;
    let mut event = mitigate(&json!({"auditTaskId": task}), &[SHARED]);
    event["dryRun"] = true.into();
    let found = findings(&setup, &task, SHARED, 9999).await.len();
    let answer = setup.ok(event).await;
    assert_eq!(answer["mitigates"][0]["nonCompliantResourcesCount"], found);
    assert_eq!(answer["mitigates"][0]["actions"], json!(["tell"]));
}

pub(crate) fn mitigations(setup: &Setup) -> Mitigations {
    let ledger: Ledger = (setup.function.ledger)();
    Mitigations::new(ledger)
}

/// What the ledger has of a task, without its times and its hash.
fn task_item(setup: &Setup, id: &str) -> Value {
    let Some(mut item) = setup.cloud.item(&format!("mitigation#{id}"), "task") else { return Value::Null };
    item.retain(|name, _| !name.ends_with("_at") && name != "command_hash");
    item.into()
}

/// Whose a finding is, and in which state that is.
fn claim(setup: &Setup, finding: &Value) -> (Value, Value) {
    let id = finding["findingId"].as_str().unwrap();
    let item = setup.cloud.item(&format!("finding#{id}"), "mitigation").unwrap_or_default();
    (item.get("task_id").cloned().unwrap_or_default(), item.get("state").cloned().unwrap_or_default())
}

/// The follow-ups that were sent.
pub(crate) fn follow_ups(setup: &Setup) -> Vec<MitigationMessage> {
    setup.cloud.sent_to(QUEUE).iter().map(|body| serde_json::from_str(body).unwrap()).collect()
}

/// Has a message taken by `apply-mitigations`: whether it is done, and is not to be delivered again.
pub(crate) async fn take(setup: &Setup, message: &MitigationMessage) -> bool {
    let body = serde_json::to_string(message).unwrap();
    let record = json!({"messageId": "m", "body": body, "attributes": {}, "messageAttributes": {}});
    let event: SqsEvent = serde_json::from_value(json!({"Records": [record]})).unwrap();
    let mut context = lambda_runtime::Context::default();
    context.deadline = u64::try_from(setup.function.service.clock.now().plus_seconds(60).0).unwrap();
    let answer = setup.apply_mitigations.handle(event, &context).await;
    answer.is_ok_and(|answer| answer.batch_item_failures.is_empty())
}

/// Has a follow-up taken; the state of its task after that.
async fn follow(setup: &Setup, message: &MitigationMessage) -> Value {
    assert!(take(setup, message).await);
    task_item(setup, &message.request.task_id())["state"].clone()
}

/// The request of a rule for the findings that a command's follow-up is about.
pub(crate) fn of_a_rule(setup: &Setup, message: &MitigationMessage) -> MitigationRequest {
    let policy = Some(setup.apply_mitigations.policy().hash().to_owned());
    let mut request =
        MitigationRequest { origin: Origin::Rule("rule".to_owned()), policy, ..message.request.clone() };
    if let Target::Findings(findings) = &mut request.target {
        let past = Past { first_seen: request.audit.started_at, times_seen: 1, first_suppressed: None };
        for finding in findings {
            finding.past = Some(past);
        }
    }
    request
}

#[tokio::test(start_paused = true)]
async fn a_task_is_claimed_followed_and_started_and_its_end_is_known() {
    let setup = setup();
    let audit = setup.audit(&[SHARED, LOGGING]).await;
    action(&setup).await;
    let mut found = findings(&setup, &audit, SHARED, 2).await;
    found.extend(findings(&setup, &audit, LOGGING, 1).await);
    setup.ok(mitigate(&by_id(&found), &[SHARED, LOGGING])).await;
    let ids: Vec<&str> = found.iter().map(|finding| finding["findingId"].as_str().unwrap()).collect();
    let written = task_item(&setup, "m");
    assert_eq!(
        [
            &written["state"],
            &written["origin"],
            &written["audit_task_id"],
            &written["findings"],
            &written["rule"]
        ],
        [&json!("started"), &json!("command"), &json!(audit), &json!(3), &Value::Null]
    );
    let targets: Value = serde_json::from_str(written["target"].as_str().unwrap()).unwrap();
    assert_eq!(targets[LOGGING]["findings"][0]["findingId"], ids[2]);
    for finding in &found {
        assert_eq!(claim(&setup, finding), (json!("m"), json!("claimed")));
    }
    // Each check has a follow-up of its own, and a repeat sends none.
    let sent = follow_ups(&setup);
    let checks: Vec<&str> = sent.iter().map(|message| message.request.check.as_str()).collect();
    assert_eq!(checks, [SHARED, LOGGING]);
    let before = setup.cloud.items("");
    setup.calls();
    assert_eq!(setup.ok(mitigate(&by_id(&found), &[SHARED, LOGGING])).await, json!({"taskId": "m"}));
    assert!(!setup.calls().contains("mitigationactions/tasks"), "the ledger knows it");
    assert_eq!((setup.cloud.items(""), follow_ups(&setup).len()), (before, 2));
    setup.pass(120);
    for message in &sent {
        assert_eq!(follow(&setup, message).await, "completed");
    }
    for id in ids {
        assert_eq!(setup.cloud.item("mitigation#m", &format!("finding#{id}")).unwrap()["state"], "completed");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_rules_task_has_is_refused_until_that_has_ended() {
    let (setup, found) = found(3).await;
    setup.ok(mitigate(&by_id(&found[..2]), &[SHARED])).await;
    // A rule gets what no command has.
    let sent = follow_ups(&setup).remove(0);
    let mut request = of_a_rule(&setup, &sent);
    let Target::Findings(of_rule) = &mut request.target else { panic!("findings") };
    let third = found[2]["findingId"].as_str().unwrap().to_owned();
    of_rule.push(FindingRef { finding_id: third, ..of_rule[0].clone() });
    let now = setup.function.service.clock.now();
    let Claim::Taken(Target::Findings(taken)) =
        mitigations(&setup).claim(&request, &Settled::new(&request, State::Claimed), now).await.unwrap()
    else {
        panic!("the rule gets one")
    };
    assert_eq!((taken.len(), claim(&setup, &found[2]).0), (1, json!(request.task_id())));
    // A command gets all or nothing, also when it only looks.
    let mut other = mitigate(&by_id(&found[1..]), &[SHARED]);
    other["taskId"] = "n".into();
    let refused = format!(
        "FindingsTaken\n$.target.findingIds[0]: the mitigation task 'm' has the finding '{}'\n\
         $.target.findingIds[1]: the mitigation task '{}' has the finding '{}'",
        found[1]["findingId"].as_str().unwrap(),
        request.task_id(),
        found[2]["findingId"].as_str().unwrap(),
    );
    let mut dry = other.clone();
    dry["dryRun"] = true.into();
    for event in [&dry, &other] {
        assert_eq!(setup.fails(event.clone()).await, refused);
    }
    assert_eq!((task_item(&setup, "n"), claim(&setup, &found[1]).0), (Value::Null, json!("m")));
    // What has ended, however, holds nothing against a person: what failed may be tried again.
    for id in ["m", &request.task_id()] {
        assert!(mitigations(&setup).ended(id, State::Failed, &[]).await.unwrap());
    }
    setup.ok(dry).await;
    setup.ok(other).await;
    assert_eq!((claim(&setup, &found[1]).0, claim(&setup, &found[0]).0), (json!("n"), json!("m")));
}

#[tokio::test(start_paused = true)]
async fn a_task_id_is_one_mitigations_for_ever() {
    let (setup, found) = found(2).await;
    setup.ok(mitigate(&by_id(&found[..1]), &[SHARED])).await;
    let error = setup.fails(mitigate(&by_id(&found[1..]), &[SHARED])).await;
    assert_eq!(
        error,
        "TaskAlreadyExistsException\nthe task 'm' is another mitigation's; give a taskId of its own"
    );
    assert_eq!(claim(&setup, &found[1]), (Value::Null, Value::Null));
}

#[tokio::test(start_paused = true)]
async fn a_finding_that_is_named_twice_is_one() {
    let (setup, found) = found(1).await;
    let twice = mitigate(&by_id(&[found[0].clone(), found[0].clone()]), &[SHARED]);
    setup.order("StartAuditMitigationActionsTask", "throttle", 3, 0);
    setup.fails(twice.clone()).await;
    assert_eq!(claim(&setup, &found[0]).1, "refused");
    setup.ok(twice).await;
    setup.pass(120);
    assert_eq!(follow(&setup, &follow_ups(&setup)[0]).await, "completed");
}

#[tokio::test(start_paused = true)]
async fn a_rules_task_is_no_commands_also_while_it_waits() {
    let (setup, found) = found(1).await;
    setup.ok(mitigate(&by_id(&found), &[SHARED])).await;
    let request = of_a_rule(&setup, &follow_ups(&setup)[0]);
    assert!(mitigations(&setup).ended("m", State::Failed, &[]).await.unwrap());
    let held = Settled { target: None, ..Settled::new(&request, State::Held) };
    mitigations(&setup).set_aside(&request, &held, setup.function.service.clock.now()).await.unwrap();
    let mut event = mitigate(&by_id(&found), &[SHARED]);
    event["taskId"] = request.task_id().into();
    assert!(setup.fails(event).await.starts_with("TaskAlreadyExistsException\n"));
    assert_eq!(task_item(&setup, &request.task_id())["state"], "held");
}

#[tokio::test(start_paused = true)]
async fn without_its_action_nothing_is_claimed() {
    let setup = setup();
    let audit = setup.audit(&[SHARED]).await;
    let found = findings(&setup, &audit, SHARED, 1).await;
    // There is no such action yet: what it would change is not known.
    let error = setup.fails(mitigate(&by_id(&found), &[SHARED])).await;
    assert_eq!(error, "InvalidInput\n$.target.findingIds[0]: there is no mitigation action 'tell'");
    assert!(setup.cloud.items("mitigation#").is_empty() && setup.cloud.items("finding#").is_empty());
    assert!(follow_ups(&setup).is_empty() && setup.cloud.calls("Publish").is_empty());
    // The same command starts it when it can be, and so may another.
    action(&setup).await;
    let mut other = mitigate(&by_id(&found), &[SHARED]);
    other["taskId"] = "n".into();
    setup.ok(other).await;
    assert!(setup.fails(mitigate(&by_id(&found), &[SHARED])).await.starts_with("FindingsTaken\n"));
}

#[tokio::test(start_paused = true)]
async fn throttled_for_good_it_is_named_and_nothing_is_held() {
    let (setup, found) = found(1).await;
    setup.order("StartAuditMitigationActionsTask", "throttle", 3, 0);
    assert!(setup.fails(mitigate(&by_id(&found), &[SHARED])).await.starts_with("ThrottlingException\n"));
    assert_eq!(claim(&setup, &found[0]).1, "refused");
    setup.ok(mitigate(&by_id(&found), &[SHARED])).await;
    assert_eq!(claim(&setup, &found[0]), (json!("m"), json!("claimed")));
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_answer_is_lost_is_looked_up() {
    for kind in ["lost-answer", "done-but-failed", "broken-json"] {
        let (setup, found) = found(1).await;
        setup.order("StartAuditMitigationActionsTask", kind, 3, 0);
        assert_eq!(setup.ok(mitigate(&by_id(&found), &[SHARED])).await, json!({"taskId": "m"}), "{kind}");
        assert_eq!(task_item(&setup, "m")["state"], "started");
    }
}

#[tokio::test(start_paused = true)]
async fn who_dies_before_the_start_has_the_claims_given_back_by_the_follow_up() {
    let (setup, found) = found(1).await;
    setup.order("StartAuditMitigationActionsTask", "reset", 9, 0);
    setup.order("DescribeAuditMitigationActionsTask", "reset", 9, 0);
    let lost = setup.fails(mitigate(&by_id(&found), &[SHARED])).await;
    assert!(lost.starts_with("OutOfTime\n"), "{lost}");
    setup.control("DELETE", "faults", &Value::Null);
    let sent = follow_ups(&setup);
    // Whoever claimed a moment ago may be about to start.
    assert_eq!(follow(&setup, &sent[0]).await, "claimed");
    assert_eq!(follow_ups(&setup).last().unwrap().waits, 1);
    setup.pass(901);
    assert_eq!(follow(&setup, &sent[0]).await, "refused");
    assert_eq!(claim(&setup, &found[0]).1, "refused");
    setup.ok(mitigate(&by_id(&found), &[SHARED])).await;
    assert_eq!(task_item(&setup, "m")["state"], "started");
    // An old follow-up that comes now follows it.
    setup.pass(120);
    assert_eq!(follow(&setup, &sent[0]).await, "completed");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_fails_gives_nothing_back_while_the_first_try_may_yet_start() {
    let (setup, found) = found(1).await;
    setup.order("StartAuditMitigationActionsTask", "reset", 9, 0);
    setup.order("DescribeAuditMitigationActionsTask", "reset", 9, 0);
    assert!(setup.fails(mitigate(&by_id(&found), &[SHARED])).await.starts_with("OutOfTime\n"));
    setup.control("DELETE", "faults", &Value::Null);
    setup.order("StartAuditMitigationActionsTask", "throttle", 3, 0);
    assert!(setup.fails(mitigate(&by_id(&found), &[SHARED])).await.starts_with("ThrottlingException\n"));
    assert_eq!(claim(&setup, &found[0]), (json!("m"), json!("claimed")));
    setup.pass(901);
    assert_eq!(follow(&setup, &follow_ups(&setup)[0]).await, "refused");
    assert_eq!(claim(&setup, &found[0]).1, "refused");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_followed_is_not_started() {
    let (setup, found) = found(1).await;
    let denied = Answer::error(403, "AccessDeniedException", "{}");
    setup.cloud.fail("SendMessageBatch", 9, denied);
    setup.calls();
    let error = setup.fails(mitigate(&by_id(&found), &[SHARED])).await;
    assert!(error.starts_with("AccessDeniedException\nSendMessageBatch: "), "{error}");
    assert!(!setup.calls().contains("mitigationactions/tasks"));
    assert_eq!((claim(&setup, &found[0]).1, task_item(&setup, "m")), (Value::Null, Value::Null));
}

/// Nobody may give the command again: what has no follow-up would be claimed, or held without anybody knowing of it, for good.
#[tokio::test(start_paused = true)]
async fn whenever_a_command_dies_what_it_has_claimed_or_held_is_followed() {
    for policy in [
        "version: 1\nmode: enforce\nbudgets: none\nrules: []\n",
        "version: 1\nmode: enforce\nbudgets: none\ntwoPersons: true\nrules: []\n",
    ] {
        let mut written = 0;
        for (nth, moment) in Moment::all().enumerate() {
            let setup = setup_with(policy);
            let audit = setup.audit(&[SHARED]).await;
            action(&setup).await;
            let found = findings(&setup, &audit, SHARED, 1).await;
            let mut event = mitigate(&by_id(&found), &[SHARED]);
            event["by"] = "mia".into();
            let over = setup.cloud.kill(moment, setup.invoke(event)).await.is_some();
            let is_written = !task_item(&setup, "m").is_null();
            assert!(!is_written || !follow_ups(&setup).is_empty(), "death {nth}");
            written += usize::from(is_written);
            if over {
                break;
            }
        }
        assert!(written > 1, "{written}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_audit_is_one_task_and_followed_by_check() {
    let setup = setup();
    let audit = setup.audit(&[SHARED, LOGGING]).await;
    action(&setup).await;
    let mut none = mitigate(&json!({"auditTaskId": "none"}), &[SHARED]);
    none["taskId"] = "n".into();
    assert_eq!(setup.fails(none).await, "InvalidInput\n$.target.auditTaskId: there is no such audit");
    let codes = json!({LOGGING: ["LOGGING_DISABLED"]});
    let target = json!({"auditTaskId": audit, "auditCheckToReasonCodeFilter": codes});
    setup.ok(mitigate(&target, &[LOGGING, SHARED])).await;
    let sent = follow_ups(&setup);
    let [message] = &sent[..] else { panic!("one check is meant: {sent:?}") };
    assert_eq!(
        message.request.target,
        Target::WholeCheck { reason_codes: vec!["LOGGING_DISABLED".to_owned()], count: 1 }
    );
    let mut whole = mitigate(&json!({"auditTaskId": audit}), &[LOGGING, SHARED]);
    whole["taskId"] = "w".into();
    setup.ok(whole).await;
    assert_eq!(follow_ups(&setup).len(), 3);
    setup.pass(300);
    for message in follow_ups(&setup) {
        assert_eq!(follow(&setup, &message).await, "completed");
    }
}

/// Schedule: a person names findings of an audit while the next one has looked at the check already.
#[tokio::test(start_paused = true)]
async fn what_a_later_audit_has_looked_at_is_refused() {
    let (setup, found) = found(2).await;
    let audit = found[0]["taskId"].as_str().unwrap();
    let whole = json!({"auditTaskId": audit});
    setup.record(&[SHARED], "later", setup.function.service.clock.now());
    for (target, path) in [(by_id(&found), "findingIds[0]"), (whole, "auditTaskId")] {
        for dry_run in [false, true] {
            let mut event = mitigate(&target, &[SHARED]);
            event["dryRun"] = dry_run.into();
            let refused = setup.fails(event).await;
            let what = "audit later has run DEVICE_CERTIFICATE_SHARED_CHECK later; name its finding, if there is one";
            assert_eq!(refused, format!("Overtaken\n$.target.{path}: {what}"));
        }
    }
    assert!(setup.cloud.items("finding#").is_empty() && follow_ups(&setup).is_empty());
    // An audit of which the ledger knows nothing, or only earlier ones, is the latest.
    setup.record(&[SHARED], "earlier", Millis(0));
    setup.ok(mitigate(&by_id(&found), &[SHARED])).await;
}

/// The next audit is recorded after the command has asked and before it claims.
#[tokio::test(start_paused = true)]
async fn what_is_overtaken_at_the_claim_is_refused() {
    let (setup, found) = found(1).await;
    let first = setup.invoke(mitigate(&by_id(&found), &[SHARED]));
    let next = async { setup.record(&[SHARED], "later", setup.function.service.clock.now()) };
    let (refused, _) = setup.cloud.interleave(Moment::before("TransactWriteItems", 0), first, next).await;
    let Diagnostic { error_type, error_message } = refused.unwrap_err().into();
    assert_eq!(
        (error_type.as_str(), error_message.starts_with("$.target: audit later has")),
        ("Overtaken", true)
    );
    assert!(setup.cloud.items("finding#").is_empty());
}

/// What happens next, to findings that overlap.
#[derive(Clone, Debug)]
enum Event {
    /// A command names these findings, under one of three task ids.
    Command(usize, std::ops::Range<usize>),
    /// A rule asks for these.
    Rule(std::ops::Range<usize>),
    /// The next start at the service has its effect or none, and is not answered.
    Unanswered(&'static str),
    /// What is on the queue is taken.
    Follow,
    /// So much time passes.
    Pass(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let range = || (0..4_usize, 1..3_usize).prop_map(|(from, count)| from..from + count);
    let unanswered = proptest::prop_oneof![
        proptest::prelude::Just("lost-answer"),
        proptest::prelude::Just("reset"),
        proptest::prelude::Just("done-but-failed"),
        proptest::prelude::Just("throttle"),
    ];
    proptest::prop_oneof![
        4 => (0..3_usize, range()).prop_map(|(task, findings)| Event::Command(task, findings)),
        3 => range().prop_map(Event::Rule),
        2 => unanswered.prop_map(Event::Unanswered),
        2 => proptest::prelude::Just(Event::Follow),
        2 => (1..1000_u32).prop_map(Event::Pass),
    ]
}

/// The tasks that the service has: findings, begin, and end if it has ended.
async fn tasks(setup: &Setup) -> Vec<(Vec<String>, f64, Option<f64>)> {
    let period =
        json!({"command": "ListAuditMitigationActionsTasks", "startTime": 0, "endTime": 1_900_000_000});
    let mut found = Vec::new();
    for task in setup.ok(period).await["tasks"].as_array().unwrap() {
        let describe = json!({"command": "DescribeAuditMitigationActionsTask", "taskId": task["taskId"]});
        let task = setup.ok(describe).await;
        let ids = task["target"]["findingIds"].as_array().unwrap().iter();
        let ids = ids.map(|id| id.as_str().unwrap().to_owned()).collect();
        found.push((ids, task["startTime"].as_f64().unwrap(), task["endTime"].as_f64()));
    }
    found
}

proptest::proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn in_any_order_no_finding_is_in_two_tasks_at_once(
        events in proptest::collection::vec(event(), 1..14)
    ) {
        let run = async {
            let (setup, found) = found(6).await;
            setup.ok(mitigate(&by_id(&found[5..]), &[SHARED])).await;
            let sample = follow_ups(&setup).remove(0);
            // What is on the queue: what was sent, and what was not done.
            let (mut taken, mut queue) = (1, Vec::new());
            let take_all = async |taken: &mut usize, queue: &mut Vec<MitigationMessage>| {
                let sent = follow_ups(&setup);
                queue.extend(sent[*taken..].iter().cloned());
                *taken = sent.len();
                for message in std::mem::take(queue) {
                    if !take(&setup, &message).await {
                        queue.push(message);
                    }
                }
            };
            for event in &events {
                match event {
                    Event::Command(task, range) => {
                        let mut event = mitigate(&by_id(&found[range.clone()]), &[SHARED]);
                        event["taskId"] = format!("c{task}").into();
                        let _ = setup.invoke(event).await;
                    }
                    Event::Rule(range) => {
                        let mut request = of_a_rule(&setup, &sample);
                        let Target::Findings(of_rule) = &mut request.target else { panic!("findings") };
                        let id = |finding: &Value| finding["findingId"].as_str().unwrap().to_owned();
                        let one = of_rule[0].clone();
                        *of_rule = found[range.clone()].iter().map(|finding| FindingRef { finding_id: id(finding), ..one.clone() }).collect();
                        queue.push(MitigationMessage::new(request, Step::Start));
                        take_all(&mut taken, &mut queue).await;
                    }
                    Event::Unanswered(kind) => setup.order("StartAuditMitigationActionsTask", kind, 9, 0),
                    Event::Follow => take_all(&mut taken, &mut queue).await,
                    Event::Pass(seconds) => {
                        setup.control("DELETE", "faults", &Value::Null);
                        setup.pass(*seconds);
                    }
                }
            }
            setup.control("DELETE", "faults", &Value::Null);
            let tasks = tasks(&setup).await;
            for (at, (ids, began, _)) in tasks.iter().enumerate() {
                for (others, other_began, other_ended) in tasks.iter().take(at).chain(tasks.iter().skip(at + 1)) {
                    let both = ids.iter().any(|id| others.contains(id));
                    let at_once = began >= other_began && other_ended.is_none_or(|ended| ended > *began);
                    assert!(!(both && at_once), "{events:?}: {tasks:?}");
                }
            }
            // Once all that is sent has been taken, nothing is held by a task that is none.
            for _ in 0..6 {
                setup.pass(1000);
                take_all(&mut taken, &mut queue).await;
            }
            for ((pk, sk), item) in setup.cloud.items("mitigation#") {
                if sk == "task" {
                    assert_ne!(item["state"], "claimed", "{pk} {events:?}");
                }
            }
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(run);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_paused_is_refused_and_a_repeat_of_what_has_started_is_not() {
    let (setup, found) = found(2).await;
    let (one, other) = (mitigate(&by_id(&found[..1]), &[SHARED]), mitigate(&by_id(&found[1..]), &[SHARED]));
    let started = setup.ok(one.clone()).await;
    let ledger = Ledger::new(setup.shared.dynamodb(), "ledger".into());
    let since = setup.cloud.clock().now().rfc3339();
    let paused = Pause { reason: "a bad rollout".into(), since, ..Pause::default() };
    pause::set(&ledger, &paused).await.unwrap();
    assert_eq!(setup.ok(one).await, started);
    for dry_run in [false, true] {
        let mut other = other.clone();
        other["taskId"] = "m-2".into();
        other["dryRun"] = dry_run.into();
        let told = setup.fails(other).await;
        assert!(told.starts_with("Paused\nmitigation is paused since 2026-11-23T"), "{told}");
        assert!(told.ends_with("a bad rollout. MitigationResume ends the pause"), "{told}");
    }
    let claim =
        ledger.get(&format!("finding#{}", found[1]["findingId"].as_str().unwrap()), "mitigation").await;
    assert_eq!(claim.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_goes_over_a_budget_is_refused_and_a_repeat_of_what_has_started_is_not() {
    let setup = setup_with("version: 1\nmode: enforce\nbudgets: [{ most: 2, within: 1h }]\nrules: []\n");
    let audit = setup.audit(&[SHARED]).await;
    setup.record(&[SHARED], &audit, setup.function.service.clock.now());
    action(&setup).await;
    let found = findings(&setup, &audit, SHARED, 3).await;
    let (one, other) = (mitigate(&by_id(&found[..2]), &[SHARED]), mitigate(&by_id(&found[2..]), &[SHARED]));
    let started = setup.ok(one.clone()).await;
    assert_eq!(setup.ok(one).await, started, "it counts once");
    for dry_run in [false, true] {
        let mut other = other.clone();
        other["taskId"] = "m-2".into();
        other["dryRun"] = dry_run.into();
        let told = setup.fails(other).await;
        assert!(
            told.starts_with("OverBudget\nover the budget of 2 in 1h: 2 of 2 are used, and this is for 1"),
            "{told}"
        );
    }
    setup.cloud.pass_seconds(3600);
    let mut other = other;
    other["taskId"] = "m-2".into();
    setup.ok(other).await;
}

#[tokio::test(start_paused = true)]
async fn the_ledger_has_how_hard_each_action_is_to_take_back() {
    let (setup, found) = found(1).await;
    setup.ok(mitigate(&by_id(&found), &[SHARED])).await;
    let ledger = Ledger::new(setup.shared.dynamodb(), "ledger".into());
    let task = ledger.get("mitigation#m", "task").await.unwrap().unwrap();
    assert_eq!(task.get_text("grades"), Some(r#"{"tell":"reversible"}"#));
}

/// A person's word on a task: approved, or rejected.
async fn say(setup: &Setup, task: &str, by: &str, approves: bool) {
    let mitigations = Mitigations::new(Ledger::new(setup.shared.dynamodb(), "ledger".into()));
    let known = mitigations.approval(task).await.unwrap().unwrap();
    let (word, now) = (Word { by: Some(by.into()), ..Word::default() }, setup.cloud.clock().now());
    if approves {
        assert!(mitigations.approve(task, &known, &word, now).await.unwrap().is_some());
    } else {
        let rejected = (Standing::Rejected, &word);
        assert_eq!(mitigations.reject(task, Some(&known), rejected, now).await.unwrap(), Rejection::Done);
    }
}

#[tokio::test(start_paused = true)]
async fn with_two_persons_a_command_waits_for_another_and_is_given_again() {
    let setup = setup_with("version: 1\nmode: enforce\nbudgets: none\ntwoPersons: true\nrules: []\n");
    let audit = setup.audit(&[SHARED]).await;
    setup.record(&[SHARED], &audit, setup.function.service.clock.now());
    action(&setup).await;
    let found = findings(&setup, &audit, SHARED, 2).await;
    let mut event = mitigate(&by_id(&found[..1]), &[SHARED]);
    let told = setup.fails(event.clone()).await;
    assert!(told.starts_with("InvalidInput\n$.by: is missing: who asks"), "{told}");
    event["by"] = "mia".into();
    let mut dry = event.clone();
    dry["dryRun"] = true.into();
    assert_eq!(setup.ok(dry).await["needsApproval"][0]["need"], "two-persons");
    assert!(task_item(&setup, "m").is_null(), "a dry run asks nobody");
    for _ in 0..2 {
        let told = setup.fails(event.clone()).await;
        assert!(
            told.starts_with("NeedsApproval\nthe task 'm' waits for another person until 2026-11-24T"),
            "{told}"
        );
        assert_eq!(task_item(&setup, "m")["state"], "held");
    }
    assert!(!setup.calls().contains("POST /audit/mitigationactions/tasks/m"));
    assert_eq!(follow_ups(&setup).len(), 2, "each tells people, and ends what nobody approves");
    assert_eq!(claim(&setup, &found[0]).1, Value::Null, "nothing is claimed meanwhile");
    say(&setup, "m", "kim", true).await;
    // What was approved is not another command's, nor the approver's own.
    let mut more = event.clone();
    more["target"] = by_id(&found);
    let mut own = event.clone();
    own["by"] = "kim".into();
    for other in [own, more] {
        let told = setup.fails(other).await;
        assert!(told.starts_with("NeedsApproval\n"), "{told}");
    }
    setup.fails(event.clone()).await;
    say(&setup, "m", "kim", true).await;
    let sent = follow_ups(&setup).len();
    assert_eq!(setup.ok(event.clone()).await, json!({"taskId": "m"}));
    assert_eq!(
        (task_item(&setup, "m")["state"].clone(), follow_ups(&setup).len()),
        (json!("started"), sent + 1)
    );
    assert_eq!(setup.ok(event.clone()).await, json!({"taskId": "m"}), "a repeat is the same");
    // After a rejection the same command never starts, and another can.
    let mut other = mitigate(&by_id(&found[1..]), &[SHARED]);
    (other["taskId"], other["by"]) = ("m-2".into(), "mia".into());
    setup.fails(other.clone()).await;
    say(&setup, "m-2", "kim", false).await;
    assert!(setup.fails(other.clone()).await.starts_with("Rejected\n"));
    other["taskId"] = "m-3".into();
    setup.fails(other.clone()).await;
    // Nobody approves in time.
    setup.cloud.pass_seconds(86_400);
    assert!(setup.fails(other.clone()).await.starts_with("Rejected\n"));
    assert_eq!(task_item(&setup, "m-3")["state"], "rejected");
}
