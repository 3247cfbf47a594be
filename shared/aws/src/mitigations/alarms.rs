//! The mitigations of alarms: claimed violation by violation, as those of findings are finding by finding.
//!
//! No later audit overtakes an alarm: whether it lasts is asked right before a start. So a task that was superseded may
//! be claimed again, by a message that an incident held back or another policy stopped. Of one violation each raise is
//! claimed by itself, because the service may use its id again.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::timestamp::Millis;

use super::Claim;
use super::Claimable;
use super::Guarded;
use super::Mitigations;
use super::Settled;
use super::claims::Part;
use super::claims::Writing;
use super::claims::Wrote;
use super::claims::unless_held;
use super::command::Asked;
use super::command::Holder;
use super::command::Whole;
use super::command::WholeClaim;
use super::command::unless_begun;
use super::item;
use super::item::State;
use super::item::attribute;
use crate::Error;
use crate::ledger::Condition;
use crate::ledger::Item;
use crate::ledger::keys;

/// A mitigation of alarms, as the ledger has it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmTask {
    /// Where it stands.
    pub state: Option<State>,
    /// What it works on.
    pub violations: Vec<ViolationRef>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// After how many seconds without an alarm what it added is taken back.
    pub release_after_seconds: Option<i64>,
}

impl Mitigations {
    /// As [`claim`](Self::claim), for a task that an earlier try has claimed and certainly not started.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn claim_again(
        &self,
        request: &AlarmMitigationRequest,
        claimed: &Settled<'_, AlarmMitigationRequest>,
        now: Millis,
    ) -> Result<Claim<Vec<ViolationRef>>, Error> {
        request.write(self, claimed, &State::WITHOUT_START, now).await
    }

    /// Claims all violations of a command's task, or none of them. `hash` is of all that the command says, so that its
    /// repeat is told from another command.
    ///
    /// # Errors
    /// If the table does not answer, or other tasks take and leave the violations at this moment.
    pub async fn claim_violations(
        &self,
        request: &AlarmMitigationRequest,
        hash: &str,
        guarded: Guarded<'_>,
        now: Millis,
    ) -> Result<WholeClaim, Error> {
        let id = request.task_id();
        let violations = distinct(&request.violations);
        let claimed = Settled::new(request, State::Claimed);
        let task = task(&id, request, &request.violations, &claimed, now);
        let asked = Asked { id: &id, task, mentions: Vec::new(), hash, guarded };
        match self.claim_parts(&asked, &violations, &[], now).await? {
            Whole::Claim(claim) => Ok(claim),
            Whole::Overtaken { .. } => Err(Error::Later(format!("{id}: nothing overtakes an alarm"))),
        }
    }

    /// As [`hold_whole`](Self::hold_whole), for a command's task on alarms.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn hold_violations(
        &self,
        request: &AlarmMitigationRequest,
        hash: &str,
        (reason, until): (&str, Millis),
        now: Millis,
    ) -> Result<bool, Error> {
        let held = Settled { reason: Some(reason), until: Some(until), ..Settled::new(request, State::Held) };
        let task = task(&request.task_id(), request, &request.violations, &held, now);
        let task = task.text(attribute::COMMAND_HASH, hash);
        Ok(self.put_all_or_none(vec![(task, unless_begun())], &[]).await?.is_none())
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
        let observed = Settled::new(request, State::Observed);
        let task = task(&request.task_id(), request, &request.violations, &observed, now);
        self.put_all_or_none(vec![(task, unless_begun())], &[]).await.map(drop)
    }

    /// Whether a command has asked for this: its task's item says so. A message alone does not. None: there is no such item.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn is_of_alarm_command(&self, request: &AlarmMitigationRequest) -> Result<Option<bool>, Error> {
        let task = self.ledger.get(&keys::mitigation(&request.task_id()), "task").await?;
        Ok(task.map(|task| {
            let of = |name| task.get_text(name).unwrap_or_default();
            let actions: Vec<String> = serde_json::from_str(of(attribute::ACTIONS)).unwrap_or_default();
            of(attribute::ORIGIN) == item::COMMAND
                && of(attribute::PROFILE) == request.profile
                && of(attribute::BEHAVIOR) == request.behavior
                && actions == request.actions
                && item::violations(&task) == request.violations
        }))
    }

    /// What the ledger has of a mitigation of alarms.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn alarm_task(&self, task_id: &str) -> Result<Option<AlarmTask>, Error> {
        let task = self.ledger.get(&keys::mitigation(task_id), "task").await?;
        Ok(task.map(|task| AlarmTask {
            state: State::of(&task),
            violations: item::violations(&task),
            ended_at: task.get_text(attribute::ENDED_AT).and_then(Millis::parse),
            release_after_seconds: task.get_number(attribute::RELEASE_AFTER),
        }))
    }
}

impl Claimable for AlarmMitigationRequest {
    type Target = Vec<ViolationRef>;
    type Part = ViolationRef;

    /// A task that an earlier try has claimed may have been started, so that the service has to be asked first.
    const CLAIMED_OVER: &'static [State] = &State::SUPERSEDABLE;
    const SETTLED_OVER: &'static [State] = &State::WITHOUT_START;

    fn set_aside_over(state: State) -> &'static [State] {
        match state {
            State::Observed => &[State::Held, State::Superseded],
            _ => &State::SUPERSEDABLE,
        }
    }

    fn target(&self) -> &Vec<ViolationRef> {
        &self.violations
    }

    async fn write(
        &self,
        mitigations: &Mitigations,
        settled: &Settled<'_, Self>,
        over: &[State],
        now: Millis,
    ) -> Result<Claim<Vec<ViolationRef>>, Error> {
        let id = self.task_id();
        let task = |left: &[ViolationRef]| {
            // What may be malformed is written out only where it is parked.
            if settled.target.is_none() {
                return item::state(&id, settled.state, settled.reason, settled.until, now);
            }
            task(&id, self, left, settled, now)
        };
        let writing = Writing {
            id: &id,
            parts: settled.target.map(|violations| distinct(violations)),
            left_out: distinct(settled.left_out),
            mentions: Vec::new(),
            state: settled.state,
            over,
            latest: None,
            spends: settled.spends,
            guards: settled.guards,
            grades: settled.grades,
            approved: settled.approved,
            canary: None,
            impact: settled.impact,
            count: None,
            now,
        };
        Ok(match mitigations.write_parts(writing, task).await? {
            Wrote::Yes(left) => Claim::Taken(left),
            Wrote::Nothing | Wrote::Overtaken(_) => Claim::Nothing,
            Wrote::Known(state) => Claim::Known(state),
            Wrote::Stopped(stop) => Claim::Stopped(stop),
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
    settled: &Settled<'_, AlarmMitigationRequest>,
    now: Millis,
) -> Item {
    let item = item::state(id, settled.state, settled.reason, settled.until, now);
    let item = item::origin(item, &request.origin)
        .text(attribute::PROFILE, &request.profile)
        .text(attribute::BEHAVIOR, &request.behavior)
        .json(attribute::ACTIONS, &request.actions)
        .json(attribute::VIOLATIONS, &own);
    match request.release_after_seconds {
        Some(seconds) => item.number(attribute::RELEASE_AFTER, seconds),
        None => item,
    }
}

/// Each violation once: a transaction writes no item twice.
fn distinct(violations: &[ViolationRef]) -> Vec<ViolationRef> {
    let mut seen = BTreeSet::new();
    violations.iter().filter(|violation| seen.insert(violation.violation_id.as_str())).cloned().collect()
}
