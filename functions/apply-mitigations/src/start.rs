//! The first step: a mitigation is admitted, decided on again, claimed, started, and its follow-up sent.
//!
//! Between claim and start the states that the task will change are written down ([`before`](crate::before)).
//!
//! A crash on the way leaves a claim of its own, which the next delivery takes again; a start that is repeated names
//! the same task. The ledger says `started` last, when a follow-up is certainly on its way. What a
//! guard holds goes on in [`hold`](crate::hold).

use std::sync::Arc;

use aws_sdk_iot::Client;
use fleetwarden_aws::Error;
use fleetwarden_aws::fleet;
use fleetwarden_aws::fleet::Sizes;
use fleetwarden_aws::grades::Grades;
use fleetwarden_aws::grades::GradesByAction;
use fleetwarden_aws::grades::by_action;
use fleetwarden_aws::mitigations::CanaryTurn;
use fleetwarden_aws::mitigations::Claim;
use fleetwarden_aws::mitigations::Claimable as _;
use fleetwarden_aws::mitigations::ConnectedThings;
use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_aws::mitigations::Over;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::Spend;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Stop;
use fleetwarden_aws::mitigations::Taken;
use fleetwarden_core::model::mitigation::approval::ExplainedAction;
use fleetwarden_core::model::mitigation::approval::Need;
use fleetwarden_core::model::mitigation::grade::Grade;
use fleetwarden_core::policy::Budget;
use fleetwarden_core::policy::Closed;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;

use crate::admission::Admission;
use crate::alerts::Event;
use crate::approval::Answer;
use crate::approval::Explained;
use crate::approval::Look;
use crate::before::Stored;
use crate::counting::Counting;
use crate::hold::Hold;
use crate::hold::hold;
use crate::message::Message as _;
use crate::refusals::Unable;
use crate::room::Room;
use crate::settle::Settle;
use crate::settle::known;
use crate::task::Started;
use crate::work::Decided;
use crate::work::Request as _;
use crate::work::Revalidated;
use crate::work::TargetOf;
use crate::work::Turn;
use crate::work::Work;

/// Starts mitigations.
pub(crate) struct Start<W> {
    pub(crate) settle: Settle<W>,
    pub(crate) policy: Arc<Policy>,
    /// Whether the service has room for a task.
    pub(crate) room: Room,
    /// AWS IoT, for the size of the fleet.
    pub(crate) iot: Client,
    /// What actions do, and how hard that is to take back.
    pub(crate) grades: Grades,
    /// Writes a metric line.
    pub(crate) emit: fn(&str),
}

/// With what a claim is made.
struct Claiming<'c> {
    /// How hard it is to take the actions back.
    grades: &'c GradesByAction,
    /// The approval that it needs.
    approved: Option<&'c KnownApproval>,
    /// Whose turn it is by the canary of the rule.
    turn: &'c Turn,
    /// The things whose loss stops the rest.
    watched: Option<&'c ConnectedThings>,
}

impl<W: Work> Start<W> {
    /// Starts what a message asks for, if it may.
    pub(crate) async fn start(&self, message: W::Message, deadline: Millis) -> Result<(), Error> {
        let Self { settle, .. } = self;
        let request = message.request();
        let admission = settle.work.admit(request)?;
        // What may be malformed is not written out: the parked record has it.
        if let Admission::Refuse { reason } = admission {
            let alert = request.alert(Event::Refused(&reason));
            return settle.refuse(request, None, reason, &alert).await;
        }
        // What observes sends no next message. Were it to take a round, a copy with a false mode would end the chain of
        // the true message.
        let waits = !matches!(admission, Admission::Observe { .. });
        let taken = if waits { settle.backoff.take_round(&message).await? } else { Taken::Yes };
        match taken {
            Taken::Yes => {}
            Taken::Passed => return Ok(()),
            Taken::Overtaken(latest) => return settle.supersede(&message, &latest.reason()).await.map(drop),
        }
        match admission {
            Admission::Observe { closed } => {
                Box::pin(self.observe(&message, closed.as_ref(), deadline)).await
            }
            Admission::Go => Box::pin(self.enforce(message, None, deadline)).await,
            Admission::Hold { closed } | Admission::Shut { closed } if self.may_start_outside(request) => {
                Box::pin(self.enforce(message, Some(&closed), deadline)).await
            }
            Admission::Hold { closed: Closed { reason, opens } } => {
                let until = opens.unwrap_or_else(|| settle.clock.now());
                hold(settle, message, Hold::until(&reason, until)).await
            }
            Admission::Refuse { reason } | Admission::Shut { closed: Closed { reason, .. } } => {
                let alert = request.alert(Event::Shut(&reason));
                settle.refuse(request, Some(request.target()), reason, &alert).await
            }
        }
    }

