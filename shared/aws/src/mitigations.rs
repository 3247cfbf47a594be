//! The mitigations in the ledger: whose a finding is, and where a task stands, in conditional writes.
//!
//! A claim is one transaction over the task's item and those of its findings. Of what a rule asks for, what another
//! task has is left out and the rest is claimed: so two triages of one audit, with findings packed in other ways,
//! still mitigate each finding once. What a command asks for is claimed as a whole or not at all, because somebody
//! named just these findings. Only the state `claimed` holds a finding; a task that did not start frees it. What an
//! ended task has done is not done again by a rule, but a command may take its findings over.
//!
//! The same transaction asks which audit has looked at the check last: so no claim is made for an audit that a later
//! one has overtaken, however long its message was on the way. It also asks the switch that pauses mitigation
//! ([`pause`]), which is read again right before the start.
//!
//! A transaction whose answer is lost is sent again by the SDK under the token of the first try (`ClientRequestToken`),
//! and DynamoDB answers as it did before. A claim that a later delivery repeats is the task's own, by its id.

mod alarms;
mod approvals;
pub mod before;
mod budgets;
mod canary;
mod claims;
mod command;
mod findings;
pub(crate) mod item;
mod of_audit;
mod round;
pub mod verification;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use fleetwarden_core::model::mitigation::impact::Impact;
use fleetwarden_core::model::mitigation::pause::Pause;
use fleetwarden_core::model::mitigation::view::GuardAnswer;
use fleetwarden_core::timestamp::Millis;

use crate::Error;
use crate::grades::GradesByAction;
use crate::ledger::Item;
use crate::ledger::Ledger;
use crate::ledger::key;
use crate::ledger::keys;
use crate::ledger::written;
pub use crate::mitigations::alarms::AlarmTask;
pub use crate::mitigations::approvals::APPROVAL;
pub use crate::mitigations::approvals::Approved;
pub use crate::mitigations::approvals::Asking;
pub use crate::mitigations::approvals::KnownApproval;
pub use crate::mitigations::approvals::Rejection;
pub use crate::mitigations::approvals::Word;
pub use crate::mitigations::budgets::Entry;
pub use crate::mitigations::budgets::Over;
pub use crate::mitigations::budgets::Spend;
pub use crate::mitigations::budgets::Spent;
pub use crate::mitigations::canary::CANARY;
pub use crate::mitigations::canary::Canary;
pub use crate::mitigations::canary::CanaryTurn;
pub use crate::mitigations::canary::ConnectedThings;
pub use crate::mitigations::canary::Stage;
pub use crate::mitigations::canary::Undo;
pub use crate::mitigations::command::Holder;
pub use crate::mitigations::command::WholeClaim;
pub use crate::mitigations::item::RESULTS;
pub use crate::mitigations::item::State;
pub use crate::mitigations::item::attribute;
pub use crate::mitigations::of_audit::Confirmed;
pub use crate::mitigations::of_audit::OF_AUDIT;
pub use crate::mitigations::of_audit::TaskOfAudit;
pub use crate::mitigations::round::Chain;
pub use crate::mitigations::round::Taken;
use crate::pause;

/// A request for a mitigation task: what the task works on is claimed for it in the ledger.
pub trait Claimable: Sized {
    /// What of it is a task's own.
    type Target: Clone;
    /// What is claimed by itself: a finding, or a violation.
    type Part: Clone;

    /// The states over which a claim is written.
    const CLAIMED_OVER: &'static [State];
    /// The states over which it is written that a task did not start.
    const SETTLED_OVER: &'static [State];

    /// The states over which it is written that a task does not start now, and is in this state.
    fn set_aside_over(state: State) -> &'static [State];

    /// What it asks for.
    fn target(&self) -> &Self::Target;

    /// Writes a task and the claims of its parts, over a task in one of these states or none.
    ///
    /// # Errors
    /// If the table does not answer.
    fn write(
        &self,
        mitigations: &Mitigations,
        settled: &Settled<'_, Self>,
        over: &[State],
        now: Millis,
    ) -> impl Future<Output = Result<Claim<Self::Target>, Error>>;
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim<T> {
    /// This is the task's alone.
    Taken(T),
    /// Other tasks have all of it.
    Nothing,
    /// The task is known already, and its state leaves nothing to claim.
    Known(State),
    /// Nothing is written: its audit is not the one that has looked at the check last.
    Overtaken(Latest),
    /// Nothing is written: a guard stops it.
    Stopped(Stop),
}

/// The guard that stops a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Mitigation is paused.
    Paused(Pause),
    /// It goes over a budget.
    OverBudget(Over),
    /// Its approval is not as it was read.
    NotApproved,
    /// It waits for the canary. None: no task goes first yet.
    Canary(Option<Canary>),
}

