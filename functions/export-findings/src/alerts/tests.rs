//! Names from outside, in the alert on findings.

use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Place;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::Counts;
use fleetwarden_core::message::Tally;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::timestamp::Millis;
use proptest::prelude::*;

use super::Places;
use super::findings_alert;

/// The alert, with a text for all that is from outside.
fn alert(text: &str, archive: &Archive) -> Alert {
    let own = || text.to_owned();
    let audit = Audit::new(("123456789012", "eu-central-1"), "4e2b", Some(own()), Millis(0)).unwrap();
    let counts = Counts {
        non_compliant: 9,
        reported: 5,
        new: 2,
        returned: 1,
        mitigate: 1,
        fixed: 1,
        loudest: Some(AlertSeverity::High),
        ..Counts::default()
    };
    let tally = Tally::from([(Severity::High, counts)]);
    findings_alert(&audit, &CheckName::new(text), &tally, &Places { log_group: text, archive }).unwrap()
}

#[test]
fn nothing_from_outside_is_more_than_text() {
    let archive = Archive::new(Cloud::default().clients().s3(), "archive".to_owned());
    let harmless = alert("x", &archive).publication(&Place::default(), Millis(0)).message;
    proptest!(ProptestConfig::with_cases(64), |(text in fleetwarden_hostile::texts())| {
        fleetwarden_hostile::assert_same_alert(&alert(&text, &archive).publication(&Place::default(), Millis(0)).message, &harmless);
    });
}
