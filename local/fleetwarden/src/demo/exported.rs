//! What Fleetwarden says became of every finding: the events of the findings log, one a finding.

use crate::cloud::Cloud;
use anyhow::Result;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// What the findings log says of one audit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exported {
    /// By check.
    pub(crate) checks: BTreeMap<String, ExportedByCheck>,
    /// Finding ids that are there more than once, counting each time beyond the first.
    pub(crate) repeated: u64,
    /// Events that are no finding of this audit.
    pub(crate) strange: u64,
}

/// What the findings log says of one check: how many findings went which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ExportedByCheck {
    /// Device Defender had suppressed them.
    pub(crate) already_suppressed: u64,
    /// Decided: suppress from the next audit on.
    pub(crate) suppress: u64,
    /// Decided: mitigate.
    pub(crate) mitigate: u64,
    /// Reported.
    pub(crate) reported: u64,
}

impl ExportedByCheck {
    /// All findings.
    pub(crate) fn all(self) -> u64 {
        self.already_suppressed + self.suppress + self.mitigate + self.reported
    }

    fn add(&mut self, outcome: &str) -> bool {
        let counter = match outcome {
            "suppressed" => &mut self.already_suppressed,
            "suppress" => &mut self.suppress,
            "mitigate" => &mut self.mitigate,
            "report" => &mut self.reported,
            _ => return false,
        };
        *counter += 1;
        true
    }
}

impl Exported {
    /// The sum over all checks.
    pub(crate) fn sum(&self) -> ExportedByCheck {
        let mut sum = ExportedByCheck::default();
        for check in self.checks.values() {
            sum.already_suppressed += check.already_suppressed;
            sum.suppress += check.suppress;
            sum.mitigate += check.mitigate;
            sum.reported += check.reported;
        }
        sum
    }

    /// Reads the events of one audit.
    fn read<'a>(task: &str, events: impl Iterator<Item = &'a str>) -> Self {
        let mut exported = Self::default();
        let mut seen: HashMap<String, u64> = HashMap::new();
        for event in events {
            let Ok(event) = serde_json::from_str::<Event>(event) else {
                exported.strange += 1;
                continue;
            };
            if event.task_id != task || event.kind != "finding" {
                exported.strange += 1;
                continue;
            }
            let times = seen.entry(event.finding_id).or_default();
            *times += 1;
            if *times > 1 {
                exported.repeated += 1;
            } else if !exported.checks.entry(event.check).or_default().add(&event.decision.outcome) {
                exported.strange += 1;
            }
        }
        exported
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    kind: String,
    task_id: String,
    finding_id: String,
    #[serde(alias = "checkName")]
    check: String,
    decision: Decision,
}

#[derive(Debug, Deserialize)]
struct Decision {
    outcome: String,
}

impl Cloud {
    /// What the findings log says of one audit. A stream belongs to one page of one check of one audit.
    pub(crate) async fn exported(&self, group: &str, task: &str) -> Result<Exported> {
        let mut events = Vec::new();
        for stream in self.log_streams(group).await? {
            if stream.split('/').any(|part| part == task) {
                events.extend(self.log_events(group, &stream).await?);
            }
        }
        Ok(Exported::read(task, events.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_finding_counts_once_and_repeats_are_seen() {
        let event = |id: &str, outcome: &str| {
            json!({ "kind": "finding", "taskId": "t", "findingId": id, "check": "C", "decision": { "outcome": outcome } })
                .to_string()
        };
        let events = [
            event("1", "suppress"),
            event("2", "mitigate"),
            event("2", "mitigate"),
            "x".to_owned(),
            event("3", "what"),
        ];
        let exported = Exported::read("t", events.iter().map(String::as_str));
        assert_eq!(exported.sum(), ExportedByCheck { suppress: 1, mitigate: 1, ..Default::default() });
        assert_eq!((exported.repeated, exported.strange), (1, 2));
    }
}
