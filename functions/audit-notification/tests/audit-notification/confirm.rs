//! Notifications that do not agree with what Device Defender says: forged, early, or of another audit.

use crate::setup::Defender;
use crate::setup::alerts;
use crate::setup::audit;
use crate::setup::described;
use crate::setup::event;
use crate::setup::handler;
use crate::setup::invoke;
use crate::setup::invoke_with;
use crate::setup::metrics;
use crate::setup::parked;
use crate::setup::triage_requests;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use lambda_runtime::Context;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use serde_json::json;

const KEYS: &str = "DEVICE_CERTIFICATE_KEY_QUALITY_CHECK";
const LOGGING: &str = "LOGGING_DISABLED_CHECK";

/// What an audit that found something says of itself, and a forgery of it in which all is well.
fn true_and_forged() -> (Value, Value) {
    let found = [(KEYS, "COMPLETED_NON_COMPLIANT", 7, 2), (LOGGING, "COMPLETED_COMPLIANT", 0, 0)];
    let well = [(KEYS, "COMPLETED_COMPLIANT", 0, 0), (LOGGING, "COMPLETED_COMPLIANT", 0, 0)];
    (audit("t-1", &found), audit("t-1", &well))
}

fn running(ended: &Value) -> Answer {
    let mut description = described(ended);
    description["taskStatus"] = "IN_PROGRESS".into();
    for (_, check) in description["auditDetails"].as_object_mut().unwrap() {
        *check = json!({"checkRunStatus": "IN_PROGRESS"});
    }
    Answer::ok(description)
}

/// What stands in the ledger of audits, but for claims of alerts and of parked records.
fn written(cloud: &Cloud) -> Vec<String> {
    let items = ["audit", "history"].map(|beginning| cloud.items(beginning).into_keys());
    items.into_iter().flatten().map(|(pk, sk)| format!("{pk} {sk}")).collect()
}

