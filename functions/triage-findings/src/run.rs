//! One check of one audit, from its first page to its end or to the deadline.

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::batch;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::about;
use fleetwarden_aws::registry::OutOfTime;
use fleetwarden_aws::registry::Pace;
use fleetwarden_aws::registry::Registry;
use fleetwarden_core::api;
use fleetwarden_core::api::listing::Listed;
use fleetwarden_core::api::listing::Listing;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::message::FindingRecord;
use fleetwarden_core::message::Resume;
use fleetwarden_core::message::Tally;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::model::finding::FindingKey;
use fleetwarden_core::model::history::Record;
use fleetwarden_core::model::history::Status;
use fleetwarden_core::model::suppression::FirstSuppressed;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::policy::Decision;
use fleetwarden_core::policy::Subject;
use fleetwarden_core::timestamp::Millis;
use futures_util::future::join;
use futures_util::future::try_join;
use futures_util::future::try_join3;
use futures_util::stream;
use futures_util::stream::StreamExt as _;
use futures_util::stream::TryStreamExt as _;
use serde_json::Map;

use crate::Triage;
use crate::history::History;
use crate::outbox::Messages;
use crate::outbox::Outbox;
use crate::parts::Sent;
use crate::step::Next;

/// The most findings a page (`ListAuditFindings`).
const PAGE: u32 = 250;
/// No page is asked for when less than this is left, in milliseconds; or than a fifth of the time, if that is
/// less: what was begun has to end, and a history of millions has to be merged.
const MARGIN_MS: i64 = 30_000;
/// Of how many findings the things are looked up at once.
const LOOKUPS: usize = 8;

/// The sort key, and the attribute, of the parts of a page.
const PARTS: &str = "parts";

/// A check on its way.
pub(crate) struct Run<'t> {
    triage: &'t Triage,
    message: CheckMessage,
    outbox: Outbox<'t>,
    history: History,
    tally: Tally,
    registry: Registry,
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

/// A finding with its past.
struct Found {
    finding: Finding,
    key: FindingKey,
    status: Status,
    first_seen: Millis,
    times_seen: u16,
    first_suppressed: Option<FirstSuppressed>,
}

/// What to do with a page when the time is up before all is looked up.
#[derive(Clone, Copy)]
enum AtTimeOut {
    /// Leave it to a new message as if it had not been begun.
    LeavePage,
    /// Decide without what is not known. For the page that an invocation begins with: another would have no
    /// more time for it, and so the check would never end.
    GiveUp,
}

impl Triage {
    /// Handles one check message.
    ///
    /// A repeat of a message that is done does nothing. One that comes while another works on it comes again
    /// later: the worker may be dead, and then its claim ends with its deadline.
    pub(crate) async fn check(&self, body: &str, deadline: Millis) -> Result<(), Error> {
        let message: CheckMessage = batch::parse_own("check message", body, &self.account)?;
        let (restarts, page) =
            message.resume.as_ref().map_or((0, 0), |resume| (resume.restarts, resume.page));
        let about = about::triage(&message.audit, &message.check, restarts, page);
        let work = self.step(&about, message, deadline);
        self.ledger.once(&about, self.consumer.clock.now(), deadline, work).await.map(drop)
    }

    /// Sends what a page or the end of a check makes.
    pub(crate) async fn send(&self, messages: Messages) -> Result<(), Error> {
        let Messages { finding, suppression, mitigation } = &messages;
        let queues = &self.queues;
        let all = try_join3(
            queues.finding.send(finding),
            queues.suppression.send(suppression),
            queues.mitigation.send(mitigation),
        );
        all.await.map(drop)
    }
}

