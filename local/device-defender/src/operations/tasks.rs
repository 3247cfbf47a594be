//! Audit mitigation tasks: start, describe, list, cancel, and what was done to one finding.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::actions::MitigationAction;
use crate::args::{Args, known_check};
use crate::audits::Status;
use crate::checks::Check;
use crate::clock::{millis, seconds};
use crate::failure::{Code, Failure};
use crate::findings::Finding;
use crate::mitigation::{Outcome as Done, Task};
use crate::operations::findings::find;
use crate::operations::schedules::listing;
use crate::operations::{EMPTY, Outcome};
use crate::paging::Pager;
use crate::world::World;

/// Device Defender quotas: audit mitigation action tasks running at the same time.
const MOST_RUNNING: usize = 10;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Target {
    audit_task_id: Option<String>,
    finding_ids: Option<Vec<String>>,
    audit_check_to_reason_code_filter: Option<BTreeMap<String, Vec<String>>>,
}

type Actions = BTreeMap<Check, Vec<MitigationAction>>;

/// `StartAuditMitigationActionsTask`.
///
/// The same task id with the same token and request is a replay and gets the same answer. The same id with
/// another token is `TaskAlreadyExistsException`, as its description in the API says.
pub(crate) fn start(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("taskId").to_owned();
    let token = args.required("clientRequestToken").to_owned();
    let target: Target = args.read("target")?.unwrap_or_default();
    let of = |name: &str| args.0.get(name).cloned().unwrap_or_default();
    let (named_target, mapping) = (of("target"), of("auditCheckToActionsMapping"));
    if let Some(task) = world.task_numbers.get(&id).and_then(|number| world.tasks.get(number)) {
        if task.token != token {
            let message = format!("A task with taskId {id} and another clientRequestToken already exists");
            return Err(Failure::new(Code::TaskAlreadyExists, message));
        }
        if task.target != named_target || task.mapping != mapping {
            return Err(Failure::invalid("clientRequestToken was used for another request"));
        }
        return Ok(json!({ "taskId": id }).to_string());
    }
    if world.task_tokens.contains_key(&token) {
        return Err(Failure::invalid("clientRequestToken was used for another task"));
    }
    let actions = mapped_actions(world, args)?;
    let findings = targeted(world, &target, &actions)?;
    if world.running.len() >= MOST_RUNNING {
        return Err(Failure::limit(format!("{MOST_RUNNING} audit mitigation tasks are in progress already")));
    }
    let number = world.number();
    world.task_tokens.insert(token.clone(), number);
    let task = Task {
        id: id.clone(),
        token,
        target: named_target,
        mapping,
        started: world.now(),
        duration: millis(world.settings.mitigation_duration),
        ended: None,
        status: Status::InProgress,
        outcomes: Vec::new(),
        findings,
        actions,
    };
    world.tasks.insert(number, task);
    world.running.insert(number);
    world.task_numbers.insert(id.clone(), number);
    Ok(json!({ "taskId": id }).to_string())
}

fn mapped_actions(world: &World, args: &Args) -> Result<Actions, Failure> {
    let member = "auditCheckToActionsMapping";
    let mapping: BTreeMap<String, Vec<String>> = args.read(member)?.unwrap_or_default();
    if mapping.is_empty() {
        return Err(Failure::invalid(format!("{member} must map at least one check")));
    }
    let mut actions = Actions::new();
    for (name, of_check) in mapping {
        let check = known_check(&name, member)?;
        for action in of_check {
            let known = world.actions.get(&action).cloned();
            let known = known.ok_or_else(|| {
                Failure::invalid(format!("{member}.{name}: mitigation action {action} does not exist"))
            })?;
            actions.entry(check).or_default().push(known);
        }
    }
    Ok(actions)
}

