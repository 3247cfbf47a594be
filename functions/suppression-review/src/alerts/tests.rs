//! Texts from outside, in every alert on suppressions.

use fleetwarden_core::alert::Place;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::debt::Debt;
use fleetwarden_core::model::debt::Owned;
use proptest::prelude::*;

use super::*;
use crate::drift::Modification;
use crate::state::StandingStatus;
use crate::summary::ByHand;
use crate::summary::Ended;
use crate::summary::Ending;
use crate::summary::Tally;

/// Every alert, with a text for all that is from outside.
fn all_alerts(text: &str) -> Vec<Alert> {
    let own = || text.to_owned();
    let by = [own(), format!("rule {text}"), format!("standing {text}")];
    let since = Millis(0);
    let checks = BTreeMap::from([(CheckName::new(text), 3)]);
    let status = StandingStatus {
        failed: 2,
        unknown: BTreeMap::from([(CheckName::new(text), own())]),
        error: Some(own()),
        ..StandingStatus::default()
    };
    let mut alerts: Vec<Alert> =
        [1, 2].map(|all| was_not_reconciled(text, all, &status, "2026-11-23")).into();
    let drift =
        by.clone().map(|by| Drift { by, owner: Some(own()), what: Modification::Deleted, suppressions: 2 });
    alerts.push(drifted(&drift, since));
    alerts.push(dropped("has no members", Some(text), 2, since));
    alerts
        .push(made_by_hand(&ByHand { suppressions: 2, indefinite: 1, examples: vec![own(), own()] }, since));
    for by in &by {
        alerts.extend([None, Some(0), Some(2)].map(|back| {
            let ended = Ended {
                by: by.clone(),
                owner: Some(own()),
                on: "2026-11-23".into(),
                suppressions: 2,
                checks: checks.clone(),
                back,
                ..Ended::default()
            };
            expired(&ended, since)
        }));
        let ending = Ending {
            by: by.clone(),
            owner: Some(own()),
            on: "2026-11-23".into(),
            within_days: 7,
            suppressions: 2,
            checks: checks.clone(),
            examples: vec![own(), own()],
            without_alert: 2,
        };
        alerts.push(expiring(&ending, since));
    }
    let rest: Vec<(Alert, u64)> = alerts.iter().map(|alert| (alert.clone(), 2)).collect();
    alerts.push(further(&rest, since));
    let tally = |by: &String| Tally {
        by: by.clone(),
        owner: Some(own()),
        suppressions: 2,
        indefinite: 1,
        idle: 1,
        idle_examples: vec![own()],
    };
    let summary = Summary {
        debt: Debt {
            suppressions: 9,
            idle: 2,
            non_compliant: 5,
            hidden: 2,
            oldest: Some(Millis(0)),
            owners: BTreeMap::from([(format!("-{text}"), Owned { suppressions: 2, ..Owned::default() })]),
            ..Debt::default()
        },
        tallies: by.iter().map(tally).collect(),
        ..Summary::default()
    };
    let state = State { gaps: vec![own()], ..State::default() };
    alerts.push(digest::debt(Mode::Observe, &state, &summary, &[text, text]));
    alerts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_from_outside_is_more_than_text(text in fleetwarden_hostile::texts()) {
        fleetwarden_hostile::assert_same_alerts(&all_alerts(&text), &all_alerts("x"), |alert| alert.publication(&Place::default(), Millis(0)).message);
    }
}
