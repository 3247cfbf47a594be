//! The messages by which a step waits: of those with one number the ledger takes one.
//!
//! A message that has to wait sends the next and is done. It can be delivered twice, and then sends the next twice. So
//! the first of a number that comes takes the number in its own name, and others with that number, or with an earlier
//! one, end. A message that is delivered again because the process died has the name that the ledger knows, and goes
//! on. A number is taken only after the one before it: a message that is not of the chain cannot end it.

use std::collections::HashMap;
use std::num::NonZeroU32;

use aws_sdk_dynamodb::types::AttributeValue;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Round;
use fleetwarden_core::message::Step;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::AlarmStep;
use fleetwarden_core::timestamp::Millis;

use super::Latest;
use super::Mitigations;
use super::claims::Check;
use super::claims::latest;
use super::item::attribute;
use super::text;
use crate::Error;
use crate::ledger::Condition;
use crate::ledger::Item;
use crate::ledger::keys;

/// What came of taking a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The message goes on.
    Yes,
    /// Another copy of the message has gone on.
    Passed,
    /// Not taken: the audit of a task that has not started is not the one that has looked at the check last.
    Overtaken(Latest),
}

/// The messages by which one step of a task waits, one after the other.
pub struct Chain {
    pk: String,
    sk: String,
    /// What has to hold for a message of it to go on.
    checks: Vec<Check>,
}

impl Chain {
    /// Of a step of a mitigation of findings. Each check of a command's task is followed by itself. What a rule has
    /// not started yet goes on only for the latest audit of its check.
    pub fn of(request: &MitigationRequest, step: Step) -> Self {
        let sk = match step {
            Step::Start | Step::Held(_) => "round#start".to_owned(),
            Step::Follow => format!("round#follow#{}", request.check),
            Step::Watch => "round#watch".to_owned(),
        };
        let starts = matches!(step, Step::Start | Step::Held(_)) && matches!(request.origin, Origin::Rule(_));
        let checks = starts.then(|| latest(&request.audit, &request.check)).into_iter().collect();
        Self { pk: keys::mitigation(&request.task_id()), sk, checks }
    }

    /// Of a step of a mitigation of alarms.
    pub fn of_alarms(request: &AlarmMitigationRequest, step: AlarmStep) -> Self {
        let sk = match step {
            AlarmStep::Start | AlarmStep::Held(_) => "round#start",
            AlarmStep::Follow => "round#follow",
            AlarmStep::Release => "round#release",
        };
        Self { pk: keys::mitigation(&request.task_id()), sk: sk.to_owned(), checks: Vec::new() }
    }
}

impl Mitigations {
    /// Takes a round of a step's chain for a message.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn take_round(&self, chain: &Chain, round: &Round, now: Millis) -> Result<Taken, Error> {
        let item = Item::new(&chain.pk, &chain.sk, now)
            .number(attribute::ROUND, round.number.get().into())
            .text(attribute::ROUND_ID, &round.id);
        let Some(held) = self.put_all_or_none(vec![(item, follows(round))], &chain.checks).await? else {
            return Ok(Taken::Yes);
        };
        let mut held = held.into_iter();
        if held.next().flatten().is_some() {
            return Ok(Taken::Passed);
        }
        Ok(held.next().flatten().map_or(Taken::Yes, |later| Taken::Overtaken(Latest::of(&later))))
    }

    /// The number of the round that comes next in a step's chain, for a message that is of none.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn next_round(&self, chain: &Chain) -> Result<NonZeroU32, Error> {
        let last = self.ledger.get(&chain.pk, &chain.sk).await?;
        let number = last.and_then(|last| last.get_number(attribute::ROUND)).unwrap_or_default();
        Ok(NonZeroU32::MIN.saturating_add(u32::try_from(number).unwrap_or_default()))
    }
}

/// The round before is taken, or this one by the same message.
fn follows(round: &Round) -> Condition {
    let number = |number: u32| AttributeValue::N(number.to_string());
    let mut values = HashMap::from([
        (":round".to_owned(), number(round.number.get())),
        (":id".to_owned(), text(&round.id)),
    ]);
    let before = match round.number.get() - 1 {
        0 => format!("attribute_not_exists({})", attribute::ROUND),
        before => {
            values.insert(":before".to_owned(), number(before));
            format!("{} = :before", attribute::ROUND)
        }
    };
    let (round, id) = (attribute::ROUND, attribute::ROUND_ID);
    Condition { expression: format!("{before} OR ({round} = :round AND {id} = :id)"), values }
}