impl<'t> Run<'t> {
    /// Begins with a message. `repeated` says whether a try before may have sent its pages.
    ///
    /// Whether a later audit has looked at the check is asked here and before the end, not at every page: what acts
    /// on the messages asks again.
    pub(crate) async fn start(
        triage: &'t Triage,
        mut message: CheckMessage,
        repeated: bool,
    ) -> Result<Self, Error> {
        let Triage { ledger, archive, policy, .. } = triage;
        let (history, later) = try_join(
            History::open(ledger, archive, &message),
            ledger.later_audit(&message.audit, &message.check),
        )
        .await?;
        if let Some(later) = &later {
            tracing::info!(check = %message.check, task = %message.audit.task_id, later, "a later audit has looked at the check: this one is only exported");
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
            registry: {
                let Audit { account, region, .. } = &message.audit;
                Registry::new(triage.iot.clone(), Pace::Patient, account, region)
            },
            page: message.resume.as_ref().map_or(0, |resume| resume.page),
            repeated,
            overtaken: later.is_some(),
            message,
        })
    }

    /// Does pages until the end or near the deadline, and says what comes next.
    pub(crate) async fn go(mut self, deadline: Millis) -> Result<Next, Error> {
        let left = deadline.0 - self.triage.consumer.clock.now().0;
        let stop_at = Millis(deadline.0 - MARGIN_MS.min(left / 5));
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
        let mut page = match self.list(token.clone()).await {
            Err(error) if token.is_some() && error.is_permanent() => return Ok(Stop::Refused(error)),
            listed => listed?,
        };
        let mut asked = token;
        let mut at_time_out = AtTimeOut::GiveUp;
        let mut way = Pages::default();
        loop {
            let Some(messages) = self.decide(page.findings, stop_at, at_time_out).await? else {
                tracing::info!("the time is up while things are looked up: the page goes to a new message");
                return Ok(Stop::TimeOut(asked.unwrap_or_default()));
            };
            let Some(next) = page.next_token else {
                self.triage.send(messages).await?;
                return Ok(Stop::Done);
            };
            way.turn(Some(next.clone())).map_err(|endless| {
                Error::Later(format!("ListAuditFindings on {}: {endless}", self.message.check))
            })?;
            if self.triage.consumer.clock.now() > stop_at {
                self.triage.send(messages).await?;
                return Ok(Stop::TimeOut(next));
            }
            let (sent, following) = join(self.triage.send(messages), self.list(Some(next.clone()))).await;
            sent?;
            page = match following {
                Ok(page) => page,
                // The pages before are done: they need not be done again because this one failed.
                Err(error) => {
                    tracing::warn!(%error, "the next page goes to a new message");
                    return Ok(Stop::TimeOut(next));
                }
            };
            asked = Some(next);
            at_time_out = AtTimeOut::LeavePage;
        }
    }

    async fn list(&self, token: Option<String>) -> Result<Listing, Error> {
        let CheckMessage { audit, check, .. } = &self.message;
        let operation = api::audit("ListAuditFindings").map_err(Error::Input)?;
        let mut input = Map::from_iter([
            ("taskId".to_owned(), audit.task_id.as_str().into()),
            ("checkName".to_owned(), check.as_str().into()),
            ("maxResults".to_owned(), PAGE.into()),
        ]);
        input.extend(token.map(|token| ("nextToken".to_owned(), token.into())));
        let answer = self.triage.iot.call(operation, &input).await?;
        let unreadable =
            |e| Error::Later(format!("ListAuditFindings on {check}: the answer is no page: {e}"));
        Listing::read(answer.get()).map_err(unreadable)
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
        let policy = &self.triage.policy;
        let audit = self.message.audit.clone();
        let found = self.take_over(findings)?;
        let subject = |found| subject(&audit, found);
        let subjects: Vec<Subject<'_>> = found.iter().map(subject).collect();
        let decisions: Vec<Decision<'_, '_>> =
            subjects.iter().map(|subject| policy.decide(subject)).collect();
        let Some(things) = self.look_up(&decisions, &subjects, stop_at, at_time_out).await else {
            return Ok(None);
        };
        for (((found, subject), decision), things) in found.iter().zip(&subjects).zip(&decisions).zip(&things)
        {
            match things {
                None => self.keep(found, subject, decision)?,
                Some(things) => {
                    let subject = Subject { things, ..subject.clone() };
                    self.keep(found, &subject, &policy.decide(&subject))?;
                }
            }
        }
        // On the heap: calls are large, and most pages make none here.
        let sent = if self.repeated { Box::pin(self.sent()).await? } else { Sent::Never };
        let (messages, parts) = self.outbox.page(self.page, &sent)?;
        if parts.len() > 1 && !matches!(sent, Sent::Maybe(Some(_))) {
            Box::pin(self.record(&parts)).await?;
        }
        self.page += 1;
        Ok(Some(messages))
    }

    /// What is known of the next page, which may have been sent.
    async fn sent(&self) -> Result<Sent, Error> {
        let about = about::page(&self.message.audit, &self.message.check, self.page);
        let item = self.triage.ledger.get(&about, PARTS).await?;
        let parts = item.as_ref().and_then(|item| item.get_text(PARTS));
        Ok(Sent::Maybe(parts.and_then(|parts| serde_json::from_str(parts).ok())))
    }

    /// Records the parts of the next page before they are sent.
    async fn record(&self, parts: &[usize]) -> Result<(), Error> {
        let Self { triage, message, page, .. } = self;
        let item = Item::new(
            &about::page(&message.audit, &message.check, *page),
            PARTS,
            triage.consumer.clock.now(),
        );
        triage.ledger.put(item.json(PARTS, &parts)).await
    }

    /// Takes the findings of a page over, each with its past.
    fn take_over(&self, findings: Vec<Listed>) -> Result<Vec<Found>, Error> {
        let take_over = |(at, listed): (usize, Listed)| {
            let unnamed = || format!("unnamed-{}-{at}", self.page);
            let finding = listed.into_finding(&self.message.check, unnamed);
            let key = finding.key();
            let before = self.history.look_up(key)?;
            let started_at = self.message.audit.started_at;
            Ok(Found {
                finding,
                key,
                status: self.history.status(before.as_ref()),
                first_seen: before.map_or(started_at, |record| record.first_seen.min(started_at)),
                times_seen: before.map_or(0, |record| record.times_seen).saturating_add(1),
                first_suppressed: before.and_then(|record| record.first_suppressed),
            })
        };
        findings.into_iter().enumerate().map(take_over).collect()
    }

    /// Looks up what each decision of a page wants, in the page's order. None of a finding that wants nothing;
    /// none at all if the time is up and the page can be left.
    async fn look_up(
        &self,
        decisions: &[Decision<'_, '_>],
        subjects: &[Subject<'_>],
        stop_at: Millis,
        at_time_out: AtTimeOut,
    ) -> Option<Vec<Option<Things>>> {
        let Triage { policy, consumer, .. } = self.triage;
        let look_up = async |(decision, subject): (&Decision<'_, '_>, &Subject<'_>)| {
            if decision.wanted.is_nothing() {
                return Ok(None);
            }
            let left = stop_at.0.saturating_sub(consumer.clock.now().0);
            let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
            // On the heap: the calls behind it are large, and most findings make none.
            let wants = |things: &Things| policy.decide(&Subject { things, ..subject.clone() }).wanted;
            let looked_up = self.registry.look_up_within(left, subject.finding.identifier(), wants);
            match (Box::pin(looked_up).await, at_time_out) {
                (Ok(things), _) => Ok(Some(things)),
                (Err(OutOfTime), AtTimeOut::GiveUp) => Ok(Some(self.registry.give_up("the time was up"))),
                (Err(OutOfTime), AtTimeOut::LeavePage) => Err(OutOfTime),
            }
        };
        let looked_up = stream::iter(decisions.iter().zip(subjects)).map(look_up).buffered(LOOKUPS);
        looked_up.try_collect().await.ok()
    }

    /// Takes a finding with its decision into what is sent, counted and remembered.
    fn keep(
        &mut self,
        found: &Found,
        subject: &Subject<'_>,
        decision: &Decision<'t, '_>,
    ) -> Result<(), Error> {
        let Found { finding, key, status, first_seen, times_seen, first_suppressed } = found;
        let decision = if self.overtaken { &decision.overtaken() } else { decision };
        let (audit, severity) = (&self.message.audit, finding.severity);
        let record = FindingRecord {
            kind: "finding",
            account: &audit.account,
            region: &audit.region,
            task_id: &audit.task_id,
            schedule: audit.schedule.as_deref(),
            audit_started_at: audit.started_at,
            key: *key,
            status: *status,
            first_seen: *first_seen,
            times_seen: subject.times_seen,
            first_suppressed: *first_suppressed,
            things: subject.things,
            finding,
            decision,
        };
        self.outbox.add(&record, decision)?;
        self.history.note(&Record {
            key: *key,
            first_seen: *first_seen,
            last_seen: audit.started_at,
            times_seen: *times_seen,
            severity,
            open: true,
            first_suppressed: decision.first_suppressed(),
            suppressed: finding.suppressed,
        })?;
        let mode = self.triage.policy.mode();
        self.tally.entry(severity).or_default().count(finding, decision.outcome, decision.rule, mode);
        Ok(())
    }

    /// Leaves the rest to a new message, with all that the next invocation has to know.
    async fn continue_later(self, next_token: String) -> Result<Next, Error> {
        tracing::info!(
            check = %self.message.check,
            page = self.page,
            lookup.calls = self.registry.calls(),
            lookup.unknown = self.registry.unknown(),
            "goes on in another invocation"
        );
        let mut resume = self.message.resume.clone().unwrap_or_default();
        let pages = resume.page..self.page;
        self.history.keep(&self.triage.archive, &self.message, &pages).await?;
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
        match self.history.gather(archive, &self.message).await {
            Err(error) if matches!(&error, Error::Aws { code, .. } if code == "NoSuchKey") => {
                return Next::restart(self.message, &error);
            }
            gathered => gathered?,
        }
        self.history.replace(ledger, archive, &self.message, &mut self.tally).await?;
        tracing::info!(
            check = %self.message.check,
            lookup.calls = self.registry.calls(),
            lookup.unknown = self.registry.unknown(),
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

/// What is decided on before anything is looked up.
fn subject<'s>(audit: &'s Audit, found: &'s Found) -> Subject<'s> {
    Subject {
        finding: &found.finding,
        account: &audit.account,
        region: &audit.region,
        at: audit.started_at,
        first_seen: found.first_seen,
        times_seen: found.times_seen.into(),
        first_suppressed: found.first_suppressed,
        things: &Things::NotAsked,
    }
}
