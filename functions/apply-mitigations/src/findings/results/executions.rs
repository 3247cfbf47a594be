//! What each action did to a finding (`ListAuditMitigationActionsExecutions`).

use aws_sdk_iot::Client;
use aws_sdk_iot::types::AuditMitigationActionExecutionMetadata;
use fleetwarden_aws::Error;
use fleetwarden_core::model::mitigation::view::ActionResult;
use fleetwarden_core::pages::Pages;

/// The most executions a page.
const PAGE: i32 = 250;

/// The actions of a task on a finding.
///
/// # Errors
/// If the service does not answer.
pub(super) async fn executions(
    iot: &Client,
    task_id: &str,
    finding_id: &str,
) -> Result<Vec<ActionResult>, Error> {
    let operation = "ListAuditMitigationActionsExecutions";
    let (mut actions, mut pages) = (Vec::new(), Pages::default());
    loop {
        let list = iot.list_audit_mitigation_actions_executions();
        let list = list.task_id(task_id).finding_id(finding_id).max_results(PAGE);
        let list = list.set_next_token(pages.token().map(ToOwned::to_owned));
        let page = list.send().await.map_err(Error::aws(operation, task_id))?;
        actions.extend(page.actions_executions.unwrap_or_default().into_iter().map(result));
        match pages.turn(page.next_token) {
            Ok(true) => {}
            Ok(false) => return Ok(actions),
            Err(endless) => {
                tracing::warn!(
                    mitigation.task_id = task_id,
                    finding.id = finding_id,
                    "{operation}: {endless}"
                );
                return Ok(actions);
            }
        }
    }
}

fn result(of: AuditMitigationActionExecutionMetadata) -> ActionResult {
    ActionResult {
        action: of.action_name.unwrap_or_default(),
        status: of.status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
        error_code: of.error_code,
        message: of.message,
    }
}
