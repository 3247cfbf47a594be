//! The guard that waits for a person: what a rule wants approved, and what cannot be taken back, is explained in the ledger,
//! held, and alerted once.
//!
//! What is approved is compared with what would be done now, right before the claim, and the claim finds the approval as it
//! was compared or is not made. The approval that is asked for is written before the task is held: so what a person
//! approves is complete, and a death in between asks again. Whoever looks first after its time, this or a person's command,
//! rejects it, and nothing claims a rejected task.

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Asking;
use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_aws::mitigations::Rejection;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Stop;
use fleetwarden_core::message::CountInGroup;
use fleetwarden_core::metrics::approvals;
use fleetwarden_core::metrics::approvals::Event;
use fleetwarden_core::model::mitigation::approval::ExplainedAction;
use fleetwarden_core::model::mitigation::approval::Explanation;
use fleetwarden_core::model::mitigation::approval::Need;
use fleetwarden_core::model::mitigation::approval::Reason;
use fleetwarden_core::model::mitigation::approval::Standing;
use fleetwarden_core::model::mitigation::impact::Impact;
use fleetwarden_core::model::mitigation::impact::Number;
use fleetwarden_core::policy::Approval;
use fleetwarden_core::policy::Closed;
use fleetwarden_core::policy::approval::Facts;
use fleetwarden_core::policy::approval::needs;
use fleetwarden_core::timestamp::Millis;

use crate::counting::Counting;
use crate::hold::Hold;
use crate::hold::hold;
use crate::message::Message as _;
use crate::settle::Aside;
use crate::settle::ClaimedBy;
use crate::start::Start;
use crate::work::Decided;
use crate::work::Request as _;
use crate::work::Revalidated;
use crate::work::TargetOf;
use crate::work::Work;

/// How often an approval is read again that others write meanwhile.
const ROUNDS: u32 = 8;

/// What a look at the approval of a held mitigation says.
#[derive(Debug)]
pub(crate) enum Look {
    /// A person still has to decide, until a moment.
    Waits(Box<KnownApproval>),
    /// It may go on, or has to be asked for again.
    GoesOn,
    /// It is rejected.
    Ended,
}

/// What is explained of a mitigation besides what it is on.
#[derive(Debug)]
pub(crate) struct Explained<'e> {
    /// Why a person has to approve it.
    pub(crate) reasons: Vec<Reason>,
    /// What its actions do.
    pub(crate) actions: &'e [ExplainedAction],
    /// How many devices it concerns, if a guard has asked.
    pub(crate) impact: Option<&'e Impact>,
}

/// What a person says of what would be done now.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Just that, or more, is approved.
    Approved(Box<KnownApproval>),
    /// Nothing yet: it is asked for.
    Asked(Box<KnownApproval>),
    /// It is rejected.
    Ended,
}

impl<W: Work> Start<W> {
    /// What the rule of a request says of approvals.
    pub(crate) fn approval(&self, request: &W::Request) -> Option<&Approval> {
        self.policy.approval_of(request.origin().rule())
    }

    /// Whether a person may let a request start although no window is open.
    pub(crate) fn may_start_outside(&self, request: &W::Request) -> bool {
        self.approval(request).is_some_and(|approval| approval.outside_of_window)
    }

    /// Whether a person may let a request go over a budget.
    pub(crate) fn may_go_over(&self, request: &W::Request) -> bool {
        self.approval(request).is_some_and(|approval| approval.over_budget)
    }

    /// Looks at the approval of a mitigation that was held for it: while a person has to decide, nothing else is looked up
    /// but what could let it go on without.
    pub(crate) async fn look(&self, message: &W::Message, closed: Option<&Closed>) -> Result<Look, Error> {
        let request = message.request();
        let id = request.task_id();
        let Some(known) = self.settle.mitigations.approval(&id).await? else { return Ok(Look::GoesOn) };
        match known.standing {
            Standing::Rejected | Standing::Lapsed => return Ok(Look::Ended),
            // Its time is over: what that means is written where it is asked for.
            _ if known.is_over(self.settle.clock.now()) => return self.end(message, &known).await,
            Standing::Approved => return Ok(Look::GoesOn),
            Standing::Waiting => {}
        }
        let explanation = &known.asking.explanation;
        let can_pass = explanation.reasons.iter().all(|reason| reason.need.can_pass());
        let passes = can_pass
            && (closed.is_none() || !explanation.has(Need::OutsideOfWindow))
            && (!explanation.has(Need::OverBudget) || self.has_room(message).await?);
        if passes || explanation.policy.as_deref() != Some(self.policy.hash()) {
            return Ok(Look::GoesOn);
        }
        Ok(Look::Waits(Box::new(known)))
    }

