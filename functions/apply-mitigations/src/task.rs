//! One mitigation task at the service: started, looked up, compared.

use std::collections::BTreeSet;
use std::collections::HashMap;

use aws_sdk_iot::operation::describe_audit_mitigation_actions_task::DescribeAuditMitigationActionsTaskError;
use aws_sdk_iot::operation::describe_audit_mitigation_actions_task::DescribeAuditMitigationActionsTaskOutput;
use aws_sdk_iot::operation::start_audit_mitigation_actions_task::StartAuditMitigationActionsTaskError;
use aws_sdk_iot::types::AuditMitigationActionsTaskTarget;
use fleetwarden_aws::Error;
use fleetwarden_core::check::CheckName;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;

/// What the service says to a start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Started {
    /// The task runs, or has run: this start or an earlier one of the same.
    Yes,
    /// As many tasks run as may.
    Full,
    /// Never, and why.
    Refused(String),
}

/// Starts the task with the request's own id, which is also its token, so that a repeat names the same task.
/// `target` is what of the request is this task's alone.
///
/// # Errors
/// If the service does not answer, or is busy.
pub(crate) async fn start(
    iot: &aws_sdk_iot::Client,
    request: &MitigationRequest,
    target: &Target,
) -> Result<Started, Error> {
    let id = request.task_id();
    let start = iot
        .start_audit_mitigation_actions_task()
        .task_id(&id)
        .client_request_token(&id)
        .target(to_service(request, target))
        .audit_check_to_actions_mapping(request.check.as_str(), request.actions.clone());
    let Err(error) = start.send().await else { return Ok(Started::Yes) };
    match error.as_service_error() {
        Some(StartAuditMitigationActionsTaskError::TaskAlreadyExistsException(_)) => {
            let Some(task) = describe(iot, &id).await? else {
                return Err(Error::Later(format!("task {id} exists and cannot be found")));
            };
            Ok(match difference(request, &task) {
                None => Started::Yes,
                Some(what) => Started::Refused(format!("task {id} exists already with other {what}")),
            })
        }
        Some(StartAuditMitigationActionsTaskError::LimitExceededException(_)) => Ok(Started::Full),
        Some(StartAuditMitigationActionsTaskError::InvalidRequestException(_)) => {
            Ok(Started::Refused(Error::aws("StartAuditMitigationActionsTask", &id)(error).to_string()))
        }
        _ => Err(Error::aws("StartAuditMitigationActionsTask", &id)(error)),
    }
}

/// The task as it is, or none if the service does not know it.
///
/// # Errors
/// If the service does not answer.
pub(crate) async fn describe(
    iot: &aws_sdk_iot::Client,
    id: &str,
) -> Result<Option<DescribeAuditMitigationActionsTaskOutput>, Error> {
    match iot.describe_audit_mitigation_actions_task().task_id(id).send().await {
        Ok(task) => Ok(Some(task)),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(DescribeAuditMitigationActionsTaskError::is_resource_not_found_exception) =>
        {
            Ok(None)
        }
        Err(error) => Err(Error::aws("DescribeAuditMitigationActionsTask", id)(error)),
    }
}

fn to_service(request: &MitigationRequest, target: &Target) -> AuditMitigationActionsTaskTarget {
    let builder = AuditMitigationActionsTaskTarget::builder();
    match target {
        Target::Findings(findings) => {
            builder.set_finding_ids(Some(findings.iter().map(|f| f.finding_id.clone()).collect()))
        }
        Target::WholeCheck { reason_codes, .. } => builder
            .audit_task_id(&request.audit.task_id)
            .audit_check_to_reason_code_filter(request.check.as_str(), reason_codes.clone()),
    }
    .build()
}

/// What of an existing task is not as the request has it. Pure.
fn difference(
    request: &MitigationRequest,
    task: &DescribeAuditMitigationActionsTaskOutput,
) -> Option<&'static str> {
    let only = |map: Option<&HashMap<String, Vec<String>>>| match map {
        Some(map) if map.len() == 1 => map
            .iter()
            .next()
            .filter(|(c, _)| CheckName::new(c) == request.check)
            .map(|(_, list)| list.clone()),
        _ => None,
    };
    let Some(target) = task.target() else { return Some("target") };
    let same = match &request.target {
        // A start leaves out what other tasks hold, so the task may have fewer findings than the request.
        Target::Findings(findings) => {
            let asked: BTreeSet<&str> = findings.iter().map(|f| f.finding_id.as_str()).collect();
            let ids = target.finding_ids();
            !ids.is_empty() && ids.iter().all(|id| asked.contains(id.as_str()))
        }
        Target::WholeCheck { reason_codes, .. } => {
            let filter = only(target.audit_check_to_reason_code_filter()).map(BTreeSet::from_iter);
            target.audit_task_id() == Some(&request.audit.task_id)
                && filter == Some(reason_codes.iter().cloned().collect())
        }
    };
    if !same {
        return Some("target");
    }
    // The order of actions counts: they are applied in it.
    let actions = only(task.audit_check_to_actions_mapping());
    (actions.as_ref() != Some(&request.actions)).then_some("actions")
}
