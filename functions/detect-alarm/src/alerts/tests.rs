//! Names and values from devices and people, in every alert on an alarm.

use fleetwarden_aws::alarms::Incident;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Place;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::AlarmHold;
use fleetwarden_core::policy::AlarmSubject;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Protection;
use fleetwarden_core::timestamp::Millis;
use proptest::prelude::*;
use serde_json::json;

use crate::alerts;

const POLICY: &str = "
version: 1
rules: [{ name: quarantine, alarm: {}, mitigate: { actions: Quarantine } }]
";

/// Every alert, with a text for all that is from outside.
fn every(text: &str) -> Vec<Alert> {
    let policy = Policy::parse(POLICY.as_bytes()).unwrap();
    let event: AlarmEvent = serde_json::from_value(json!({
        "source": "deviceDefender", "account": text, "region": text, "violationId": text, "profile": text,
        "behavior": text, "metric": text, "thing": text, "criteria": "STATIC", "event": "in-alarm", "at": 0,
        "expected": { "text": text }, "value": { "text": text },
    }))
    .unwrap();
    let mut life = Life::of(&event);
    life.value = Some(json!([text]));
    life.alarm.expected = Some(json!([text]));
    let things: Things = serde_json::from_value(json!({ "unknown": text })).unwrap();
    let subject = AlarmSubject { life: &life, at: Millis(0), raises: &[], things: &things };
    let decision = policy.decide_alarm(&subject);
    let protection = Protection::Group(text);
    let reasons =
        [AlarmHold::RuleUnknown(text), AlarmHold::ProtectedBy(protection)].map(|held| alerts::held(&held));
    let mut told: Vec<Alert> = reasons
        .iter()
        .map(Some)
        .chain([None])
        .map(|reason| alerts::raised(&subject, &decision, Millis(0), reason))
        .collect();
    told.push(alerts::flapping(&subject, &decision, 9, Millis(0), &policy.alarms()));
    let incident: Incident = serde_json::from_value(json!({
        "id": text, "profile": text, "behavior": text, "devices": 12, "population": 40, "firstAt": 0, "latestAt": 1,
    }))
    .unwrap();
    let mut raised = alerts::Raised::default();
    for _ in 0..12 {
        raised.add(&life);
    }
    told.push(alerts::incident(&life.alarm, &incident, &raised, &[text.to_owned()], &policy));
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_from_outside_is_more_than_text(text in fleetwarden_hostile::texts()) {
        // A step with the thing's name is there only for what can be one.
        let message = |alert: &Alert| {
            let mut alert = alert.clone();
            alert.next_steps.retain(|step| !step.to_string().contains("--thing-name"));
            alert.publication(&Place::default(), Millis(0)).message
        };
        fleetwarden_hostile::assert_same_alerts(&every(&text), &every("x"), message);
    }
}
