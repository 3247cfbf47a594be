//! Names from devices and words from AWS, in every alert of the watch.

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Place as Publisher;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::timestamp::Millis;
use proptest::prelude::*;

use super::Place;
use super::Problem;
use super::incident_over;
use super::notice;
use crate::compare::Example;
use crate::compare::Lost;
use crate::incidents::Ended;

/// Every alert, with a text for all that is from outside.
fn every(text: &str) -> Vec<Alert> {
    let own = || text.to_owned();
    let example = Example {
        violation_id: own(),
        profile: own(),
        behavior: own(),
        thing: Some(own()),
        event: own(),
        at: Millis(0),
    };
    let lost = || Lost { count: 12, examples: vec![example.clone(); 10] };
    let problems = [
        Problem::Unheard { lost: lost() },
        Problem::Undelivered { lost: lost() },
        Problem::Unsent { why: own() },
        Problem::Gone { lost: lost() },
        Problem::Behind { seconds: 60 },
        Problem::Blind { operation: own(), code: own(), message: own() },
    ];
    let mut notices = Notices::default();
    notice(&mut notices, &problems, Place { account: text, region: text }, Millis(0));
    let over = Ended { id: own(), profile: own(), behavior: own(), devices: 12, in_alarm: 2 };
    notices
        .pending()
        .iter()
        .cloned()
        .chain([incident_over(&over, Place { account: text, region: text })])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_from_outside_is_more_than_text(text in fleetwarden_hostile::texts()) {
        let harmless = every("x");
        prop_assert_eq!(harmless.len(), 7);
        fleetwarden_hostile::assert_same_alerts(&every(&text), &harmless, |alert| alert.publication(&Publisher::default(), Millis(0)).message);
    }
}
