//! Detect mitigation tasks: actions on violations, one after the other over the task's duration.
//!
//! `ADD_THINGS_TO_THING_GROUP` is the only kind of action. Actions apply in the order given; when one fails, the later
//! ones are skipped for that violation only, and the task is FAILED; canceling takes nothing back. What AWS says of
//! audit mitigation is taken to hold here too, where it says nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::actions::MitigationAction;
use crate::clock::seconds;
use crate::fleet::change::Trouble;
use crate::world::{RETENTION_MS, World};

/// Device Defender quotas: Detect mitigation action tasks running at the same time.
pub(crate) const MOST_RUNNING: usize = 5;

/// `taskStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    InProgress,
    Successful,
    Failed,
    Canceled,
}

impl Status {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Successful => "SUCCESSFUL",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
        }
    }
}

/// What became of one action on one violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Successful,
    Failed(Trouble),
    /// Why it was not tried.
    Skipped(&'static str),
}

/// One action on one violation.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) violation: Arc<str>,
    pub(crate) thing: Arc<str>,
    /// The place of the action in the task.
    pub(crate) action: usize,
    /// Why it is not to be tried, if that is known from the start.
    pub(crate) skip: Option<&'static str>,
}

/// A task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) token: String,
    /// The request's members, to recognise a replay.
    pub(crate) request: Map<String, Value>,
    pub(crate) only_active: bool,
    pub(crate) with_suppressed: bool,
    pub(crate) started: i64,
    pub(crate) duration: i64,
    pub(crate) ended: Option<i64>,
    pub(crate) status: Status,
    /// The actions as they were when the task started.
    pub(crate) actions: Vec<MitigationAction>,
    pub(crate) executions: Vec<Execution>,
    /// Of the first executions; the others wait.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Task {
    /// When an execution is, or was, done.
    pub(crate) fn time_of(&self, position: usize) -> i64 {
        let count = self.executions.len().max(1) as i128;
        let part = i128::from(self.duration) * (position as i128 + 1) / count;
        self.started.saturating_add(i64::try_from(part).unwrap_or(0))
    }

    /// When something happens next.
    fn due(&self) -> i64 {
        self.time_of(self.outcomes.len()).min(self.started.saturating_add(self.duration))
    }

    /// Stops it. What was applied stays.
    pub(crate) fn cancel(&mut self, now: i64) {
        self.outcomes.resize(self.executions.len(), Outcome::Skipped("The task was canceled."));
        self.status = Status::Canceled;
        self.ended = Some(now);
    }

    /// Whether an action before failed on the violation of an execution.
    fn failed_before(&self, position: usize, violation: &Arc<str>) -> bool {
        let before = self.executions.iter().zip(&self.outcomes).take(position);
        before
            .filter(|(execution, _)| execution.violation == *violation)
            .any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    }

    /// `DetectMitigationActionsTaskSummary`.
    pub(crate) fn summary(&self) -> Value {
        let count = |is: fn(&Outcome) -> bool| self.outcomes.iter().filter(|outcome| is(outcome)).count();
        let mut summary = json!({
            "taskId": self.id,
            "taskStatus": self.status.name(),
            "taskStartTime": seconds(self.started),
            "target": self.request.get("target"),
            "onlyActiveViolationsIncluded": self.only_active,
            "suppressedAlertsIncluded": self.with_suppressed,
            "actionsDefinition": self.actions.iter().map(MitigationAction::definition).collect::<Vec<_>>(),
            "taskStatistics": {
                "actionsExecuted": count(|outcome| *outcome == Outcome::Successful),
                "actionsSkipped": count(|outcome| matches!(outcome, Outcome::Skipped(_))),
                "actionsFailed": count(|outcome| matches!(outcome, Outcome::Failed(_))),
            },
        });
        if let Some(summary) = summary.as_object_mut() {
            if let Some(ended) = self.ended {
                summary.insert("taskEndTime".to_owned(), json!(seconds(ended)));
            }
            if let Some(range) = self.request.get("violationEventOccurrenceRange") {
                summary.insert("violationEventOccurrenceRange".to_owned(), range.clone());
            }
        }
        summary
    }

    /// `DetectMitigationActionExecution`, of an execution that has begun.
    pub(crate) fn execution(&self, position: usize) -> Option<Value> {
        let execution = self.executions.get(position)?;
        let action = self.actions.get(execution.action)?;
        let (status, error) = match self.outcomes.get(position) {
            Some(Outcome::Successful) => ("SUCCESSFUL", None),
            Some(Outcome::Failed(trouble)) => ("FAILED", Some(trouble.words())),
            Some(Outcome::Skipped(words)) => ("SKIPPED", Some(("", *words))),
            None if position == self.outcomes.len() => ("IN_PROGRESS", None),
            None => return None,
        };
        let started = if position == 0 { self.started } else { self.time_of(position - 1) };
        let mut described = json!({
            "taskId": self.id,
            "violationId": *execution.violation,
            "actionName": action.name,
            "thingName": *execution.thing,
            "executionStartDate": seconds(started.min(self.ended.unwrap_or(i64::MAX))),
            "status": status,
        });
        if let Some(described) = described.as_object_mut() {
            if self.outcomes.len() > position {
                let ended = self.time_of(position).min(self.ended.unwrap_or(i64::MAX));
                described.insert("executionEndDate".to_owned(), json!(seconds(ended)));
            }
            if let Some((code, words)) = error {
                if !code.is_empty() {
                    described.insert("errorCode".to_owned(), code.into());
                }
                described.insert("message".to_owned(), words.into());
            }
        }
        Some(described)
    }
}

