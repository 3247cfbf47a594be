//! Writes that take place together or not at all (`TransactWriteItems`).
//!
//! A transaction whose answer is lost is sent again by the SDK under the token of the first try, and DynamoDB answers as
//! it did before. A transaction that meets another one on the same item is canceled by DynamoDB: it is sent again a few
//! times, after waits of random length, so that two that met do not meet again.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::CancellationReason;
use aws_sdk_dynamodb::types::ConditionCheck;
use aws_sdk_dynamodb::types::Delete;
use aws_sdk_dynamodb::types::Put;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_sdk_dynamodb::types::Update;

use super::Item;
use super::Ledger;
use super::key;
use super::random;
use crate::Error;
use crate::ledger::VERSION;

/// How often a transaction is sent that meets another one.
const TRIES: u32 = 6;

/// On what an item is written, or a transaction takes place. `#state` is the attribute `state`: DynamoDB reserves the
/// word.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) expression: String,
    pub(crate) values: HashMap<String, AttributeValue>,
}

impl Condition {
    /// DynamoDB refuses a name that no expression has, and an empty map.
    fn names(&self) -> Option<HashMap<String, String>> {
        self.expression.contains("#state").then(|| HashMap::from([("#state".to_owned(), "state".to_owned())]))
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.clone()).filter(|values| !values.is_empty())
    }
}

/// Of each write whose condition does not hold the item as it is, in the place of the write.
pub(crate) type Unmet = Vec<Option<Item>>;

/// Writes to be made together, at most 100.
#[derive(Debug)]
pub(crate) struct Transaction<'l> {
    ledger: &'l Ledger,
    items: Vec<Result<TransactWriteItem, BuildError>>,
}

impl Ledger {
    /// A transaction without writes.
    pub(crate) const fn transaction(&self) -> Transaction<'_> {
        Transaction { ledger: self, items: Vec::new() }
    }
}

impl Transaction<'_> {
    /// Puts an item in place of the version that was read; none: there was no item.
    pub(crate) fn put_version(&mut self, item: Item, read: Option<i64>) {
        let item = item.number(VERSION, read.unwrap_or_default().saturating_add(1));
        let put = Put::builder().table_name(&self.ledger.table).set_item(Some(item.into_attributes()));
        let put = match read {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(read) => put
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":version", AttributeValue::N(read.to_string())),
        };
        self.items.push(put.build().map(|put| TransactWriteItem::builder().put(put).build()));
    }

    /// Puts an item, whatever was there.
    pub(crate) fn put(&mut self, item: Item) {
        let put = Put::builder().table_name(&self.ledger.table).set_item(Some(item.into_attributes()));
        self.items.push(put.build().map(|put| TransactWriteItem::builder().put(put).build()));
    }

    /// Puts an item on a condition.
    pub(crate) fn put_if(&mut self, item: Item, condition: Condition) {
        let put = Put::builder()
            .table_name(&self.ledger.table)
            .set_item(Some(item.into_attributes()))
            .set_expression_attribute_names(condition.names())
            .set_expression_attribute_values(condition.values())
            .condition_expression(condition.expression)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        self.items.push(put.build().map(|put| TransactWriteItem::builder().put(put).build()));
    }

    /// Writes nothing to an item, and has a condition hold for it.
    pub(crate) fn check(&mut self, pk: &str, sk: &str, condition: Condition) {
        let check = ConditionCheck::builder()
            .table_name(&self.ledger.table)
            .set_key(Some(key(pk, sk)))
            .set_expression_attribute_names(condition.names())
            .set_expression_attribute_values(condition.values())
            .condition_expression(condition.expression)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        self.items
            .push(check.build().map(|check| TransactWriteItem::builder().condition_check(check).build()));
    }

    /// Deletes an item, if there is one.
    pub(crate) fn delete(&mut self, pk: &str, sk: &str) {
        let delete = Delete::builder().table_name(&self.ledger.table).set_key(Some(key(pk, sk))).build();
        self.items.push(delete.map(|delete| TransactWriteItem::builder().delete(delete).build()));
    }

    /// Adds to a number of an item, which is made if there is none, and ends when `expires_at` says, in epoch seconds.
    pub(crate) fn add(&mut self, pk: &str, sk: &str, (name, more): (&str, i64), expires_at: i64) {
        let number = |value: i64| AttributeValue::N(value.to_string());
        let update = Update::builder()
            .table_name(&self.ledger.table)
            .set_key(Some(key(pk, sk)))
            .update_expression("SET expires_at = :end ADD #name :more")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":more", number(more))
            .expression_attribute_values(":end", number(expires_at))
            .build();
        self.items.push(update.map(|update| TransactWriteItem::builder().update(update).build()));
    }

    /// Makes the writes. Says whether they took place: if a condition does not hold, none did.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub(crate) async fn send(self) -> Result<bool, Error> {
        Ok(self.commit().await?.is_none())
    }

    /// Makes the writes. None: they took place. Else none did, because of the conditions that do not hold.
    ///
    /// # Errors
    /// If the table does not answer, or if the transaction met others as often as it was sent.
    pub(crate) async fn commit(self) -> Result<Option<Unmet>, Error> {
        let (client, table) = self.ledger.client_and_table();
        let items = self.items.into_iter().collect::<Result<Vec<_>, _>>();
        let items = items.map_err(|e| Error::Input(e.to_string()))?;
        if items.is_empty() {
            return Ok(None);
        }
        for round in 0..TRIES {
            let Err(error) =
                client.transact_write_items().set_transact_items(Some(items.clone())).send().await
            else {
                return Ok(None);
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
                error.as_service_error()
            else {
                return Err(Error::aws("TransactWriteItems", table)(error));
            };
            let reasons = canceled.cancellation_reasons();
            let unmet: Unmet = reasons.iter().map(unmet).collect();
            if unmet.iter().any(Option::is_some) {
                return Ok(Some(unmet));
            }
            let is_for = |code: &str| reasons.iter().any(|reason| reason.code() == Some(code));
            if !is_for("TransactionConflict") && !is_for("ThrottlingError") {
                return Err(Error::aws("TransactWriteItems", table)(error));
            }
            pause(round).await;
        }
        Err(Error::Later(format!("TransactWriteItems on {table}: it met others {TRIES} times")))
    }
}

/// The item of a write whose condition does not hold. It is empty if there is no such item.
fn unmet(reason: &CancellationReason) -> Option<Item> {
    let is_unmet = reason.code() == Some("ConditionalCheckFailed");
    is_unmet.then(|| Item::from(reason.item().cloned().unwrap_or_default()))
}

/// Waits for a random time that grows from round to round: up to 50 ms, 100 ms, and so on to 800 ms.
pub(crate) async fn pause(round: u32) {
    let most = 50 * 2_u64.pow(round.min(4));
    tokio::time::sleep(Duration::from_millis(1 + random() % most)).await;
}
