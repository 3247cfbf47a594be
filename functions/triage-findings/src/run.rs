//! One check of one audit, from its first page to its end or to the deadline.

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::invocation;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::keys;
use fleetwarden_core::api::listing::Listed;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::message::Resume;
use fleetwarden_core::message::Tally;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::policy::Decision;
use fleetwarden_core::policy::Subject;
use fleetwarden_core::timestamp::Millis;
use futures_util::future::join;
use futures_util::future::try_join;

use crate::findings::Found;
use crate::findings::with_past;
use crate::history::History;
use crate::listing::list;
use crate::lookup::AtTimeOut;
use crate::lookup::Lookup;
use crate::outbox::Messages;
use crate::outbox::Outbox;
use crate::split::Attempt;
use crate::step::Next;
use crate::step::Triage;

/// No page is asked for when less than this is left: what was begun has to end, and a history of millions has to be
/// merged.
const MARGIN: Duration = Duration::from_secs(30);

/// The sort key, and the attribute, of the lengths of a page's parts.
const PARTS: &str = "parts";

/// A check on its way.
pub(crate) struct Run<'t> {
    triage: Triage<'t>,
    message: CheckMessage,
    outbox: Outbox<'t>,
    history: History,
    tally: Tally,
    lookup: Lookup<'t>,
    /// The number of the next page.
    page: u32,
    /// Whether a try before this one may have sent these pages.
    repeated: bool,
    /// A later audit has looked at the check: then this one only exports.
    overtaken: bool,
}

/// Why no further page is done.
enum Stop {
    /// There are none.
    Done,
    /// The time is up. The token of the next page.
    TimeOut(String),
    /// The service does not take the token that the message gave.
    Refused(Error),
}

impl<'t> Run<'t> {
    /// Begins with a message. `repeated` says whether a try before may have sent its pages.
    ///
    /// Whether a later audit has looked at the check is asked here and before the end, not at every page: what acts
    /// on the messages asks again.
    pub(crate) async fn start(
        triage: Triage<'t>,
        mut message: CheckMessage,
        repeated: bool,
    ) -> Result<Self, Error> {
        let Triage { registry, ledger, archive, policy, clock, .. } = triage;
        let (history, later) = try_join(
            History::open(ledger, archive, &message),
            ledger.later_audit(&message.audit, &message.check),
        )
        .await?;
        if let Some(later) = &later {
            tracing::info!(
                check = %message.check, audit.task_id = %message.audit.task_id, later_audit.task_id = later,
                "overtaken by a later audit: findings are only exported"
            );
            if let Some(resume) = &mut message.resume {
                resume.pending.clear();
                resume.reason_codes.clear();
            }
        }
        let repeated = repeated || message.resume.as_ref().is_some_and(|resume| resume.repeated);
        Ok(Self {
            triage,
            outbox: Outbox::new(&message, policy, repeated),
            history,
            tally: message.resume.as_ref().map(|resume| resume.tally.clone()).unwrap_or_default(),
            lookup: Lookup::new(registry, policy, clock, &message.audit),
            page: message.resume.as_ref().map_or(0, |resume| resume.page),
            repeated,
            overtaken: later.is_some(),
            message,
        })
    }

    /// Does pages until the end or near the deadline, and says what comes next.
    pub(crate) async fn go(mut self, deadline: Millis) -> Result<Next, Error> {
        let stop_at = invocation::stop_at(self.triage.clock.now(), deadline, MARGIN);
        let token = self.message.resume.as_ref().and_then(|resume| resume.next_token.clone());
        let stop =
            if self.message.is_surely_empty() { Stop::Done } else { self.pages(token, stop_at).await? };
        match stop {
            Stop::Done => self.end().await,
            Stop::TimeOut(next_token) => self.continue_later(next_token).await,
            Stop::Refused(error) => Next::restart(self.message, &error),
        }
    }

    /// Does pages until there are none, or until it is time to stop.
    ///
    /// While a page's messages are sent, the next page is on its way.
    async fn pages(&mut self, token: Option<String>, stop_at: Millis) -> Result<Stop, Error> {
        let mut page = match list(self.triage.iot, &self.message, token.clone()).await {
            Err(error) if token.is_some() && error.is_permanent() => return Ok(Stop::Refused(error)),
            listed => listed?,
        };
        let mut current = token;
        let mut at_time_out = AtTimeOut::GiveUp;
        let mut tokens = Pages::default();
        loop {
            let Some(messages) = self.decide(page.findings, stop_at, at_time_out).await? else {
                tracing::info!("no time is left while things are looked up: the page goes to a new message");
                return Ok(Stop::TimeOut(current.unwrap_or_default()));
            };
            let Some(next) = page.next_token else {
                self.triage.send(messages).await?;
                return Ok(Stop::Done);
            };
            tokens.turn(Some(next.clone())).map_err(|endless| {
                Error::Later(format!("ListAuditFindings on {}: {endless}", self.message.check))
            })?;
            if self.triage.clock.now() > stop_at {
                self.triage.send(messages).await?;
                return Ok(Stop::TimeOut(next));
            }
            let (sent, following) =
                join(self.triage.send(messages), list(self.triage.iot, &self.message, Some(next.clone())))
                    .await;
            sent?;
            page = match following {
                Ok(page) => page,
                // The pages before are done: they need not be done again because this one failed.
                Err(error) => {
                    tracing::warn!(%error, "the next page goes to a new message");
                    return Ok(Stop::TimeOut(next));
                }
            };
            current = Some(next);
            at_time_out = AtTimeOut::LeavePage;
        }
    }

