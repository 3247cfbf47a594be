//! Detect mitigation tasks: start, describe, list, cancel, and what was done to violations.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::actions::MitigationAction;
use crate::args::Args;
use crate::checks::Action;
use crate::clock::{from_seconds, millis};
use crate::detect::mitigation::{Execution, MOST_RUNNING, Status, Task};
use crate::detect::violations::Violation;
use crate::failure::{Code, Failure};
use crate::operations::schedules::listing;
use crate::operations::{EMPTY, Outcome};
use crate::paging::{Key, Pager, newest_first};
use crate::world::World;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Target {
    violation_ids: Option<Vec<String>>,
    security_profile_name: Option<String>,
    behavior_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Range {
    start_time: f64,
    end_time: f64,
}

/// Which violations a task is for, beside its target.
struct Included {
    only_active: bool,
    suppressed: bool,
    period: Option<(i64, i64)>,
}

/// `StartDetectMitigationActionsTask`.
///
/// The same task id with the same token and request is a replay and gets the same answer. The same id with another
/// token, or the token of another task, is `TaskAlreadyExistsException`. AWS does not say what it takes when the two
/// flags are missing; here it is the narrower of each.
pub(crate) fn start(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("taskId").to_owned();
    let token = args.required("clientRequestToken").to_owned();
    if let Some(task) = world.detect_tasks.get(&id) {
        if task.token != token {
            return Err(taken(format!(
                "A task with taskId {id} and another clientRequestToken already exists"
            )));
        }
        if task.request != args.0 {
            return Err(Failure::invalid("clientRequestToken was used for another request"));
        }
        return Ok(json!({ "taskId": id }).to_string());
    }
    if world.detect_tasks.tokens.contains_key(&token) {
        return Err(taken("A task with this clientRequestToken already exists".to_owned()));
    }
    let actions = actions(world, args)?;
    let included = Included {
        only_active: args.flag("includeOnlyActiveViolations").unwrap_or(true),
        suppressed: args.flag("includeSuppressedAlerts").unwrap_or(false),
        period: period(args)?,
    };
    let executions = executions_of(world, args, &included, actions.len())?;
    if world.detect_tasks.running.len() >= MOST_RUNNING {
        return Err(Failure::limit(format!(
            "{MOST_RUNNING} Detect mitigation tasks are in progress already"
        )));
    }
    let task = Task {
        id: id.clone(),
        token,
        request: args.0.clone(),
        only_active: included.only_active,
        with_suppressed: included.suppressed,
        started: world.now(),
        duration: millis(world.settings.mitigation_duration),
        ended: None,
        status: Status::InProgress,
        actions,
        executions,
        outcomes: Vec::new(),
    };
    let number = world.number();
    world.detect_tasks.add(number, task);
    Ok(json!({ "taskId": id }).to_string())
}

fn taken(message: String) -> Failure {
    Failure::new(Code::TaskAlreadyExists, message)
}

fn actions(world: &World, args: &Args) -> Result<Vec<MitigationAction>, Failure> {
    let names: Vec<String> = args.read("actions")?.unwrap_or_default();
    let known = |name: &String| {
        let action = world.actions.get(name).cloned();
        let action = action
            .ok_or_else(|| Failure::invalid(format!("actions: mitigation action {name} does not exist")))?;
        if action.kind != Action::AddThings {
            let kind = action.kind.name();
            return Err(Failure::invalid(format!("actions: {name} is {kind}, which is not for violations")));
        }
        Ok(action)
    };
    names.iter().map(known).collect()
}

fn period(args: &Args) -> Result<Option<(i64, i64)>, Failure> {
    let range: Option<Range> = args.read("violationEventOccurrenceRange")?;
    let period = range.map(|range| (from_seconds(range.start_time), from_seconds(range.end_time)));
    match period {
        Some((start, end)) if start > end => {
            Err(Failure::invalid("violationEventOccurrenceRange: startTime must not be after endTime"))
        }
        period => Ok(period),
    }
}

/// What a task has to do. Violations that are named are skipped when they are not included; those of a profile are
/// then not part of the task at all.
fn executions_of(
    world: &World,
    args: &Args,
    included: &Included,
    actions: usize,
) -> Result<Vec<Execution>, Failure> {
    let target: Target = args.read("target")?.unwrap_or_default();
    let violations = &world.watching.violations;
    let is_named = target.violation_ids.is_some();
    let chosen: Vec<&Violation> = match (&target.violation_ids, &target.security_profile_name) {
        (Some(_), Some(_)) => {
            return Err(Failure::invalid("target must not hold both violationIds and securityProfileName"));
        }
        (Some(_), None) if target.behavior_name.is_some() => {
            return Err(Failure::invalid("target must not hold both violationIds and behaviorName"));
        }
        (None, None) => {
            return Err(Failure::invalid("target must hold violationIds or securityProfileName"));
        }
        (Some(ids), None) => {
            let known = |id: &String| {
                let violation = violations.get(id);
                violation.ok_or_else(|| {
                    Failure::invalid(format!("target.violationIds: violation {id} does not exist"))
                })
            };
            ids.iter().map(known).collect::<Result<_, _>>()?
        }
        (None, Some(profile)) => {
            if !world.detect.profiles.contains_key(profile) {
                let message =
                    format!("target.securityProfileName: security profile {profile} does not exist");
                return Err(Failure::invalid(message));
            }
            violations.of(profile, target.behavior_name.as_deref(), included.period)
        }
    };
    let mut executions: Vec<Execution> = Vec::new();
    for violation in chosen {
        let skip = left_out(world, violation, included);
        let is_repeated = executions.iter().any(|other| other.violation == violation.id);
        if is_repeated || (skip.is_some() && !is_named) {
            continue;
        }
        executions.extend((0..actions).map(|action| Execution {
            violation: violation.id.clone(),
            thing: violation.thing.clone(),
            action,
            skip,
        }));
    }
    Ok(executions)
}

/// Why a violation is not for a task.
fn left_out(world: &World, violation: &Violation, included: &Included) -> Option<&'static str> {
    if included.only_active && violation.ended.is_some() {
        return Some("The violation is no longer active.");
    }
    if !included.suppressed && violation.definition.suppressed {
        return Some("The alerts of the behavior are suppressed.");
    }
    let has_event = || world.watching.violations.had_event(violation, included.period);
    (!has_event()).then_some("The violation had no event in the period.")
}

