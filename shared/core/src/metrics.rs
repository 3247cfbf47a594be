//! Metrics in the embedded metric format: lines that CloudWatch Logs turns into metrics, without a call.
//!
//! All of a check's metrics are gauges of one audit, stamped with the audit's start. A repeated emission is
//! the same point again, and the statistic to read them with is Maximum: so a repeat changes nothing.

pub mod alarm_watch;
pub mod alarms;
pub mod models;

use std::cmp::Reverse;

use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::ids::CheckName;
use crate::message::Audit;
use crate::message::Counts;
use crate::message::Tally;
use crate::model::debt::Debt;
use crate::model::debt::Owned;
use crate::timestamp::Millis;

/// The namespace of every metric.
pub const NAMESPACE: &str = "Fleetwarden";

const COUNTS: [&str; 10] = [
    "NonCompliant",
    "Suppressed",
    "New",
    "Returned",
    "Fixed",
    "SuppressDecided",
    "SuppressObserved",
    "MitigateDecided",
    "MitigateObserved",
    "Reported",
];
const OLDEST: &str = "OldestAgeSeconds";

/// The metric lines of one check in one audit: one by check and severity for each severity, and one by check.
pub fn check_lines(audit: &Audit, check: &CheckName, tally: &Tally) -> Vec<String> {
    let total = tally.values().fold(Counts::default(), Counts::plus);
    let by_severity =
        tally.iter().map(|(severity, counts)| line(audit, check, Some(severity.as_str()), counts));
    by_severity.chain([line(audit, check, None, &total)]).collect()
}

fn line(audit: &Audit, check: &CheckName, severity: Option<&str>, counts: &Counts) -> String {
    let dimensions = if severity.is_some() { json!(["Check", "Severity"]) } else { json!(["Check"]) };
    let mut metrics: Vec<Value> = COUNTS.iter().map(|name| json!({"Name": name, "Unit": "Count"})).collect();
    metrics.push(json!({"Name": OLDEST, "Unit": "Seconds"}));
    let age = counts.oldest.map_or(0, |oldest| audit.started_at.seconds() - oldest.seconds());
    let mut line = json!({
        "_aws": {
            "Timestamp": audit.started_at.0,
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}],
        },
        "Check": check.as_str(),
        "TaskId": audit.task_id,
        "Schedule": audit.schedule,
        OLDEST: age,
    });
    let values = [
        counts.non_compliant,
        counts.suppressed,
        counts.new,
        counts.returned,
        counts.fixed,
        counts.suppress,
        counts.observed("suppress"),
        counts.mitigate,
        counts.observed("mitigate"),
        counts.reported,
    ];
    if let Some(members) = line.as_object_mut() {
        members.extend(COUNTS.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.into())));
        members.extend(severity.map(|s| ("Severity".to_owned(), s.into())));
    }
    line.to_string()
}

/// The metric line of what Device Defender has confirmed of the mitigations of a check in one audit: on how many findings
/// every action succeeded, and on how many not.
pub fn mitigation_line(audit: &Audit, check: &CheckName, succeeded: u64, failed: u64) -> String {
    let metrics = ["Mitigated", "MitigateFailed"].map(|name| json!({"Name": name, "Unit": "Count"}));
    json!({
        "_aws": {
            "Timestamp": audit.started_at.0,
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["Check"]], "Metrics": metrics}],
        },
        "Check": check.as_str(),
        "TaskId": audit.task_id,
        "Schedule": audit.schedule,
        "Mitigated": succeeded,
        "MitigateFailed": failed,
    })
    .to_string()
}

/// How many owners have metrics of their own: each is a dimension, and dimensions cost.
const OWNERS: usize = 20;

/// The metric lines of the debt of suppressions: one of all, and one for each of the largest owners.
pub fn debt_lines(debt: &Debt) -> Vec<String> {
    let age = |oldest: Option<Millis>| oldest.map_or(0, |at| debt.reviewed_at.seconds() - at.seconds());
    let all = [
        ("Suppressions", "Count", debt.suppressions.into()),
        ("Indefinite", "Count", debt.indefinite.into()),
        ("Lapsed", "Count", debt.lapsed.into()),
        ("Ending", "Count", debt.ending.into()),
        ("Ownerless", "Count", debt.ownerless.into()),
        ("ByHand", "Count", debt.by_hand.into()),
        ("Idle", "Count", debt.idle.into()),
        ("HiddenShare", "None", debt.hidden_share().unwrap_or_default().into()),
        ("OldestSuppressionAgeSeconds", "Seconds", age(debt.oldest).into()),
    ];
    let mut owners: Vec<_> = debt.owners.iter().filter(|(owner, _)| !owner.is_empty()).collect();
    owners.sort_by_key(|(owner, owned)| (Reverse(owned.suppressions), *owner));
    let of_owner = |(owner, owned): (&String, &Owned)| {
        let values: [(&str, &str, Value); 3] = [
            ("Suppressions", "Count", owned.suppressions.into()),
            ("Indefinite", "Count", owned.indefinite.into()),
            ("OldestSuppressionAgeSeconds", "Seconds", age(owned.oldest).into()),
        ];
        gauges(debt.reviewed_at, Some(owner), &values)
    };
    [gauges(debt.reviewed_at, None, &all)]
        .into_iter()
        .chain(owners.into_iter().take(OWNERS).map(of_owner))
        .collect()
}