    /// The guard that would stop a claim of so many of what a request is for.
    pub(crate) async fn would_stop(
        &self,
        request: &W::Request,
        count: u64,
        counting: Counting<'_>,
    ) -> Result<Option<Stop>, Error> {
        let Settle { mitigations, clock, .. } = &self.settle;
        if let Some(pause) = mitigations.pause().await? {
            return Ok(Some(Stop::Paused(pause)));
        }
        let id = request.task_id();
        let over = async |sizes: &Sizes| {
            let spends = self.spends(request, sizes, |budget, spend| counting.of(budget, spend));
            mitigations.over_budget(&id, &spends, count, clock.now()).await
        };
        let mut stops = over(&Sizes::default()).await?;
        if stops.is_some() {
            let sizes = Box::pin(self.sizes(request)).await?;
            if !sizes.is_empty() {
                stops = over(&sizes).await?;
            }
        }
        Ok(stops.map(Stop::OverBudget))
    }

    /// The budgets that a task of a request has to fit into.
    pub(crate) fn budgets<'s>(&'s self, request: &'s W::Request) -> impl Iterator<Item = &'s Budget> {
        self.policy.budgets_of(request.origin().rule(), request.actions())
    }

    /// What a request spends of its budgets, of things of which there are so many. `counted` says how much counts in the
    /// budget of a group.
    fn spends(
        &self,
        request: &W::Request,
        sizes: &Sizes,
        counted: impl Fn(&Budget, Spend) -> Spend,
    ) -> Vec<Spend> {
        let spend = |budget: &Budget| {
            let spend = Spend::new(budget, sizes.of(budget));
            if budget.group.is_some() { counted(budget, spend) } else { spend }
        };
        self.budgets(request).map(spend).collect()
    }

    /// How many things there are, as far as a share of them counts.
    async fn sizes(&self, request: &W::Request) -> Result<Sizes, Error> {
        let Settle { mitigations, clock, .. } = &self.settle;
        fleet::count(mitigations.ledger(), &self.iot, self.budgets(request), clock.now()).await
    }

