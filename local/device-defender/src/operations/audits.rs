//! Audit tasks: start, describe, list, cancel.

use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::audits::{Audit, CheckRun, RunStatus, Status};
use crate::checks::Check;
use crate::clock::seconds;
use crate::failure::Failure;
use crate::operations::schedules::{listing, target_checks};
use crate::operations::{EMPTY, Outcome};
use crate::paging::{Pager, newest_first};
use crate::world::{RETENTION_MS, World};

/// Device Defender quotas: simultaneous in-progress on-demand audits.
const MOST_RUNNING: usize = 10;

/// `StartOnDemandAuditTask`.
pub(crate) fn start(world: &mut World, args: &Args) -> Outcome {
    let checks = target_checks(world, args)?;
    let running = world
        .audits
        .values()
        .filter(|audit| audit.status == Status::InProgress && audit.schedule.is_none())
        .count();
    if running >= MOST_RUNNING {
        return Err(Failure::limit(format!("{MOST_RUNNING} on-demand audits are in progress already")));
    }
    Ok(json!({ "taskId": world.start_audit(&checks, None, world.now()) }).to_string())
}

fn missing(id: &str) -> Failure {
    Failure::not_found(format!("Audit task {id} does not exist"))
}

/// `DescribeAuditTask`.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("taskId");
    let (_, audit) = world.audit(id).ok_or_else(|| missing(id))?;
    let waits = |check: Check, run: &CheckRun| {
        run.status == RunStatus::InProgress && world.collecting.contains(&check)
    };
    let waiting = audit.checks.iter().filter(|(check, run)| waits(**check, run)).count();
    let details = audit.checks.iter().map(|(check, run)| {
        let mut details = Audit::details(run);
        if let Some(details) = details.as_object_mut() {
            let compliant = run.status == RunStatus::Compliant;
            details.insert("checkCompliant".to_owned(), compliant.into());
            if waits(*check, run) {
                details.insert("checkRunStatus".to_owned(), "WAITING_FOR_DATA_COLLECTION".into());
            }
        }
        (check.name().to_owned(), details)
    });
    let mut described = json!({
        "taskStatus": audit.status.name(),
        "taskType": audit.kind(),
        "taskStartTime": seconds(audit.started),
        "taskStatistics": {
            "totalChecks": audit.checks.len(),
            "inProgressChecks": audit.count(|status| status == RunStatus::InProgress) - waiting,
            "waitingForDataCollectionChecks": waiting,
            "compliantChecks": audit.count(|status| status == RunStatus::Compliant),
            "nonCompliantChecks": audit.count(|status| status == RunStatus::NonCompliant),
            "failedChecks": audit.count(|status| matches!(status, RunStatus::Failed(_))),
            "canceledChecks": audit.count(|status| status == RunStatus::Canceled),
        },
        "auditDetails": Value::Object(details.collect::<Map<_, _>>()),
    });
    if let (Some(schedule), Some(described)) = (&audit.schedule, described.as_object_mut()) {
        described.insert("scheduledAuditName".to_owned(), schedule.as_str().into());
    }
    Ok(described.to_string())
}

/// `ListAuditTasks`, the newest first as in the AWS CLI's examples.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let (start, end) = args.period()?.unwrap_or_default();
    if start < world.now().saturating_sub(RETENTION_MS) {
        return Err(Failure::invalid("startTime is before the 90 days that audit tasks are kept"));
    }
    let pager = Pager::new(world.seed(), "ListAuditTasks", &args.0)?;
    let matching = world
        .audits
        .iter()
        .filter(|(_, audit)| (start..=end).contains(&audit.started))
        .filter(|(_, audit)| args.text("taskType").is_none_or(|kind| kind == audit.kind()))
        .filter(|(_, audit)| args.text("taskStatus").is_none_or(|status| status == audit.status.name()))
        .map(|(number, audit)| {
            let task = json!({
                "taskId": audit.id,
                "taskStatus": audit.status.name(),
                "taskType": audit.kind(),
            });
            (newest_first(*number), task)
        });
    let (page, next) = pager.page(matching);
    Ok(listing("tasks", page, next))
}

/// `CancelAuditTask`. AWS publishes a notification with status CANCELED.
pub(crate) fn cancel(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("taskId");
    let (number, _) = world.audit(id).ok_or_else(|| missing(id))?;
    let now = world.now();
    let Some(audit) = world.audits.get_mut(&number) else { return Err(missing(id)) };
    if audit.status != Status::InProgress {
        return Err(Failure::invalid(format!("taskId: audit task {id} is not in progress")));
    }
    audit.cancel(now);
    world.notify(number);
    Ok(EMPTY.to_owned())
}
