//! Names and messages from outside, in every alert on a mitigation.

use fleetwarden_aws::mitigations::State;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Place;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Target;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::timestamp::Millis;
use proptest::prelude::*;

use crate::alarms::every_alert;
use crate::alerts;
use crate::follow::Statistics;
use crate::results::FindingResult;
use fleetwarden_core::model::mitigation::view::ActionResult;

/// An action that did not succeed.
pub(crate) fn action(text: &str) -> ActionResult {
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
    vec![
        alerts::ended(&request, State::Failed, Statistics::default(), &results),
        alerts::refused(&request, text),
        alerts::shut(&request, text),
        alerts::held(&request, text),
        alerts::left_out(&request, text, text),
        alerts::given_up(&request, text),
        alerts::slow(&request),
        alerts::endless(&request),
        alerts::lost(&request),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_from_outside_is_more_than_text(text in fleetwarden_hostile::texts()) {
        for every in [of_findings, every_alert] {
            fleetwarden_hostile::assert_same_alerts(&every(&text), &every("x"), |alert| alert.publication(&Place::default(), Millis(0)).message);
        }
    }
}