    async fn enforce(
        &self,
        message: W::Message,
        closed: Option<&Closed>,
        deadline: Millis,
    ) -> Result<(), Error> {
        let Self { settle, .. } = self;
        let request = message.request();
        let held = message.held();
        // While a person has to decide, nothing is looked up.
        let waits_for_approval = held.is_some_and(|held| held.approval);
        if waits_for_approval {
            match Box::pin(self.look(&message, closed)).await? {
                Look::Waits(known) => {
                    let in_group = held.and_then(|held| held.in_group);
                    return self.hold_for(message, &known, in_group).await;
                }
                Look::Ended => {
                    known(request, State::Rejected);
                    return Ok(());
                }
                Look::GoesOn => {}
            }
        }
        let waits_since = held.filter(|held| held.canary).map(|held| held.since);
        let turn = Box::pin(settle.work.turn(request, waits_since)).await?;
        match &turn {
            Turn::Wait(stop) => return self.stopped(message, stop).await,
            Turn::Stopped(reason) => return settle.stop(message, reason).await,
            // What was chosen is claimed, and who claimed it may have died right after the start.
            Turn::First { first, .. }
                if !first.is_empty() && Box::pin(settle.is_at_service(request)).await? =>
            {
                let target = request.target().clone();
                return settle.started(message, &target).await;
            }
            Turn::Free | Turn::First { .. } | Turn::Rest => {}
        }
        let at_once = match &turn {
            Turn::First { most, .. } => W::count(request.target()).min(*most as u64),
            _ => W::count(request.target()),
        };
        // While a pause or a budget holds it, no finding is looked up. What would wait for good may be wanted no more.
        if !waits_for_approval
            && held.is_some_and(|held| held.paused.is_some() || held.over_budget)
            && let Some(stop) = Box::pin(self.would_stop(request, at_once, Counting::of_hold(held))).await?
            && !stop.is_for_good()
            && !(matches!(stop, Stop::OverBudget(_)) && self.may_go_over(request))
        {
            return self.stopped(message, &stop).await;
        }
        let now = settle.clock.now();
        if !settle.backoff.is_out_of_patience(&message) && self.room.is_full(now) {
            let waits = message.waited().0;
            tracing::info!(mitigation.task_id = request.task_id(), waits, "{}: no start is tried", W::FULL);
            return settle.backoff.put_off(message).await;
        }
        match Box::pin(settle.work.revalidate(request, deadline)).await? {
            Revalidated::Known(decided) => {
                let decided = Box::pin(self.divide(request, decided, &turn, deadline)).await?;
                Box::pin(self.start_decided(message, &decided, (closed, &turn), deadline)).await
            }
            Revalidated::Unknown(why) => {
                let target = request.target().clone();
                self.wait(message, &target, &why).await
            }
            Revalidated::Never(unable, why) => {
                let target = request.target().clone();
                // An earlier delivery may have started it, before the action was taken away.
                if settle.is_at_service(request).await? {
                    return settle.started(message, &target).await;
                }
                settle.unable(request, &target, unable, &why).await
            }
        }
    }

    /// Of what goes first the first few, when the rest is on its way.
    async fn divide(
        &self,
        request: &W::Request,
        decided: Decided<W::Request>,
        turn: &Turn,
        deadline: Millis,
    ) -> Result<Decided<W::Request>, Error> {
        let Turn::First { most, first, .. } = turn else { return Ok(decided) };
        let (decided, rest) = self.settle.work.divide(request, decided, (*most, first), deadline).await;
        for rest in rest {
            self.settle.backoff.send_first(&W::Message::start(rest)).await?;
        }
        Ok(decided)
    }

    /// Ends a mitigation of which nothing is wanted any more.
    async fn nothing_wanted(&self, message: &W::Message, decided: &Decided<W::Request>) -> Result<(), Error> {
        let reason = decided.reason.as_deref().unwrap_or_default();
        if self.settle.supersede_with(message, reason, &decided.guards).await? {
            self.leave_out(message.request(), decided).await?;
        }
        Ok(())
    }

