//! One check of one audit, from its first page to its end or to the deadline.

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::invocation;
use fleetwarden_core::api::listing::Listed;
use fleetwarden_core::api::listing::Listing;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::message::Resume;
use fleetwarden_core::message::Tally;
use fleetwarden_core::message::record::RecordedFinding;
use fleetwarden_core::model::history::Record;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::policy::Decision;
use fleetwarden_core::policy::Kind;
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
use crate::outbox::text::text;
use crate::recording::Decided;
use crate::recording::Line;
use crate::recording::Page;
use crate::recording::Part;
use crate::step::Next;
use crate::step::Triage;
use crate::verification;

/// No page is asked for when less than this is left: what was begun has to end, and a history of millions has to be
/// merged.
const MARGIN: Duration = Duration::from_secs(30);

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
    /// Whether a try before this one may have recorded these pages.
    repeated: bool,
    /// A later audit has looked at the check: then this one only exports.
    overtaken: bool,
}

/// What came of a page.
enum Paged {
    /// It was left: the time was up before all was looked up. Nothing of it was noted.
    OutOfTime,
    /// It is recorded and sent. There is no other, or none was asked for in time.
    Sent,
    /// It is recorded and sent, and this one comes after it.
    Before(Listing),
}

/// Why no further page is done.
enum Stop {
    /// There are none.
    Done,
    /// The time is up. The token of the next page.
    TimeOut(String),
    /// The service does not take the token that the message gave.
    Refused(Error),
    /// Not all pages were decided alike, and one task was to take them all.
    Disputed,
}

