//! Which findings a task has had: those that it names, or a page of its check.

use std::collections::BTreeSet;

use aws_sdk_iot::Client;
use aws_sdk_iot::operation::describe_audit_mitigation_actions_task::DescribeAuditMitigationActionsTaskOutput as AuditTask;
use aws_sdk_iot::operation::list_audit_findings::ListAuditFindingsOutput;
use aws_sdk_iot::types::AuditFinding;
use aws_sdk_iot::types::AuditMitigationActionsTaskTarget;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::millis;
use fleetwarden_aws::findings;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::model::finding::FindingKey;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Behind;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;

use super::End;
use super::Results;
use super::mark::Mark;

/// The most findings a page (`ListAuditFindings`).
const PAGE: i32 = 250;

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

/// The findings that come next.
pub(super) async fn part(
    results: &Results,
    request: &MitigationRequest,
    task: &AuditTask,
    end: &End,
    mark: &Mark,
) -> Result<Part, Error> {
    let ended_at = task.end_time().map_or_else(|| results.clock.now(), millis);
    let (reason_codes, count) = match &request.target {
        Target::Findings(asked) => {
            let findings = named(asked, task);
            let succeeded = end.is_clean() && end.is_success_of(findings.len() as u64);
            return Ok(Part::Page(Page { findings, next: None, succeeded, ended_at }));
        }
        Target::WholeCheck { reason_codes, count } => (reason_codes, *count),
    };
    let page = match list(&results.iot, request, &mark.pages).await {
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
    // Taken for an empty page, an answer without a list would say that all findings are gone.
    let nothing = || Error::Later("ListAuditFindings: an answer without findings".to_owned());
    let listed = page.findings.ok_or_else(nothing)?;
    let found = listed.into_iter().filter_map(|listed| identified(listed, request));
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

async fn list(
    iot: &Client,
    request: &MitigationRequest,
    pages: &Pages,
) -> Result<ListAuditFindingsOutput, Error> {
    let list = iot
        .list_audit_findings()
        .task_id(&request.audit.task_id)
        .check_name(request.check.as_str())
        // Device Defender mitigates nothing that is suppressed.
        .list_suppressed_findings(false)
        .max_results(PAGE)
        .set_next_token(pages.token().map(ToOwned::to_owned));
    list.send().await.map_err(Error::aws("ListAuditFindings", &request.audit.task_id))
}

/// What has no id is no finding that a task could have had.
fn identified(listed: AuditFinding, request: &MitigationRequest) -> Option<Finding> {
    listed.finding_id().filter(|id| !id.is_empty())?;
    Some(findings::finding(listed, &request.check, ""))
}

/// Which of a request's findings the task has: what other tasks had was left out.
fn named(asked: &[FindingRef], task: &AuditTask) -> Vec<Ended> {
    let mut left: BTreeSet<&str> = asked.iter().map(|finding| finding.finding_id.as_str()).collect();
    let of_task = task.target().map(AuditMitigationActionsTaskTarget::finding_ids).unwrap_or_default();
    let key = |id: &str| asked.iter().find(|finding| finding.finding_id == id).map(|finding| finding.key);
    // Each once, also if a command named it twice.
    let own = of_task.iter().filter(|id| left.remove(id.as_str()));
    own.map(|id| Ended { finding_id: id.clone(), key: key(id), resource: Resource::ToAsk }).collect()
}