impl Stop {
    /// What the guard says, for the task's item.
    #[must_use]
    pub fn answer(&self) -> GuardAnswer {
        let guard = match self {
            Self::Paused(_) => PAUSE.to_owned(),
            Self::OverBudget(over) => format!("budget of {}", over.label),
            Self::NotApproved => APPROVAL.to_owned(),
            Self::Canary(_) => canary::CANARY.to_owned(),
        };
        GuardAnswer { guard, passed: false, reason: Some(self.reason()) }
    }

    /// Whether no time lets it go on: it is too large for a budget.
    #[must_use]
    pub const fn is_for_good(&self) -> bool {
        matches!(self, Self::OverBudget(Over { until: None, .. }))
    }

    /// Why nothing starts.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Paused(pause) => pause.why(),
            Self::OverBudget(over) => over.reason(),
            Self::NotApproved => "its approval has changed at this moment".to_owned(),
            Self::Canary(Some(canary)) => canary.why(),
            Self::Canary(None) => {
                "the findings that go first are not chosen yet: the rest waits for them".to_owned()
            }
        }
    }
}

/// The audit that has looked at a check last, as far as the ledger knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest(pub Option<String>);

impl Latest {
    /// Why an audit that is not this one leaves nothing to do.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.0 {
            Some(audit) => format!("audit {audit} is later and has decided on what is still there"),
            None => "the ledger has no audit of the check".to_owned(),
        }
    }

    fn of(item: &Item) -> Self {
        Self(item.get_text(attribute::TASK_ID).map(ToOwned::to_owned))
    }
}

/// The name of the guard that asks whether mitigation is paused.
const PAUSE: &str = "pause";

/// How a task is written down.
pub struct Settled<'a, R: Claimable> {
    /// What of the request was to be mitigated, unless it is malformed.
    pub target: Option<&'a R::Target>,
    /// Its state.
    pub state: State,
    /// Why, where that needs a word.
    pub reason: Option<&'a str>,
    /// Until when, if it is held.
    pub until: Option<Millis>,
    /// What of the request is not to be mitigated: it is written down as superseded.
    pub left_out: &'a [R::Part],
    /// The budgets that a claim has to fit into.
    pub spends: &'a [Spend],
    /// What the guards say; of a claim, those that are asked before it.
    pub guards: &'a [GuardAnswer],
    /// Of a claim, how many devices it concerns, if somebody has asked.
    pub impact: Option<&'a Impact>,
    /// Of a claim, how hard it is to take its actions back.
    pub grades: Option<&'a GradesByAction>,
    /// Of a claim that needs one, the approval that has to stand.
    pub approved: Option<Approved>,
    /// Of a claim, its part in the canary of its rule. None: the rule has none.
    pub canary: Option<CanaryTurn>,
}

/// What a command's claim is held against, and what people are told of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guarded<'a> {
    /// The budgets that it has to fit into.
    pub spends: &'a [Spend],
    /// How hard it is to take its actions back, as far as that is known.
    pub grades: Option<&'a GradesByAction>,
    /// The approval that has to stand, if it needs one.
    pub approved: Option<Approved>,
    /// What the guards say that were asked before it.
    pub guards: &'a [GuardAnswer],
    /// How many devices it concerns, if somebody has asked.
    pub impact: Option<&'a Impact>,
}

impl<'a, R: Claimable> Settled<'a, R> {
    /// How a request that is well formed is written down.
    #[must_use]
    pub fn new(request: &'a R, state: State) -> Self {
        Self { target: Some(request.target()), ..Self::of(state) }
    }

    /// A state alone.
    const fn of(state: State) -> Self {
        Self {
            target: None,
            state,
            reason: None,
            until: None,
            left_out: &[],
            spends: &[],
            guards: &[],
            impact: None,
            grades: None,
            approved: None,
            canary: None,
        }
    }
}

/// The mitigations in the ledger.
#[derive(Clone, Debug)]
pub struct Mitigations {
    ledger: Ledger,
}