/// All tasks, by number.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) all: BTreeMap<u32, Task>,
    pub(crate) numbers: HashMap<String, u32>,
    pub(crate) tokens: HashMap<String, u32>,
    pub(crate) running: BTreeSet<u32>,
}

impl Tasks {
    pub(crate) fn get(&self, id: &str) -> Option<&Task> {
        self.all.get(self.numbers.get(id)?)
    }

    pub(crate) fn add(&mut self, number: u32, task: Task) {
        self.numbers.insert(task.id.clone(), number);
        self.tokens.insert(task.token.clone(), number);
        self.running.insert(number);
        self.all.insert(number, task);
    }

    /// When one of those that run has something to do next.
    pub(crate) fn due(&self) -> Option<i64> {
        self.running.iter().filter_map(|number| self.all.get(number)).map(Task::due).min()
    }

    /// Drops what is past its retention.
    pub(crate) fn forget(&mut self, now: i64) {
        let limit = now.saturating_sub(RETENTION_MS);
        self.all.retain(|_, task| task.ended.is_none_or(|ended| ended >= limit));
        self.numbers.retain(|_, number| self.all.contains_key(number));
        self.tokens.retain(|_, number| self.all.contains_key(number));
    }
}

impl World {
    /// Does what running Detect mitigation tasks have to do by `at`.
    pub(crate) fn progress_detect_tasks(&mut self, at: i64) {
        for number in self.detect_tasks.running.clone() {
            let Some(mut task) = self.detect_tasks.all.remove(&number) else { continue };
            while task.outcomes.len() < task.executions.len() && task.time_of(task.outcomes.len()) <= at {
                let outcome = self.execute(&task, task.outcomes.len());
                task.outcomes.push(outcome);
            }
            if at >= task.started.saturating_add(task.duration) {
                let failed = task.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(_)));
                task.status = if failed { Status::Failed } else { Status::Successful };
                task.ended = Some(task.started.saturating_add(task.duration));
                self.detect_tasks.running.remove(&number);
            }
            self.detect_tasks.all.insert(number, task);
        }
    }

    fn execute(&mut self, task: &Task, position: usize) -> Outcome {
        let Some(execution) = task.executions.get(position) else { return Outcome::Skipped("") };
        if let Some(words) = execution.skip {
            return Outcome::Skipped(words);
        }
        if task.failed_before(position, &execution.violation) {
            return Outcome::Skipped("An action before it failed.");
        }
        let violation = self.watching.violations.get(&execution.violation);
        if task.only_active && violation.is_none_or(|violation| violation.ended.is_some()) {
            return Outcome::Skipped("The violation is no longer active.");
        }
        // A violation is of a thing name. Whether that is a thing is asked now, not when it began.
        let Some(thing) = self.fleet.thing_named(&execution.thing) else {
            return Outcome::Failed(Trouble::NoSuchThing);
        };
        let action = task.actions.get(execution.action);
        let overrides = action.is_some_and(MitigationAction::overrides);
        for group in action.map(MitigationAction::groups).unwrap_or_default() {
            if self.settings.thing_groups.is_some() && !self.fleet.has_group(&group) {
                return Outcome::Failed(Trouble::NoSuchGroup);
            }
            if let Err(trouble) = self.fleet.join(thing, &group, overrides) {
                return Outcome::Failed(trouble);
            }
        }
        Outcome::Successful
    }
}
