//! Texts from outside, in every alert of the audit watch.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Place as Publisher;
use fleetwarden_core::alert::notices::Due;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::schedule::Rhythm;
use fleetwarden_core::timestamp::Millis;
use proptest::prelude::*;

use super::Place;
use crate::problem::Lost;
use crate::problem::Problem;

/// Every alert, with a text for all that is from outside.
fn all_alerts(text: &str) -> Vec<Alert> {
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
    let missing = |usual| Problem::Missing {
        schedule: own(),
        rhythm: Rhythm::Daily,
        due: "2026-11-23".into(),
        usual,
        last: None,
        first_seen: Millis(0),
    };
    let stuck = |schedule| Problem::Stuck {
        task_id: own(),
        schedule,
        started: Millis(0),
        waiting: checks(),
        running: checks(),
    };
    let problems = [
        Problem::NotSetUp { schedules: 2 },
        Problem::NoChecks { schedules: 1 },
        Problem::NoTarget,
        Problem::OtherTarget { target: own() },
        Problem::TargetDisabled,
        Problem::TargetWithoutRole,
        Problem::DisabledChecks { schedule: own(), checks: checks() },
        missing(true),
        missing(false),
        Problem::Unheard { audits: audits(12) },
        Problem::Unheard { audits: vec![lost(None)] },
        Problem::Undelivered { audits: audits(1) },
        Problem::Unsent { why: own(), audits: audits(2) },
        stuck(Some(own())),
        stuck(None),
        Problem::Blind { operation: own(), code: own(), message: own() },
    ];
    let place = Place { account: text, region: text, topic: text };
    let due = Due { since: Millis(0), months: 0 };
    problems.iter().map(|problem| problem.alert(&place, due)).collect()
}

#[test]
fn a_target_without_a_role() {
    let place = Place { account: "123456789012", region: "us-east-1", topic: "arn:audits" };
    let alert = Problem::TargetWithoutRole.alert(&place, Due { since: Millis(0), months: 0 });
    let lines = [alert.title.markdown(), alert.description.markdown()];
    insta::assert_snapshot!(lines.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_from_outside_is_more_than_text(text in fleetwarden_hostile::texts()) {
        fleetwarden_hostile::assert_same_alerts(&all_alerts(&text), &all_alerts("x"), |alert| alert.publication(&Publisher::default(), Millis(0)).message);
    }
}
