//! One step of a check's triage: what one message causes, and what it leaves to the next one.
//!
//! A step that is repeated stops elsewhere than the first try did, and may run under another policy. Two
//! continuations of one step would each miss what the other one saw. So what a step leaves is recorded in the ledger
//! before it is sent: the first record stays, and a repeat that finds one only sends it. The steps of a check are a
//! chain, whatever is repeated.
//!
//! The chain ends: each step does a page at least, a check has [`MAX_PAGES`] at most, and it is restarted
//! [`MAX_RESTARTS`] times at most. These are the bounds of the loop through triage's own queue.

use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::batch;
use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::message::Counts;
use fleetwarden_core::message::Resume;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use futures_util::future::try_join3;
use serde::Deserialize;
use serde::Serialize;

use crate::handler::Queues;
use crate::outbox::Messages;
use crate::outbox::Outbox;
use crate::run::Run;

/// The most pages of a check: ten million findings.
const MAX_PAGES: u32 = 40_000;
/// How often a check is restarted, because the service refuses a page's token or a segment has expired.
const MAX_RESTARTS: u32 = 3;
/// The sort key, and the attribute, of what a step leaves.
const STEP: &str = "step";
const NEXT: &str = "next";
/// The sort key, and the attribute, of how what one task for the whole check could take is mitigated.
const WAY: &str = "way";
/// By one task for the whole check.
const WHOLE: &str = "whole-check";
/// Finding by finding, in a restart of the check.
const BY_ID: &str = "by-id";

/// What a step leaves.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Next {
    /// More pages, for another invocation.
    Pages(CheckMessage),
    /// The last mitigations and the summary: all pages are done, and the history is replaced.
    End(CheckMessage),
}

impl Next {
    /// The rest of a check, from a page on.
    pub(crate) fn pages(message: CheckMessage, resume: Resume) -> Result<Self, Error> {
        if resume.page > MAX_PAGES {
            return Err(Error::Input(format!("{} has more than {MAX_PAGES} pages", message.check)));
        }
        Ok(Self::Pages(CheckMessage { resume: Some(resume), ..message }))
    }

    /// The same check from its first page on, because it cannot go on. Pages, suppressions and mitigations have the
    /// same names as before, so that what was done already changes nothing.
    pub(crate) fn restart(message: CheckMessage, why: &Error) -> Result<Self, Error> {
        let restarts = message.resume.as_ref().map_or(0, |resume| resume.restarts);
        if restarts >= MAX_RESTARTS {
            return Err(Error::Input(format!("{} was restarted {restarts} times: {why}", message.check)));
        }
        tracing::warn!(check = %message.check, audit.task_id = %message.audit.task_id, %why, "the check is restarted from its first page");
        let by_id = message.resume.as_ref().is_some_and(|resume| resume.by_id);
        let resume = Resume { restarts: restarts + 1, repeated: true, by_id, ..Resume::default() };
        Ok(Self::Pages(CheckMessage { resume: Some(resume), ..message }))
    }

    /// The same check from its first page on, without a task for the whole check: that would mitigate also what another
    /// policy has decided otherwise on before. The pages are recorded; their findings go by their ids.
    pub(crate) fn restart_by_id(mut message: CheckMessage) -> Result<Self, Error> {
        message.resume.get_or_insert_default().by_id = true;
        Self::restart(message, &Error::Later("its pages were decided on by several policies".into()))
    }
}

/// What a step of a check needs.
#[derive(Clone, Copy)]
pub(crate) struct Triage<'h> {
    /// AWS IoT.
    pub(crate) iot: &'h IotApi,
    /// AWS IoT, for what the policy asks of the registry.
    pub(crate) registry: &'h RegistryClient,
    /// Where decisions go.
    pub(crate) queues: &'h Queues,
    /// The steps, and the place of each check's history.
    pub(crate) ledger: &'h Ledger,
    /// The pages and the histories.
    pub(crate) archive: &'h Archive,
    /// Where people are told of mitigated findings that are still there.
    pub(crate) alerts: &'h Alerts,
    /// What decides.
    pub(crate) policy: &'h Policy,
    /// The time.
    pub(crate) clock: &'h Clock,
    /// Takes a metric line.
    pub(crate) emit: fn(&str),
}

