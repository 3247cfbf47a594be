//! Work that is done once, however often and by how many workers it is tried.
//!
//! A claim is one conditional write. It says that a worker works on a thing until a moment, the lease; a worker that
//! comes later learns from the same write that the thing is done, or busy, or free again because the first one
//! died. A claim carries its owner's nonce, which no other try of any work has: only its owner ends it, and an owner
//! that did not get the answer to its write recognizes its own claim.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use fleetwarden_core::timestamp::Millis;

use super::Item;
use super::Ledger;
use super::key;
use super::nonce;
use super::written;
use crate::Error;

/// The sort pk of a claim.
const CLAIM: &str = "claim";

/// The result of work that is to be done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt<T> {
    /// It is done, and gave this.
    Done(T),
    /// It was done before.
    DoneBefore,
    /// Another worker works on it, until this moment at the latest.
    Busy(Millis),
}

/// Whose a thing is that was claimed.
enum Holder {
    /// It is ours until the lease ends.
    Ours,
    /// It was done before.
    Done,
    /// Another worker works on it until this moment.
    Busy(Millis),
}

impl Ledger {
    /// Runs work once, under a claim of `pk` that lasts until `lease`. Work that is done does not run again; work that
    /// fails releases its claim, so that the next try need not wait for the lease to end. Gives the result of the
    /// work; none if it was done before.
    ///
    /// Work that ends after its lease counts as done, too. If another worker has claimed it meanwhile, that worker's
    /// claim stays as it is.
    ///
    /// # Errors
    /// [`Error::Later`] if another worker holds the claim; if the table does not answer, or why the work failed.
    pub async fn run_once<T>(
        &self,
        pk: &str,
        now: Millis,
        lease: Millis,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, Error> {
        match self.try_run_once(pk, now, lease, work).await? {
            Attempt::Busy(until) => {
                Err(Error::Later(format!("another worker holds {pk} until {}", until.rfc3339())))
            }
            Attempt::Done(result) => Ok(Some(result)),
            Attempt::DoneBefore => Ok(None),
        }
    }

    /// As [`run_once`](Self::run_once), but a claim of another worker is no error.
    ///
    /// # Errors
    /// If the table does not answer, or why the work failed.
    pub async fn try_run_once<T>(
        &self,
        pk: &str,
        now: Millis,
        lease: Millis,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Attempt<T>, Error> {
        let nonce = nonce();
        match self.claim(pk, &nonce, now, lease).await? {
            Holder::Done => {
                tracing::info!(claim = pk, "already done");
                return Ok(Attempt::DoneBefore);
            }
            Holder::Busy(until) => return Ok(Attempt::Busy(until)),
            Holder::Ours => {}
        }
        match work.await {
            Ok(result) => {
                if !self.complete(pk, &nonce).await? {
                    tracing::warn!(claim = pk, "the work is done, but its lease ended before it was");
                }
                Ok(Attempt::Done(result))
            }
            Err(error) => {
                self.release(pk, &nonce).await;
                Err(error)
            }
        }
    }

    /// Claims a thing until the lease ends.
    async fn claim(&self, pk: &str, nonce: &str, now: Millis, lease: Millis) -> Result<Holder, Error> {
        let item = Item::new(pk, CLAIM, now).text("state", "running").text("nonce", nonce);
        let item = item.number("lease_until", lease.0);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item.into_attributes()));
        let put = put
            .condition_expression("attribute_not_exists(pk) OR (#state = :running AND lease_until < :now)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":running", AttributeValue::S("running".into()))
            .expression_attribute_values(":now", AttributeValue::N(now.0.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(Holder::Ours) };
        if let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() {
            let there = Item(failed.item().cloned().unwrap_or_default());
            return Ok(match (there.get_text("state"), there.get_text("nonce")) {
                (Some("done"), _) => Holder::Done,
                // An answer was lost, and the SDK sent the claim again.
                (_, Some(owner)) if owner == nonce => Holder::Ours,
                _ => Holder::Busy(Millis(there.get_number("lease_until").unwrap_or(lease.0))),
            });
        }
        // An earlier try may have made the claim, whatever the last one was answered, and no work follows it.
        self.release(pk, nonce).await;
        Err(Error::aws("PutItem", &self.table)(error))
    }

    /// Marks a claimed thing as done, unless the claim is another's by now. Says whether it did.
    async fn complete(&self, pk: &str, nonce: &str) -> Result<bool, Error> {
        self.change(pk, nonce, "state", AttributeValue::S("done".into())).await
    }

    /// Releases a claim, so that the next try need not wait for the lease to end. If that fails, it waits.
    async fn release(&self, pk: &str, nonce: &str) {
        let released = self.change(pk, nonce, "lease_until", AttributeValue::N("0".into())).await;
        if let Err(error) = released {
            tracing::warn!(claim = pk, %error, "the claim could not be released; the next try waits for its lease to end");
        }
    }

    /// Sets an attribute of one's own claim. Says whether the claim is still one's own.
    async fn change(&self, pk: &str, nonce: &str, name: &str, value: AttributeValue) -> Result<bool, Error> {
        let update = self.client.update_item().table_name(&self.table).set_key(Some(key(pk, CLAIM)));
        let update = update
            .update_expression("SET #name = :value")
            .condition_expression("nonce = :nonce")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value)
            .expression_attribute_values(":nonce", AttributeValue::S(nonce.to_owned()));
        written(update.send().await.map_err(Error::aws("UpdateItem", &self.table)))
    }
}
