//! Names and words of a notification, in every alert on it.

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Place;
use fleetwarden_core::api::notification::AuditEnded;
use fleetwarden_core::message::Audit;
use fleetwarden_core::timestamp::Millis;
use proptest::prelude::*;
use serde_json::json;

use super::failure_alert;
use super::mismatch_alert;
use crate::checks::Checks;
use crate::compare::differences;
use crate::compare::not_ended;
use crate::mismatch::Mismatch;

fn ended(text: &str, status: &str, name: &str) -> AuditEnded {
    serde_json::from_value(json!({
        "accountId": text, "taskId": text, "taskStatus": status, "taskType": name, "scheduledAuditName": name,
        "taskStartTime": 0, "auditDetails": [
            { "checkName": text, "checkRunStatus": "FAILED", "errorCode": text, "message": text },
            { "checkName": "A_CHECK", "checkRunStatus": "CANCELED" },
        ],
    }))
    .unwrap()
}

/// Every alert, with a text for all that is from outside.
fn all_alerts(text: &str) -> Vec<Alert> {
    let audit = |schedule: Option<&str>| Audit {
        account: "123456789012".parse().unwrap(),
        region: "eu-central-1".parse().unwrap(),
        task_id: "4e2b".parse().unwrap(),
        schedule: schedule.map(ToOwned::to_owned),
        started_at: Millis(0),
    };
    let [failed, done] = ["FAILED", "COMPLETED"].map(|status| ended(text, status, text));
    let mut alerts: Vec<Alert> = [(Some(text), &failed), (None, &failed), (Some(text), &done)]
        .iter()
        .filter_map(|(schedule, ended)| failure_alert(&audit(*schedule), ended, &Checks::of(ended)))
        .collect();
    let differs = differences(&done, &ended(text, "FAILED", "another"));
    let open = not_ended(&done, &ended(text, text, text));
    let mismatches =
        [Some(Mismatch::NoSuchTask), open.map(Mismatch::NotEnded), Some(Mismatch::Different(differs))];
    for mismatch in mismatches.iter().flatten() {
        fleetwarden_hostile::assert_seen(&mismatch.error(text).to_string());
        alerts.push(mismatch_alert(mismatch, &done, text, Millis(0)));
    }
    alerts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_from_outside_is_more_than_text(text in fleetwarden_hostile::texts()) {
        let harmless = all_alerts("x");
        prop_assert_eq!(harmless.len(), 6);
        fleetwarden_hostile::assert_same_alerts(&all_alerts(&text), &harmless, |alert| alert.publication(&Place::default(), Millis(0)).message);
    }
}
