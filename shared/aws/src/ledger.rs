//! The ledger: one DynamoDB table that knows what was claimed, what was done, and how it ended.
//!
//! A claim is one conditional write. It says that a worker works on a thing until a moment, the lease; a worker that
//! comes later learns from the same write that the thing is done, or busy, or free again because the first one
//! died. A claim carries its owner's nonce, which no other try of any work has: only its owner ends it, and an owner
//! that did not get the answer to its write recognizes its own claim. Keys: `pk` says what an item is about, `sk` which aspect of it; `expires_at` is the table's TTL.

mod query;
mod transaction;

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::hash::RandomState;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use aws_sdk_dynamodb::types::PutRequest;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use aws_sdk_dynamodb::types::WriteRequest;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::timestamp::Millis;

use crate::Error;
pub use crate::ledger::query::INDEXES;
pub use crate::ledger::query::Index;
pub use crate::ledger::query::IndexKey;
pub use crate::ledger::query::MITIGATIONS;
pub use crate::ledger::query::Page;
pub use crate::ledger::query::Range;
pub(crate) use crate::ledger::transaction::Transaction;
pub(crate) use crate::ledger::transaction::pause;

/// How long an item stays: longer than Device Defender keeps a finding (90 days).
pub const KEPT_SECONDS: i64 = 400 * 86_400;
/// The sort key, below a check's history, of the latest audit that has looked at the check.
pub const LATEST_AUDIT: &str = "audit";
/// The attribute that counts how often an item was written, where writers name what they read.
pub(crate) const VERSION: &str = "version";
/// How many items one call reads (`BatchGetItem`).
const BATCH_GET: usize = 100;
/// How many items one call writes (`BatchWriteItem`).
const BATCH_WRITE: usize = 25;
/// How often what the table held back is asked for again, or sent again.
const ROUNDS: u32 = 4;

/// The ledger's table.
#[derive(Clone, Debug)]
pub struct Ledger {
    client: Client,
    table: String,
}

/// What came of work that is to be done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt<T> {
    /// It is done, and gave this.
    Done(T),
    /// It was done before.
    DoneBefore,
    /// Another worker works on it, until this moment at the latest.
    Busy(Millis),
}

/// What came of a claim.
enum Claim {
    /// It is ours until the lease ends.
    Ours,
    /// It was done before.
    Done,
    /// Another worker works on it until this moment.
    Busy(Millis),
}

/// An item, by attribute name.
#[derive(Clone, Debug, PartialEq)]
pub struct Item(HashMap<String, AttributeValue>);

impl Item {
    /// An item with its keys and its end.
    pub fn new(pk: &str, sk: &str, now: Millis) -> Self {
        Self::lasting(pk, sk).number("expires_at", now.seconds() + KEPT_SECONDS)
    }

    /// An item with its keys that has no end.
    pub fn lasting(pk: &str, sk: &str) -> Self {
        Self(HashMap::new()).text("pk", pk).text("sk", sk)
    }

    /// Ends at another moment than after [`KEPT_SECONDS`].
    #[must_use]
    pub fn until(self, end: Millis) -> Self {
        self.number("expires_at", end.seconds())
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::S(value.into()));
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, name: &str, value: i64) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::N(value.to_string()));
        self
    }

    /// Adds a value as JSON text.
    #[must_use]
    pub fn json(self, name: &str, value: &impl serde::Serialize) -> Self {
        let text = serde_json::to_string(value).unwrap_or_default();
        self.text(name, text)
    }

    /// A text, if it is there.
    pub fn get_text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|v| v.as_s().ok()).map(String::as_str)
    }

    /// A number, if it is there.
    pub fn get_number(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(|v| v.as_n().ok()).and_then(|n| n.parse().ok())
    }

    /// A value that stands there as JSON text, if it is there and can be read.
    pub fn get_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.get_text(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// The attributes.
    pub fn into_attributes(self) -> HashMap<String, AttributeValue> {
        self.0
    }
}

impl From<HashMap<String, AttributeValue>> for Item {
    fn from(attributes: HashMap<String, AttributeValue>) -> Self {
        Self(attributes)
    }
}

