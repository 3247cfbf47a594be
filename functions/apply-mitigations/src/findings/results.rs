//! What became of each finding of an ended task: written down with its resource and the things behind it.
//!
//! The service tells it one finding at a time (`ListAuditMitigationActionsExecutions`), so it is asked only when not
//! everything succeeded. What a finding is about is asked of the service as well, because a message could say anything:
//! one by one for the 25 that a task names, and by the page (`ListAuditFindings`) for a whole check, which can have tens
//! of thousands. Each certificate costs one call more (`ListPrincipalThings`): without it no one could say afterwards
//! which devices were cut off.
//!
//! A page is done by one message, and the next page by the next one of the follow-up's chain: so starts and other
//! follow-ups have their turn in between, and memory does not grow with the check. What is written is keyed by its
//! finding, and a repeat writes the same again.

mod executions;
mod finding;
mod mark;
mod page;

use std::time::Duration;

use aws_sdk_iot::Client;
use aws_sdk_iot::operation::describe_audit_mitigation_actions_task::DescribeAuditMitigationActionsTaskOutput as AuditTask;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::registry::Registry;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::model::mitigation::view::ActionResult;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::model::thing::Wanted;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;

use super::describe::Described;
use super::describe::describe_finding;
use super::statistics::Statistics;
use crate::registry::RegistryOf;
use crate::work::time_left;
pub(crate) use finding::FindingResult;
use mark::Mark;
use page::Part;

/// How many findings that did not succeed are kept for the alert.
pub(crate) const NAMED: usize = 10;
/// A finding is asked about so often: two functions side by side stay below what the account may ask, for triage and
/// starts, too (10 calls a second of `ListAuditMitigationActionsExecutions` and of `ListPrincipalThings`).
const PACE: Duration = Duration::from_millis(250);
/// How often a list is begun again whose token the service does not take any more.
const RESTARTS: u32 = 3;

/// How a task has ended, for the check of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// The task's.
    pub(crate) state: State,
    /// Of a command's task another check may be what failed, which has a follow-up of its own.
    pub(crate) elsewhere: bool,
    /// The findings of the check.
    pub(crate) all: Statistics,
}

/// How far the results are written.
#[derive(Debug)]
pub(crate) enum Written {
    /// All of them. Some of what did not succeed.
    All(Vec<FindingResult>),
    /// The next message goes on.
    InPart,
}

impl End {
    /// Whether everything succeeded.
    pub(crate) const fn is_clean(&self) -> bool {
        self.nothing_failed() && self.all.skipped == 0
    }

    /// Whether nothing failed or was canceled.
    const fn nothing_failed(&self) -> bool {
        (matches!(self.state, State::Completed) || self.elsewhere)
            && self.all.failed == 0
            && self.all.canceled == 0
    }

    /// Whether each of so many findings succeeded for sure, so that the service need not be asked.
    pub(crate) fn is_success_of(&self, findings: u64) -> bool {
        self.nothing_failed() && findings > 0 && u64::try_from(self.all.succeeded) == Ok(findings)
    }
}

/// Writes results.
#[derive(Clone)]
pub(crate) struct Results {
    pub(crate) iot: Client,
    pub(crate) registry: RegistryOf,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
}

