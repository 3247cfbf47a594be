//! What the watch on the audits of an account sees at one look.

use serde::Serialize;

use super::Metric;
use super::Record;
use super::line;
use crate::timestamp::Millis;

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

/// A look with its time.
struct Look<'l>(Millis, &'l AuditWatch);

impl Record for Look<'_> {
    fn at(&self) -> Millis {
        self.0
    }

    fn metrics(&self) -> Vec<Metric> {
        let Self(_, seen) = self;
        vec![
            Metric::count("AuditsMissing", seen.audits_missing),
            Metric::count("AuditsUnheard", seen.audits_unheard),
            Metric::count("AuditsStuck", seen.audits_stuck),
            Metric::count("ChecksFailed", seen.checks_failed),
            Metric::count("TargetMisconfigured", seen.target_misconfigured),
            Metric::count("LooksRefused", seen.looks_refused),
        ]
    }
}

/// The metric line of a look at the audits.
pub fn audit_watch_line(at: Millis, seen: &AuditWatch) -> String {
    line(&Look(at, seen))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_look_at_the_audits_is_one_line_without_dimensions() {
        let seen = AuditWatch { audits_missing: 1, checks_failed: 2, ..AuditWatch::default() };
        let line: Value = serde_json::from_str(&audit_watch_line(Millis(1_795_392_000_000), &seen)).unwrap();
        assert_eq!((&line["AuditsMissing"], &line["ChecksFailed"]), (&json!(1), &json!(2)));
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([[]]));
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_u64(), "{metric}");
        }
    }
}