fn missing(id: &str) -> Failure {
    Failure::not_found(format!("Detect mitigation actions task {id} does not exist"))
}

/// `DescribeDetectMitigationActionsTask`.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("taskId");
    let task = world.detect_tasks.get(id).ok_or_else(|| missing(id))?;
    Ok(json!({ "taskSummary": task.summary() }).to_string())
}

/// `ListDetectMitigationActionsTasks`: those that began in the period, the newest first.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let (start, end) = args.period()?.unwrap_or_default();
    let pager = Pager::new(world.seed(), "ListDetectMitigationActionsTasks", &args.0)?;
    let of_period = |task: &Task| (start..=end).contains(&task.started);
    let matching = world
        .detect_tasks
        .all
        .iter()
        .filter(|(_, task)| of_period(task))
        .map(|(number, task)| (newest_first(*number), task.summary()));
    let (page, next) = pager.page(matching);
    Ok(listing("tasks", page, next))
}

/// `ListDetectMitigationActionsExecutions`: of a task, of a violation, or those that began in a period; the newest
/// tasks first.
pub(crate) fn executions(world: &mut World, args: &Args) -> Outcome {
    let period = args.period()?;
    let has = |name: &str| args.text(name).is_some();
    if has("taskId") && period.is_some() {
        return Err(Failure::invalid("Give either taskId or startTime and endTime, not both"));
    }
    if !has("taskId") && !has("violationId") && period.is_none() {
        return Err(Failure::invalid("Give taskId, violationId, or startTime and endTime"));
    }
    let pager = Pager::new(world.seed(), "ListDetectMitigationActionsExecutions", &args.0)?;
    let fits = |name: &str, own: &str| args.text(name).is_none_or(|wanted| wanted == own);
    let mut found: Vec<(Key, Value)> = Vec::new();
    for (number, task) in world.detect_tasks.all.iter().filter(|(_, task)| fits("taskId", &task.id)) {
        for (position, execution) in task.executions.iter().enumerate() {
            if !fits("violationId", &execution.violation) || !fits("thingName", &execution.thing) {
                continue;
            }
            let began = if position == 0 { task.started } else { task.time_of(position - 1) };
            if period.is_some_and(|(start, end)| !(start..=end).contains(&began)) {
                continue;
            }
            let (first, _) = newest_first(*number);
            found.extend(task.execution(position).map(|described| ((first, position as u64), described)));
        }
    }
    let (page, next) = pager.page(found.into_iter());
    Ok(listing("actionsExecutions", page, next))
}

/// `CancelDetectMitigationActionsTask`.
pub(crate) fn cancel(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("taskId");
    let now = world.now();
    let tasks = &mut world.detect_tasks;
    let number = tasks.numbers.get(id).copied().ok_or_else(|| missing(id))?;
    let task = tasks.all.get_mut(&number).ok_or_else(|| missing(id))?;
    if task.status != Status::InProgress {
        return Err(Failure::invalid(format!("taskId: task {id} is not in progress")));
    }
    task.cancel(now);
    tasks.running.remove(&number);
    Ok(EMPTY.to_owned())
}
