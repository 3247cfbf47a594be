//! The approval of a task, in the ledger: one item below the task, which is changed only in place of what was read.
//!
//! | from | to | who writes it, and on what |
//! |---|---|---|
//! | nothing, `waiting`, `approved` | `waiting` | `apply-mitigations`, with what is explained; before it holds the task |
//! | `waiting` | `approved` | a person, while the task is held |
//! | nothing, `waiting`, `approved` | `rejected` | a person, in the transaction that rejects the held task |
//! | `waiting`, `approved` | `lapsed` | whoever looks first after its time, in the same transaction |
//!
//! What is approved lets a claim through by a condition of the claim's own transaction ([`Approved`]): so a task is either
//! rejected or claimed. A rejected task has a state over which nothing is claimed, however late a copy of its message comes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use fleetwarden_core::model::mitigation::approval::Approval;
use fleetwarden_core::model::mitigation::approval::Explanation;
use fleetwarden_core::model::mitigation::approval::Standing;
use fleetwarden_core::timestamp::Millis;

use super::Mitigations;
use super::claims::Check;
use super::claims::Part as _;
use super::item;
use super::item::State;
use super::item::attribute;
use super::text;
use crate::Error;
use crate::ledger::Condition;
use crate::ledger::Item;
use crate::ledger::keys;

/// The sort key of an approval.
pub const APPROVAL: &str = "approval";
/// How often a rejection is tried while others write the task.
const ROUNDS: u32 = 8;

/// The attributes of an approval, besides those of a task.
mod of_approval {
    pub(super) const EXPLANATION: &str = "explanation";
    pub(super) const EXPLANATION_ID: &str = "explanation_id";
    pub(super) const WITHIN: &str = "within_seconds";
    pub(super) const REQUESTED_BY: &str = "requested_by";
    pub(super) const BY: &str = "by";
    pub(super) const AT: &str = "at";
    pub(super) const REQUEST_ID: &str = "request_id";
    /// The message by which a rule's task goes on.
    pub(super) const MESSAGE: &str = "message";
    /// How often it was written.
    pub(super) const WRITES: &str = "writes";
}

/// What asks a person for an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// What is explained.
    pub explanation: Explanation,
    /// In how many seconds a person has to decide.
    pub within_seconds: i64,
    /// Who asks for the task, as the command says. None: a rule does.
    pub requested_by: Option<String>,
    /// The message by which a rule's task goes on once it is approved.
    pub message: Option<String>,
}

/// A person's word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Who, as the command says.
    pub by: Option<String>,
    /// Why.
    pub reason: String,
    /// The invocation.
    pub request_id: Option<String>,
}

/// The approval of a task, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownApproval {
    /// Where it stands.
    pub standing: Standing,
    /// What was asked.
    pub asking: Asking,
    /// Until when a person has to decide; of what is approved, until when it has to start.
    pub until: Millis,
    /// The person's word, and when it came.
    pub word: Option<(Word, Millis)>,
    writes: i64,
}

/// An approval that a claim has to find as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approved {
    writes: i64,
}

/// What came of a rejection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The task is rejected.
    Done,
    /// The ledger has no such task.
    Unknown,
    /// The task is not held. None: its state is not known.
    NotHeld(Option<State>),
    /// Somebody else has written the approval since it was read.
    Changed,
}

impl Asking {
    /// What was asked of what is rejected unasked.
    fn nothing() -> Self {
        let explanation = Explanation::default();
        Self { explanation, within_seconds: 0, requested_by: None, message: None }
    }
}

impl KnownApproval {
    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: Millis) -> bool {
        self.until <= now
    }

    /// What is written when its time is over.
    #[must_use]
    pub fn lapse(&self) -> Word {
        let until = self.until.rfc3339();
        let reason = if self.standing == Standing::Approved {
            format!("it was approved, and could not start until {until}")
        } else {
            format!("nobody approved it until {until}")
        };
        Word { reason, ..Word::default() }
    }

    /// It as a claim has to find it.
    #[must_use]
    pub const fn approved(&self) -> Approved {
        Approved { writes: self.writes }
    }

    /// It as it is answered.
    #[must_use]
    pub fn view(&self) -> Approval {
        let word = self.word.as_ref();
        Approval {
            state: self.standing.as_str().to_owned(),
            explanation_id: self.asking.explanation.id(),
            explanation: self.asking.explanation.clone(),
            until: Some(self.until.rfc3339()),
            requested_by: self.asking.requested_by.clone(),
            by: word.and_then(|(word, _)| word.by.clone()),
            reason: word.map(|(word, _)| word.reason.clone()),
            at: word.map(|(_, at)| at.rfc3339()),
            request_id: word.and_then(|(word, _)| word.request_id.clone()),
        }
    }
}