impl Ledger {
    /// The ledger in this table.
    pub const fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Does work that is to be done once, under a claim that lasts until the lease ends. Work that was done before
    /// is not done again; work that fails gives its claim back, so that the next try need not wait for the lease
    /// to end. Gives what the work gave; none if it was done before.
    ///
    /// Work that ends after its lease has ended is done as well, also if another worker has claimed it meanwhile: that
    /// worker's claim stays as it is.
    ///
    /// # Errors
    /// If another worker works on it, if the table does not answer, or why the work failed.
    pub async fn once<T>(
        &self,
        about: &str,
        now: Millis,
        lease: Millis,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, Error> {
        match self.try_once(about, now, lease, work).await? {
            Attempt::Busy(until) => {
                Err(Error::Later(format!("{about} is being worked on until {}", until.rfc3339())))
            }
            Attempt::Done(given) => Ok(Some(given)),
            Attempt::DoneBefore => Ok(None),
        }
    }

    /// As [`once`](Self::once), for who need not wait for another worker.
    ///
    /// # Errors
    /// If the table does not answer, or why the work failed.
    pub async fn try_once<T>(
        &self,
        about: &str,
        now: Millis,
        lease: Millis,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Attempt<T>, Error> {
        let nonce = nonce();
        match self.claim(about, &nonce, now, lease).await? {
            Claim::Done => {
                tracing::info!(claim = about, "it was done before");
                return Ok(Attempt::DoneBefore);
            }
            Claim::Busy(until) => return Ok(Attempt::Busy(until)),
            Claim::Ours => {}
        }
        match work.await {
            Ok(given) => {
                if !self.complete(about, &nonce).await? {
                    tracing::warn!(claim = about, "the work is done, and its lease ended before");
                }
                Ok(Attempt::Done(given))
            }
            Err(error) => {
                self.give_back(about, &nonce).await;
                Err(error)
            }
        }
    }

    /// Claims a thing until the lease ends.
    async fn claim(&self, about: &str, nonce: &str, now: Millis, lease: Millis) -> Result<Claim, Error> {
        let item = Item::new(about, "claim", now).text("state", "running").text("nonce", nonce);
        let item = item.number("lease_until", lease.0);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item.into_attributes()));
        let put = put
            .condition_expression("attribute_not_exists(pk) OR (#state = :running AND lease_until < :now)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":running", AttributeValue::S("running".into()))
            .expression_attribute_values(":now", AttributeValue::N(now.0.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(Claim::Ours) };
        if let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() {
            let held = Item(failed.item().cloned().unwrap_or_default());
            return Ok(match (held.get_text("state"), held.get_text("nonce")) {
                (Some("done"), _) => Claim::Done,
                // An answer was lost, and the SDK sent the claim again.
                (_, Some(held)) if held == nonce => Claim::Ours,
                _ => Claim::Busy(Millis(held.get_number("lease_until").unwrap_or(lease.0))),
            });
        }
        if error.raw_response().is_none_or(|response| response.status().is_server_error()) {
            // All answers were lost: the claim may have been made, and no work follows it.
            self.give_back(about, nonce).await;
        }
        Err(Error::aws("PutItem", &self.table)(error))
    }

    /// Marks a claimed thing as done, unless the claim is another's by now. Says whether it did.
    async fn complete(&self, about: &str, nonce: &str) -> Result<bool, Error> {
        self.change(about, nonce, "state", AttributeValue::S("done".into())).await
    }

    /// Gives a claim back, so that the next try need not wait for the lease to end. If that fails, it waits.
    async fn give_back(&self, about: &str, nonce: &str) {
        let given = self.change(about, nonce, "lease_until", AttributeValue::N("0".into())).await;
        if let Err(error) = given {
            tracing::warn!(claim = about, %error, "a claim could not be given back");
        }
    }

    /// Sets an attribute of one's own claim. Says whether the claim is still one's own.
    async fn change(
        &self,
        about: &str,
        nonce: &str,
        name: &str,
        value: AttributeValue,
    ) -> Result<bool, Error> {
        let update = self.client.update_item().table_name(&self.table).set_key(Some(key(about, "claim")));
        let update = update
            .update_expression("SET #name = :value")
            .condition_expression("nonce = :nonce")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value)
            .expression_attribute_values(":nonce", AttributeValue::S(nonce.to_owned()));
        written(update.send().await.map_err(Error::aws("UpdateItem", &self.table)))
    }

    /// Writes an item, replacing the one with the same keys.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn put(&self, item: Item) -> Result<(), Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item.into_attributes()));
        put.send().await.map(drop).map_err(Error::aws("PutItem", &self.table))
    }

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

