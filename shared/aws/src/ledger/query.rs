//! Reading all items of one partition key, without a scan of the table.

use aws_sdk_dynamodb::types::AttributeValue;

use super::Item;
use super::Ledger;
use crate::Error;

/// Which sort keys are read.
#[derive(Clone, Copy, Debug)]
pub enum Range<'r> {
    /// All.
    All,
    /// From the first to the last, both included.
    Between(&'r str, &'r str),
}

impl Ledger {
    /// Reads the items of a partition key as they are now, by sort key.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn query(&self, pk: &str, range: Range<'_>) -> Result<Vec<Item>, Error> {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let query = self.client.query().table_name(&self.table).consistent_read(true);
        let query = query.expression_attribute_values(":pk", text(pk));
        let query = match range {
            Range::All => query.key_condition_expression("pk = :pk"),
            Range::Between(first, last) => query
                .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
                .expression_attribute_values(":first", text(first))
                .expression_attribute_values(":last", text(last)),
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
