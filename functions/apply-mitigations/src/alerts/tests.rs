//! Names and messages from outside, in every alert on a mitigation.

use std::collections::BTreeSet;

use fleetwarden_aws::mitigations::State;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Place;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::timestamp::Millis;
use proptest::prelude::*;

use super::*;
use crate::alarms::results::ViolationResult;
use crate::findings::results::FindingResult;
use crate::findings::statistics::Statistics;

/// An action that did not succeed.
fn action(text: &str) -> ActionResult {
    ActionResult {
        action: text.to_owned(),
        status: text.to_owned(),
        error_code: Some(text.to_owned()),
        message: Some(text.to_owned()),
    }
}

/// Every alert on mitigations of findings, with a text for all that is from outside.
fn of_findings(text: &str) -> Vec<Alert> {
    let request = MitigationRequest {
        canary: None,
        audit: Audit {
            account: "123456789012".parse().unwrap(),
            region: "eu-central-1".parse().unwrap(),
            task_id: "4e2b".parse().unwrap(),
            schedule: Some(text.to_owned()),
            started_at: Millis(0),
        },
        check: CheckName::new(text),
        origin: Origin::Rule(text.to_owned()),
        mode: Mode::Enforce,
        policy: None,
        actions: vec![text.to_owned(), text.to_owned()],
        target: Target::WholeCheck { reason_codes: vec![text.to_owned()], count: 3 },
    };
    let results: Vec<FindingResult> = (0..12)
        .map(|_| FindingResult {
            finding_id: text.to_owned(),
            key: None,
            actions: vec![action(text)],
            resource: Some(ResourceIdentifier {
                client_id: Some(text.to_owned()),
                ..ResourceIdentifier::default()
            }),
            things: Some(vec![text.to_owned(), text.to_owned()]),
        })
        .collect();
    let mut alerts = vec![findings::ended(&request, State::Failed, Statistics::default(), &results)];
    alerts.extend(events(text).map(|event| findings::alert_of(&request, event)));
    alerts
}

/// Every alert on mitigations of alarms, with a text for all that is from outside.
fn of_alarms(text: &str) -> Vec<Alert> {
    let violation =
        ViolationRef { violation_id: text.to_owned(), thing: text.to_owned(), raised_at: Millis(0) };
    let request = AlarmMitigationRequest {
        account: text.to_owned(),
        region: text.to_owned(),
        profile: text.to_owned(),
        behavior: text.to_owned(),
        origin: Origin::Rule(text.to_owned()),
        mode: Mode::Enforce,
        policy: None,
        actions: vec![text.to_owned(), text.to_owned()],
        violations: vec![violation.clone(); 12],
        release_after_seconds: None,
    };
    let groups = BTreeSet::from([text.to_owned()]);
    let actions = vec![action(text)];
    let result = ViolationResult { violation: violation.clone(), actions, groups: groups.clone() };
    let mut alerts = vec![
        alarms::ended(&request, State::Failed, &vec![result; 12]),
        alarms::released(&request, &violation, &groups),
        alarms::release_refused(&request, &violation, text, text),
        alarms::kept(&request, &[&violation, &violation]),
    ];
    alerts.extend(events(text).map(|event| alarms::alert_of(&request, event)));
    alerts
}

/// What can happen to a mitigation of either kind.
fn events(text: &str) -> [Event<'_>; 9] {
    [
        Event::Refused(text),
        Event::Shut(text),
        Event::Held(text),
        Event::OverBudget(text),
        Event::LeftOut { policy: text, reason: text },
        Event::GivenUp(text),
        Event::Slow,
        Event::Endless,
        Event::Lost,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_from_outside_is_more_than_text(text in fleetwarden_hostile::texts()) {
        for every in [of_findings, of_alarms] {
            fleetwarden_hostile::assert_same_alerts(&every(&text), &every("x"), |alert| alert.publication(&Place::default(), Millis(0)).message);
        }
    }
}