impl Results {
    /// Writes what became of the findings of a task, as far as one message goes.
    ///
    /// # Errors
    /// If the service or the table does not answer, or if there is no time for even one finding.
    pub(crate) async fn write(
        &self,
        request: &MitigationRequest,
        task: &AuditTask,
        end: &End,
        deadline: Millis,
    ) -> Result<Written, Error> {
        let mut mark = Mark::read(&self.ledger, request).await?;
        let part = match page::part(self, request, task, end, &mark).await? {
            Part::Page(page) => page,
            Part::Refused(error) if mark.restarts < RESTARTS => {
                tracing::warn!(mitigation.task_id = request.task_id(), %error, "the list of results begins again");
                let restarts = mark.restarts.saturating_add(1);
                let mark = Mark { pages: Pages::default(), done: 0, restarts, ..mark };
                mark.write(&self.ledger, request, self.clock.now()).await?;
                return Ok(Written::InPart);
            }
            Part::Refused(error) => {
                tracing::error!(mitigation.task_id = request.task_id(), %error, "the results are not complete");
                return self.failures(request, &mark).await.map(Written::All);
            }
        };
        let registry = self.registry.open();
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut items = Vec::new();
        let all = part.findings.len();
        let before = usize::try_from(mark.done).unwrap_or(usize::MAX).min(all);
        for finding in part.findings.into_iter().skip(before) {
            let left = time_left(deadline, self.clock.now());
            if left.is_zero() {
                break;
            }
            let result = async {
                if !part.succeeded || finding.asks() {
                    ticks.tick().await;
                }
                self.result(request, finding, part.succeeded, &registry).await
            };
            let Ok(result) = tokio::time::timeout(left, Box::pin(result)).await else { break };
            let result = result?;
            log(request, &result);
            let named = mark.failures.contains(&result.finding_id) || mark.failures.len() >= NAMED;
            if result.state() != "completed" && !named {
                mark.failures.push(result.finding_id.clone());
            }
            mark.done = mark.done.saturating_add(1);
            items.push(result.item(request, part.ended_at, self.clock.now()));
        }
        let done = before + items.len();
        if items.is_empty() && done < all {
            let id = request.task_id();
            return Err(Error::Later(format!("no time is left for the results of task {id}")));
        }
        self.ledger.put_all(items).await?;
        let next = match part.next {
            _ if done < all => mark,
            Some(pages) => Mark { pages, done: 0, ..mark },
            None => return self.failures(request, &mark).await.map(Written::All),
        };
        next.write(&self.ledger, request, self.clock.now()).await?;
        Ok(Written::InPart)
    }

    /// What became of one finding.
    async fn result(
        &self,
        request: &MitigationRequest,
        finding: page::Ended,
        succeeded: bool,
        registry: &Registry,
    ) -> Result<FindingResult, Error> {
        let page::Ended { finding_id, key, resource } = finding;
        let (resource, key) = match resource {
            page::Resource::Listed(resource) => (resource.map(|resource| *resource), key),
            page::Resource::ToAsk => {
                // What the service says of a finding counts, and what the message says only if it is gone.
                match describe_finding(&self.iot, request, &finding_id).await? {
                    Described::Found(found, _) => (found.identifier().cloned(), Some(found.key())),
                    Described::Not(_) => (None, key),
                }
            }
        };
        let actions = if succeeded {
            request.actions.iter().map(|action| ActionResult::completed(action)).collect()
        } else {
            executions::executions(&self.iot, &request.task_id(), &finding_id).await?
        };
        let things = things(resource.as_ref(), registry).await;
        Ok(FindingResult { finding_id, key, resource, things, actions })
    }

    /// What did not succeed, as it is written, for the alert.
    async fn failures(&self, request: &MitigationRequest, mark: &Mark) -> Result<Vec<FindingResult>, Error> {
        let pk = keys::mitigation(&request.task_id());
        let sks: Vec<String> = mark.failures.iter().map(|id| format!("finding#{id}")).collect();
        let keys: Vec<(String, &str)> = sks.iter().take(NAMED).map(|sk| (pk.clone(), sk.as_str())).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let items = self.ledger.get_all(&keys).await?;
        // They come in any order.
        let of = |sk: &String| items.iter().find(|item| item.get_text("sk") == Some(sk));
        Ok(sks.iter().filter_map(of).filter_map(FindingResult::read).collect())
    }
}

/// The names of the things behind a resource. None if they are unknown.
async fn things(resource: Option<&ResourceIdentifier>, registry: &Registry) -> Option<Vec<String>> {
    let wants = |things: &Things| Wanted { names: things.is_not_asked(), ..Wanted::default() };
    match registry.look_up(resource, wants).await {
        Things::Known(things) => Some(things.into_iter().map(|thing| thing.name).collect()),
        Things::Unknown { .. } | Things::NotAsked => None,
    }
}

/// One record for each finding, by which a task is found from a device and the other way round.
fn log(request: &MitigationRequest, result: &FindingResult) {
    let resource = result.resource.as_ref().map(ResourceIdentifier::label).unwrap_or_default();
    tracing::info!(
        kind = "mitigation-result",
        mitigationTaskId = request.task_id(),
        auditTaskId = %request.audit.task_id,
        check = %request.check,
        rule = request.origin.rule(),
        findingId = result.finding_id,
        key = result.key.map(|key| key.to_string()),
        resource = %resource,
        // No name of a thing has a comma.
        things = result.things.as_ref().map(|things| things.join(",")),
        result = result.state(),
        "the mitigation of a finding has ended"
    );
}
