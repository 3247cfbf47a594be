//! Reading the items of one partition key, of the table or of an index, without a scan of the table.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

use super::Item;
use super::Ledger;
use super::key;
use crate::Error;

/// Which sort keys are read.
#[derive(Clone, Copy, Debug)]
pub enum Range<'r> {
    /// All.
    All,
    /// From the first to the last, both included.
    Between(&'r str, &'r str),
}

/// An index of the table: the keys of all items that have both of its attributes, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its name in the template.
    pub name: &'static str,
    /// The attribute by which items belong together.
    pub hash: &'static str,
    /// The attribute that orders them.
    pub range: &'static str,
}

/// All mitigation tasks, by the moment at which they were decided on: no other item with the sort key `task` has one.
pub const MITIGATIONS: Index = Index { name: "Mitigations", hash: "sk", range: "decided_at" };
/// All indexes of the table.
pub const INDEXES: [Index; 1] = [MITIGATIONS];

/// Where an item stands in an index.
#[derive(Clone, Copy, Debug)]
pub struct IndexKey<'k> {
    /// Its partition key.
    pub pk: &'k str,
    /// Its sort key.
    pub sk: &'k str,
    /// The attribute that orders the index.
    pub range: &'k str,
}

/// A part of what a query finds.
#[derive(Debug)]
pub struct Page {
    /// The items, or of an index their keys.
    pub items: Vec<Item>,
    /// Whether there may be more after the last of them.
    pub more: bool,
}

impl Ledger {
    /// Reads one page of the items of a partition key as they are now, by sort key: at most 1 MB, and at most `limit`.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn query_page(
        &self,
        pk: &str,
        between_keys: (&str, &str),
        after: Option<&str>,
        limit: Option<i32>,
    ) -> Result<Page, Error> {
        let query = self.client.query().consistent_read(true).set_limit(limit);
        let query = query.set_exclusive_start_key(after.map(|after| key(pk, after)));
        self.page(between(query, ("pk", pk), "sk", between_keys)).await
    }

    /// Reads one page of an index, the last first: at most `limit` keys, before the given one. What was written a moment
    /// ago may be missing.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn query_index(
        &self,
        index: Index,
        hash: &str,
        between_values: (&str, &str),
        before: Option<IndexKey<'_>>,
        limit: i32,
    ) -> Result<Page, Error> {
        let before = before.map(|before| {
            let mut keys = key(before.pk, before.sk);
            for (name, value) in [(index.hash, hash), (index.range, before.range)] {
                keys.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
            }
            keys
        });
        let query = self.client.query().index_name(index.name).scan_index_forward(false).limit(limit);
        let query = query.set_exclusive_start_key(before);
        self.page(between(query, (index.hash, hash), index.range, between_values)).await
    }

    async fn page(&self, query: QueryFluentBuilder) -> Result<Page, Error> {
        let page = query.table_name(&self.table).send().await.map_err(Error::aws("Query", &self.table))?;
        let items = page.items.unwrap_or_default().into_iter().map(Item).collect();
        Ok(Page { items, more: page.last_evaluated_key.is_some_and(|key| !key.is_empty()) })
    }

    /// Reads the items of a partition key as they are now, by sort key.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn query(&self, pk: &str, range: Range<'_>) -> Result<Vec<Item>, Error> {
        let query = self.client.query().table_name(&self.table).consistent_read(true);
        let query = match range {
            Range::All => query
                .key_condition_expression("pk = :hash")
                .expression_attribute_values(":hash", AttributeValue::S(pk.to_owned())),
            Range::Between(first, last) => between(query, ("pk", pk), "sk", (first, last)),
        };
        let (mut items, mut from) = (Vec::new(), None);
        loop {
            let page = query.clone().set_exclusive_start_key(from.take()).send().await;
            let page = page.map_err(Error::aws("Query", &self.table))?;
            items.extend(page.items.unwrap_or_default().into_iter().map(Item));
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(items);
            }
        }
    }
}

/// A query of the items with a value of the one attribute, and of the other between two values, both included.
fn between(
    query: QueryFluentBuilder,
    (hash, value): (&str, &str),
    range: &str,
    (first, last): (&str, &str),
) -> QueryFluentBuilder {
    let values = [(":hash", value), (":first", first), (":last", last)];
    let values = values.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    query
        .key_condition_expression(format!("{hash} = :hash AND {range} BETWEEN :first AND :last"))
        .set_expression_attribute_values(Some(HashMap::from(values)))
}
