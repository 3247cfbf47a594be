//! The canary of a rule in one audit and check: which task goes first, and whether the rest may follow.
//!
//! | `pk` | `sk` | what it is |
//! |---|---|---|
//! | `audit#AUDIT` | `canary#CHECK#RULE` | the task that goes first, its findings, and what came of it |
//!
//! A task takes the item before it is decided on again, and its claim writes the findings into it. The claim of every other
//! task has the condition that the canary has passed. So whatever the order of messages and deaths, nothing but the
//! canary's task starts before the item says that it has passed, and nothing ever starts if it says that it was stopped. Who takes an item, passes
//! or stops it writes that in place of what it read.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::model::mitigation::view::GuardAnswer;
use fleetwarden_core::timestamp::Millis;

use super::Mitigations;
use super::claims::Check;
use super::item::State as TaskState;
use super::item::attribute;
use super::text;
use crate::Error;
use crate::ledger::Condition;
use crate::ledger::Item;
use crate::ledger::keys;

/// The name of the guard.
pub const CANARY: &str = "canary";

/// The attributes of the item that no other has.
mod of_canary {
    /// How many findings the rule mitigates of the check.
    pub(super) const OF: &str = "of";
    /// The findings that go first, by their ids.
    pub(super) const FIRST: &str = "first";
    /// Whether what the canary changed is to be undone, or is.
    pub(super) const UNDO: &str = "undo";
    /// The things that were connected at the start.
    pub(super) const CONNECTED: &str = "connected";
}

/// Where a canary stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its task goes first, or is watched.
    Running,
    /// Its task never started: another may go first in its place.
    Void,
    /// The rest may follow.
    Passed,
    /// Nothing more starts.
    Stopped,
}

/// Whether what a stopped canary has changed is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// No: nobody knows that it did harm.
    No,
    /// It is to be.
    Due,
    /// As far as it can be, it is.
    Done,
}

/// The canary of a rule in one audit and check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Where it stands.
    pub stage: Stage,
    /// The task that goes first.
    pub task_id: String,
    /// How many findings the rule mitigates of the check.
    pub of: u64,
    /// The findings that go first. Empty: they are not chosen yet.
    pub first: Vec<String>,
    /// The things behind them that were connected right before the start, if their loss stops the rest.
    pub connected: BTreeSet<String>,
    /// Why it has passed or was stopped.
    pub reason: Option<String>,
    /// Of one that was stopped.
    pub undo: Undo,
    /// When it came to stand there.
    pub since: Option<Millis>,
}

/// The things that are connected, by the finding that they stand behind.
pub type ConnectedThings = BTreeMap<String, BTreeSet<String>>;

/// The part that a task has in the canary, for its claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanaryTurn {
    /// It goes first, of so many findings.
    First {
        /// How many findings the rule mitigates of the check.
        of: u64,
        /// The things whose loss stops the rest. None: no loss does.
        watched: Option<ConnectedThings>,
    },
    /// It follows if the canary has passed.
    Rest,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Running, Self::Void, Self::Passed, Self::Stopped];

    /// The word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Void => "void",
            Self::Passed => "passed",
            Self::Stopped => "stopped",
        }
    }
}

impl Undo {
    const ALL: [Self; 3] = [Self::No, Self::Due, Self::Done];

    /// The word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Due => "due",
            Self::Done => "done",
        }
    }
}

impl Canary {
    /// One that a task takes.
    const fn taken(task_id: String, of: u64) -> Self {
        Self {
            stage: Stage::Running,
            task_id,
            of,
            first: Vec::new(),
            connected: BTreeSet::new(),
            reason: None,
            undo: Undo::No,
            since: None,
        }
    }

    /// Why what is not the canary's task does not start.
    #[must_use]
    pub fn why(&self) -> String {
        let Self { stage, task_id, reason, .. } = self;
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        match stage {
            Stage::Running => {
                format!("mitigation task {task_id} goes first and is watched: the rest waits for it")
            }
            Stage::Void => format!("mitigation task {task_id} did not go first{reason}: another one does"),
            Stage::Passed => format!("the canary, mitigation task {task_id}, has passed{reason}"),
            Stage::Stopped => format!("the canary, mitigation task {task_id}, was stopped{reason}"),
        }
    }

