//! What rules have done to suppressions: an item of the ledger for each check and resource, with the last changes and what
//! was there before each.
//!
//! | `pk` | `sk` | what it is |
//! |---|---|---|
//! | `suppression#HASH` | `suppression` | the check, the resource, its changes, and when the last one was (`decided_at`) |
//!
//! `apply-suppressions` writes a change down before it makes it, so that no suppression is changed whose state before is
//! not known. `mitigation-commands` puts the state before back, and marks the change: what is marked is not made again in
//! its audit. Each writes in place of what it read, and whoever comes second reads again.

mod identifier;

use aws_sdk_iot::operation::describe_audit_suppression::DescribeAuditSuppressionOutput;
use aws_sdk_iot::primitives::DateTime;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::suppression::change::Change;
use fleetwarden_core::model::suppression::change::State;
use fleetwarden_core::timestamp::Millis;

use crate::Error;
use crate::ledger::Item;
use crate::ledger::Ledger;
use crate::ledger::keys;
use crate::ledger::nonce;
use crate::mitigations::attribute;
pub use identifier::identifier;

/// The sort key of the items, and their place in the index.
pub const SUPPRESSION: &str = "suppression";
/// The attribute that says who has written an item last.
const WRITTEN_BY: &str = "nonce";
/// The attribute with the changes, as JSON.
const CHANGES: &str = "changes";

/// What rules have done to one suppression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The check.
    pub check: CheckName,
    /// The resource.
    pub resource: ResourceIdentifier,
    /// The last changes, the newest last. Empty: it was about to be changed, and was not.
    pub changes: Vec<Change>,
    /// Who has written it last. None: it is not in the ledger.
    written_by: Option<String>,
}

impl Record {
    /// Of a suppression to which no rule has done anything.
    #[must_use]
    pub const fn new(check: CheckName, resource: ResourceIdentifier) -> Self {
        Self { check, resource, changes: Vec::new(), written_by: None }
    }

    /// The one that the ledger has.
    ///
    /// # Errors
    /// If the table does not answer, or has something else in its place.
    pub async fn find(
        ledger: &Ledger,
        check: &CheckName,
        resource: &ResourceIdentifier,
    ) -> Result<Option<Self>, Error> {
        let found = ledger.get(&keys::suppression(check, resource), SUPPRESSION).await?;
        found.as_ref().map(Self::read).transpose()
    }

    /// From its item.
    ///
    /// # Errors
    /// If the item is none that was written here: what was there before is unknown.
    pub fn read(item: &Item) -> Result<Self, Error> {
        let unreadable = || {
            let pk = item.get_text("pk").unwrap_or_default();
            Error::Later(format!("the ledger's item {pk} is no record of a suppression that can be read"))
        };
        Ok(Self {
            check: CheckName::new(item.get_text(attribute::CHECK).ok_or_else(unreadable)?),
            resource: item.get_json(attribute::RESOURCE).ok_or_else(unreadable)?,
            changes: item.get_json(CHANGES).ok_or_else(unreadable)?,
            written_by: item.get_text(WRITTEN_BY).map(ToOwned::to_owned),
        })
    }

    /// Writes it in place of what was read. Gives what is there now, if somebody else was faster.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub async fn put(&mut self, ledger: &Ledger, now: Millis) -> Result<Option<Self>, Error> {
        let writer = nonce();
        let item = self.item(&writer, now);
        let there = ledger.put_in_place(item, WRITTEN_BY, self.written_by.as_deref()).await?;
        // An answer may have been lost, and the write sent again.
        if let Some(there) = there.filter(|there| there.get_text(WRITTEN_BY) != Some(&writer)) {
            return Self::read(&there).map(Some);
        }
        self.written_by = Some(writer);
        Ok(None)
    }

    fn item(&self, writer: &str, now: Millis) -> Item {
        let item = Item::new(&keys::suppression(&self.check, &self.resource), SUPPRESSION, now)
            .text(attribute::CHECK, self.check.as_str())
            .json(attribute::RESOURCE, &self.resource)
            .json(CHANGES, &self.changes)
            .text(WRITTEN_BY, writer);
        match self.changes.last() {
            Some(last) => item.text(attribute::DECIDED_AT, &last.at),
            None => item,
        }
    }
}

/// A suppression as Device Defender describes it. It keeps seconds; a fraction that comes back says nothing.
#[must_use]
pub fn state(described: &DescribeAuditSuppressionOutput) -> State {
    let never = described.suppress_indefinitely() == Some(true);
    State {
        expires_at: described.expiration_date().map(DateTime::secs).filter(|_| !never),
        description: described.description().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::cloud::Cloud;

    fn record() -> Record {
        let resource = serde_json::from_value(json!({"clientId": "lamp"})).unwrap();
        let at = "2026-11-23T00:00:00Z".to_owned();
        let changes = vec![Change { at, ..Change::default() }];
        Record { changes, ..Record::new(CheckName::new("CONFLICTING_CLIENT_IDS_CHECK"), resource) }
    }

    #[tokio::test]
    async fn who_comes_second_reads_what_is_there() {
        let cloud = Cloud::default();
        let ledger = Ledger::new(cloud.clients().dynamodb(), "ledger".into());
        let now = cloud.clock().now();
        let (mut first, mut second) = (record(), record());
        assert_eq!(first.put(&ledger, now).await.unwrap(), None);
        let there = second.put(&ledger, now).await.unwrap().unwrap();
        assert_eq!(there, first);
        let found = Record::find(&ledger, &first.check, &first.resource).await.unwrap();
        assert_eq!(found.as_ref(), Some(&first));
        let mut known = found.unwrap();
        known.changes.clear();
        assert_eq!(known.put(&ledger, now).await.unwrap(), None);
        assert!(first.put(&ledger, now).await.unwrap().is_some_and(|there| there.changes.is_empty()));
        let other = Item::new("suppression#x", SUPPRESSION, now);
        assert!(Record::read(&other).is_err(), "what was there before is unknown");
    }
}
