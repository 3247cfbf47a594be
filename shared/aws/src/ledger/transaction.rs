//! Writes that take place together or not at all (`TransactWriteItems`).
//!
//! A transaction whose answer is lost is sent again by the SDK under the token of the first try, and DynamoDB answers as
//! it did before. A transaction that meets another one on the same item is canceled by DynamoDB: it is sent again a few
//! times, after waits of random length, so that two that met do not meet again.

use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::Delete;
use aws_sdk_dynamodb::types::Put;
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
    /// If the table does not answer, or if the transaction met others as often as it was sent.
    pub(crate) async fn send(self) -> Result<bool, Error> {
        let (client, table) = self.ledger.client_and_table();
        let items = self.items.into_iter().collect::<Result<Vec<_>, _>>();
        let items = items.map_err(|e| Error::Input(e.to_string()))?;
        if items.is_empty() {
            return Ok(true);
        }
        for round in 0..TRIES {
            let Err(error) =
                client.transact_write_items().set_transact_items(Some(items.clone())).send().await
            else {
                return Ok(true);
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
                error.as_service_error()
            else {
                return Err(Error::aws("TransactWriteItems", table)(error));
            };
            let is_for = |code: &str| canceled.cancellation_reasons().iter().any(|r| r.code() == Some(code));
            if is_for("ConditionalCheckFailed") {
                return Ok(false);
            }
            let again = is_for("TransactionConflict") || is_for("ThrottlingError");
            if !again {
                return Err(Error::aws("TransactWriteItems", table)(error));
            }
            pause(round).await;
        }
        Err(Error::Later(format!("TransactWriteItems on {table}: it met others {TRIES} times")))
    }
}

/// Waits for a random time that grows from round to round: up to 50 ms, 100 ms, and so on to 800 ms.
pub(crate) async fn pause(round: u32) {
    let most = 50 * 2_u64.pow(round.min(4));
    tokio::time::sleep(Duration::from_millis(1 + random() % most)).await;
}