impl Triage<'_> {
    /// Does a step, unless it is known already what it leaves; then sends that.
    pub(crate) async fn step(&self, key: &str, message: CheckMessage, deadline: Millis) -> Result<(), Error> {
        let item = Item::new(key, STEP, self.clock.now());
        let before = self.ledger.put_in_place(item.clone(), "pk", None).await?;
        if let Some(next) = before.as_ref().and_then(|item| item.get_text(NEXT)) {
            return self.leave(key, next).await;
        }
        // On the heap, as what follows: what a run holds is large.
        let next = Box::pin(Run::start(*self, message, before.is_some())).await?;
        let next = Box::pin(next.go(deadline)).await?;
        let next = serde_json::to_string(&next).map_err(|e| Error::Input(e.to_string()))?;
        let first = self.ledger.put_in_place(item.text(NEXT, &next), NEXT, None).await?;
        self.leave(key, first.as_ref().and_then(|item| item.get_text(NEXT)).unwrap_or(&next)).await
    }

    /// Sends what a step leaves.
    async fn leave(&self, key: &str, next: &str) -> Result<(), Error> {
        match batch::parse("record of a step", next)? {
            Next::Pages(message) => self.send_check(&message).await,
            Next::End(message) => Box::pin(self.end(key, &message)).await,
        }
    }

    async fn send_check(&self, message: &CheckMessage) -> Result<(), Error> {
        let body = serde_json::to_string(message).map_err(|e| Error::Input(e.to_string()))?;
        self.queues.check.send(&[body.into()]).await
    }

    /// Ends a check: the last mitigations, unless a later audit has looked at it by now, and the summary.
    async fn end(&self, key: &str, message: &CheckMessage) -> Result<(), Error> {
        if self.is_by_id(key, message).await? {
            let Next::Pages(message) = Next::restart_by_id(message.clone())? else { return Ok(()) };
            return self.send_check(&message).await;
        }
        let Messages { finding, suppression, mut mitigation } = Outbox::new(message, self.policy).end()?;
        if !mitigation.is_empty()
            && let Some(later) = self.ledger.later_audit(&message.audit, &message.check).await?
        {
            tracing::info!(
                check = %message.check, audit.task_id = %message.audit.task_id, later_audit.task_id = later,
                "overtaken by a later audit: nothing is mitigated"
            );
            mitigation.clear();
        }
        let resume = message.resume.as_ref();
        let total =
            resume.iter().flat_map(|resume| resume.tally.values()).fold(Counts::default(), Counts::plus);
        tracing::info!(
            check = %message.check,
            audit.task_id = %message.audit.task_id,
            pages = resume.map_or(0, |resume| resume.page),
            non_compliant = total.non_compliant,
            suppressed = total.suppressed,
            new = total.new,
            fixed = total.fixed,
            suppress = total.suppress,
            suppress_observed = total.observed("suppress"),
            mitigate = total.mitigate,
            mitigate_observed = total.observed("mitigate"),
            report = total.reported,
            "the check is triaged"
        );
        self.send(Messages { finding, suppression, mitigation }).await
    }

    /// Whether what one task for the whole check could take is mitigated finding by finding instead: if another policy has
    /// decided on the pages. That is recorded before anything is sent, and the first record stays: were a repeat under
    /// another policy to go the other way, two tasks would have the same findings, since one for the whole check claims none
    /// of them by itself. It sends that task again only under the policy that decided on all of it.
    async fn is_by_id(&self, key: &str, message: &CheckMessage) -> Result<bool, Error> {
        let resume = message.resume.as_ref().filter(|resume| !resume.reason_codes.is_empty());
        let Some(resume) = resume else { return Ok(false) };
        let way = if resume.can_take_whole_check(self.policy.hash()) { WHOLE } else { BY_ID };
        let item = Item::new(key, WAY, self.clock.now()).text(WAY, way);
        let first = self.ledger.put_in_place(item, WAY, None).await?;
        Ok(first.as_ref().and_then(|item| item.get_text(WAY)).unwrap_or(way) == BY_ID)
    }

    /// Sends what a page or the end of a check makes.
    pub(crate) async fn send(&self, messages: Messages) -> Result<(), Error> {
        let Messages { finding, suppression, mitigation } = &messages;
        let queues = self.queues;
        let all = try_join3(
            queues.finding.send(finding),
            queues.suppression.send(suppression),
            queues.mitigation.send(mitigation),
        );
        all.await.map(drop)
    }
}