impl Mitigations {
    /// The approval of a task. None: none was asked for.
    ///
    /// # Errors
    /// If the table does not answer, or has something else in place of it: then nothing is approved.
    pub async fn approval(&self, task_id: &str) -> Result<Option<KnownApproval>, Error> {
        let Some(item) = self.ledger.get(&keys::mitigation(task_id), APPROVAL).await? else {
            return Ok(None);
        };
        let unreadable =
            || Error::Later(format!("{task_id}: the ledger's item of its approval cannot be read"));
        read(&item).map(Some).ok_or_else(unreadable)
    }

    /// Asks for an approval, in place of what was read. Says whether it is written: somebody else may have been faster.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn ask(
        &self,
        task_id: &str,
        asking: &Asking,
        known: Option<&KnownApproval>,
        now: Millis,
    ) -> Result<bool, Error> {
        let asked = KnownApproval {
            standing: Standing::Waiting,
            asking: asking.clone(),
            until: now.plus_seconds(asking.within_seconds),
            word: None,
            writes: next(known),
        };
        let put = (written(task_id, &asked, now), unless_written(known));
        Ok(self.put_all_or_none(vec![put], &[]).await?.is_none())
    }

    /// Writes, in place of what was read, under which policy what is explained stands: it is the same explanation, and a
    /// person still has as long to decide.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn explain_again(
        &self,
        task_id: &str,
        asking: &Asking,
        known: &KnownApproval,
        now: Millis,
    ) -> Result<bool, Error> {
        let again = KnownApproval { asking: asking.clone(), writes: next(Some(known)), ..known.clone() };
        let put = (written(task_id, &again, now), unless_written(Some(known)));
        Ok(self.put_all_or_none(vec![put], &[]).await?.is_none())
    }

    /// Approves what was read, if it waits and its time is not over, while the task is held. It has as long to start as a
    /// person had to approve it. None: nothing is written.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn approve(
        &self,
        task_id: &str,
        known: &KnownApproval,
        word: &Word,
        now: Millis,
    ) -> Result<Option<KnownApproval>, Error> {
        if known.standing != Standing::Waiting || known.is_over(now) {
            return Ok(None);
        }
        let approved = KnownApproval {
            standing: Standing::Approved,
            until: now.plus_seconds(known.asking.within_seconds),
            word: Some((word.clone(), now)),
            writes: next(Some(known)),
            ..known.clone()
        };
        let put = (written(task_id, &approved, now), unless_written(Some(known)));
        let values = HashMap::from([(":held".to_owned(), text(State::Held.as_str()))]);
        let condition = Condition { expression: "#state = :held".to_owned(), values };
        let held = Check { pk: keys::mitigation(task_id), sk: "task".into(), condition };
        Ok(self.put_all_or_none(vec![put], &[held]).await?.is_none().then_some(approved))
    }

    /// Rejects a task that is held, with its approval as it was read if one was asked for: by a person's word, or because
    /// its time is over. Whoever claims or rejects first wins.
    ///
    /// # Errors
    /// If the table does not answer, or others write the task as often as this is tried.
    pub async fn reject(
        &self,
        task_id: &str,
        known: Option<&KnownApproval>,
        (standing, word): (Standing, &Word),
        now: Millis,
    ) -> Result<Rejection, Error> {
        let mut others = Vec::new();
        for _ in 0..ROUNDS {
            let Some(task) = self.ledger.get(&keys::mitigation(task_id), "task").await? else {
                return Ok(Rejection::Unknown);
            };
            let state = State::of(&task);
            if state != Some(State::Held) {
                return Ok(Rejection::NotHeld(state));
            }
            let decided_at = task.get_text(attribute::DECIDED_AT).unwrap_or_default().to_owned();
            let values = HashMap::from([
                (":held".to_owned(), text(State::Held.as_str())),
                (":decided_at".to_owned(), text(&decided_at)),
            ]);
            let expression = format!("#state = :held AND {} = :decided_at", attribute::DECIDED_AT);
            // A command has claimed nothing yet.
            let is_of_rule = task.get_text(attribute::ORIGIN) != Some(item::COMMAND);
            let findings = if is_of_rule { item::findings(&task) } else { Vec::new() };
            let violations = if is_of_rule { item::violations(&task) } else { Vec::new() };
            let task = task
                .text(attribute::STATE, State::Rejected.as_str())
                .text(attribute::REASON, &word.reason)
                .text(attribute::ENDED_AT, now.rfc3339());
            let asking = known.map_or_else(Asking::nothing, |known| known.asking.clone());
            let rejected = KnownApproval {
                standing,
                asking,
                until: known.map_or(now, |known| known.until),
                word: Some((word.clone(), now)),
                writes: next(known),
            };
            let rejected = (written(task_id, &rejected, now), unless_written(known));
            let mut puts = vec![(task, Condition { expression, values }), rejected];
            let own = puts.len();
            let state = State::Rejected;
            let findings = findings
                .iter()
                .map(|of| (of.about(), of.claim(task_id, state, now), of.unless_held(task_id, state)));
            let violations = violations
                .iter()
                .map(|of| (of.about(), of.claim(task_id, state, now), of.unless_held(task_id, state)));
            let (parts, claims): (Vec<_>, Vec<_>) = findings
                .chain(violations)
                .filter(|(about, ..)| !others.contains(about))
                .map(|(about, claim, condition)| (about, (claim, condition)))
                .unzip();
            puts.extend(claims);
            let Some(mut unmet) = self.put_all_or_none(puts, &[]).await? else { return Ok(Rejection::Done) };
            let of_parts = unmet.split_off(own.min(unmet.len()));
            if unmet.get(1).is_some_and(Option::is_some) {
                return Ok(Rejection::Changed);
            }
            // What other tasks have by now stays theirs.
            others.extend(parts.into_iter().zip(of_parts).filter_map(|(about, held)| held.map(|_| about)));
        }
        Err(Error::Later(format!("{task_id}: others still write it after {ROUNDS} tries")))
    }
}