    async fn has_room(&self, message: &W::Message) -> Result<bool, Error> {
        let (request, counting) = (message.request(), Counting::of_hold(message.held()));
        let at_once = self.settle.work.at_once(request);
        let stop = Box::pin(self.would_stop(request, at_once, counting)).await?;
        Ok(!matches!(stop, Some(Stop::OverBudget(_))))
    }

    async fn end(&self, message: &W::Message, known: &KnownApproval) -> Result<Look, Error> {
        // If a person has decided at this moment, all is looked at again.
        let is_rejected = self.lapse(message, known).await?;
        Ok(if is_rejected { Look::Ended } else { Look::GoesOn })
    }

    /// Rejects what nobody has approved in time, or what did not start in time. Says whether it is rejected: a person may
    /// have decided at this moment.
    async fn lapse(&self, message: &W::Message, known: &KnownApproval) -> Result<bool, Error> {
        let (settle, now) = (&self.settle, self.settle.clock.now());
        let request = message.request();
        let (id, word) = (request.task_id(), known.lapse());
        let reason = word.reason.as_str();
        for _ in 0..ROUNDS {
            let lapsed = (Standing::Lapsed, &word);
            match settle.mitigations.reject(&id, Some(known), lapsed, now).await? {
                Rejection::Done => {
                    say_lapsed(self.emit, &id, reason, now);
                    return Ok(true);
                }
                Rejection::Changed => return Ok(false),
                Rejection::NotHeld(Some(State::Rejected)) => return Ok(true),
                // A process died before it held it, or it was claimed and waits for room: it is held now, unless it runs.
                Rejection::NotHeld(_) | Rejection::Unknown => {
                    let held = Settled { reason: Some(reason), ..Settled::new(request, State::Held) };
                    match settle.set_aside(message, &held, ClaimedBy::Another).await? {
                        Aside::Yes(_) => {}
                        Aside::Nothing | Aside::No => return Ok(true),
                        Aside::Overtaken(latest) => {
                            settle.supersede(message, &latest.reason()).await?;
                            return Ok(true);
                        }
                    }
                }
            }
        }
        Err(Error::Later(format!("{id}: others still write it after {ROUNDS} tries")))
    }

    /// Why a mitigation that is about to be claimed waits for a person. Empty: it does not.
    pub(crate) fn needs(
        &self,
        request: &W::Request,
        decided: &Decided<W::Request>,
        actions: &[ExplainedAction],
        (closed, over_budget): (Option<&Closed>, Option<&str>),
    ) -> Vec<Reason> {
        let outside_of_window = closed.map(|closed| closed.reason.as_str());
        let severity = decided.severity;
        let (devices, connected) = counted(decided.impact.as_ref());
        let facts = Facts { actions, severity, devices, connected, outside_of_window, over_budget };
        needs(self.approval(request), &facts)
    }

    /// Has a person's answer to what would be done now, or asks for it.
    pub(crate) async fn answer(
        &self,
        message: &W::Message,
        target: &TargetOf<W>,
        explained: Explained<'_>,
    ) -> Result<Answer, Error> {
        let request = message.request();
        let id = request.task_id();
        let asking = self.asking(message, target, explained)?;
        let mitigations = &self.settle.mitigations;
        for _ in 0..ROUNDS {
            let now = self.settle.clock.now();
            let known = mitigations.approval(&id).await?;
            // A process died before people were told, and the time is over: they are asked now.
            let is_told = message.held().is_some_and(|held| held.approval);
            let is_untold =
                |known: &KnownApproval| known.standing == Standing::Waiting && known.is_over(now) && !is_told;
            if let Some(known) = known.as_ref().filter(|known| !is_untold(known)) {
                match known.standing {
                    Standing::Rejected | Standing::Lapsed => return Ok(Answer::Ended),
                    _ if known.is_over(now) => {
                        if self.lapse(message, known).await? {
                            return Ok(Answer::Ended);
                        }
                        continue;
                    }
                    Standing::Approved | Standing::Waiting => {}
                }
                let (wanted, approved) = (&asking.explanation, &known.asking.explanation);
                match (known.standing, wanted.beyond(approved)) {
                    (Standing::Approved, None) => return Ok(Answer::Approved(Box::new(known.clone()))),
                    (_, None) => return Ok(Answer::Asked(Box::new(known.clone()))),
                    // Under another policy it is the same that a person is asked for.
                    (Standing::Waiting, Some(_)) if wanted.id() == approved.id() => {
                        mitigations.explain_again(&id, &asking, known, now).await?;
                        continue;
                    }
                    (_, Some(why)) => {
                        tracing::info!(mitigation.task_id = id, why, "what was explained has changed");
                    }
                }
            }
            if mitigations.ask(&id, &asking, known.as_ref(), now).await? {
                (self.emit)(&approvals::Approval { event: Event::Requested, at: now }.line());
            }
        }
        Err(Error::Later(format!("{id}: others still write its approval after {ROUNDS} tries")))
    }