impl<'t> Run<'t> {
    /// Begins with a message. `repeated` says whether a try before may have recorded its pages.
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
            outbox: Outbox::new(&message, policy),
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
        let stop = match () {
            () if self.outbox.is_disputed() => Stop::Disputed,
            () if self.message.is_surely_empty() => Stop::Done,
            () => self.pages(token, stop_at).await?,
        };
        match stop {
            Stop::Done => self.end().await,
            Stop::TimeOut(next_token) => self.continue_later(next_token).await,
            Stop::Refused(error) => Next::restart(self.message, &error),
            Stop::Disputed => Next::restart_by_id(self.message),
        }
    }

    /// Does pages until there are none, or until it is time to stop.
    async fn pages(&mut self, token: Option<String>, stop_at: Millis) -> Result<Stop, Error> {
        let CheckMessage { audit, check, .. } = &self.message;
        let mut page = match list(self.triage.iot, audit, check, token.clone()).await {
            Err(error) if token.is_some() && error.is_permanent() => return Ok(Stop::Refused(error)),
            listed => listed?,
        };
        let mut current = token;
        let mut at_time_out = AtTimeOut::GiveUp;
        let mut tokens = Pages::default();
        loop {
            let next = page.next_token;
            if let Some(next) = &next {
                tokens.turn(Some(next.clone())).map_err(|endless| {
                    Error::Later(format!("ListAuditFindings on {}: {endless}", self.message.check))
                })?;
            }
            match self.page(page.findings, next.clone(), stop_at, at_time_out).await? {
                Paged::OutOfTime => {
                    tracing::info!(
                        "no time is left while things are looked up: the page goes to a new message"
                    );
                    return Ok(Stop::TimeOut(current.unwrap_or_default()));
                }
                _ if self.outbox.is_disputed() => return Ok(Stop::Disputed),
                Paged::Sent => return Ok(next.map_or(Stop::Done, Stop::TimeOut)),
                Paged::Before(following) => page = following,
            }
            current = next;
            at_time_out = AtTimeOut::LeavePage;
        }
    }

    /// Decides on the findings of a page, records it and sends what comes of it. Meanwhile the next page is on its way.
    async fn page(
        &mut self,
        findings: Vec<Listed>,
        next: Option<String>,
        stop_at: Millis,
        at_time_out: AtTimeOut,
    ) -> Result<Paged, Error> {
        let Triage { policy, archive, iot, clock, .. } = self.triage;
        let CheckMessage { audit, check, .. } = self.message.clone();
        let found = with_past(findings, self.page, &self.message, &self.history)?;
        let subjects: Vec<Subject<'_>> = found.iter().map(|found| found.subject(&audit)).collect();
        let decisions: Vec<Decision<'_, '_>> =
            subjects.iter().map(|subject| policy.decide(subject)).collect();
        let things = self.lookup.things(&decisions, &subjects, stop_at, at_time_out).await;
        let Some(things) = things else { return Ok(Paged::OutOfTime) };
        let known: Vec<Option<Subject<'_>>> = subjects
            .iter()
            .zip(&things)
            .map(|(subject, things)| things.as_ref().map(|things| Subject { things, ..subject.clone() }))
            .collect();
        let decisions: Vec<Decision<'_, '_>> = decisions
            .into_iter()
            .zip(&known)
            .map(|(decision, known)| {
                self.unless_overtaken(known.as_ref().map_or(decision, |s| policy.decide(s)))
            })
            .collect();
        let lines = found.iter().zip(&things).zip(&decisions).map(|((found, things), decision)| {
            let things = things.as_ref().unwrap_or(&Things::NotAsked);
            let text = text(&found.export(&audit, things, decision))?;
            Ok(Line { finding_id: found.finding.finding_id.clone(), text })
        });
        let lines = lines.collect::<Result<Vec<_>, Error>>()?;
        let repeated = self.repeated;
        let page = Page { audit: &audit, check: &check, number: self.page };
        let this = async {
            let parts = page.record(archive, &lines, repeated).await?;
            let messages = self.take(&parts, &found, &decisions)?;
            self.triage.send(messages).await
        };
        let following = async {
            match next {
                Some(token) if clock.now() <= stop_at => Some(list(iot, &audit, &check, Some(token)).await),
                _ => None,
            }
        };
        let (sent, following) = join(this, following).await;
        sent?;
        Ok(match following {
            None => Paged::Sent,
            Some(Ok(following)) => Paged::Before(following),
            // The pages before are done: they need not be done again because this one failed.
            Some(Err(error)) => {
                tracing::warn!(%error, "the next page goes to a new message");
                Paged::Sent
            }
        })
    }

    /// A decision of this audit. If a later audit has looked at the check, that one decides.
    const fn unless_overtaken<'s>(&self, decision: Decision<'t, 's>) -> Decision<'t, 's> {
        if self.overtaken { decision.overtaken() } else { decision }
    }

    /// Takes a page as it is recorded: each finding is remembered, counted, and acted on.
    fn take(
        &mut self,
        parts: &[Part<'_>],
        found: &[Found],
        decisions: &[Decision<'t, '_>],
    ) -> Result<Messages, Error> {
        for part in parts {
            match &part.decided {
                Decided::Now(places) => {
                    for (found, decision) in
                        places.iter().filter_map(|at| found.get(*at).zip(decisions.get(*at)))
                    {
                        self.add(found, decision)?;
                    }
                }
                Decided::Before(records) => {
                    for record in records {
                        self.add_recorded(record)?;
                    }
                }
            }
        }
        let messages = self.outbox.page(self.page, parts)?;
        self.page += 1;
        Ok(messages)
    }

    /// Takes a finding with its decision.
    fn add(&mut self, found: &Found, decision: &Decision<'t, '_>) -> Result<(), Error> {
        let finding = &found.finding;
        self.outbox.add(finding, found.reference(), decision)?;
        self.history.note(&found.record(&self.message.audit, decision))?;
        let counts = self.tally.entry(finding.severity).or_default();
        counts.count(finding, decision.outcome.kind(), decision.rule, self.triage.policy.mode());
        Ok(())
    }

    /// Takes a finding that an earlier try has decided on. It is acted on if this try decides alike: what acts asks the
    /// policy again, and nothing that the record does not have is ever done.
    fn add_recorded(&mut self, record: &RecordedFinding) -> Result<(), Error> {
        let RecordedFinding { finding, decision: recorded, .. } = record;
        let kind = recorded.kind().ok_or_else(|| {
            let id = &finding.finding_id;
            Error::Input(format!("the record of finding {id} has an outcome that no finding has"))
        })?;
        let found = Found::recorded(record);
        let policy = self.triage.policy;
        let subject = record.subject();
        let decision = self.unless_overtaken(policy.decide(&subject));
        // What was only observed is not done because of a later policy that enforces.
        let is_alike = decision.outcome.word() == kind.word()
            && decision.rule == recorded.rule.as_deref()
            && policy.mode().safer(recorded.mode) == policy.mode();
        // Another policy may have sent it by its id.
        let is_of_another = kind == Kind::Mitigate && recorded.policy != policy.hash();
        if !self.overtaken && (!is_alike || is_of_another) {
            self.outbox.dispute();
        }
        if is_alike {
            self.outbox.add(finding, found.reference(), &decision)?;
        }
        let first_suppressed = if is_alike { decision.first_suppressed() } else { record.first_suppressed };
        self.history.note(&Record { first_suppressed, ..found.record(&self.message.audit, &decision) })?;
        let counts = self.tally.entry(finding.severity).or_default();
        counts.count(finding, kind, recorded.rule.as_deref(), recorded.mode);
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
        let policy = self.decided_by();
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
            policy,
            ..resume
        };
        Next::pages(self.message, resume)
    }

    /// The hash of the policy that has decided on all pages so far.
    fn decided_by(&self) -> Option<String> {
        let hash = self.triage.policy.hash();
        let before = self.message.resume.as_ref().filter(|resume| resume.page > 0);
        before.is_none_or(|resume| resume.policy.as_deref() == Some(hash)).then(|| hash.to_owned())
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
        let policy = self.decided_by();
        let after = self.history.replace(ledger, archive, &self.message, &mut self.tally).await?;
        // Else a later audit looks at what was mitigated.
        if let Some(after) = after {
            Box::pin(verification::verify(&self.triage, &self.message, &after)).await?;
        }
        tracing::info!(
            check = %self.message.check,
            audit.task_id = %self.message.audit.task_id,
            lookup.calls = self.lookup.registry.calls(),
            lookup.unknown = self.lookup.registry.unknown(),
            "all pages are done"
        );
        let Resume { restarts, by_id, .. } = self.message.resume.clone().unwrap_or_default();
        let Outbox { pending, reason_codes, .. } = self.outbox;
        let resume = Resume {
            page: self.page,
            tally: self.tally,
            pending,
            reason_codes: reason_codes.into_iter().collect(),
            policy,
            by_id,
            restarts,
            ..Resume::default()
        };
        Ok(Next::End(CheckMessage { resume: Some(resume), ..self.message }))
    }
}