    async fn start_decided(
        &self,
        message: W::Message,
        decided: &Decided<W::Request>,
        (closed, turn): (Option<&Closed>, &Turn),
        deadline: Millis,
    ) -> Result<(), Error> {
        let Self { settle, .. } = self;
        let request = message.request();
        let Some(target) = &decided.target else { return self.nothing_wanted(&message, decided).await };
        let actions = match Box::pin(self.actions(request)).await {
            Ok(Ok(actions)) => actions,
            Ok(Err(missing)) => return settle.unable(request, target, Unable::Action, &missing).await,
            Err(error) => {
                let why = format!("what its actions do is not known: {error}");
                return self.wait(message, target, &why).await;
            }
        };
        let watched = match turn {
            Turn::First { .. } => Box::pin(settle.work.watched(request, decided, deadline)).await,
            _ => Ok(None),
        };
        let watched = match watched {
            Ok(watched) => watched,
            Err(error) => {
                let why = format!("which of its devices are connected is not known: {error}");
                return self.wait(message, target, &why).await;
            }
        };
        let grades = by_action(&actions);
        let mut over_budget: Option<Over> = None;
        let claimed = loop {
            let over = over_budget.as_ref().map(Over::reason);
            let reasons = self.needs(request, decided, &actions, (closed, over.as_deref()));
            let mut approved = None;
            if !reasons.is_empty() {
                if let Some(pause) = settle.mitigations.pause().await? {
                    return self.stopped(message, &Stop::Paused(pause)).await;
                }
                let (actions, impact) = (&actions, decided.impact.as_ref());
                let explained = Explained { reasons, actions, impact };
                match Box::pin(self.answer(&message, target, explained)).await? {
                    Answer::Approved(known) => approved = Some(known),
                    Answer::Asked(known) => {
                        let in_group = over_budget.and_then(|over| over.in_group);
                        return self.hold_for(message, &known, in_group).await;
                    }
                    Answer::Ended => {
                        known(request, State::Rejected);
                        return Ok(());
                    }
                }
            }
            let (grades, watched) = (&grades, watched.as_ref());
            let claiming = Claiming { grades, approved: approved.as_deref(), turn, watched };
            let claimed = Box::pin(self.claim(request, decided, &claiming)).await?;
            match &claimed {
                Some(Claim::Stopped(Stop::OverBudget(over)))
                    if over_budget.is_none() && self.may_go_over(request) =>
                {
                    over_budget = Some(over.clone());
                }
                // It is looked at again: a person has decided at this moment.
                Some(Claim::Stopped(stop @ Stop::NotApproved)) => return Err(Error::Later(stop.reason())),
                _ => break claimed,
            }
        };
        let Some(claim) = claimed else {
            let target = request.target().clone();
            return settle.started(message, &target).await;
        };
        if let Claim::Taken(_) | Claim::Nothing = claim {
            self.leave_out(request, decided).await?;
        }
        match claim {
            Claim::Taken(target) => {
                let befores = decided.befores.as_ref();
                match Box::pin(settle.work.store_before(request, &target, befores, deadline)).await? {
                    Stored::Yes => Box::pin(self.start_claimed(message, target)).await,
                    Stored::InPart => {
                        tracing::info!(
                            mitigation.task_id = request.task_id(),
                            "the states before the task go on in another message"
                        );
                        settle.backoff.put_off_until(message, settle.clock.now()).await
                    }
                    Stored::Unknown(why) => self.wait(message, &target, &why).await,
                    Stored::Never(unable, why) => settle.unable(request, &target, unable, &why).await,
                }
            }
            Claim::Nothing => settle.nothing_left(request).await,
            Claim::Overtaken(latest) => settle.supersede(&message, &latest.reason()).await.map(drop),
            Claim::Stopped(stop) => self.stopped(message, &stop).await,
            Claim::Known(state) => {
                known(request, state);
                Ok(())
            }
        }
    }

    /// Claims what is to be mitigated. What a share is of is counted only if its budget has no room otherwise.
    async fn claim(
        &self,
        request: &W::Request,
        decided: &Decided<W::Request>,
        claiming: &Claiming<'_>,
    ) -> Result<Option<Claim<TargetOf<W>>>, Error> {
        let Claiming { grades, approved, turn, watched } = *claiming;
        let left_out: Vec<_> = decided.left_out.iter().map(|out| out.part.clone()).collect();
        let may_go_over = approved.is_some_and(|known| known.asking.explanation.has(Need::OverBudget));
        let claim = async |sizes: &Sizes| {
            let spends = self.spends(request, sizes, |budget, spend| decided.counted(budget, spend));
            let spends: Vec<Spend> =
                if may_go_over { spends.into_iter().map(Spend::lifted).collect() } else { spends };
            let claimed = Settled {
                target: decided.target.as_ref(),
                reason: decided.reason.as_deref(),
                left_out: &left_out,
                spends: &spends,
                grades: Some(grades),
                guards: &decided.guards,
                impact: decided.impact.as_ref(),
                approved: approved.map(KnownApproval::approved),
                canary: match turn {
                    Turn::First { of, .. } => Some(CanaryTurn::First { of: *of, watched: watched.cloned() }),
                    Turn::Rest => Some(CanaryTurn::Rest),
                    Turn::Free | Turn::Wait(_) | Turn::Stopped(_) => None,
                },
                ..Settled::new(request, State::Claimed)
            };
            Box::pin(self.settle.work.claim(request, &claimed)).await
        };
        let claimed = Box::pin(claim(&Sizes::default())).await?;
        if matches!(claimed, Some(Claim::Stopped(Stop::OverBudget(_)))) {
            let sizes = Box::pin(self.sizes(request)).await?;
            if !sizes.is_empty() {
                return Box::pin(claim(&sizes)).await;
            }
        }
        Ok(claimed)
    }

