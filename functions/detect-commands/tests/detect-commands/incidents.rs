//! `AlarmIncident`: a person ends an incident, and its members are decided on or left.

use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alarms::Incident;
use fleetwarden_aws::testing::Answer;
use fleetwarden_core::message::alarm::AlarmMessage;
use fleetwarden_core::model::alarm::Alarm;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::CriteriaType;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::model::alarm::Source;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::setup::ACCOUNT;
use crate::setup::ALARMS;
use crate::setup::GROUP;
use crate::setup::Setup;
use crate::setup::messages;
use crate::setup::setup;

fn event(violation: &str, kind: EventType, at: Millis) -> AlarmEvent {
    let alarm = Alarm {
        source: Source::DeviceDefender,
        account: ACCOUNT.into(),
        region: "us-east-1".into(),
        violation_id: violation.into(),
        profile: "noisy".into(),
        behavior: "always".into(),
        metric: Some("aws:num-messages-sent".into()),
        thing: Some(format!("thing-{violation}")),
        criteria: CriteriaType::Static,
        confidence: None,
        expected: None,
        suppressed: false,
    };
    AlarmEvent { alarm, event: kind, at, value: None, verification: None }
}

fn alarms(setup: &Setup) -> Alarms {
    Alarms::new((setup.function.ledger)())
}

/// Opens an incident with these violations, and gives its id.
async fn opened(setup: &Setup, violations: &[&str]) -> String {
    let now = setup.function.service.clock.now();
    let noticed = Incident {
        id: String::new(),
        profile: "noisy".into(),
        behavior: "always".into(),
        devices: 21,
        population: Some(40),
        opened_by: "v-1".into(),
        first_at: now,
        latest_at: now,
        ended_at: None,
        decision: None,
    };
    let behavior = event("v", EventType::InAlarm, now).alarm.behavior_key();
    let (incident, _) = alarms(setup).open_incident(&behavior, &noticed, now).await.unwrap();
    for violation in violations {
        alarms(setup).record(&event(violation, EventType::InAlarm, now), now).await.unwrap();
    }
    incident.id
}

fn end(id: &str, decision: &str) -> Value {
    json!({"command": "AlarmIncident", "incidentId": id, "decision": decision})
}

fn settled(setup: &Setup) -> Vec<(String, Millis)> {
    let sent = setup.cloud.sent_to(ALARMS).into_iter();
    let mut settled: Vec<(String, Millis)> = sent
        .map(|body| match serde_json::from_str(&body).unwrap() {
            AlarmMessage::Settle(settle) => (settle.violation_id, settle.raised_at),
            AlarmMessage::Found(event) => panic!("{event:?}"),
        })
        .collect();
    settled.sort();
    settled
}

#[tokio::test(start_paused = true)]
async fn to_mitigate_has_each_member_in_alarm_decided_on() {
    let setup = setup();
    let id = opened(&setup, &["v1", "v2", "v3"]).await;
    let began = setup.function.service.clock.now();
    setup.pass(60);
    let now = setup.function.service.clock.now();
    alarms(&setup).record(&event("v2", EventType::AlarmCleared, now), now).await.unwrap();
    let mut dry = end(&id, "mitigate");
    dry["dryRun"] = true.into();
    let told = setup.ok(dry).await;
    assert_eq!(told["changes"][2], json!({"path": "$.settled", "from": 0, "to": 2}));
    assert!(settled(&setup).is_empty());
    let answer = setup.ok(end(&id, "mitigate")).await;
    assert_eq!((&answer["settled"], &answer["incident"]["decision"]), (&json!(2), &json!("mitigate")));
    let wanted = [("v1".to_owned(), began), ("v3".to_owned(), began)];
    assert_eq!(settled(&setup), wanted);
    let incident = alarms(&setup).incident(&id).await.unwrap().unwrap();
    assert_eq!((incident.ended_at, incident.decision.as_deref()), (Some(now), Some("mitigate")));
    assert_eq!(setup.calls(), "", "the service has no part in it");
}

#[tokio::test(start_paused = true)]
async fn to_leave_decides_on_nothing_and_another_decision_comes_too_late() {
    let setup = setup();
    let id = opened(&setup, &["v1"]).await;
    assert_eq!(setup.ok(end(&id, "leave")).await["settled"], 0);
    assert!(settled(&setup).is_empty());
    assert_eq!(setup.ok(end(&id, "leave")).await["settled"], 0);
    let error = setup.fails(end(&id, "mitigate")).await;
    assert_eq!(
        error,
        "IncidentEnded\nAlarmIncident: the incident has ended at 2026-11-23T00:00:00Z, by the decision 'leave'"
    );
    assert!(
        setup.fails(end("none", "leave")).await.starts_with("ResourceNotFoundException\nAlarmIncident: ")
    );
    assert!(settled(&setup).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_repeat_sends_what_the_first_try_could_not() {
    let setup = setup();
    let id = opened(&setup, &["v1", "v2"]).await;
    setup.cloud.fail("SendMessageBatch", 1, Answer::error(400, "AccessDenied", json!({"message": "no"})));
    setup.fails(end(&id, "mitigate")).await;
    let incident = alarms(&setup).incident(&id).await.unwrap().unwrap();
    assert_eq!(incident.decision.as_deref(), Some("mitigate"), "it has ended, and nothing is sent");
    assert_eq!(setup.ok(end(&id, "mitigate")).await["settled"], 2);
    assert_eq!(setup.cloud.calls("SendMessageBatch").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_member_of_an_incident_is_mitigated_only_if_that_is_confirmed() {
    let setup = setup();
    setup.profile("noisy", &json!([messages("always", 0)])).await;
    setup.attach("noisy", GROUP).await;
    setup.quarantine_action("quarantine");
    setup.pass(900);
    let active = setup.active().await;
    let violation = active[0]["violationId"].as_str().unwrap();
    let id = opened(&setup, &[violation]).await;
    let mut start = json!({
        "command": "StartDetectMitigationActionsTask", "taskId": "m", "actions": ["quarantine"],
        "target": {"violationIds": [violation]},
    });
    let error = setup.fails(start.clone()).await;
    let wanted = format!(
        "ConfirmationRequired\n$.target.violationIds[0]: '{violation}' is part of the incident '{id}'"
    );
    assert!(error.starts_with(&wanted), "{error}");
    start["dryRun"] = true.into();
    assert!(setup.ok(start.clone()).await["confirmationRequired"].is_string());
    start["dryRun"] = false.into();
    start["confirm"] = ACCOUNT.into();
    assert_eq!(setup.ok(start).await, json!({"taskId": "m"}));
}
