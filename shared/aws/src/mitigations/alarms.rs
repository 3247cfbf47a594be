//! The mitigations of alarms: claimed violation by violation, as those of findings are finding by finding.
//!
//! No later audit overtakes an alarm: whether it lasts is asked right before a start. So a task that was superseded may
//! be claimed again, by a message that an incident held back or another policy stopped. Of one violation each raise is
//! claimed by itself, because the service may use its id again.
//!
//! With the claim stands what the task will add: which groups each thing was not in before the start. Nothing else
//! says later what is to be taken back.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::timestamp::Millis;

use super::Condition;
use super::Mitigations;
use super::Part;
use super::Writing;
use super::Wrote;
use super::command::Asked;
use super::command::Holder;
use super::command::Whole;
use super::command::WholeClaim;
use super::command::unless_begun;
use super::item;
use super::item::State;
use super::item::attribute;
use super::unless_held;
use crate::Error;
use crate::ledger::Item;
use crate::ledger::about;

/// Of each violation and action of a task, the thing groups that the thing was not in before the start.
pub type Additions = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// What came of a claim of violations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlarmClaim {
    /// These are the task's alone.
    Taken(Vec<ViolationRef>),
    /// Other tasks have all of them.
    Nothing,
    /// The task is known already, and its state leaves nothing to claim.
    Known(State),
}

/// How a mitigation of alarms is written down.
#[derive(Clone, Copy, Debug)]
pub struct AlarmsSettled<'a> {
    /// What of the request was to be mitigated. None: it is malformed.
    pub violations: Option<&'a [ViolationRef]>,
    /// Its state.
    pub state: State,
    /// Why, where that needs a word.
    pub reason: Option<&'a str>,
    /// Until when, if it is held.
    pub until: Option<Millis>,
    /// What of the request is not to be mitigated: it is written down as superseded.
    pub left_out: &'a [ViolationRef],
    /// What the start is to add. None before that is known.
    pub additions: Option<&'a Additions>,
}

impl<'a> AlarmsSettled<'a> {
    /// How a request that is well formed is written down.
    #[must_use]
    pub fn new(request: &'a AlarmMitigationRequest, state: State) -> Self {
        let violations = Some(request.violations.as_slice());
        Self { violations, state, reason: None, until: None, left_out: &[], additions: None }
    }
}

/// A mitigation of alarms, as the ledger has it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmTask {
    /// Where it stands.
    pub state: Option<State>,
    /// What it works on.
    pub violations: Vec<ViolationRef>,
    /// What its start was to add.
    pub additions: Additions,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// After how many seconds without an alarm what it added is taken back.
    pub release_after_seconds: Option<i64>,
}

