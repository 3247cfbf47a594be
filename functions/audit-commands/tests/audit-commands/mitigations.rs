//! A mitigation that somebody asks for: its claim, its start and its follow-up.

use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::mitigations::Claim;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Past;
use fleetwarden_core::message::Target;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use serde_json::json;

use crate::setup::LOGGING;
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

pub(crate) fn mitigations(setup: &Setup) -> Mitigations {
    let ledger: Ledger = (setup.function.ledger)();
    Mitigations::new(ledger)
}

/// What the ledger has of a task, without its times and its hash.
pub(crate) fn task_item(setup: &Setup, id: &str) -> Value {
    let Some(mut item) = setup.cloud.item(&format!("mitigation#{id}"), "task") else { return Value::Null };
    item.retain(|name, _| !name.ends_with("_at") && name != "command_hash");
    item.into()
}

/// Whose a finding is, and in which state that is.
pub(crate) fn claim(setup: &Setup, finding: &Value) -> (Value, Value) {
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
pub(crate) async fn follow(setup: &Setup, message: &MitigationMessage) -> Value {
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
