//! One mitigation task of Detect at the service: started, looked up, compared.

use std::collections::BTreeSet;

use aws_sdk_iot::Client;
use aws_sdk_iot::types::DetectMitigationActionExecution;
use aws_sdk_iot::types::DetectMitigationActionsTaskStatus;
use aws_sdk_iot::types::DetectMitigationActionsTaskSummary;
use aws_sdk_iot::types::DetectMitigationActionsTaskTarget;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::millis;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;

use crate::task::Started;
use crate::task::Task;

/// How many executions are asked for at once: a task has at most 125.
const PAGE: i32 = 250;

impl Task for DetectMitigationActionsTaskSummary {
    fn status(&self) -> Option<&str> {
        self.task_status().map(DetectMitigationActionsTaskStatus::as_str)
    }

    fn started_at(&self) -> Option<Millis> {
        self.task_start_time().map(millis)
    }
}

/// Starts the task with the request's own id, which is also its token, so that a repeat names the same task.
/// `violations` is what of the request is this task's alone.
///
/// # Errors
/// If the service does not answer, or is busy.
pub(super) async fn start(
    iot: &Client,
    request: &AlarmMitigationRequest,
    violations: &[ViolationRef],
) -> Result<Started, Error> {
    let id = request.task_id();
    let ids = violations.iter().map(|violation| violation.violation_id.clone()).collect();
    let target = DetectMitigationActionsTaskTarget::builder().set_violation_ids(Some(ids)).build();
    let start = iot
        .start_detect_mitigation_actions_task()
        .task_id(&id)
        .client_request_token(&id)
        .target(target)
        .set_actions(Some(request.actions.clone()))
        // What the service takes them for when they are not sent is not documented.
        .include_only_active_violations(true)
        .include_suppressed_alerts(true);
    let started = start.send().await.map(drop).map_err(Error::aws("StartDetectMitigationActionsTask", &id));
    Started::of(&id, started, async || describe(iot, &id).await, |task| difference(request, task)).await
}

/// The task as it is, or none if the service does not know it.
///
/// # Errors
/// If the service does not answer, or with nothing.
pub(super) async fn describe(
    iot: &Client,
    id: &str,
) -> Result<Option<DetectMitigationActionsTaskSummary>, Error> {
    let operation = "DescribeDetectMitigationActionsTask";
    let described = iot.describe_detect_mitigation_actions_task().task_id(id).send().await;
    match described.map_err(Error::aws(operation, id)) {
        Ok(described) => {
            let nothing = || Error::Later(format!("{operation} on {id}: an answer without content"));
            described.task_summary.map(Some).ok_or_else(nothing)
        }
        Err(error) if error.is_code("ResourceNotFoundException") => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the task did, action by action (`ListDetectMitigationActionsExecutions`).
///
/// # Errors
/// If the service does not answer.
pub(super) async fn executions(
    iot: &Client,
    id: &str,
) -> Result<Vec<DetectMitigationActionExecution>, Error> {
    let operation = "ListDetectMitigationActionsExecutions";
    let (mut executions, mut pages) = (Vec::new(), Pages::default());
    loop {
        let list = iot.list_detect_mitigation_actions_executions().task_id(id).max_results(PAGE);
        let list = list.set_next_token(pages.token().map(ToOwned::to_owned));
        let page = list.send().await.map_err(Error::aws(operation, id))?;
        executions.extend(page.actions_executions.unwrap_or_default());
        match pages.turn(page.next_token) {
            Ok(true) => {}
            Ok(false) => return Ok(executions),
            Err(endless) => {
                tracing::warn!(mitigation.task_id = id, "{operation}: {endless}");
                return Ok(executions);
            }
        }
    }
}

/// What of an existing task is not as the request has it. Pure.
fn difference(
    request: &AlarmMitigationRequest,
    task: &DetectMitigationActionsTaskSummary,
) -> Option<&'static str> {
    let asked: BTreeSet<&str> = request.violations.iter().map(|of| of.violation_id.as_str()).collect();
    let ids = task.target().map(DetectMitigationActionsTaskTarget::violation_ids).unwrap_or_default();
    // A start leaves out what other tasks hold, so the task may have fewer violations than the request.
    if ids.is_empty() || !ids.iter().all(|id| asked.contains(id.as_str())) {
        return Some("violations");
    }
    // The order of actions counts: they are applied in it.
    let actions: Vec<&str> = task.actions_definition().iter().filter_map(|action| action.name()).collect();
    if actions != request.actions {
        return Some("actions");
    }
    (!task.only_active_violations_included() || !task.suppressed_alerts_included()).then_some("flags")
}