    /// Decides on the findings of a page, and gives the messages that come of it.
    ///
    /// None if the time is up before all is looked up and the page can be left: then nothing of it was noted.
    async fn decide(
        &mut self,
        findings: Vec<Listed>,
        stop_at: Millis,
        at_time_out: AtTimeOut,
    ) -> Result<Option<Messages>, Error> {
        let (policy, audit) = (self.triage.policy, self.message.audit.clone());
        let found = with_past(findings, self.page, &self.message, &self.history)?;
        let subjects: Vec<Subject<'_>> = found.iter().map(|found| found.subject(&audit)).collect();
        let decisions: Vec<Decision<'_, '_>> =
            subjects.iter().map(|subject| policy.decide(subject)).collect();
        let things = self.lookup.things(&decisions, &subjects, stop_at, at_time_out).await;
        let Some(things) = things else { return Ok(None) };
        for (((found, subject), decision), things) in found.iter().zip(&subjects).zip(&decisions).zip(&things)
        {
            match things {
                None => self.add(found, subject.things, decision)?,
                Some(things) => {
                    self.add(found, things, &policy.decide(&Subject { things, ..subject.clone() }))?;
                }
            }
        }
        // On the heap: calls are large, and most pages make none here.
        let attempt = if self.repeated { Box::pin(self.attempt()).await? } else { Attempt::First };
        let (messages, lengths) = self.outbox.page(self.page, &attempt)?;
        if lengths.len() > 1 && !matches!(attempt, Attempt::Repeat(Some(_))) {
            Box::pin(self.record_parts(&lengths)).await?;
        }
        self.page += 1;
        Ok(Some(messages))
    }

    /// What is known of the next page, which may have been sent.
    async fn attempt(&self) -> Result<Attempt, Error> {
        let key = keys::page(&self.message.audit, &self.message.check, self.page);
        let item = self.triage.ledger.get(&key, PARTS).await?;
        let lengths = item.as_ref().and_then(|item| item.get_text(PARTS));
        Ok(Attempt::Repeat(lengths.and_then(|lengths| serde_json::from_str(lengths).ok())))
    }

    /// Records the parts of the next page before they are sent.
    async fn record_parts(&self, lengths: &[usize]) -> Result<(), Error> {
        let Self { triage, message, page, .. } = self;
        let key = keys::page(&message.audit, &message.check, *page);
        triage.ledger.put(Item::new(&key, PARTS, triage.clock.now()).json(PARTS, &lengths)).await
    }

    /// Adds a finding with its decision to what is sent, counted and remembered.
    fn add(&mut self, found: &Found, things: &Things, decision: &Decision<'t, '_>) -> Result<(), Error> {
        let decision = if self.overtaken { &decision.overtaken() } else { decision };
        let (audit, finding) = (&self.message.audit, &found.finding);
        self.outbox.add(&found.export(audit, things, decision), decision)?;
        self.history.note(&found.record(audit, decision))?;
        let counts = self.tally.entry(finding.severity).or_default();
        counts.count(finding, decision.outcome, decision.rule, self.triage.policy.mode());
        Ok(())
    }

    /// Leaves the rest to a new message, with all that the next invocation has to know.
    async fn continue_later(self, next_token: String) -> Result<Next, Error> {
        tracing::info!(
            check = %self.message.check,
            audit.task_id = %self.message.audit.task_id,
            page = self.page,
            lookup.calls = self.lookup.registry.calls(),
            lookup.unknown = self.lookup.registry.unknown(),
            "the check continues in another invocation"
        );
        let mut resume = self.message.resume.clone().unwrap_or_default();
        let pages = resume.page..self.page;
        self.history.save(self.triage.archive, &self.message, &pages).await?;
        resume.segments.push(pages);
        let Outbox { pending, reason_codes, .. } = self.outbox;
        let resume = Resume {
            repeated: self.repeated,
            next_token: Some(next_token),
            page: self.page,
            tally: self.tally,
            pending,
            reason_codes: reason_codes.into_iter().collect(),
            ..resume
        };
        Next::pages(self.message, resume)
    }

    /// Ends the pages of a check. The history is replaced before the summary goes out, because it knows what was fixed.
    async fn end(mut self) -> Result<Next, Error> {
        let Triage { archive, ledger, .. } = self.triage;
        match self.history.load_segments(archive, &self.message).await {
            Err(error) if matches!(&error, Error::Aws { code, .. } if code == "NoSuchKey") => {
                return Next::restart(self.message, &error);
            }
            loaded => loaded?,
        }
        self.history.replace(ledger, archive, &self.message, &mut self.tally).await?;
        tracing::info!(
            check = %self.message.check,
            audit.task_id = %self.message.audit.task_id,
            lookup.calls = self.lookup.registry.calls(),
            lookup.unknown = self.lookup.registry.unknown(),
            "all pages are done"
        );
        let Outbox { pending, reason_codes, .. } = self.outbox;
        let resume = Resume {
            page: self.page,
            tally: self.tally,
            pending,
            reason_codes: reason_codes.into_iter().collect(),
            ..Resume::default()
        };
        Ok(Next::End(CheckMessage { resume: Some(resume), ..self.message }))
    }
}