    fn read(item: &Item) -> Result<Self, Error> {
        let unreadable = || {
            let key = |name| item.get_text(name).unwrap_or_default();
            // Whether the rest may follow is unknown, and so it may not.
            Error::Later(format!(
                "the ledger's item {} {} is no canary that can be read",
                key("pk"),
                key("sk")
            ))
        };
        let word = item.get_text(attribute::STATE).ok_or_else(unreadable)?;
        let stage = Stage::ALL.into_iter().find(|stage| stage.as_str() == word).ok_or_else(unreadable)?;
        let undo = item.get_text(of_canary::UNDO).unwrap_or_default();
        Ok(Self {
            stage,
            task_id: item.get_text(attribute::TASK_ID).ok_or_else(unreadable)?.to_owned(),
            of: item.get_number(of_canary::OF).and_then(|of| u64::try_from(of).ok()).unwrap_or_default(),
            first: item.get_json(of_canary::FIRST).unwrap_or_default(),
            connected: match item.get_text(of_canary::CONNECTED) {
                Some(_) => item.get_json(of_canary::CONNECTED).ok_or_else(unreadable)?,
                None => BTreeSet::new(),
            },
            reason: item.get_text(attribute::REASON).map(ToOwned::to_owned),
            undo: Undo::ALL.into_iter().find(|of| of.as_str() == undo).unwrap_or(Undo::No),
            since: item.get_text(attribute::DECIDED_AT).and_then(Millis::parse),
        })
    }

    fn item(&self, request: &MitigationRequest, now: Millis) -> Item {
        let (pk, sk) = key(request);
        let item = Item::new(&pk, &sk, now)
            .text(attribute::STATE, self.stage.as_str())
            .text(attribute::TASK_ID, &self.task_id)
            .text(attribute::CHECK, request.check.as_str())
            .text(attribute::RULE, request.origin.rule().unwrap_or_default())
            .text(attribute::DECIDED_AT, self.since.unwrap_or(now).rfc3339())
            .number(of_canary::OF, i64::try_from(self.of).unwrap_or(i64::MAX))
            .json(of_canary::FIRST, &self.first)
            .text(of_canary::UNDO, self.undo.as_str());
        let item =
            if self.connected.is_empty() { item } else { item.json(of_canary::CONNECTED, &self.connected) };
        match &self.reason {
            Some(reason) => item.text(attribute::REASON, reason),
            None => item,
        }
    }
}

impl Mitigations {
    /// The canary of a request's rule, check and audit, if a task has taken it.
    ///
    /// # Errors
    /// If the table does not answer, or has something else in its place.
    pub async fn canary(&self, request: &MitigationRequest) -> Result<Option<Canary>, Error> {
        let rule = request.origin.rule().unwrap_or_default();
        self.canary_of(&request.audit.task_id, request.check.as_str(), rule).await
    }

    /// The canary of a rule, check and audit, by their names.
    ///
    /// # Errors
    /// As [`canary`](Self::canary).
    pub async fn canary_of(
        &self,
        audit_task_id: &str,
        check: &str,
        rule: &str,
    ) -> Result<Option<Canary>, Error> {
        let (pk, sk) = (keys::audit_task(audit_task_id), sort_key(check, rule));
        self.ledger.get(&pk, &sk).await?.as_ref().map(Canary::read).transpose()
    }

    /// Has a request's task go first, if none does. `known` is what was read: a canary whose task never started. Gives the
    /// canary that stands then.
    ///
    /// # Errors
    /// As [`canary`](Self::canary).
    pub async fn take_canary(
        &self,
        request: &MitigationRequest,
        of: u64,
        known: Option<&Canary>,
        now: Millis,
    ) -> Result<Canary, Error> {
        let taken = Canary::taken(request.task_id(), of);
        let condition = match known {
            None => Condition { expression: "attribute_not_exists(pk)".to_owned(), values: HashMap::new() },
            Some(known) => as_read(known),
        };
        Ok(self.put_canary(request, &taken, condition, now).await?.unwrap_or(taken))
    }

    /// Writes a canary in place of what was read. Gives the one that stands then.
    ///
    /// # Errors
    /// As [`canary`](Self::canary).
    pub async fn change_canary(
        &self,
        request: &MitigationRequest,
        known: &Canary,
        wanted: Canary,
        now: Millis,
    ) -> Result<Canary, Error> {
        Ok(self.put_canary(request, &wanted, as_read(known), now).await?.unwrap_or(wanted))
    }