/// The findings that a target names. Those of a list may be of several audits; those of an audit are the
/// findings of the mapped checks, cut down by the reason codes when there is a filter.
fn targeted(world: &World, target: &Target, actions: &Actions) -> Result<Vec<Finding>, Failure> {
    match (&target.audit_task_id, &target.finding_ids) {
        (Some(_), Some(_)) => Err(Failure::invalid("target must not hold both auditTaskId and findingIds")),
        (None, None) => Err(Failure::invalid("target must hold auditTaskId or findingIds")),
        (None, Some(_)) if target.audit_check_to_reason_code_filter.is_some() => Err(Failure::invalid(
            "target.auditCheckToReasonCodeFilter must be given together with auditTaskId",
        )),
        (None, Some(ids)) => listed(world, ids, actions),
        (Some(id), None) => {
            let filter = target.audit_check_to_reason_code_filter.as_ref();
            of_audit(world, id, filter, actions)
        }
    }
}

fn listed(world: &World, ids: &[String], actions: &Actions) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let mut seen = HashSet::new();
    for id in ids {
        let finding = find(world, id)
            .ok_or_else(|| Failure::invalid(format!("target.findingIds: finding {id} does not exist")))?;
        if !actions.contains_key(&finding.check) {
            return Err(Failure::invalid(format!(
                "auditCheckToActionsMapping has no actions for {}, the check of finding {id}",
                finding.check.name()
            )));
        }
        if seen.insert(finding) {
            findings.push(finding);
        }
    }
    Ok(findings)
}

fn of_audit(
    world: &World,
    id: &str,
    filter: Option<&BTreeMap<String, Vec<String>>>,
    actions: &Actions,
) -> Result<Vec<Finding>, Failure> {
    let (number, audit) = world
        .audit(id)
        .ok_or_else(|| Failure::invalid(format!("target.auditTaskId: audit task {id} does not exist")))?;
    if audit.status == Status::InProgress {
        return Err(Failure::invalid(format!("target.auditTaskId: audit task {id} is in progress")));
    }
    for name in filter.into_iter().flat_map(BTreeMap::keys) {
        let check = known_check(name, "target.auditCheckToReasonCodeFilter")?;
        if !actions.contains_key(&check) {
            return Err(Failure::invalid(format!("auditCheckToActionsMapping has no actions for {name}")));
        }
    }
    let mut findings = Vec::new();
    for check in actions.keys() {
        let Some(run) = audit.checks.get(check) else { continue };
        let wanted = filter.map(|filter| filter.get(check.name()));
        for position in run.positions(None) {
            let reason = run.finding(position).and_then(|(entry, _)| {
                check.facts().reasons.get(usize::from(entry.reason)).map(|(code, _)| *code)
            });
            let fits = match wanted {
                None => true,
                Some(None) => false,
                Some(Some(codes)) => codes.iter().any(|code| Some(code.as_str()) == reason),
            };
            if fits {
                findings.push(Finding { audit: number, check: *check, position });
            }
        }
    }
    Ok(findings)
}

fn missing(id: &str) -> Failure {
    Failure::not_found(format!("Audit mitigation actions task {id} does not exist"))
}

fn task<'a>(world: &'a World, id: &str) -> Option<&'a Task> {
    world.tasks.get(world.task_numbers.get(id)?)
}

/// `DescribeAuditMitigationActionsTask`.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("taskId");
    let task = task(world, id).ok_or_else(|| missing(id))?;
    let by_name: BTreeMap<&str, &MitigationAction> =
        task.actions.values().flatten().map(|action| (action.name.as_str(), action)).collect();
    let definitions: Vec<Value> = by_name.values().map(|action| action.definition()).collect();
    let mut described = json!({
        "taskStatus": task.status.name(),
        "startTime": seconds(task.started),
        "taskStatistics": task.statistics(),
        "target": task.target,
        "auditCheckToActionsMapping": task.mapping,
        "actionsDefinition": definitions,
    });
    if let (Some(ended), Some(described)) = (task.ended, described.as_object_mut()) {
        described.insert("endTime".to_owned(), json!(seconds(ended)));
    }
    Ok(described.to_string())
}

