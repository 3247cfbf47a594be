//! Mitigation tasks: applying actions to findings, one finding after the other over the task's duration.
//!
//! From "Mitigation actions" in the Device Defender guide: actions apply in the order given; when one fails,
//! the later ones are skipped for that finding only; one failure makes the task FAILED; canceling takes
//! nothing back. Suppressed findings are never mitigated: they count as skipped.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::audits::Status;
use crate::checks::{Action, Check};
use crate::findings::{Finding, Times, describe};
use crate::fleet::change::Trouble;
use crate::fleet::examine::Entry;
use crate::operations::actions::MitigationAction;
use crate::world::World;

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
    fn due(&self, at: i64) -> usize {
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

impl World {
    /// Deals with the findings of running tasks that are due by `at`.
    pub(crate) fn progress_tasks(&mut self, at: i64) {
        for number in self.running.clone() {
            let Some(mut task) = self.tasks.remove(&number) else { continue };
            for position in task.outcomes.len()..task.due(at) {
                let outcome = match task.findings.get(position) {
                    Some(finding) => self.mitigate(*finding, &task),
                    None => Outcome::Skipped,
                };
                task.outcomes.push(outcome);
            }
            if at >= task.started.saturating_add(task.duration) {
                let failed = task.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(..)));
                task.status = if failed { Status::Failed } else { Status::Completed };
                task.ended = Some(task.started.saturating_add(task.duration));
                self.running.remove(&number);
            }
            self.tasks.insert(number, task);
        }
    }

    fn mitigate(&mut self, finding: Finding, task: &Task) -> Outcome {
        let found = self.audits.get(&finding.audit).and_then(|audit| audit.checks.get(&finding.check));
        let Some((entry, suppressed)) = found.and_then(|run| run.finding(finding.position)) else {
            return Outcome::Failed(0, Trouble::NoSuchResource);
        };
        if suppressed {
            return Outcome::Skipped;
        }
        for (applied, action) in task.actions.get(&finding.check).into_iter().flatten().enumerate() {
            if let Err(trouble) = self.apply(finding, entry, action) {
                return Outcome::Failed(applied, trouble);
            }
            let effect = (finding.check, entry.resource, action.kind);
            *self.effects.entry(effect).or_default() += 1;
        }
        Outcome::Succeeded
    }

    fn apply(&mut self, finding: Finding, entry: Entry, action: &MitigationAction) -> Result<(), Trouble> {
        let check = finding.check;
        if !check.allows(action.kind) {
            return Err(Trouble::NotApplicable);
        }
        match action.kind {
            Action::DeviceCertificate => {
                self.fleet.deactivate_devices(check, entry);
            }
            Action::CaCertificate => {
                self.fleet.deactivate_authority(entry);
            }
            Action::EnableLogging => {
                self.fleet.enable_logging();
            }
            Action::ReplacePolicy => {
                self.fleet.replace_policy(entry)?;
            }
            Action::AddThings => {
                for group in action.groups() {
                    let exists = self.settings.thing_groups.as_ref().is_none_or(|all| all.contains(&group));
                    if !exists {
                        return Err(Trouble::NoSuchGroup);
                    }
                    self.fleet.add_things(check, entry, &group);
                }
            }
            Action::Publish => {
                let message = describe(self, finding, Times::Millis).ok_or(Trouble::NoSuchResource)?;
                self.publish(action.topic(), message.to_string());
            }
        }
        Ok(())
    }
}