    /// Records that this audit has looked at a check, unless a later audit is recorded. Says whether it is the latest.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn record_audit_of_check(&self, audit: &Audit, check: &CheckName) -> Result<bool, Error> {
        let item = Item::new(&about::history(check), LATEST_AUDIT, audit.started_at)
            .text("task_id", &audit.task_id)
            .number("started_at", audit.started_at.0);
        self.put_newer(item, audit).await
    }

    /// The task id of a later audit that has looked at a check, if there is one: then this audit is overtaken.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn later_audit(&self, audit: &Audit, check: &CheckName) -> Result<Option<String>, Error> {
        let latest = self.get(&about::history(check), LATEST_AUDIT).await?;
        Ok(latest.and_then(|latest| {
            let later = latest.get_number("started_at").is_some_and(|began| began > audit.started_at.0);
            let task_id = latest.get_text("task_id").filter(|task_id| later && *task_id != audit.task_id);
            task_id.map(ToOwned::to_owned)
        }))
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

    /// Reads items as they are now, in as few calls as possible. What does not exist is not among them.
    ///
    /// # Errors
    /// If the table does not answer, or holds back some items however often it is asked.
    pub async fn get_all(&self, keys: &[(String, &str)]) -> Result<Vec<Item>, Error> {
        let mut items = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(BATCH_GET) {
            let wanted = KeysAndAttributes::builder().consistent_read(true);
            let wanted = wanted.set_keys(Some(chunk.iter().map(|(pk, sk)| key(pk, sk)).collect()));
            let mut left = Some(wanted.build().map_err(|e| Error::Input(e.to_string()))?);
            for round in 0..ROUNDS {
                let Some(wanted) = left.take() else { break };
                let get = self.client.batch_get_item().request_items(&self.table, wanted);
                let mut got = get.send().await.map_err(Error::aws("BatchGetItem", &self.table))?;
                items.extend(got.responses.into_iter().flat_map(HashMap::into_values).flatten().map(Item));
                left = got.unprocessed_keys.as_mut().and_then(|keys| keys.remove(&self.table));
                if left.is_some() && round + 1 < ROUNDS {
                    tokio::time::sleep(Duration::from_millis(50) * 4_u32.pow(round)).await;
                }
            }
            if let Some(left) = left {
                let count = left.keys().len();
                return Err(Error::Later(format!(
                    "BatchGetItem on {}: {count} items were not given in {ROUNDS} rounds",
                    self.table
                )));
            }
        }
        Ok(items)
    }

    /// Writes items in as few calls as possible, each replacing the one with the same keys.
    ///
    /// # Errors
    /// If the table does not answer, or does not take some items however often they are sent.
    pub async fn put_all(&self, items: Vec<Item>) -> Result<(), Error> {
        let mut left = items.into_iter().map(|item| {
            let put = PutRequest::builder().set_item(Some(item.into_attributes())).build();
            put.map(|put| WriteRequest::builder().put_request(put).build())
        });
        loop {
            let batch = left.by_ref().take(BATCH_WRITE).collect::<Result<Vec<_>, _>>();
            let batch = batch.map_err(|e| Error::Input(e.to_string()))?;
            if batch.is_empty() {
                return Ok(());
            }
            self.put_batch(batch).await?;
        }
    }

    async fn put_batch(&self, mut left: Vec<WriteRequest>) -> Result<(), Error> {
        for round in 0..ROUNDS {
            let batch = self.client.batch_write_item().request_items(&self.table, left);
            let wrote = batch.send().await.map_err(Error::aws("BatchWriteItem", &self.table))?;
            let unprocessed = wrote.unprocessed_items.and_then(|mut tables| tables.remove(&self.table));
            left = unprocessed.unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50) * 4_u32.pow(round)).await;
        }
        Err(Error::Later(format!(
            "BatchWriteItem on {}: {} items were not taken in {ROUNDS} rounds",
            self.table,
            left.len()
        )))
    }

    /// The client and the table's name, for what only one function does.
    pub const fn parts(&self) -> (&Client, &String) {
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
    RandomState::new().hash_one(())
}

/// The key of an item.
pub fn key(pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
    let value = |text: &str| AttributeValue::S(text.to_owned());
    HashMap::from([("pk".to_owned(), value(pk)), ("sk".to_owned(), value(sk))])
}

/// What the ledger's items are about: their partition keys, all in one place.
pub mod about {
    use fleetwarden_core::ids::CheckName;
    use fleetwarden_core::message::Audit;
    use fleetwarden_core::model::alarm::BehaviorKey;
    use fleetwarden_core::model::alarm::SeriesKey;

    const WORDS: &str = "suppression-words#";

    /// An audit: its summary (`sk` `audit`) and a run record for each check (`sk` `check#NAME`).
    pub fn audit(audit: &Audit) -> String {
        audit_task(&audit.task_id)
    }

    /// As [`audit`], for an audit of which only the task is known.
    pub fn audit_task(task_id: &str) -> String {
        format!("audit#{task_id}")
    }

    /// What the watch on audits remembers (`sk` `latest`, as JSON in `memory`).
    pub fn audit_watch() -> String {
        "audit-watch".to_owned()
    }

    /// The notification that an audit ended, handled once.
    pub fn notification(audit: &Audit) -> String {
        format!("audit-notification#{}", audit.task_id)
    }

    /// A record that is put aside, by a hash of what it says, so that a retry does not put it aside again.
    pub fn parked(digest: &str) -> String {
        format!("parked#{digest}")
    }

    /// The triage of a check from a page on, after this many restarts: its claim, and what it leaves (`sk` `step`).
    pub fn triage(audit: &Audit, check: &CheckName, restarts: u32, page: u32) -> String {
        format!("triage#{}#{check}#{restarts}#{page}", audit.task_id)
    }

