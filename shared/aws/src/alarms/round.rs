//! The messages by which a violation waits to be decided on: of those with one number the ledger takes one.
//!
//! As for mitigations: a message that waits sends the next and is done. It can be delivered twice and then sends the
//! next twice, so the first of a number takes it in its own name, and others with that number, or an earlier one, end.

use std::num::NonZeroU32;

use aws_sdk_dynamodb::types::AttributeValue;
use fleetwarden_core::message::Round;
use fleetwarden_core::message::alarm::Settle;
use fleetwarden_core::timestamp::Millis;

use super::Alarms;
use super::item::attribute;
use crate::Error;
use crate::ledger::Item;
use crate::ledger::keys;
use crate::ledger::nonce;
use crate::ledger::written;

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The message's: it goes on.
    Ours,
    /// It has passed: another copy of the message has gone on.
    Passed,
}

impl Alarms {
    /// Takes the round of a message, if it has one.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn take_round(&self, settle: &Settle, now: Millis) -> Result<Turn, Error> {
        let Some(Round { number, id }) = &settle.round else { return Ok(Turn::Ours) };
        let number = i64::from(number.get());
        let item = Item::new(&keys::alarm(&settle.violation_id), &chain(settle), now)
            .number(attribute::ROUND, number)
            .text(attribute::ROUND_ID, id);
        let value = |number: i64| AttributeValue::N(number.to_string());
        let (client, table) = self.ledger.client_and_table();
        let put = client
            .put_item()
            .table_name(table)
            .set_item(Some(item.into_attributes()))
            .expression_attribute_names("#round", attribute::ROUND)
            .expression_attribute_values(":round", value(number))
            .expression_attribute_values(":id", AttributeValue::S(id.clone()));
        let again = "(#round = :round AND round_id = :id)";
        let put = if number == 1 {
            put.condition_expression(format!("attribute_not_exists(#round) OR {again}"))
        } else {
            let put = put.expression_attribute_values(":before", value(number - 1));
            put.condition_expression(format!("#round = :before OR {again}"))
        };
        let is_ours = written(put.send().await.map_err(Error::aws("PutItem", table)))?;
        Ok(if is_ours { Turn::Ours } else { Turn::Passed })
    }

    /// The message that comes after this one, to be seen not before a moment.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn next_round(&self, settle: &Settle, not_before: Millis) -> Result<Settle, Error> {
        let number = if let Some(round) = &settle.round {
            round.number.saturating_add(1)
        } else {
            let last = self.ledger.get(&keys::alarm(&settle.violation_id), &chain(settle)).await?;
            let last = last.and_then(|last| last.get_number(attribute::ROUND)).unwrap_or_default();
            NonZeroU32::MIN.saturating_add(u32::try_from(last).unwrap_or_default())
        };
        Ok(Settle { not_before, round: Some(Round { number, id: nonce() }), ..settle.clone() })
    }
}

/// The sort key of a raise's chain.
fn chain(settle: &Settle) -> String {
    format!("round#{}", settle.raised_at.0)
}