fn gauges(at: Millis, owner: Option<&str>, values: &[(&str, &str, Value)]) -> String {
    let metrics: Vec<Value> =
        values.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
    let dimensions: Vec<&str> = owner.map(|_| "Owner").into_iter().collect();
    let mut line = json!({"_aws": {
        "Timestamp": at.0,
        "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}],
    }});
    if let Some(members) = line.as_object_mut() {
        members.extend(values.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone())));
        members.extend(owner.map(|owner| ("Owner".to_owned(), owner.into())));
    }
    line.to_string()
}

/// What a watch on the audits of an account sees at one look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditWatch {
    /// Scheduled audits whose last run did not begin.
    pub audits_missing: u64,
    /// Audits that ended and whose notification did not come.
    pub audits_unheard: u64,
    /// Audits that run for too long.
    pub audits_stuck: u64,
    /// Checks that failed or were canceled, in the latest audit of each schedule and the latest on demand.
    pub checks_failed: u64,
    /// Why notifications cannot come, or checks cannot run, in the account's configuration.
    pub target_misconfigured: u64,
    /// Looks that were refused: what they would have shown is not counted.
    pub looks_refused: u64,
}

/// The metric line of a look at the audits.
pub fn audit_watch_line(at: Millis, seen: &AuditWatch) -> String {
    let values = [
        ("AuditsMissing", seen.audits_missing),
        ("AuditsUnheard", seen.audits_unheard),
        ("AuditsStuck", seen.audits_stuck),
        ("ChecksFailed", seen.checks_failed),
        ("TargetMisconfigured", seen.target_misconfigured),
        ("LooksRefused", seen.looks_refused),
    ];
    gauges(at, None, &values.map(|(name, count)| (name, "Count", count.into())))
}

/// The metric line of one invocation: how many records it took, failed and parked.
pub fn invocation_line(function: &str, at: Millis, records: u64, failed: u64, parked: u64) -> String {
    let metrics = ["Records", "Failed", "Parked"].map(|name| json!({"Name": name, "Unit": "Count"}));
    json!({
        "_aws": {
            "Timestamp": at.0,
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["Function"]], "Metrics": metrics}],
        },
        "Function": function,
        "Records": records,
        "Failed": failed,
        "Parked": parked,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::severity::Severity;

    #[test]
    fn a_check_has_a_line_a_severity_and_one_of_its_own() {
        let audit = Audit {
            account: "123456789012".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            task_id: "4e2b".parse().unwrap(),
            schedule: None,
            started_at: Millis(1_795_392_000_000),
        };
        let counts =
            |n| Counts { non_compliant: n, oldest: Some(Millis(1_795_391_000_000)), ..Default::default() };
        let tally = Tally::from([(Severity::Medium, counts(2)), (Severity::Low, counts(3))]);
        let lines = check_lines(&audit, &CheckName::new("LOGGING_DISABLED_CHECK"), &tally);
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn the_debt_has_a_line_of_all_and_one_for_each_of_the_largest_owners() {
        let owned =
            |suppressions| Owned { suppressions, indefinite: 1, oldest: Some(Millis(1_795_305_600_000)) };
        let mut owners: std::collections::BTreeMap<String, Owned> =
            (0..30).map(|n| (format!("team-{n:02}"), owned(n))).collect();
        owners.insert(String::new(), owned(99));
        let debt = Debt {
            reviewed_at: Millis(1_795_392_000_000),
            suppressions: 534,
            indefinite: 31,
            hidden: 1,
            non_compliant: 4,
            oldest: Some(Millis(1_795_305_600_000)),
            owners,
            ..Debt::default()
        };
        let lines = debt_lines(&debt);
        assert_eq!(lines.len(), 21);
        insta::assert_snapshot!(lines[..2].join("\n"));
    }

    #[test]
    fn a_look_at_the_audits_is_one_line_without_dimensions() {
        let seen = AuditWatch { audits_missing: 1, checks_failed: 2, ..AuditWatch::default() };
        let line: Value = serde_json::from_str(&audit_watch_line(Millis(1_795_392_000_000), &seen)).unwrap();
        assert_eq!((&line["AuditsMissing"], &line["ChecksFailed"]), (&json!(1), &json!(2)));
        let told = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(told["Dimensions"], json!([[]]));
        for metric in told["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_u64(), "{metric}");
        }
    }
}
