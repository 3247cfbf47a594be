//! What the report says of mitigations that were decided and are no tasks of Device Defender.

use fleetwarden_aws::testing::Answer;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::Step;
use fleetwarden_core::message::Target;
use fleetwarden_core::policy::Mode;
use serde_json::Value;
use serde_json::json;

use crate::mitigations::action;
use crate::mitigations::by_id;
use crate::mitigations::follow_ups;
use crate::mitigations::found;
use crate::mitigations::mitigate;
use crate::mitigations::of_a_rule;
use crate::mitigations::take;
use crate::setup::ACCOUNT;
use crate::setup::SHARED;
use crate::setup::Setup;

async fn report(setup: &Setup, format: &str) -> Value {
    setup.ok(json!({"command": "AuditReport", "format": format})).await
}

/// A setup in which a command has mitigated one of some findings, with the message of a rule for each other.
async fn asked(count: usize) -> (Setup, Vec<MitigationMessage>) {
    let (setup, found) = found(count + 1).await;
    setup.ok(mitigate(&by_id(&found[count..]), &[SHARED])).await;
    let of_rule = of_a_rule(&setup, &follow_ups(&setup)[0]);
    let message = |finding: &Value| {
        let mut request = of_rule.clone();
        let Target::Findings(findings) = &mut request.target else { panic!("findings") };
        finding["findingId"].as_str().unwrap().clone_into(&mut findings[0].finding_id);
        MitigationMessage::new(request, Step::Start)
    };
    let messages = found.iter().take(count).map(message).collect();
    (setup, messages)
}

/// A message comes while there is no mitigation action of its name.
async fn without_action(setup: &Setup, message: &MitigationMessage) {
    setup.ok(json!({"command": "DeleteMitigationAction", "actionName": "tell", "confirm": ACCOUNT})).await;
    take(setup, message).await;
    action(setup).await;
}

#[tokio::test(start_paused = true)]
async fn of_three_tasks_the_refused_one_is_in_the_report() {
    let (setup, messages) = asked(2).await;
    without_action(&setup, &messages[0]).await;
    assert!(take(&setup, &messages[1]).await);
    let json = report(&setup, "json").await;
    let started = json["mitigations"].as_array().unwrap();
    assert_eq!(started.len(), 2);
    let by: Vec<&Value> = started.iter().map(|task| &task["by"]).collect();
    assert!(by.contains(&&json!("a command")) && by.contains(&&json!("rule rule")), "{by:?}");
    assert_eq!(json["notStarted"]["states"], json!({"refused": 1}));
    let refused = &json["notStarted"]["tasks"][0];
    assert_eq!(refused["taskId"], messages[0].request.task_id());
    assert_eq!((&refused["by"], &refused["findings"]), (&json!("rule rule"), &json!(1)));
    assert_eq!(refused["actions"], json!({SHARED: ["tell"]}));
    assert_eq!(refused["reason"], "there is no mitigation action 'tell'");
    let markdown = report(&setup, "markdown").await["body"].as_str().unwrap().to_owned();
    assert!(markdown.contains("1 mitigation was refused."), "{markdown}");
    assert!(markdown.contains("Mitigations that were not started: 1 refused"), "{markdown}");
}

/// Refused, observed and given up by the policy of now, and nothing else: then none was started, and all of it is told.
#[tokio::test(start_paused = true)]
async fn what_never_started_is_told_by_state() {
    let (setup, messages) = asked(3).await;
    without_action(&setup, &messages[0]).await;
    let mut observed = messages[1].clone();
    observed.request.mode = Mode::Observe;
    assert!(take(&setup, &observed).await);
    // A rule that is not in the policy of now: left out before its start.
    let mut other = messages[2].clone();
    other.request.actions = vec!["other".to_owned()];
    assert!(take(&setup, &other).await);
    let json = report(&setup, "json").await;
    assert_eq!(json["mitigations"].as_array().unwrap().len(), 1, "the command's");
    assert_eq!(json["notStarted"]["states"], json!({"refused": 1, "superseded": 1, "observed": 1}));
    let states: Vec<&Value> =
        json["notStarted"]["tasks"].as_array().unwrap().iter().map(|task| &task["state"]).collect();
    assert_eq!(states, ["refused", "superseded", "observed"], "what needs somebody is first");
    // What starts after all is told once, as what it is.
    assert!(take(&setup, &messages[0]).await);
    let json = report(&setup, "json").await;
    assert_eq!(json["mitigations"].as_array().unwrap().len(), 2);
    assert_eq!(json["notStarted"]["states"], json!({"superseded": 1, "observed": 1}));
}

/// That none was started is not said when nobody could say so.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_is_unknown_and_not_none() {
    let (setup, _) = asked(1).await;
    let denied =
        json!({"__type": "AccessDeniedException", "message": "not authorized to perform dynamodb:Query"});
    setup.cloud.fail("Query", 9, Answer::error(400, "AccessDeniedException", denied));
    setup.order("ListAuditMitigationActionsTasks", "internal-failure", 99, 0);
    let json = report(&setup, "json").await;
    assert_eq!((&json["mitigationsUnknown"], &json["notStarted"]["unknown"]), (&json!(true), &json!(true)));
    let markdown = report(&setup, "markdown").await["body"].as_str().unwrap().to_owned();
    assert!(!markdown.contains("No mitigation was started"), "{markdown}");
    assert!(markdown.contains("Whether mitigations were started"), "{markdown}");
}
