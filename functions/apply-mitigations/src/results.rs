//! What became of each finding of an ended task.
//!
//! The service tells it one finding at a time (`ListAuditMitigationActionsExecutions`), so it is asked only
//! when not everything succeeded.

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::about;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::finding::FindingKey;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;
use serde_json::json;

use crate::ApplyMitigations;

/// No finding is asked for when less than this is left, in milliseconds.
const MARGIN_MS: i64 = 5_000;

/// What became of one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FindingResult {
    /// Its id in the audit.
    pub(crate) finding_id: String,
    /// Its identity across audits, if the message had it.
    pub(crate) key: Option<FindingKey>,
    /// What became of each action.
    pub(crate) actions: Vec<ActionResult>,
}

/// What became of one action on one finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActionResult {
    /// The mitigation action's name.
    pub(crate) action: String,
    /// `COMPLETED`, `FAILED`, `CANCELED`, `SKIPPED`, or a word that is new.
    pub(crate) status: String,
    /// The service's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_code: Option<String>,
    /// What the service said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

impl FindingResult {
    /// The state of the finding's mitigation: one failed action makes it failed (developer guide, "Mitigation
    /// actions"), and what the service did not tell is its own word.
    pub(crate) fn state(&self) -> &'static str {
        let any = |word: &str| self.actions.iter().any(|action| action.status == word);
        let all_completed = self.actions.iter().all(|action| action.status == "COMPLETED");
        match () {
            () if self.actions.is_empty() => "unknown",
            () if all_completed => "completed",
            () if any("FAILED") => "failed",
            () if any("CANCELED") => "canceled",
            () if any("SKIPPED") => "skipped",
            () => "unknown",
        }
    }
}

impl ApplyMitigations {
    /// Writes what became of each finding of a task. A repeat writes the same again.
    pub(crate) async fn write_results(
        &self,
        request: &MitigationRequest,
        results: &[FindingResult],
    ) -> Result<(), Error> {
        let now = self.consumer.clock.now();
        let items = results.iter().map(|result| item(request, result, now)).collect();
        self.mitigations.ledger().put_all(items).await
    }

    /// What became of each of these findings. If all `succeeded`, nobody is asked.
    ///
    /// # Errors
    /// If the service does not answer, or if there is no time left.
    pub(crate) async fn results(
        &self,
        request: &MitigationRequest,
        finding_ids: &[String],
        succeeded: bool,
        deadline: Millis,
    ) -> Result<Vec<FindingResult>, Error> {
        let mut results = Vec::with_capacity(finding_ids.len());
        for finding_id in finding_ids {
            let actions = if succeeded {
                let completed =
                    |action: &String| ActionResult { action: action.clone(), ..ActionResult::completed() };
                request.actions.iter().map(completed).collect()
            } else {
                self.executions(&request.task_id(), finding_id, deadline).await?
            };
            let key = key(request, finding_id);
            results.push(FindingResult { finding_id: finding_id.clone(), key, actions });
        }
        Ok(results)
    }

    async fn executions(
        &self,
        task_id: &str,
        finding_id: &str,
        deadline: Millis,
    ) -> Result<Vec<ActionResult>, Error> {
        let mut actions = Vec::new();
        let mut pages = Pages::default();
        loop {
            if self.consumer.clock.now().0 > deadline.0 - MARGIN_MS {
                return Err(Error::Later(format!("no time is left for the results of task {task_id}")));
            }
            let mut input = json!({"taskId": task_id, "findingId": finding_id, "maxResults": 250});
            if let (Some(members), Some(token)) = (input.as_object_mut(), pages.token()) {
                members.insert("nextToken".to_owned(), token.into());
            }
            let page: Page = self.iot.ask("ListAuditMitigationActionsExecutions", input).await?;
            actions.extend(page.actions_executions.unwrap_or_default().into_iter().map(ActionResult::from));
            match pages.turn(page.next_token) {
                Ok(true) => {}
                Ok(false) => return Ok(actions),
                Err(endless) => {
                    tracing::warn!(mitigation.task_id = task_id, finding.id = finding_id, "{endless}");
                    return Ok(actions);
                }
            }
        }
    }
}

impl ActionResult {
    fn completed() -> Self {
        Self { action: String::new(), status: "COMPLETED".into(), error_code: None, message: None }
    }
}

/// A page of the list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    actions_executions: Option<Vec<Execution>>,
    next_token: Option<String>,
}

/// An action on a finding (`AuditMitigationActionExecutionMetadata`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Execution {
    action_name: Option<String>,
    status: Option<String>,
    error_code: Option<String>,
    message: Option<String>,
}

impl From<Execution> for ActionResult {
    fn from(from: Execution) -> Self {
        Self {
            action: from.action_name.unwrap_or_default(),
            status: from.status.unwrap_or_default(),
            error_code: from.error_code,
            message: from.message,
        }
    }
}

/// The item of what became of a finding.
fn item(request: &MitigationRequest, result: &FindingResult, now: Millis) -> Item {
    let id = request.task_id();
    let sk = format!("finding#{}", result.finding_id);
    let item = Item::new(&about::mitigation(&id), &sk, now)
        .text(attribute::TASK_ID, &id)
        .text(attribute::FINDING_ID, &result.finding_id)
        .text(attribute::CHECK, request.check.as_str())
        .text(attribute::STATE, result.state())
        .json(attribute::ACTIONS, &result.actions);
    match &result.key {
        Some(key) => item.text(attribute::FINDING_KEY, key.to_string()),
        None => item,
    }
}

/// The key that the message has for a finding.
fn key(request: &MitigationRequest, finding_id: &str) -> Option<FindingKey> {
    let Target::Findings(findings) = &request.target else { return None };
    findings.iter().find(|finding| finding.finding_id == finding_id).map(|finding| finding.key)
}