fn titles(cloud: &Cloud) -> Vec<String> {
    alerts(cloud).iter().map(|alert| alert["content"]["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_early_notification_claims_nothing_and_the_true_one_is_handled() {
    let (ended, forged) = true_and_forged();
    for early in [ended.clone(), forged] {
        let (cloud, defender) = (Cloud::default(), Defender::default());
        defender.answers("t-1", [running(&ended)]);
        for _ in 0..3 {
            let error =
                invoke_with(&cloud, &defender, event(std::slice::from_ref(&early))).await.unwrap_err();
            assert_eq!(error.name(), "Fleetwarden.Later", "{error}");
            cloud.pass_seconds(61);
        }
        assert_eq!((written(&cloud), triage_requests(&cloud).len()), (vec![], 0));
        assert_eq!(titles(&cloud), ["A notification says that audit task t-1 ended, and it has not"]);
        assert_eq!(metrics(), (vec![], vec!["1/1/0".into(); 3]));
        defender.answers("t-1", [Answer::ok(described(&ended))]);
        invoke_with(&cloud, &defender, event(std::slice::from_ref(&ended))).await.unwrap();
        assert_eq!(triage_requests(&cloud), [format!("t-1 {KEYS}")]);
        assert!(cloud.item("audit#t-1", "audit").is_some());
        assert_eq!(metrics().1, ["1/0/0"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_shows_some_seconds_late_is_waited_for() {
    let (ended, _) = true_and_forged();
    let (cloud, defender) = (Cloud::default(), Defender::default());
    let unknown = Answer::error(404, "ResourceNotFoundException", json!({"message": "none"}));
    let mut checks_late = described(&ended);
    checks_late["auditDetails"][KEYS] = json!({"checkRunStatus": "IN_PROGRESS"});
    for late in [running(&ended), unknown, Answer::ok(checks_late)] {
        defender.answers("t-1", [late.clone(), late, Answer::ok(described(&ended))]);
        invoke_with(&cloud, &defender, event(std::slice::from_ref(&ended))).await.unwrap();
    }
    assert_eq!(triage_requests(&cloud), [format!("t-1 {KEYS}")]);
    assert!(alerts(&cloud).is_empty() && parked(&cloud).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_check_that_has_not_ended_is_not_passed_over() {
    let (ended, forged) = true_and_forged();
    let mut late = described(&ended);
    late["auditDetails"][KEYS] = json!({"checkRunStatus": "WAITING_FOR_DATA_COLLECTION"});
    let (cloud, defender) = (Cloud::default(), Defender::default());
    defender.answers("t-1", [Answer::ok(late)]);
    let error = invoke_with(&cloud, &defender, event(&[forged])).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("audit t-1 has not ended: the status of {KEYS} is not that of a check that ended")
    );
    assert_eq!(written(&cloud), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_invented_audit_is_parked_and_nothing_counts_as_fixed() {
    let cloud = Cloud::default();
    cloud
        .put_item(json!({"pk": {"S": format!("history#{KEYS}")}, "sk": {"S": "latest"}, "open": {"N": "3"}}));
    let before = written(&cloud);
    let invented: Vec<Value> =
        (0..12).map(|n| audit(&format!("t-{n}"), &[(KEYS, "COMPLETED_COMPLIANT", 0, 0)])).collect();
    invoke_with(&cloud, &Defender::default(), event(&invented)).await.unwrap();
    assert_eq!((written(&cloud), triage_requests(&cloud).len()), (before, 0));
    assert_eq!(metrics(), (vec![], vec!["12/0/12".into()]));
    let parked = parked(&cloud);
    assert_eq!(parked.len(), 12);
    assert!(parked.iter().all(|(_, reason)| reason.ends_with("DescribeAuditTask finds no such audit task")));
    assert_eq!(alerts(&cloud).len(), 1, "one alert a day, however many there are");
    insta::assert_json_snapshot!(alerts(&cloud)[0]["content"]);
    cloud.pass_seconds(86_400);
    invoke_with(&cloud, &Defender::default(), event(&invented[..1])).await.unwrap();
    assert_eq!(alerts(&cloud).len(), 2);
}

/// What the service says counts, and the message only asks for a look.
#[tokio::test(start_paused = true)]
async fn a_notification_with_other_results_is_parked_and_the_audit_handled_as_it_was() {
    let (ended, forged) = true_and_forged();
    let (cloud, defender) = (Cloud::default(), Defender::of(&event(std::slice::from_ref(&ended))));
    invoke_with(&cloud, &defender, event(&[forged])).await.unwrap();
    assert_eq!(triage_requests(&cloud), [format!("t-1 {KEYS}")]);
    let item = cloud.item("audit#t-1", "audit").unwrap();
    assert_eq!((&item["non_compliant_checks"], &item["compliant_checks"]), (&json!(1), &json!(1)));
    assert_eq!(metrics(), (vec![format!("{LOGGING} 0")], vec!["1/0/1".into()]));
    let [(_, reason)] = <[_; 1]>::try_from(parked(&cloud)).unwrap();
    insta::assert_snapshot!(reason);
    insta::assert_json_snapshot!(alerts(&cloud)[0]["content"]);
    // The true one comes later and finds its audit handled, once.
    invoke_with(&cloud, &defender, event(&[ended])).await.unwrap();
    assert_eq!((triage_requests(&cloud).len(), alerts(&cloud).len(), parked(&cloud).len()), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn each_member_that_matters_is_compared() {
    let (ended, _) = true_and_forged();
    let differs = async |member: &str, value: Value| {
        let mut forged = ended.clone();
        *forged.pointer_mut(member).unwrap() = value;
        let (cloud, defender) = (Cloud::default(), Defender::of(&event(std::slice::from_ref(&ended))));
        invoke_with(&cloud, &defender, event(&[forged])).await.unwrap();
        assert_eq!(triage_requests(&cloud), [format!("t-1 {KEYS}")], "{member}");
        assert_eq!(cloud.item("audit#t-1", "audit").unwrap()["started_at"], START.0, "{member}");
        parked(&cloud).pop().map(|(_, reason)| reason.rsplit("used: ").next().unwrap().to_owned())
    };
    let mut found = Vec::new();
    for (member, value) in [
        ("/taskStatus", json!("CANCELED")),
        ("/taskType", json!("[see](https://example.com)\u{202e}")),
        ("/scheduledAuditName", json!("nightly")),
        ("/taskStartTime", json!(START.0 + 60_000)),
        ("/auditDetails/0/checkName", json!("QUANTUM_CHECK")),
        ("/auditDetails/0/checkRunStatus", json!("FAILED")),
        ("/auditDetails/0/nonCompliantResourcesCount", json!(0)),
        ("/auditDetails/0/suppressedNonCompliantResourcesCount", json!(0)),
        ("/auditDetails/1/totalResourcesCount", json!(0)),
    ] {
        found.push(differs(member, value).await.unwrap());
    }
    insta::assert_snapshot!(found.join("\n"));
    // What AWS may leave out, or rounds, is no difference.
    assert_eq!(differs("/auditDetails/0/suppressedNonCompliantResourcesCount", json!(null)).await, None);
    assert_eq!(differs("/taskStartTime", json!(START.0 + 999)).await, None);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_while_the_service_does_not_answer_as_it_should() {
    let (ended, forged) = true_and_forged();
    let without = |member: &str| {
        let mut description = described(&ended);
        description[member] = json!(null);
        Answer::ok(description)
    };
    let mut odd = described(&ended);
    odd["auditDetails"] = json!({"../KEYS": {"checkRunStatus": "COMPLETED_COMPLIANT"}});
    let mut nulls = described(&ended);
    nulls["auditDetails"][KEYS]["checkRunStatus"] = json!(null);
    let throttled = Answer::error(400, "ThrottlingException", json!({"message": "slow down"}));
    for answer in [
        Answer::refused(),
        throttled,
        Answer::error(500, "InternalFailureException", "{}"),
        Answer::ok("<html>"),
        Answer::ok("{}"),
        without("taskStatus"),
        without("taskStartTime"),
        without("auditDetails"),
        Answer::ok(odd),
        Answer::ok(nulls),
    ] {
        let (cloud, defender) = (Cloud::default(), Defender::default());
        defender.answers("t-1", [answer]);
        let error = invoke_with(&cloud, &defender, event(std::slice::from_ref(&forged))).await.unwrap_err();
        assert!(!error.is_permanent(), "{error}");
        assert_eq!(
            (written(&cloud), triage_requests(&cloud).len(), parked(&cloud).len()),
            (vec![], 0, 0),
            "{error}"
        );
        defender.answers("t-1", [Answer::ok(described(&ended))]);
        invoke_with(&cloud, &defender, event(std::slice::from_ref(&ended))).await.unwrap();
        assert_eq!(triage_requests(&cloud), [format!("t-1 {KEYS}")]);
    }
}

/// A word that is new for a whole audit may mean that it goes on.
#[tokio::test(start_paused = true)]
async fn an_audit_with_a_status_that_is_not_known_has_not_ended() {
    let (mut ended, _) = true_and_forged();
    ended["taskStatus"] = "PAUSED".into();
    let cloud = Cloud::default();
    let error = invoke(&cloud, event(&[ended])).await.unwrap_err();
    assert_eq!(error.to_string(), "audit t-1 has not ended: the status of the audit task is PAUSED");
    assert_eq!(written(&cloud), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_alert_on_a_forgery_that_was_not_taken_is_raised_before_the_message_is_parked() {
    let (_, forged) = true_and_forged();
    let cloud = Cloud::default();
    cloud.fail("Publish", 1, Answer::refused());
    invoke_with(&cloud, &Defender::default(), event(std::slice::from_ref(&forged))).await.unwrap_err();
    assert_eq!(parked(&cloud).len(), 0);
    invoke_with(&cloud, &Defender::default(), event(&[forged])).await.unwrap();
    assert_eq!((parked(&cloud).len(), alerts(&cloud).len()), (1, 2));
}

/// A record that was moved back by hand days later, and is still bad, is parked again: the first is no longer there.
#[tokio::test(start_paused = true)]
async fn a_parked_message_that_is_moved_back_is_parked_again() {
    let (_, forged) = true_and_forged();
    let cloud = Cloud::default();
    invoke_with(&cloud, &Defender::default(), event(&[forged])).await.unwrap();
    let (back, _) = parked(&cloud).remove(0);
    cloud.pass_seconds(10 * 86_400);
    for request_id in ["second", "second", "third"] {
        let mut context = Context::default();
        context.deadline = u64::try_from(cloud.clock().now().plus_seconds(30).0).unwrap();
        context.request_id = request_id.into();
        handler(&cloud, &Defender::default()).handle(LambdaEvent::new(back.clone(), context)).await.unwrap();
    }
    assert_eq!(parked(&cloud).len(), 3, "once for each request, whose repeats have the same id");
}