    /// Puts a canary. None: it is put. Else the one that is there.
    async fn put_canary(
        &self,
        request: &MitigationRequest,
        canary: &Canary,
        condition: Condition,
        now: Millis,
    ) -> Result<Option<Canary>, Error> {
        let Some(held) = self.put_all_or_none(vec![(canary.item(request, now), condition)], &[]).await?
        else {
            return Ok(None);
        };
        let there = held.into_iter().next().flatten();
        let gone = || Error::Later("the canary was changed at this moment".to_owned());
        there.as_ref().map(Canary::read).transpose()?.map(Some).ok_or_else(gone)
    }

    /// Whether the task of a canary was never started, and nobody waits for it any more. One that the ledger does not have
    /// is lost if it took its place before `lost_before`: its message is parked, or gone.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn never_starts(&self, canary: &Canary, lost_before: Millis) -> Result<bool, Error> {
        let task = self.ledger.get(&keys::mitigation(&canary.task_id), "task").await?;
        let Some(task) = task else {
            return Ok(canary.first.is_empty() && canary.since.is_some_and(|since| since <= lost_before));
        };
        Ok(TaskState::of(&task).is_some_and(|state| {
            matches!(
                state,
                TaskState::Refused
                    | TaskState::Rejected
                    | TaskState::GivenUp
                    | TaskState::Superseded
                    | TaskState::Observed
            )
        }))
    }
}

/// Whether a request can have a part in a canary: only what a rule asks for.
pub(super) const fn has_canary(request: &MitigationRequest) -> bool {
    matches!(request.origin, Origin::Rule(_))
}

/// What the claim of the task that goes first puts.
pub(super) fn first_of(
    request: &MitigationRequest,
    (of, watched): (u64, Option<&ConnectedThings>),
    first: Vec<String>,
    now: Millis,
) -> (Item, Condition) {
    let connected = first.iter().filter_map(|finding| watched?.get(finding)).flatten().cloned().collect();
    let canary = Canary { first, connected, ..Canary::taken(request.task_id(), of) };
    (canary.item(request, now), unless_changed(&Canary::taken(request.task_id(), of)))
}

/// What the claim of the rest asks.
pub(super) fn has_passed(request: &MitigationRequest) -> Check {
    let (pk, sk) = key(request);
    let values = HashMap::from([(":passed".to_owned(), text(Stage::Passed.as_str()))]);
    Check { pk, sk: sk.into(), condition: Condition { expression: "#state = :passed".to_owned(), values } }
}

/// What the guard says of a task that is claimed.
pub(super) fn answer(turn: &CanaryTurn, count: usize) -> GuardAnswer {
    let reason = match turn {
        CanaryTurn::First { of, watched: None } => {
            format!("{count} of {of} go first: those not connected, then those with the lowest severity")
        }
        CanaryTurn::First { of, watched: Some(watched) } => {
            let things: BTreeSet<&String> = watched.values().flatten().collect();
            format!(
                "{count} of {of} go first: those connected, then those with the lowest severity; connections watched: {}",
                things.len()
            )
        }
        CanaryTurn::Rest => "the canary has passed".to_owned(),
    };
    GuardAnswer { guard: CANARY.to_owned(), passed: true, reason: Some(reason) }
}

/// The canary that an item of a failed claim has. None: none goes first yet.
pub(super) fn unmet(item: &Item) -> Result<Option<Canary>, Error> {
    if item.get_text("pk").is_none() { Ok(None) } else { Canary::read(item).map(Some) }
}

/// The task and the stage are those that were read. A task that writes again what it has written changes nothing.
fn unless_changed(known: &Canary) -> Condition {
    let values = HashMap::from([
        (":task_id".to_owned(), text(&known.task_id)),
        (":known".to_owned(), text(known.stage.as_str())),
    ]);
    Condition { expression: "task_id = :task_id AND #state = :known".to_owned(), values }
}

/// The canary is as it was read: its task has not claimed anything meanwhile either.
fn as_read(known: &Canary) -> Condition {
    let Condition { expression, mut values } = unless_changed(known);
    let Some(since) = known.since else { return Condition { expression, values } };
    values.insert(":since".to_owned(), text(&since.rfc3339()));
    Condition { expression: format!("{expression} AND {} = :since", attribute::DECIDED_AT), values }
}

fn key(request: &MitigationRequest) -> (String, String) {
    let rule = request.origin.rule().unwrap_or_default();
    (keys::audit(&request.audit), sort_key(request.check.as_str(), rule))
}

fn sort_key(check: &str, rule: &str) -> String {
    format!("canary#{check}#{rule}")
}
