//! Mitigation tasks: applying actions to findings, one finding after the other over the task's duration. What that does
//! is in `world::mitigate`.
//!
//! From "Mitigation actions" in the Device Defender guide: actions apply in the order given; when one fails,
//! the later ones are skipped for that finding only; one failure makes the task FAILED; canceling takes
//! nothing back. Suppressed findings are never mitigated: they count as skipped.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::actions::MitigationAction;
use crate::audits::Status;
use crate::checks::Check;
use crate::findings::Finding;
use crate::fleet::change::Trouble;

/// What became of one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All actions were applied.
    Succeeded,
    /// So many actions were applied, and the next one failed.
    Failed(usize, Trouble),
    /// The finding is suppressed.
    Skipped,
    /// The task was canceled first.
    Canceled,
}

/// A mitigation task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) token: String,
    /// The request's target and mapping as they came, for answers and to recognise a replay.
    pub(crate) target: Value,
    pub(crate) mapping: Value,
    pub(crate) started: i64,
    pub(crate) duration: i64,
    pub(crate) ended: Option<i64>,
    pub(crate) status: Status,
    pub(crate) findings: Vec<Finding>,
    /// The outcomes of the first findings; the others wait.
    pub(crate) outcomes: Vec<Outcome>,
    /// The actions as they were when the task started.
    pub(crate) actions: BTreeMap<Check, Vec<MitigationAction>>,
}

impl Task {
    /// How many findings have been dealt with by `at`.
    pub(crate) fn due(&self, at: i64) -> usize {
        let elapsed = at.saturating_sub(self.started).max(0);
        if elapsed >= self.duration {
            return self.findings.len();
        }
        let part = i128::from(elapsed) * self.findings.len() as i128 / i128::from(self.duration.max(1));
        usize::try_from(part).unwrap_or(0)
    }

    /// When the finding at a position is, or was, dealt with.
    pub(crate) fn time_of(&self, position: usize) -> i64 {
        let count = self.findings.len().max(1) as i128;
        let part = i128::from(self.duration) * (position as i128 + 1) / count;
        self.started.saturating_add(i64::try_from(part).unwrap_or(0))
    }

    /// Stops the task. What was applied stays.
    pub(crate) fn cancel(&mut self, now: i64) {
        self.outcomes.resize(self.findings.len(), Outcome::Canceled);
        self.status = Status::Canceled;
        self.ended = Some(now);
    }

    /// `taskStatistics`: counts by check.
    pub(crate) fn statistics(&self) -> Value {
        let mut counts: BTreeMap<Check, [u64; 5]> = BTreeMap::new();
        for (position, finding) in self.findings.iter().enumerate() {
            let [total, failed, succeeded, skipped, canceled] = counts.entry(finding.check).or_default();
            *total += 1;
            match self.outcomes.get(position) {
                Some(Outcome::Succeeded) => *succeeded += 1,
                Some(Outcome::Failed(..)) => *failed += 1,
                Some(Outcome::Skipped) => *skipped += 1,
                Some(Outcome::Canceled) => *canceled += 1,
                None => {}
            }
        }
        let by_check = counts.into_iter().map(|(check, [total, failed, succeeded, skipped, canceled])| {
            let counts = json!({
                "totalFindingsCount": total,
                "failedFindingsCount": failed,
                "succeededFindingsCount": succeeded,
                "skippedFindingsCount": skipped,
                "canceledFindingsCount": canceled,
            });
            (check.name().to_owned(), counts)
        });
        Value::Object(by_check.collect::<Map<_, _>>())
    }
}