impl Mitigations {
    /// Claims the violations that are to be mitigated for a task, unless an earlier try has claimed it: then that may
    /// have started it, and the service has to be asked first.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn claim_alarms(
        &self,
        request: &AlarmMitigationRequest,
        claimed: &AlarmsSettled<'_>,
        now: Millis,
    ) -> Result<AlarmClaim, Error> {
        self.write_alarms(request, claimed, &State::SUPERSEDABLE, now).await
    }

    /// As [`claim_alarms`](Self::claim_alarms), for a task that an earlier try has claimed and certainly not started.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn claim_alarms_again(
        &self,
        request: &AlarmMitigationRequest,
        claimed: &AlarmsSettled<'_>,
        now: Millis,
    ) -> Result<AlarmClaim, Error> {
        self.write_alarms(request, claimed, &State::WITHOUT_START, now).await
    }

    /// Writes that a task does not start now, as `Observed`, `Held` or `Superseded`, unless it may have started: one
    /// that is claimed stays as it is.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn set_alarms_aside(
        &self,
        request: &AlarmMitigationRequest,
        settled: &AlarmsSettled<'_>,
        now: Millis,
    ) -> Result<AlarmClaim, Error> {
        let over: &[State] = match settled.state {
            State::Observed => &[State::Held, State::Superseded],
            _ => &State::SUPERSEDABLE,
        };
        self.write_alarms(request, settled, over, now).await
    }

    /// Writes that a task did not start, which frees its violations. A task that has started stays as it is.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn settle_alarms(
        &self,
        request: &AlarmMitigationRequest,
        settled: &AlarmsSettled<'_>,
        now: Millis,
    ) -> Result<(), Error> {
        self.write_alarms(request, settled, &State::WITHOUT_START, now).await.map(drop)
    }

    /// Claims all violations of a command's task, or none of them, with what its start is to add. `hash` is of all
    /// that the command says, so that its repeat is told from another command.
    ///
    /// # Errors
    /// If the table does not answer, or other tasks take and leave the violations at this moment.
    pub async fn claim_violations(
        &self,
        request: &AlarmMitigationRequest,
        additions: &Additions,
        hash: &str,
        now: Millis,
    ) -> Result<WholeClaim, Error> {
        let id = request.task_id();
        let violations = distinct(&request.violations);
        let claimed =
            AlarmsSettled { additions: Some(additions), ..AlarmsSettled::new(request, State::Claimed) };
        let task = task(&id, request, &request.violations, &claimed, now);
        let asked = Asked { id: &id, task, mentions: Vec::new(), hash };
        match self.claim_parts(&asked, &violations, &[], now).await? {
            Whole::Claim(claim) => Ok(claim),
            Whole::Overtaken { .. } => Err(Error::Later(format!("{id}: nothing overtakes an alarm"))),
        }
    }

    /// The other tasks that have violations of a command's task, as they are now.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn violation_holders(&self, request: &AlarmMitigationRequest) -> Result<Vec<Holder>, Error> {
        self.holders_of(&request.task_id(), &distinct(&request.violations)).await
    }

    /// Writes that a command's task would have been started. It claims nothing, and leaves alone what is known of a
    /// task that may have started, or of a rule's.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn observed_violations(
        &self,
        request: &AlarmMitigationRequest,
        now: Millis,
    ) -> Result<(), Error> {
        let observed = AlarmsSettled::new(request, State::Observed);
        let task = task(&request.task_id(), request, &request.violations, &observed, now);
        self.put_all_or_none(vec![(task, unless_begun())], &[]).await.map(drop)
    }

    /// Whether a command has asked for this: its task's item says so. A message alone does not.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn is_of_alarm_command(&self, request: &AlarmMitigationRequest) -> Result<bool, Error> {
        let Some(task) = self.ledger.get(&about::mitigation(&request.task_id()), "task").await? else {
            return Ok(false);
        };
        let of = |name| task.get_text(name).unwrap_or_default();
        let actions: Vec<String> = serde_json::from_str(of(attribute::ACTIONS)).unwrap_or_default();
        Ok(of(attribute::ORIGIN) == item::COMMAND
            && of(attribute::PROFILE) == request.profile
            && of(attribute::BEHAVIOR) == request.behavior
            && actions == request.actions
            && item::violations(&task) == request.violations)
    }

    /// What the ledger has of a mitigation of alarms.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn alarm_task(&self, task_id: &str) -> Result<Option<AlarmTask>, Error> {
        let task = self.ledger.get(&about::mitigation(task_id), "task").await?;
        Ok(task.map(|task| AlarmTask {
            state: State::of(&task),
            violations: item::violations(&task),
            additions: task
                .get_text(attribute::ADDITIONS)
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default(),
            ended_at: task.get_text(attribute::ENDED_AT).and_then(Millis::parse),
            release_after_seconds: task.get_number(attribute::RELEASE_AFTER),
        }))
    }

    async fn write_alarms(
        &self,
        request: &AlarmMitigationRequest,
        settled: &AlarmsSettled<'_>,
        over: &[State],
        now: Millis,
    ) -> Result<AlarmClaim, Error> {
        let id = request.task_id();
        let task = |left: &[ViolationRef]| {
            // What may be malformed is written out only where it is parked.
            if settled.violations.is_none() {
                return item::state(&id, settled.state, settled.reason, settled.until, now);
            }
            task(&id, request, left, settled, now)
        };
        let writing = Writing {
            id: &id,
            parts: settled.violations.map(distinct),
            left_out: distinct(settled.left_out),
            mentions: Vec::new(),
            state: settled.state,
            over,
            checks: &[],
            now,
        };
        Ok(match self.write_parts(writing, task).await? {
            Wrote::Yes(left) => AlarmClaim::Taken(left),
            Wrote::Nothing | Wrote::Overtaken(_) => AlarmClaim::Nothing,
            Wrote::Known(state) => AlarmClaim::Known(state),
        })
    }
}

impl Part for ViolationRef {
    fn id(&self) -> &str {
        &self.violation_id
    }

    fn about(&self) -> String {
        format!("violation#{}", self.violation_id)
    }

    fn claim(&self, task_id: &str, state: State, now: Millis) -> Item {
        Item::new(&self.about(), "mitigation", now)
            .text(attribute::TASK_ID, task_id)
            .text(attribute::STATE, state.as_str())
            .number(attribute::RAISED_AT, self.raised_at.0)
    }

    fn unless_held(&self, task_id: &str, state: State) -> Condition {
        let mut condition = unless_held(task_id, state);
        if state == State::Claimed {
            condition.expression =
                format!("{} OR {} < :raised_at", condition.expression, attribute::RAISED_AT);
            condition.values.insert(":raised_at".to_owned(), AttributeValue::N(self.raised_at.0.to_string()));
        }
        condition
    }
}

/// The item of a task with what of its request is its own.
fn task(
    id: &str,
    request: &AlarmMitigationRequest,
    own: &[ViolationRef],
    settled: &AlarmsSettled<'_>,
    now: Millis,
) -> Item {
    let item = item::state(id, settled.state, settled.reason, settled.until, now);
    let item = item::origin(item, &request.origin)
        .text(attribute::PROFILE, &request.profile)
        .text(attribute::BEHAVIOR, &request.behavior)
        .json(attribute::ACTIONS, &request.actions)
        .json(attribute::VIOLATIONS, &own);
    let item = match request.release_after_seconds {
        Some(seconds) => item.number(attribute::RELEASE_AFTER, seconds),
        None => item,
    };
    match settled.additions {
        Some(additions) => item.json(attribute::ADDITIONS, additions),
        None => item,
    }
}

/// Each violation once: a transaction writes no item twice.
fn distinct(violations: &[ViolationRef]) -> Vec<ViolationRef> {
    let mut seen = BTreeSet::new();
    violations.iter().filter(|violation| seen.insert(violation.violation_id.as_str())).cloned().collect()
}
