//! What people are asked to approve, and what became of it: one line for each.

use super::Metric;
use super::Record;
use super::line;
use crate::timestamp::Millis;

/// What became of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was asked for.
    Requested,
    /// A person approved.
    Approved,
    /// A person rejected, or canceled what was held.
    Rejected,
    /// Nobody approved in time, or what was approved did not start in time.
    Lapsed,
}

/// An approval that was asked for, or an answer to it.
#[derive(Clone, Copy, Debug)]
pub struct Approval {
    /// What became of it.
    pub event: Event,
    /// When.
    pub at: Millis,
}

impl Approval {
    /// The metric line.
    #[must_use]
    pub fn line(&self) -> String {
        line(self)
    }
}

impl Record for Approval {
    fn at(&self) -> Millis {
        self.at
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![match self.event {
            Event::Requested => Metric::count("MitigationApprovalRequested", 1),
            Event::Approved => Metric::count("MitigationApproved", 1),
            Event::Rejected => Metric::count("MitigationRejected", 1),
            Event::Lapsed => Metric::count("MitigationLapsed", 1),
        }]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn each_answer_is_counted_under_its_own_name() {
        let name = |event| {
            let line = Approval { event, at: Millis(1) }.line();
            let line: Value = serde_json::from_str(&line).unwrap();
            line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"].as_str().unwrap().to_owned()
        };
        let all = [Event::Requested, Event::Approved, Event::Rejected, Event::Lapsed].map(name);
        let names =
            ["MitigationApprovalRequested", "MitigationApproved", "MitigationRejected", "MitigationLapsed"];
        assert_eq!(all, names);
    }
}