/// `ListAuditMitigationActionsTasks`: those that began in the period and ended in it or run on.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let (start, end) = args.period()?.unwrap_or_default();
    let pager = Pager::new(world.seed(), "ListAuditMitigationActionsTasks", &args.0)?;
    let finding = args.text("findingId").map(|id| Finding::from_id(world.seed(), id));
    let audit = args.text("auditTaskId").map(|id| world.audit_numbers.get(id));
    let matching = world
        .tasks
        .iter()
        .filter(|(_, task)| task.started >= start && task.ended.unwrap_or(task.started) <= end)
        .filter(|(_, task)| args.text("taskStatus").is_none_or(|status| status == task.status.name()))
        .filter(|(_, task)| {
            finding.is_none_or(|wanted| wanted.is_some_and(|finding| task.findings.contains(&finding)))
        })
        .filter(|(_, task)| {
            let of = |number| task.findings.iter().any(|finding| finding.audit == number);
            audit.is_none_or(|number| number.copied().is_some_and(of))
        })
        .map(|(number, task)| {
            let listed = json!({
                "taskId": task.id,
                "startTime": seconds(task.started),
                "taskStatus": task.status.name(),
            });
            ((u64::from(*number), 0), listed)
        });
    let (page, next) = pager.page(matching);
    Ok(listing("tasks", page, next))
}

/// `ListAuditMitigationActionsExecutions`: one for each action on the finding, in the order of the actions.
pub(crate) fn executions(world: &mut World, args: &Args) -> Outcome {
    let (id, finding_id) = (args.required("taskId"), args.required("findingId"));
    let pager = Pager::new(world.seed(), "ListAuditMitigationActionsExecutions", &args.0)?;
    let finding = Finding::from_id(world.seed(), finding_id);
    let mut all = Vec::new();
    if let (Some(task), Some(finding)) = (task(world, id), finding)
        && let Some(position) = task.findings.iter().position(|other| *other == finding)
    {
        let actions = task.actions.get(&finding.check).map_or(&[][..], Vec::as_slice);
        for (index, action) in (0_u64..).zip(actions) {
            let execution = execution(task, position, index, action, finding_id);
            if args
                .text("actionStatus")
                .is_none_or(|status| execution.get("status").is_some_and(|is| is == status))
            {
                all.push(((index, 0), execution));
            }
        }
    }
    let (page, next) = pager.page(all.into_iter());
    Ok(listing("actionsExecutions", page, next))
}

fn execution(task: &Task, position: usize, index: u64, action: &MitigationAction, finding_id: &str) -> Value {
    let next = task.outcomes.len() == position && task.status == Status::InProgress;
    let (status, trouble) = match task.outcomes.get(position) {
        Some(Done::Succeeded) => ("COMPLETED", None),
        Some(Done::Canceled) => ("CANCELED", None),
        Some(Done::Failed(applied, _)) if index < *applied as u64 => ("COMPLETED", None),
        Some(Done::Failed(applied, trouble)) if index == *applied as u64 => ("FAILED", Some(*trouble)),
        Some(Done::Skipped | Done::Failed(..)) => ("SKIPPED", None),
        None if next && index == 0 => ("IN_PROGRESS", None),
        None => ("PENDING", None),
    };
    let mut execution = json!({
        "taskId": task.id,
        "findingId": finding_id,
        "actionName": action.name,
        "actionId": action.id,
        "status": status,
        "startTime": seconds(task.started),
    });
    if let Some(execution) = execution.as_object_mut() {
        if task.outcomes.len() > position {
            let ended = task.ended.unwrap_or(i64::MAX).min(task.time_of(position));
            execution.insert("endTime".to_owned(), json!(seconds(ended)));
        }
        if let Some(trouble) = trouble {
            let (code, message) = trouble.words();
            execution.insert("errorCode".to_owned(), code.into());
            execution.insert("message".to_owned(), message.into());
        }
    }
    execution
}

/// `CancelAuditMitigationActionsTask`.
pub(crate) fn cancel(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("taskId");
    let now = world.now();
    let number = world.task_numbers.get(id).copied().ok_or_else(|| missing(id))?;
    let task = world.tasks.get_mut(&number).ok_or_else(|| missing(id))?;
    if task.status != Status::InProgress {
        return Err(Failure::invalid(format!("taskId: task {id} is not in progress")));
    }
    task.cancel(now);
    world.running.remove(&number);
    Ok(EMPTY.to_owned())
}