    /// A page of a check, if it was exported in more than one part (`sk` `parts`).
    pub fn page(audit: &Audit, check: &CheckName, page: u32) -> String {
        format!("page#{}#{check}#{page}", audit.task_id)
    }

    /// Adding what is missing to a log stream that an earlier delivery began, by a hash of the events.
    pub fn log_stream(stream: &str, digest: &str) -> String {
        format!("log-stream#{stream}#{digest}")
    }

    /// A check across audits: its latest history (`sk` `latest`) and the latest audit that has looked at it (`sk`
    /// `audit`).
    pub fn history(check: &CheckName) -> String {
        format!("history#{check}")
    }

    /// An alert by its id.
    pub fn alert(id: &str) -> String {
        format!("alert#{id}")
    }

    /// The rules whose mitigations cannot start (`sk` `latest`, as JSON in `kept`).
    pub fn refusals() -> String {
        "mitigation-refusals".to_owned()
    }

    /// A mitigation task (`sk` `task`) and its findings (`sk` `finding#ID`).
    pub fn mitigation(task_id: &str) -> String {
        format!("mitigation#{task_id}")
    }

    /// The one mitigation of a finding, so that two tasks never take the same one (`sk` `mitigation`).
    pub fn finding(finding_id: &str) -> String {
        format!("finding#{finding_id}")
    }

    /// A violation (`sk` `life`), and the chain of messages by which one of its raises waits (`sk` `round#TIME`).
    pub fn alarm(violation_id: &str) -> String {
        format!("alarm#{violation_id}")
    }

    /// The alarms of a device and behavior (`sk` `series`).
    pub fn alarm_series(series: &SeriesKey) -> String {
        format!("alarm-series#{series}")
    }

    /// The violations that are in alarm, in 16 parts (`sk`: the violation's id).
    pub fn open_alarms(part: u8) -> String {
        format!("alarms-open#{part:x}")
    }

    /// How many devices alarm on a behavior (`sk` `BUCKET#SHARD`).
    pub fn alarm_counts(behavior: &BehaviorKey) -> String {
        format!("alarm-counts#{behavior}")
    }

    /// The latest incident of a behavior (`sk` `latest`).
    pub fn behavior_incident(behavior: &BehaviorKey) -> String {
        format!("behavior-incident#{behavior}")
    }

    /// All incidents (`sk`: the incident's id).
    pub fn incidents() -> String {
        "alarm-incidents".to_owned()
    }

    /// The violations of an incident (`sk`: the violation's id).
    pub fn incident_members(incident_id: &str) -> String {
        format!("incident-members#{incident_id}")
    }

    /// Telling people of an incident, with all that belongs to it.
    pub fn incident_alert(incident_id: &str) -> String {
        format!("incident-alert#{incident_id}")
    }

    /// What a security profile watches (`sk` `population`).
    pub fn profile(profile: &str) -> String {
        format!("profile#{profile}")
    }

    /// The debt of suppressions (`sk` `latest`, as JSON in `debt`).
    pub fn debt() -> String {
        "debt".to_owned()
    }

    /// The operator's words on the suppressions of a maker, `rule NAME` or `standing NAME` (`sk`: the text as it stands
    /// in the description; in `original` as it was written). They have no end: a suppression may have none.
    pub fn words(maker: &str) -> String {
        format!("{WORDS}{maker}")
    }

    /// The maker in a key of [`words`].
    pub fn maker_of_words(pk: &str) -> Option<&str> {
        pk.strip_prefix(WORDS)
    }

    /// The review that keeps standing suppressions, if it takes more than one step (`sk` `latest`: the review's slot
    /// in `slot`, the time of its last step in `step_at`).
    pub fn keeping_review() -> String {
        "keeping-review".to_owned()
    }

    /// What the watch on alarms keeps (`sk` `latest`, as JSON in `kept`).
    pub fn alarm_watch() -> String {
        "alarm-watch".to_owned()
    }

    /// A look of a function that runs by schedule, done once.
    pub fn look(function: &str, slot: &str) -> String {
        format!("look#{function}#{slot}")
    }

    /// What the watch on models keeps (`sk` `latest`, as JSON in `kept`).
    pub fn model_watch() -> String {
        "model-watch".to_owned()
    }

    /// The status of all models (`sk` `latest`, as JSON in `status`).
    pub fn model_status() -> String {
        "model-status".to_owned()
    }

    /// What is known of the models of a security profile (`sk` `latest`, as JSON in `models`).
    pub fn models(profile: &str) -> String {
        format!("models#{profile}")
    }

    /// One step of a review of suppressions.
    pub fn review(slot: &str, step: u32) -> String {
        format!("review#{slot}#{step}")
    }
}

#[cfg(test)]
mod tests;
