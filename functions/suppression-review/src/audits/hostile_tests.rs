//! Names and words from AWS, in every alert of the watch on audits.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Place as Publisher;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::schedule::Rhythm;
use fleetwarden_core::timestamp::Millis;
use proptest::prelude::*;

use crate::audits::trouble::Lost;
use crate::audits::trouble::Place;
use crate::audits::trouble::Trouble;

/// Every alert, with a text for all that is from outside.
fn every(text: &str) -> Vec<Alert> {
    let own = || text.to_owned();
    let checks = || BTreeSet::from([CheckName::new(text), CheckName::new("A_CHECK")]);
    let lost = |schedule| Lost {
        task_id: own(),
        schedule,
        started: Millis(0),
        status: own(),
        failed: BTreeMap::from([(CheckName::new(text), own())]),
    };
    let audits = |count| (0..count).map(|_| lost(Some(own()))).collect::<Vec<_>>();
    let missing = |usual| Trouble::Missing {
        schedule: own(),
        rhythm: Rhythm::Daily,
        due: "2026-11-23".into(),
        usual,
        last: None,
        first_seen: Millis(0),
    };
    let stuck = |schedule| Trouble::Stuck {
        task_id: own(),
        schedule,
        started: Millis(0),
        waiting: checks(),
        running: checks(),
    };
    let troubles = [
        Trouble::NotSetUp { schedules: 2 },
        Trouble::NoChecks { schedules: 1 },
        Trouble::NoTarget,
        Trouble::OtherTarget { target: own() },
        Trouble::TargetDisabled,
        Trouble::TargetWithoutRole,
        Trouble::DisabledChecks { schedule: own(), checks: checks() },
        missing(true),
        missing(false),
        Trouble::Unheard { audits: audits(12) },
        Trouble::Unheard { audits: vec![lost(None)] },
        Trouble::Undelivered { audits: audits(1) },
        Trouble::Unsent { why: own(), audits: audits(2) },
        stuck(Some(own())),
        stuck(None),
        Trouble::Blind { operation: own(), code: own(), message: own() },
    ];
    let place = Place { account: text, region: text, topic: text, since: Millis(0), now: Millis(1) };
    troubles.iter().map(|trouble| trouble.alert(&place)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_from_outside_is_more_than_text(text in fleetwarden_hostile::texts()) {
        fleetwarden_hostile::assert_same_alerts(&every(&text), &every("x"), |alert| alert.publication(&Publisher::default(), Millis(0)).message);
    }
}