    /// What the actions of a request do. Where an approval is at stake, it is looked up now.
    async fn actions(&self, request: &W::Request) -> Result<Result<Vec<ExplainedAction>, String>, Error> {
        let now = self.settle.clock.now();
        if self.approval(request).is_some() {
            return self.grades.of_now(request.actions(), now).await;
        }
        match self.grades.of(request.actions(), now).await? {
            Ok(actions) if actions.iter().any(|action| action.grade == Grade::Irreversible) => {
                self.grades.of_now(request.actions(), now).await
            }
            actions => Ok(actions),
        }
    }

    /// Holds what a guard stops.
    async fn stopped(&self, message: W::Message, stop: &Stop) -> Result<(), Error> {
        let said = stop.answer();
        Box::pin(hold(&self.settle, message, Hold::of(stop, &said))).await
    }

    async fn start_claimed(&self, message: W::Message, target: TargetOf<W>) -> Result<(), Error> {
        let Self { settle, .. } = self;
        let request = message.request();
        // To read and write down the states before it can have taken minutes.
        if let Some(pause) = settle.mitigations.pause().await? {
            let stop = Stop::Paused(pause);
            let said = stop.answer();
            return Box::pin(hold(settle, message, Hold::of(&stop, &said).after_claim())).await;
        }
        match Box::pin(settle.work.start(request, &target)).await? {
            Started::Yes => settle.started(message, &target).await,
            Started::Full => {
                self.room.was_full(settle.clock.now());
                self.wait(message, &target, W::FULL).await
            }
            Started::Refused(reason) => {
                if let Some(missing) = Box::pin(settle.work.missing_action(request)).await? {
                    return settle.unable(request, &target, Unable::Action, &missing).await;
                }
                let alert = request.alert(Event::Refused(&reason));
                settle.refuse(request, Some(&target), reason, &alert).await
            }
            // Another delivery has the same permissions: so none is tried, and nothing stays claimed.
            Started::Denied(reason) => settle.unable(request, &target, Unable::Denied, &reason).await,
        }
    }

    /// Says of what is left out why it is not mitigated: in the ledger, in the log, and to people unless there is
    /// nothing to mitigate.
    async fn leave_out(&self, request: &W::Request, decided: &Decided<W::Request>) -> Result<(), Error> {
        let Some(reason) = &decided.reason else { return Ok(()) };
        tracing::info!(mitigation.task_id = request.task_id(), reason, "{} are left out", W::PARTS);
        self.settle.work.note_left_out(request, decided).await?;
        if decided.is_to_alert() {
            let event = Event::LeftOut { policy: self.policy.hash(), reason };
            self.settle.alerts.raise(&request.alert(event)).await?;
        }
        if decided.has_too_many_devices() {
            self.settle.alerts.raise(&request.alert(Event::TooManyDevices(reason))).await?;
        }
        Ok(())
    }

    /// Waits for what a start needs, for a day.
    async fn wait(&self, message: W::Message, target: &TargetOf<W>, reason: &str) -> Result<(), Error> {
        let Self { settle, .. } = self;
        if settle.backoff.is_out_of_patience(&message) {
            return settle.give_up(message, target, &format!("not started within a day: {reason}")).await;
        }
        let (id, waits) = (message.task_id(), message.waited().0);
        tracing::info!(mitigation.task_id = id, reason, waits, "the mitigation waits");
        settle.backoff.put_off(message).await
    }
}