/// An approval that a claim has to find as it was read: nobody has taken it back since.
pub(super) fn still(task_id: &str, approved: Approved) -> Check {
    let values = HashMap::from([
        (":writes".to_owned(), AttributeValue::N(approved.writes.to_string())),
        (":approved".to_owned(), text(Standing::Approved.as_str())),
    ]);
    let expression = format!("#state = :approved AND {} = :writes", of_approval::WRITES);
    Check { pk: keys::mitigation(task_id), sk: APPROVAL.into(), condition: Condition { expression, values } }
}

fn next(known: Option<&KnownApproval>) -> i64 {
    known.map_or(0, |known| known.writes).saturating_add(1)
}

/// Nobody else has written the approval since it was read.
fn unless_written(known: Option<&KnownApproval>) -> Condition {
    let name = of_approval::WRITES;
    match known {
        None => Condition { expression: format!("attribute_not_exists({name})"), values: HashMap::new() },
        Some(known) => Condition {
            expression: format!("{name} = :writes"),
            values: HashMap::from([(":writes".to_owned(), AttributeValue::N(known.writes.to_string()))]),
        },
    }
}

fn written(task_id: &str, of: &KnownApproval, now: Millis) -> Item {
    let KnownApproval { standing, asking, until, word, writes } = of;
    let Asking { explanation, within_seconds, requested_by, message } = asking;
    let item = Item::new(&keys::mitigation(task_id), APPROVAL, now)
        .text(attribute::TASK_ID, task_id)
        .text(attribute::STATE, standing.as_str())
        .json(of_approval::EXPLANATION, explanation)
        .text(of_approval::EXPLANATION_ID, explanation.id())
        .number(of_approval::WITHIN, *within_seconds)
        .number(attribute::UNTIL, until.0)
        .number(of_approval::WRITES, *writes);
    let said = word.as_ref();
    let texts = [
        (of_approval::REQUESTED_BY, requested_by.clone()),
        (of_approval::MESSAGE, message.clone()),
        (of_approval::BY, said.and_then(|(word, _)| word.by.clone())),
        (attribute::REASON, said.map(|(word, _)| word.reason.clone())),
        (of_approval::AT, said.map(|(_, at)| at.rfc3339())),
        (of_approval::REQUEST_ID, said.and_then(|(word, _)| word.request_id.clone())),
    ];
    let texts = texts.into_iter().filter_map(|(name, value)| Some((name, value?)));
    texts.fold(item, |item, (name, value)| item.text(name, value))
}

fn read(item: &Item) -> Option<KnownApproval> {
    let word = item.get_text(attribute::STATE)?;
    let owned = |name| item.get_text(name).map(ToOwned::to_owned);
    let at = item.get_text(of_approval::AT).and_then(Millis::parse);
    let said = Word {
        by: owned(of_approval::BY),
        reason: owned(attribute::REASON).unwrap_or_default(),
        request_id: owned(of_approval::REQUEST_ID),
    };
    Some(KnownApproval {
        standing: Standing::ALL.into_iter().find(|standing| standing.as_str() == word)?,
        asking: Asking {
            explanation: item.get_json(of_approval::EXPLANATION)?,
            within_seconds: item.get_number(of_approval::WITHIN)?,
            requested_by: owned(of_approval::REQUESTED_BY),
            message: owned(of_approval::MESSAGE),
        },
        until: item.get_number(attribute::UNTIL).map(Millis)?,
        word: at.map(|at| (said, at)),
        writes: item.get_number(of_approval::WRITES)?,
    })
}
