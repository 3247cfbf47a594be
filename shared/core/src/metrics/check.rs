//! What one audit found of a check, and what was decided.
//!
//! These are gauges of one audit, stamped with its start. A repeat is the same point again, and the statistic to read
//! them with is Maximum: so a repeat changes nothing.

use serde_json::Value;

use super::Dimensions;
use super::Metric;
use super::Record;
use super::line;
use crate::ids::CheckName;
use crate::message::Audit;
use crate::message::Counts;
use crate::message::Tally;
use crate::model::severity::Severity;
use crate::timestamp::Millis;

/// The metric lines of one check in one audit: one by check and severity for each severity, and one by check.
pub fn check_lines(audit: &Audit, check: &CheckName, tally: &Tally) -> Vec<String> {
    let total = tally.values().fold(Counts::default(), Counts::plus);
    let of = |severity, counts: &Counts| line(&OfCheck { audit, check, severity, counts });
    let by_severity = tally.iter().map(|(severity, counts)| of(Some(*severity), counts));
    by_severity.chain([of(None, &total)]).collect()
}

/// The findings of a check, of one severity or of all.
struct OfCheck<'a> {
    audit: &'a Audit,
    check: &'a CheckName,
    severity: Option<Severity>,
    counts: &'a Counts,
}

impl Record for OfCheck<'_> {
    fn at(&self) -> Millis {
        self.audit.started_at
    }

    fn metrics(&self) -> Vec<Metric> {
        let counts = self.counts;
        let age = counts.oldest.map_or(0, |oldest| self.audit.started_at.seconds() - oldest.seconds());
        vec![
            Metric::count("NonCompliant", counts.non_compliant),
            Metric::count("Suppressed", counts.suppressed),
            Metric::count("New", counts.new),
            Metric::count("Returned", counts.returned),
            Metric::count("Fixed", counts.fixed),
            Metric::count("SuppressDecided", counts.suppress),
            Metric::count("SuppressObserved", counts.observed("suppress")),
            Metric::count("MitigateDecided", counts.mitigate),
            Metric::count("MitigateObserved", counts.observed("mitigate")),
            Metric::count("Reported", counts.reported),
            Metric::seconds("OldestAgeSeconds", age),
        ]
    }

    fn dimensions(&self) -> Dimensions<'_> {
        let mut dimensions = Dimensions::by([("Check", self.check.as_str())]);
        dimensions.by.extend(self.severity.map(|severity| ("Severity", severity.as_str())));
        dimensions
    }

    fn properties(&self) -> Vec<(&'static str, Value)> {
        of_audit(self.audit)
    }
}

/// What a line says of its audit.
pub(super) fn of_audit(audit: &Audit) -> Vec<(&'static str, Value)> {
    vec![("TaskId", audit.task_id.as_str().into()), ("Schedule", audit.schedule.clone().into())]
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
