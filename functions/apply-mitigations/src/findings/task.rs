//! One mitigation task on findings at the service: started, looked up, compared.

use std::collections::BTreeSet;
use std::collections::HashMap;

use aws_sdk_iot::Client;
use aws_sdk_iot::operation::describe_audit_mitigation_actions_task::DescribeAuditMitigationActionsTaskOutput as AuditTask;
use aws_sdk_iot::types::AuditMitigationActionsTaskStatus;
use aws_sdk_iot::types::AuditMitigationActionsTaskTarget;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::millis;
use fleetwarden_aws::thing_groups::ThingGroups;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::timestamp::Millis;

use crate::task::Started;
use crate::task::Task;

impl Task for AuditTask {
    fn status(&self) -> Option<&str> {
        self.task_status().map(AuditMitigationActionsTaskStatus::as_str)
    }

    fn started_at(&self) -> Option<Millis> {
        self.start_time().map(millis)
    }
}

/// Starts the task with the request's own id, which is also its token, so that a repeat names the same task.
/// `target` is what of the request is this task's alone.
///
/// # Errors
/// If the service does not answer, or is busy.
pub(super) async fn start(
    iot: &Client,
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
    let started = start.send().await.map(drop).map_err(Error::aws("StartAuditMitigationActionsTask", &id));
    Started::of(&id, started, async || describe(iot, &id).await, |task| difference(request, task)).await
}

/// The task as it is, or none if the service does not know it.
///
/// # Errors
/// If the service does not answer.
pub(super) async fn describe(iot: &Client, id: &str) -> Result<Option<AuditTask>, Error> {
    let described = iot.describe_audit_mitigation_actions_task().task_id(id).send().await;
    match described.map_err(Error::aws("DescribeAuditMitigationActionsTask", id)) {
        Err(error) if error.is_code("ResourceNotFoundException") => Ok(None),
        described => described.map(Some),
    }
}

/// The first of these actions that there is not, if the service says so.
pub(super) async fn missing_action(
    groups: &ThingGroups,
    actions: &[String],
) -> Result<Option<String>, Error> {
    for action in actions {
        match groups.exists(action).await {
            Ok(true) => {}
            Ok(false) => return Ok(Some(format!("there is no mitigation action '{action}'"))),
            // Who may not ask does not know.
            Err(error)
                if error.is_code("AccessDeniedException") || error.is_code("UnauthorizedException") =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn to_service(request: &MitigationRequest, target: &Target) -> AuditMitigationActionsTaskTarget {
    let builder = AuditMitigationActionsTaskTarget::builder();
    let builder = match target {
        Target::Findings(findings) => {
            let ids = findings.iter().map(|finding| finding.finding_id.clone()).collect();
            builder.set_finding_ids(Some(ids))
        }
        Target::WholeCheck { reason_codes, .. } => builder
            .audit_task_id(&request.audit.task_id)
            .audit_check_to_reason_code_filter(request.check.as_str(), reason_codes.clone()),
    };
    builder.build()
}

/// What of an existing task is not as the request has it. Pure.
fn difference(request: &MitigationRequest, task: &AuditTask) -> Option<&'static str> {
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
