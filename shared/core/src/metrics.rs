//! Metrics in the embedded metric format: lines that CloudWatch Logs turns into metrics, without a call.
//!
//! All of a check's metrics are gauges of one audit, stamped with the audit's start. A repeated emission is
//! the same point again, and the statistic to read them with is Maximum: so a repeat changes nothing.

use serde_json::Value;
use serde_json::json;

use crate::check::CheckName;
use crate::message::Audit;
use crate::message::Counts;
use crate::message::Tally;
use crate::timestamp::Millis;

/// The namespace of every metric.
pub const NAMESPACE: &str = "Fleetwarden";

const COUNTS: [&str; 8] =
    ["NonCompliant", "Suppressed", "New", "Returned", "Fixed", "SuppressDecided", "Mitigated", "Reported"];
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
        counts.mitigated,
        counts.reported,
    ];
    if let Some(members) = line.as_object_mut() {
        members.extend(COUNTS.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.into())));
        members.extend(severity.map(|s| ("Severity".to_owned(), s.into())));
    }
    line.to_string()
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
    use crate::finding::Severity;

    #[test]
    fn a_check_has_a_line_a_severity_and_one_of_its_own() {
        let audit = Audit {
            account: "123456789012".into(),
            region: "us-east-1".into(),
            task_id: "4e2b".into(),
            schedule: None,
            started_at: Millis(1_795_392_000_000),
        };
        let counts =
            |n| Counts { non_compliant: n, oldest: Some(Millis(1_795_391_000_000)), ..Default::default() };
        let tally = Tally::from([(Severity::Medium, counts(2)), (Severity::Low, counts(3))]);
        let lines = check_lines(&audit, &CheckName::new("LOGGING_DISABLED_CHECK"), &tally);
        insta::assert_snapshot!(lines.join("\n"));
    }
}
