//! `AlarmReport`: what lasts, what happened, what was done, and what could not be had.

use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::testing::Answer;
use fleetwarden_core::model::alarm::Action;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::setup::ACCOUNT;
use crate::setup::GROUP;
use crate::setup::Setup;
use crate::setup::messages;
use crate::setup::setup;

/// A setup in which every thing of a group is in alarm.
async fn alarmed() -> (Setup, Vec<Value>) {
    let setup = setup();
    setup.profile("noisy", &json!([messages("always", 0)])).await;
    setup.attach("noisy", GROUP).await;
    setup.pass(3_600);
    let active = setup.active().await;
    assert!(active.len() > 6, "{}", active.len());
    (setup, active)
}

fn now(setup: &Setup) -> Millis {
    setup.function.service.clock.now()
}

/// Has the ledger hear of a violation, and what was done about it.
async fn heard(setup: &Setup, violation: &Value, actions: &[(&str, Option<&str>)]) {
    let alarms = Alarms::new((setup.function.ledger)());
    let event = AlarmEvent::parse(&violation.to_string(), ACCOUNT, "us-east-1").unwrap();
    alarms.record(&event, now(setup)).await.unwrap();
    for (what, rule) in actions {
        let action = Action {
            at: now(setup),
            raised_at: None,
            what: (*what).to_owned(),
            rule: rule.map(ToOwned::to_owned),
            task_id: Some("fw-1".into()),
            reason: None,
        };
        alarms.note(&event.alarm.violation_id, &action).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn it_tells_what_lasts_what_happened_and_what_was_done() {
    let (setup, active) = alarmed().await;
    heard(&setup, &active[0], &[("mitigate", Some("quarantine")), ("mitigated", Some("quarantine"))]).await;
    heard(&setup, &active[1], &[("report", None)]).await;
    let verify = json!({
        "command": "PutVerificationStateOnViolation", "violationId": active[2]["violationId"],
        "verificationState": "FALSE_POSITIVE",
    });
    setup.ok(verify).await;
    setup.calls();
    let report = setup.ok(json!({"command": "AlarmReport", "hours": 24})).await;
    assert_eq!(report["gaps"], Value::Null, "{report}");
    let totals = &report["totals"];
    let all = active.len() as u64;
    assert_eq!((&totals["active"], &totals["raised"]), (&json!(all), &json!(all)));
    assert_eq!((&totals["mitigated"], &totals["incidents"]), (&json!(1), &json!(0)));
    let of = |violation: &Value| {
        let all = report["active"].as_array().unwrap();
        all.iter().find(|alarm| alarm["violationId"] == violation["violationId"]).unwrap()
    };
    assert_eq!(of(&active[0])["action"], "mitigated by rule quarantine");
    assert_eq!(of(&active[1])["action"], "report");
    assert_eq!(of(&active[2])["verification"], "FALSE_POSITIVE");
    assert_eq!(report["active"].as_array().unwrap().last().unwrap()["verification"], "FALSE_POSITIVE");
    assert_eq!(of(&active[0])["expected"], "less-than, count 0");
    assert_eq!(report["actions"][0]["by"], "rule quarantine");
    assert_eq!(report["behaviors"][0]["falsePositives"], 1);
    let series = report["series"].as_array().unwrap();
    assert_eq!(series.len(), 6, "of the worst devices only");
    assert!(series.iter().all(|one| one["high"] == 0.0 && !one["points"].as_array().unwrap().is_empty()));
    let calls = setup.calls();
    assert_eq!(calls.matches("GET /metric-values").count(), 6, "{calls}");
}

#[tokio::test(start_paused = true)]
async fn each_format_says_the_same_and_the_page_has_the_charts() {
    let (setup, active) = alarmed().await;
    let page = setup.ok(json!({"command": "AlarmReport", "format": "html"})).await;
    assert_eq!(page["contentType"], "text/html");
    let html = page["body"].as_str().unwrap();
    assert_eq!(html.matches("<img class=\"chart\"").count(), 6);
    assert!(html.contains(active[0]["thingName"].as_str().unwrap()));
    let text = setup.ok(json!({"command": "alarm-report", "format": "markdown"})).await;
    assert!(text["body"].as_str().unwrap().starts_with("# Alarm report: "), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_had_is_a_gap_and_the_rest_is_told() {
    let (setup, active) = alarmed().await;
    heard(&setup, &active[0], &[]).await;
    setup.cloud.fail(
        "BatchGetItem",
        9,
        Answer::error(400, "AccessDeniedException", json!({"message": "no"})),
    );
    setup.cloud.fail("Query", 9, Answer::error(400, "AccessDeniedException", json!({"message": "no"})));
    let report = setup.ok(json!({"command": "AlarmReport"})).await;
    assert_eq!(report["active"].as_array().unwrap().len(), active.len());
    let gaps = report["gaps"].to_string();
    assert!(gaps.contains("what was done") && gaps.contains("incidents"), "{gaps}");
    assert!(gaps.contains("let the role of detect-commands do that"), "{gaps}");
}

#[tokio::test(start_paused = true)]
async fn it_can_be_asked_for_one_profile_and_one_thing() {
    let (setup, active) = alarmed().await;
    setup.profile("other", &json!([messages("too", 0)])).await;
    setup.attach("other", GROUP).await;
    setup.pass(3_600);
    let all = setup.ok(json!({"command": "AlarmReport"})).await;
    assert_eq!(all["totals"]["active"], 2 * active.len() as u64);
    let of = json!({"command": "AlarmReport", "securityProfileName": "other"});
    assert_eq!(setup.ok(of).await["totals"]["active"], active.len() as u64);
    let of = json!({"command": "AlarmReport", "thingName": active[0]["thingName"]});
    assert_eq!(setup.ok(of).await["totals"]["active"], 2);
    let error = setup.fails(json!({"command": "AlarmReport", "hours": 721})).await;
    assert!(error.starts_with("InvalidInput\n$.hours"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn nothing_wrong_is_told_as_that() {
    let report = setup().ok(json!({"command": "AlarmReport", "format": "markdown"})).await;
    assert!(
        report["body"].as_str().unwrap().starts_with("# Alarm report: No device is in alarm\n"),
        "{report}"
    );
}
