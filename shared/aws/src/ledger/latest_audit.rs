//! Which audit is the latest that has looked at a check.

use aws_sdk_dynamodb::types::AttributeValue;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;

use super::Item;
use super::Ledger;
use super::keys;
use super::written;
use crate::Error;

/// The sort key, below a check's history, of the latest audit that has looked at the check.
pub const LATEST_AUDIT: &str = "audit";

impl Ledger {
    /// Writes an item about an audit's check, unless a later audit has written it. Says whether it did.
    ///
    /// The item has the attributes `started_at` and `task_id` of its audit.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn put_newer(&self, item: Item, audit: &Audit) -> Result<bool, Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item.into_attributes()));
        let put = put
            .condition_expression(
                "attribute_not_exists(pk) OR started_at <= :started_at OR task_id = :task_id",
            )
            .expression_attribute_values(":started_at", AttributeValue::N(audit.started_at.0.to_string()))
            .expression_attribute_values(":task_id", AttributeValue::S(audit.task_id.to_string()));
        written(put.send().await.map_err(Error::aws("PutItem", &self.table)))
    }

    /// Records that this audit has looked at a check, unless a later audit is recorded. Says whether it is the latest.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn record_audit_of_check(&self, audit: &Audit, check: &CheckName) -> Result<bool, Error> {
        let item = Item::new(&keys::history(check), LATEST_AUDIT, audit.started_at)
            .text("task_id", &audit.task_id)
            .number("started_at", audit.started_at.0);
        self.put_newer(item, audit).await
    }

    /// The task id of a later audit that has looked at a check, if there is one: then this audit is overtaken.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn later_audit(&self, audit: &Audit, check: &CheckName) -> Result<Option<String>, Error> {
        let latest = self.get(&keys::history(check), LATEST_AUDIT).await?;
        Ok(latest.and_then(|latest| {
            let later = latest.get_number("started_at").is_some_and(|began| began > audit.started_at.0);
            let task_id = latest.get_text("task_id").filter(|task_id| later && *task_id != audit.task_id);
            task_id.map(ToOwned::to_owned)
        }))
    }
}