impl Mitigations {
    /// The mitigations in this ledger.
    pub const fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// The ledger that they are in.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The pause of all mitigation, if there is one.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn pause(&self) -> Result<Option<Pause>, Error> {
        pause::read(&self.ledger).await
    }

    /// Claims what of a rule's request is to be mitigated for its task.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn claim<R: Claimable>(
        &self,
        request: &R,
        claimed: &Settled<'_, R>,
        now: Millis,
    ) -> Result<Claim<R::Target>, Error> {
        request.write(self, claimed, R::CLAIMED_OVER, now).await
    }

    /// Writes that a task does not start now, as `Observed`, `Held` or `Superseded`, unless it may have
    /// started: one that is only claimed stays as it is.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn set_aside<R: Claimable>(
        &self,
        request: &R,
        settled: &Settled<'_, R>,
        now: Millis,
    ) -> Result<Claim<R::Target>, Error> {
        request.write(self, settled, R::set_aside_over(settled.state), now).await
    }

    /// Writes that a task did not start, which frees its findings or violations. A task that has started stays as it is, and
    /// so does one that may start later and that another audit has overtaken.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn settle<R: Claimable>(
        &self,
        request: &R,
        settled: &Settled<'_, R>,
        now: Millis,
    ) -> Result<Claim<R::Target>, Error> {
        request.write(self, settled, R::SETTLED_OVER, now).await
    }

    /// Writes that a held task never starts: other tasks have its findings, so that it claims none.
    pub async fn held_no_more(&self, task_id: &str, reason: &str) -> Result<(), Error> {
        let reason = [(attribute::REASON, reason.to_owned())];
        self.advance(task_id, State::Superseded, &[State::Held], &reason).await.map(drop)
    }

    /// Writes that a task has been started. One that has ended meanwhile stays as it is.
    pub async fn started(&self, task_id: &str, now: Millis) -> Result<(), Error> {
        let started_at = [(attribute::STARTED_AT, now.rfc3339())];
        self.advance(task_id, State::Started, &State::before_end(), &started_at).await.map(drop)
    }

    /// Writes how a task ended. Says whether it is written: one that ended otherwise before stays as it is.
    pub async fn ended(
        &self,
        task_id: &str,
        state: State,
        attributes: &[(&'static str, String)],
    ) -> Result<bool, Error> {
        let from = [State::before_end().as_slice(), &[State::Started, state]].concat();
        self.advance(task_id, state, &from, attributes).await
    }

    /// Writes that the service does not know a task that was started. Says whether it is written: a task that has not
    /// been started is not lost, whatever asks for it.
    pub async fn lost(&self, task_id: &str, attributes: &[(&'static str, String)]) -> Result<bool, Error> {
        self.advance(task_id, State::Lost, &[State::Started, State::Lost], attributes).await
    }

    async fn advance(
        &self,
        task_id: &str,
        state: State,
        from: &[State],
        attributes: &[(&'static str, String)],
    ) -> Result<bool, Error> {
        let (client, table) = self.ledger.client_and_table();
        let sets: Vec<String> = attributes.iter().map(|(name, _)| format!(", #{name} = :{name}")).collect();
        let (list, values) = listed(from);
        let update = client
            .update_item()
            .table_name(table)
            .set_key(Some(key(&keys::mitigation(task_id), "task")))
            .update_expression(format!("SET #state = :state{}", sets.concat()))
            .condition_expression(format!("#state IN ({list})"))
            .expression_attribute_names("#state", attribute::STATE)
            .set_expression_attribute_values(Some(values))
            .expression_attribute_values(":state", text(state.as_str()));
        let update = attributes.iter().fold(update, |update, (name, value)| {
            update
                .expression_attribute_names(format!("#{name}"), *name)
                .expression_attribute_values(format!(":{name}"), text(value))
        });
        written(update.send().await.map_err(Error::aws("UpdateItem", table)))
    }
}

/// States as the values of an expression: `:s0, :s1` and what they stand for.
fn listed(states: &[State]) -> (String, HashMap<String, AttributeValue>) {
    let values = states.iter().enumerate().map(|(at, state)| (format!(":s{at}"), text(state.as_str())));
    let list: Vec<String> = (0..states.len()).map(|at| format!(":s{at}")).collect();
    (list.join(", "), values.collect())
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}
