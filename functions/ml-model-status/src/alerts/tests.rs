//! Names of profiles and words from AWS, in every alert on models.

use std::collections::BTreeSet;

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Place;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::model::ml::ModelsStatus;
use fleetwarden_core::timestamp::Millis;
use proptest::prelude::*;
use serde_json::json;

use super::Blind;
use super::Seen;
use super::notice;

/// A status with every problem, of some behaviors of some profiles.
fn status(text: &str, profiles: usize) -> ModelsStatus {
    let problems = json!([
        { "problem": "not-built", "since": 0, "collected": true }, { "problem": "not-refreshed", "refreshedAt": 0 },
        { "problem": "expires-soon", "expiresAt": 0 }, { "problem": "expired" },
        { "problem": "alarms-often", "inAlarm": 1, "devices": 2, "limit": 0.1 },
    ]);
    let named = |at: usize| format!("{at}{text}");
    let model = |at: usize| {
        json!({
            "profile": named(at), "behavior": text, "metric": text, "status": text, "percentage": 1.0, "collected": 250,
            "forecast": { "forecast": "enough" }, "outlook": text, "problems": problems,
        })
    };
    serde_json::from_value(json!({
        "at": 0, "profiles": 1, "mlProfiles": 1, "notSeen": 0, "counts": {}, "limit": 0.1, "note": text,
        "withoutTargets": (0..profiles).map(|at| json!({ "profile": named(at), "had": 3 })).collect::<Vec<_>>(),
        "models": (0..profiles).map(model).collect::<Vec<_>>(),
    }))
    .unwrap()
}

/// Every alert, with a text for all that is from outside.
fn every(text: &str) -> Vec<Alert> {
    let error = fleetwarden_aws::Error::Aws {
        operation: "ListTargets",
        on: text.to_owned(),
        code: text.to_owned(),
        message: text.to_owned(),
    };
    let mut told = Vec::new();
    for profiles in [2, 11] {
        let mut notices = Notices::default();
        let (looked_at, blind) = (BTreeSet::new(), [Blind::of(&error)]);
        for (at, report) in [(0, status(text, profiles)), (1, status(text, 0))] {
            let look = Seen {
                account: text,
                region: text,
                now: Millis(at * 86_400_000),
                names: Some(BTreeSet::new()),
                are_summed: true,
                looked_at: &looked_at,
                blind: if at == 0 { &blind } else { &[] },
                is_complete: true,
                report: &report,
            };
            notice(&mut notices, &look);
        }
        told.extend(notices.pending().iter().cloned());
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_from_outside_is_more_than_text(text in fleetwarden_hostile::texts()) {
        let harmless = every("x");
        prop_assert_eq!(harmless.len(), 2 * 6 + 2 + 6 + 2);
        let told = every(&text);
        for alert in &told {
            prop_assert!(harmless.iter().any(|harmless| harmless.kind == alert.kind));
            let [title, description] = [&alert.title, &alert.description].map(ToString::to_string);
            fleetwarden_hostile::assert_seen(&title);
            fleetwarden_hostile::assert_seen(&description);
        }
        fleetwarden_hostile::assert_same_alerts(&told, &harmless, |alert| alert.publication(&Place::default(), Millis(0)).message);
    }
}
