//! The ledger: one DynamoDB table that knows what was claimed, what was done, and how it ended.
//!
//! Keys: `pk` says what an item is about ([`keys`]), `sk` which aspect of it; `expires_at` is the table's TTL.
//!
//! - [`claim`]: work that is done once;
//! - [`batch`], [`query`], [`transaction`]: many items in few calls, below one key, together or not at all;
//! - [`latest_audit`]: which audit is the latest of a check.

mod batch;
mod claim;
mod item;
pub mod keys;
mod latest_audit;
mod query;
mod transaction;

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::hash::RandomState;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use crate::Error;
pub use crate::ledger::claim::Attempt;
pub use crate::ledger::item::Item;
pub use crate::ledger::latest_audit::LATEST_AUDIT;
pub use crate::ledger::query::INDEXES;
pub use crate::ledger::query::Index;
pub use crate::ledger::query::IndexKey;
pub use crate::ledger::query::MITIGATIONS;
pub use crate::ledger::query::Page;
pub use crate::ledger::query::Range;
pub(crate) use crate::ledger::transaction::Condition;
pub(crate) use crate::ledger::transaction::Transaction;
pub(crate) use crate::ledger::transaction::Unmet;
pub(crate) use crate::ledger::transaction::pause;

/// The attribute that counts how often an item was written, where writers name what they read.
pub(crate) const VERSION: &str = "version";

/// The ledger's table.
#[derive(Clone, Debug)]
pub struct Ledger {
    client: Client,
    table: String,
}

impl Ledger {
    /// The ledger in this table.
    pub const fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Writes an item, replacing the one with the same keys.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn put(&self, item: Item) -> Result<(), Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item.into_attributes()));
        put.send().await.map(drop).map_err(Error::aws("PutItem", &self.table))
    }

    /// Writes an item in place of the one that was read, as long as `attribute` still has the value that it had then;
    /// none if there was no item, or none with this attribute. Otherwise gives the item that is there now.
    ///
    /// A write whose answer was lost finds its own item: the caller sees whose it is.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn put_in_place(
        &self,
        item: Item,
        attribute: &str,
        read: Option<&str>,
    ) -> Result<Option<Item>, Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item.into_attributes()));
        let put = put
            .expression_attribute_names("#attribute", attribute)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match read {
            None => put.condition_expression("attribute_not_exists(#attribute)"),
            Some(read) => put
                .condition_expression("#attribute = :read")
                .expression_attribute_values(":read", AttributeValue::S(read.to_owned())),
        };
        let Err(error) = put.send().await else { return Ok(None) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Some(Item(failed.item().cloned().unwrap_or_default())))
            }
            _ => Err(Error::aws("PutItem", &self.table)(error)),
        }
    }

    /// Reads an item as it is now.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn get(&self, pk: &str, sk: &str) -> Result<Option<Item>, Error> {
        let get =
            self.client.get_item().table_name(&self.table).set_key(Some(key(pk, sk))).consistent_read(true);
        let got = get.send().await.map_err(Error::aws("GetItem", &self.table))?;
        Ok(got.item.map(Item))
    }

    /// The client and the table's name, for what only one function does.
    pub const fn client_and_table(&self) -> (&Client, &String) {
        (&self.client, &self.table)
    }
}

/// Whether a conditional write took place: its condition can have failed.
pub(crate) fn written<T>(answer: Result<T, Error>) -> Result<bool, Error> {
    match answer {
        Err(error) if error.is_code("ConditionalCheckFailedException") => Ok(false),
        answer => answer.map(|_| true),
    }
}

/// A text that no other try of any work has: its randomness is the operating system's.
pub fn nonce() -> String {
    format!("{:016x}", random())
}

fn random() -> u64 {
    #[cfg(any(test, feature = "testing"))]
    if let Some(of_test) = crate::testing::environment::random() {
        return of_test;
    }
    RandomState::new().hash_one(())
}

/// The key of an item.
pub fn key(pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
    let value = |text: &str| AttributeValue::S(text.to_owned());
    HashMap::from([("pk".to_owned(), value(pk)), ("sk".to_owned(), value(sk))])
}

#[cfg(test)]
mod tests;