    fn asking(
        &self,
        message: &W::Message,
        target: &TargetOf<W>,
        Explained { reasons, actions, impact }: Explained<'_>,
    ) -> Result<Asking, Error> {
        let (devices, connected) = counted(impact);
        // What nobody asked about is told only where it is a reason.
        let is_reason = reasons.iter().any(|reason| reason.need == Need::Connected);
        let is_asked = impact.is_some_and(|impact| impact.connected.is_some());
        let connected = connected.filter(|_| is_reason || is_asked);
        let request = message.request();
        let again = W::Message::start(message.clone().into_request());
        let again = serde_json::to_string(&again).map_err(|e| Error::Input(e.to_string()))?;
        let within_seconds = self.approval(request).cloned().unwrap_or_default().within_seconds;
        let explanation = Explanation {
            reasons,
            actions: actions.to_vec(),
            parts: W::parts(target),
            count: W::count(target),
            devices,
            connected,
            policy: Some(self.policy.hash().to_owned()),
        };
        Ok(Asking { explanation, within_seconds, requested_by: None, message: Some(again) })
    }

    /// Holds a mitigation until a person has decided. `in_group`: how much of it counts in the budget of a group that it goes
    /// over.
    pub(crate) async fn hold_for(
        &self,
        message: W::Message,
        known: &KnownApproval,
        in_group: Option<CountInGroup>,
    ) -> Result<(), Error> {
        let reason = format!("waits for approval: {}", known.asking.explanation.why());
        Box::pin(hold(&self.settle, message, Hold::for_approval(&reason, known, in_group))).await
    }

    /// What is known of a mitigation that is only observed, if a guard needs to know its findings.
    pub(crate) async fn looked_at(
        &self,
        request: &W::Request,
        deadline: Millis,
    ) -> Result<Decided<W::Request>, Error> {
        let looks = self.approval(request).is_some_and(Approval::looks_at_findings);
        if (looks || self.budgets(request).any(|budget| budget.group.is_some()))
            && let Revalidated::Known(now) = Box::pin(self.settle.work.revalidate(request, deadline)).await?
        {
            return Ok(now);
        }
        Ok(Decided::all(request))
    }

    /// Why a mitigation that is only observed would wait for a person. Empty: it would not.
    pub(crate) async fn would_need(
        &self,
        request: &W::Request,
        (closed, over_budget): (Option<&Closed>, Option<&str>),
        decided: &Decided<W::Request>,
    ) -> Result<Vec<Reason>, Error> {
        let now = self.settle.clock.now();
        let Ok(actions) = self.grades.of(request.actions(), now).await? else { return Ok(Vec::new()) };
        Ok(self.needs(request, decided, &actions, (closed, over_budget)))
    }
}

/// How many devices were counted, and how many of them are connected. Where nobody had to ask, all of them may be.
fn counted(impact: Option<&Impact>) -> (Option<u64>, Option<u64>) {
    let number = |number: Number| (!number.or_more).then_some(number.count);
    let devices = impact.and_then(|impact| number(impact.devices));
    let connected =
        impact.and_then(|impact| number(impact.connected.map_or(impact.devices, |of| of.devices)));
    (devices, connected)
}

/// Logs and counts that the time of an approval is over.
pub(crate) fn say_lapsed(emit: fn(&str), id: &str, reason: &str, now: Millis) {
    tracing::warn!(mitigation.task_id = id, reason, "the mitigation is rejected");
    emit(&approvals::Approval { event: Event::Lapsed, at: now }.line());
}

/// The ids of findings or violations.
pub(crate) fn ids<'p>(parts: impl Iterator<Item = &'p str>) -> BTreeSet<String> {
    parts.map(ToOwned::to_owned).collect()
}
