//! Which findings a task has had: those that it names, or a page of its check.

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_core::api::listing::Listed;
use fleetwarden_core::api::listing::Listing;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::model::finding::FindingKey;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Behind;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde_json::json;

use crate::ApplyMitigations;
use crate::results::End;
use crate::results::mark::Mark;
use crate::task::Task;
use crate::task::TaskTarget;

/// The most findings a page (`ListAuditFindings`).
const PAGE: u32 = 250;

/// What one message works on.
pub(super) enum Part {
    /// These findings.
    Page(Page),
    /// The service does not take the token of the page any more.
    Refused(Error),
}

/// Findings of a task.
pub(super) struct Page {
    pub(super) findings: Vec<Ended>,
    /// The page after it, if there is one.
    pub(super) next: Option<Pages>,
    /// Whether every action on each of them succeeded for sure.
    pub(super) succeeded: bool,
    /// When the task ended.
    pub(super) ended_at: Millis,
}

/// A finding whose task has ended.
pub(super) struct Ended {
    pub(super) finding_id: String,
    /// Its identity across audits, if it is known so far.
    pub(super) key: Option<FindingKey>,
    pub(super) resource: Resource,
}

impl Ended {
    /// Whether the service or the registry has to be asked about it, although its actions succeeded.
    pub(super) fn asks(&self) -> bool {
        match &self.resource {
            Resource::ToAsk => true,
            Resource::Listed(resource) => {
                let behind = resource.as_ref().map(|resource| resource.behind());
                matches!(behind, Some(Behind::Certificate(_) | Behind::Client(_)))
            }
        }
    }
}

/// What a finding is about.
pub(super) enum Resource {
    /// It came with the finding, if it has one.
    Listed(Option<Box<ResourceIdentifier>>),
    /// Only the service knows.
    ToAsk,
}

impl ApplyMitigations {
    /// The findings that come next.
    pub(super) async fn part(
        &self,
        request: &MitigationRequest,
        task: &Task,
        end: &End,
        mark: &Mark,
    ) -> Result<Part, Error> {
        let ended_at = task.end_time.as_ref().and_then(millis).unwrap_or_else(|| self.consumer.clock.now());
        let (reason_codes, count) = match &request.target {
            Target::Findings(asked) => {
                let findings = named(asked, task);
                let succeeded = end.is_clean() && end.is_success_of(findings.len() as u64);
                return Ok(Part::Page(Page { findings, next: None, succeeded, ended_at }));
            }
            Target::WholeCheck { reason_codes, count } => (reason_codes, *count),
        };
        let mut input = json!({
            "taskId": request.audit.task_id,
            "checkName": request.check,
            // Device Defender mitigates nothing that is suppressed.
            "listSuppressedFindings": false,
            "maxResults": PAGE,
        });
        if let (Some(members), Some(token)) = (input.as_object_mut(), mark.pages.token()) {
            members.insert("nextToken".to_owned(), token.into());
        }
        let page: Listing = match self.iot.ask("ListAuditFindings", input).await {
            Err(error) if mark.pages.token().is_some() && error.is_permanent() => {
                return Ok(Part::Refused(error));
            }
            page => page?,
        };
        let mut pages = mark.pages.clone();
        let next = match pages.turn(page.next_token) {
            Ok(more) => more.then_some(pages),
            Err(endless) => return Ok(Part::Refused(Error::Later(endless.to_string()))),
        };
        let is_of_task = |finding: &Finding| {
            let code = finding.reason_code.as_ref();
            reason_codes.is_empty() || code.is_some_and(|code| reason_codes.contains(code))
        };
        let found = page.findings.into_iter().filter_map(|listed| identified(listed, request));
        let findings: Vec<Ended> = found
            .filter(|finding| !finding.suppressed && is_of_task(finding))
            .map(|finding| Ended {
                key: Some(finding.key()),
                resource: Resource::Listed(finding.identifier().cloned().map(Box::new)),
                finding_id: finding.finding_id,
            })
            .collect();
        let only = mark.pages.token().is_none() && next.is_none();
        let succeeded = end.is_success_of(count) || (only && end.is_success_of(findings.len() as u64));
        Ok(Part::Page(Page { findings, next, succeeded, ended_at }))
    }
}

/// What has no id is no finding that a task could have had.
fn identified(listed: Listed, request: &MitigationRequest) -> Option<Finding> {
    let finding = listed.into_finding(&request.check, String::new);
    Some(finding).filter(|finding| !finding.finding_id.is_empty())
}

/// Which of a request's findings the task has: what other tasks had was left out.
fn named(asked: &[FindingRef], task: &Task) -> Vec<Ended> {
    let mut left: BTreeSet<&str> = asked.iter().map(|finding| finding.finding_id.as_str()).collect();
    let of_task = task.target.as_ref().map(TaskTarget::finding_ids).unwrap_or_default();
    let key = |id: &str| asked.iter().find(|finding| finding.finding_id == id).map(|finding| finding.key);
    // Each once, also if a command named it twice.
    let own = of_task.iter().filter(|id| left.remove(id.as_str()));
    own.map(|id| Ended { finding_id: id.clone(), key: key(id), resource: Resource::ToAsk }).collect()
}
