//! One mitigation task at the service: started, looked up, compared.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

/// What the service says to a start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Started {
    /// The task runs, or has run: this start or an earlier one of the same.
    Yes,
    /// As many tasks run as may.
    Full,
    /// Never, and why.
    Refused(String),
    /// Not with the permissions of the function.
    Denied(String),
}

impl Started {
    /// What a start came to. Where the service refuses it, the task is looked up: an earlier start of the same may have
    /// made it, and then it is as it was asked for.
    ///
    /// # Errors
    /// If the service does not answer, or is busy.
    pub(crate) async fn of<T>(
        id: &str,
        started: Result<(), Error>,
        describe: impl AsyncFnOnce() -> Result<Option<T>, Error>,
        difference: impl FnOnce(&T) -> Option<&'static str>,
    ) -> Result<Self, Error> {
        let Err(error) = started else { return Ok(Self::Yes) };
        let Error::Aws { code, .. } = &error else { return Err(error) };
        match code.as_str() {
            "TaskAlreadyExistsException" => {
                let Some(task) = describe().await? else {
                    return Err(Error::Later(format!("task {id} exists and cannot be found")));
                };
                Ok(match difference(&task) {
                    None => Self::Yes,
                    Some(what) => Self::Refused(format!("task {id} exists already with other {what}")),
                })
            }
            "LimitExceededException" => Ok(Self::Full),
            code @ ("InvalidRequestException" | "AccessDeniedException" | "UnauthorizedException") => {
                let reason = error.to_string();
                // An earlier delivery may have started it, before the action or the permission was taken away.
                Ok(match describe().await? {
                    Some(task) if difference(&task).is_none() => Self::Yes,
                    _ if code == "InvalidRequestException" => Self::Refused(reason),
                    _ => Self::Denied(reason),
                })
            }
            _ => Err(error),
        }
    }
}

/// A task as the service tells of it (`DescribeAuditMitigationActionsTask`). Every member can be missing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Task {
    /// `IN_PROGRESS`, `COMPLETED`, `FAILED`, `CANCELED`, or a word that is new.
    #[serde(rename = "taskStatus")]
    pub(crate) status: Option<String>,
    /// In seconds since the epoch.
    pub(crate) start_time: Option<Value>,
    /// In seconds since the epoch.
    pub(crate) end_time: Option<Value>,
    /// What it works on.
    pub(crate) target: Option<TaskTarget>,
    /// Its actions by check, in order.
    pub(crate) audit_check_to_actions_mapping: Option<HashMap<String, Vec<String>>>,
    /// How its findings ended, by check.
    #[serde(rename = "taskStatistics")]
    pub(crate) statistics: Option<BTreeMap<String, TaskStatistics>>,
}

/// What a task works on (`AuditMitigationActionsTaskTarget`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskTarget {
    pub(crate) audit_task_id: Option<String>,
    pub(crate) finding_ids: Option<Vec<String>>,
    pub(crate) audit_check_to_reason_code_filter: Option<HashMap<String, Vec<String>>>,
}

/// How findings of a check ended (`TaskStatisticsForAuditCheck`).
#[derive(Debug, Deserialize)]
pub(crate) struct TaskStatistics {
    #[serde(rename = "totalFindingsCount")]
    pub(crate) total: Option<i64>,
    #[serde(rename = "succeededFindingsCount")]
    pub(crate) succeeded: Option<i64>,
    #[serde(rename = "failedFindingsCount")]
    pub(crate) failed: Option<i64>,
    #[serde(rename = "skippedFindingsCount")]
    pub(crate) skipped: Option<i64>,
    #[serde(rename = "canceledFindingsCount")]
    pub(crate) canceled: Option<i64>,
}

impl TaskTarget {
    /// Its findings, if it names any.
    pub(crate) fn finding_ids(&self) -> &[String] {
        self.finding_ids.as_deref().unwrap_or_default()
    }
}

/// Starts the task with the request's own id, which is also its token, so that a repeat names the same task.
/// `target` is what of the request is this task's alone.
///
/// # Errors
/// If the service does not answer, or is busy.
pub(crate) async fn start(
    iot: &IotApi,
    request: &MitigationRequest,
    target: &Target,
) -> Result<Started, Error> {
    let id = request.task_id();
    let input = json!({
        "taskId": id,
        "clientRequestToken": id,
        "target": to_service(request, target),
        "auditCheckToActionsMapping": {request.check.as_str(): request.actions},
    });
    let started = iot.ask("StartAuditMitigationActionsTask", input).await.map(|_: Value| ());
    Started::of(&id, started, async || describe(iot, &id).await, |task| difference(request, task)).await
}

/// The task as it is, or none if the service does not know it.
///
/// # Errors
/// If the service does not answer.
pub(crate) async fn describe(iot: &IotApi, id: &str) -> Result<Option<Task>, Error> {
    match iot.ask("DescribeAuditMitigationActionsTask", json!({"taskId": id})).await {
        Ok(task) => Ok(Some(task)),
        Err(Error::Aws { code, .. }) if code == "ResourceNotFoundException" => Ok(None),
        Err(error) => Err(error),
    }
}

fn to_service(request: &MitigationRequest, target: &Target) -> Value {
    match target {
        Target::Findings(findings) => {
            let ids: Vec<&str> = findings.iter().map(|finding| finding.finding_id.as_str()).collect();
            json!({ "findingIds": ids })
        }
        Target::WholeCheck { reason_codes, .. } => json!({
            "auditTaskId": request.audit.task_id,
            "auditCheckToReasonCodeFilter": {request.check.as_str(): reason_codes},
        }),
    }
}

/// What of an existing task is not as the request has it. Pure.
fn difference(request: &MitigationRequest, task: &Task) -> Option<&'static str> {
    let only = |map: Option<&HashMap<String, Vec<String>>>| match map {
        Some(map) if map.len() == 1 => map
            .iter()
            .next()
            .filter(|(c, _)| CheckName::new(c) == request.check)
            .map(|(_, list)| list.clone()),
        _ => None,
    };
    let Some(target) = &task.target else { return Some("target") };
    let same = match &request.target {
        // A start leaves out what other tasks hold, so the task may have fewer findings than the request.
        Target::Findings(findings) => {
            let asked: BTreeSet<&str> = findings.iter().map(|f| f.finding_id.as_str()).collect();
            let ids = target.finding_ids();
            !ids.is_empty() && ids.iter().all(|id| asked.contains(id.as_str()))
        }
        Target::WholeCheck { reason_codes, .. } => {
            let filter = only(target.audit_check_to_reason_code_filter.as_ref()).map(BTreeSet::from_iter);
            target.audit_task_id.as_deref() == Some(request.audit.task_id.as_str())
                && filter == Some(reason_codes.iter().cloned().collect())
        }
    };
    if !same {
        return Some("target");
    }
    // The order of actions counts: they are applied in it.
    let actions = only(task.audit_check_to_actions_mapping.as_ref());
    (actions.as_ref() != Some(&request.actions)).then_some("actions")
}
