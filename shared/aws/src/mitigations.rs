//! The mitigations in the ledger: whose a finding is, and where a task stands, in conditional writes.
//!
//! A claim is one transaction over the task's item and those of its findings. Of what a rule asks for, what another
//! task has is left out and the rest is claimed: so two triages of one audit, with findings packed in other ways,
//! still mitigate each finding once. What a command asks for is claimed as a whole or not at all, because somebody
//! named just these findings. Only the state `claimed` holds a finding; a task that did not start frees it. What an
//! ended task has done is not done again by a rule, but a command may take its findings over.
//!
//! The same transaction asks which audit has looked at the check last: so no claim is made for an audit that a later
//! one has overtaken, however long its message was on the way.
//!
//! A transaction whose answer is lost is sent again by the SDK under the token of the first try (`ClientRequestToken`),
//! and DynamoDB answers as it did before. A claim that a later delivery repeats is the task's own, by its id.

mod alarms;
mod command;
mod item;
mod of_audit;
mod round;

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::CancellationReason;
use aws_sdk_dynamodb::types::ConditionCheck;
use aws_sdk_dynamodb::types::Put;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use aws_sdk_dynamodb::types::TransactWriteItem;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::timestamp::Millis;

use crate::Error;
use crate::ledger::Item;
use crate::ledger::LATEST_AUDIT;
use crate::ledger::Ledger;
use crate::ledger::about;
use crate::ledger::key;
use crate::ledger::written;
pub use crate::mitigations::alarms::Additions;
pub use crate::mitigations::alarms::AlarmClaim;
pub use crate::mitigations::alarms::AlarmTask;
pub use crate::mitigations::alarms::AlarmsSettled;
pub use crate::mitigations::command::Holder;
pub use crate::mitigations::command::WholeClaim;
pub use crate::mitigations::item::State;
pub use crate::mitigations::item::attribute;
pub use crate::mitigations::of_audit::Confirmed;
pub use crate::mitigations::of_audit::OF_AUDIT;
pub use crate::mitigations::of_audit::TaskOfAudit;
pub use crate::mitigations::round::Chain;
pub use crate::mitigations::round::Taken;

/// How often a transaction is sent that meets another one on the same item.
const TRIES: u32 = 4;

/// What came of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// This is the task's alone.
    Taken(Target),
    /// Other tasks have all of it.
    Nothing,
    /// The task is known already, and its state leaves nothing to claim.
    Known(State),
    /// Nothing is written: its audit is not the one that has looked at the check last.
    Overtaken(Latest),
}

/// The audit that has looked at a check last, as far as the ledger knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest(pub Option<String>);

impl Latest {
    /// Why an audit that is not this one leaves nothing to do.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.0 {
            Some(audit) => format!("audit {audit} is later and has decided on what is still there"),
            None => "the ledger has no audit of the check".to_owned(),
        }
    }

    fn of(item: &Item) -> Self {
        Self(item.get_text(attribute::TASK_ID).map(ToOwned::to_owned))
    }
}

/// How a task is written down.
#[derive(Debug)]
pub struct Settled<'a> {
    /// What of the request was to be mitigated, unless it is malformed.
    pub target: Option<&'a Target>,
    /// Its state.
    pub state: State,
    /// Why, where that needs a word.
    pub reason: Option<&'a str>,
    /// Until when, if it is held.
    pub until: Option<Millis>,
    /// What of the request is not to be mitigated: it is written down as superseded.
    pub left_out: &'a [FindingRef],
}

impl<'a> Settled<'a> {
    /// How a request that is well formed is written down.
    #[must_use]
    pub const fn new(request: &'a MitigationRequest, state: State) -> Self {
        Self { target: Some(&request.target), state, reason: None, until: None, left_out: &[] }
    }
}

/// The mitigations in the ledger.
#[derive(Clone, Debug)]
pub struct Mitigations {
    ledger: Ledger,
}

impl Mitigations {
    /// The mitigations in this ledger.
    pub const fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// The ledger that they are in.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Claims what of a rule's request is to be mitigated for its task.
    pub async fn claim(
        &self,
        request: &MitigationRequest,
        claimed: &Settled<'_>,
        now: Millis,
    ) -> Result<Claim, Error> {
        self.write(request, claimed, &State::BEFORE_START, now).await
    }

    /// Writes that a task does not start now, as `Observed`, `Held` or `Superseded`, unless it may have
    /// started: one that is only claimed stays as it is.
    pub async fn set_aside(
        &self,
        request: &MitigationRequest,
        settled: &Settled<'_>,
        now: Millis,
    ) -> Result<Claim, Error> {
        // Observing takes over only what nobody else would end, not even its own: a repeat finds what was said.
        // Who dies before telling people that a task is superseded has to find it so again.
        let over: &[State] = match settled.state {
            State::Observed => &[State::Held],
            State::Superseded => &State::SUPERSEDABLE,
            _ => &State::WAITING,
        };
        self.write(request, settled, over, now).await
    }

    /// Writes that a task did not start, which frees its findings. A task that has started stays as it is.
    pub async fn settle(
        &self,
        request: &MitigationRequest,
        settled: &Settled<'_>,
        now: Millis,
    ) -> Result<(), Error> {
        self.write(request, settled, &State::BEFORE_START, now).await.map(drop)
    }

    /// Writes that a held task never starts: other tasks have its findings, so that it claims none.
    pub async fn held_no_more(&self, task_id: &str, reason: &str) -> Result<(), Error> {
        let reason = [(attribute::REASON, reason.to_owned())];
        self.advance(task_id, State::Superseded, &[State::Held], &reason).await.map(drop)
    }

    /// Writes that a task has been started. One that has ended meanwhile stays as it is.
    pub async fn started(&self, task_id: &str, now: Millis) -> Result<(), Error> {
        let started_at = [(attribute::STARTED_AT, now.rfc3339())];
        self.advance(task_id, State::Started, &State::WITHOUT_START, &started_at).await.map(drop)
    }

    /// Writes how a task ended. Says whether it is written: one that ended otherwise before stays as it is.
    pub async fn ended(
        &self,
        task_id: &str,
        state: State,
        attributes: &[(&'static str, String)],
    ) -> Result<bool, Error> {
        let from = [State::WITHOUT_START.as_slice(), &[State::Started, state]].concat();
        self.advance(task_id, state, &from, attributes).await
    }

    /// Writes that the service does not know a task that was started. Says whether it is written: a task that has not
    /// been started is not lost, whatever asks for it.
    pub async fn lost(&self, task_id: &str, attributes: &[(&'static str, String)]) -> Result<bool, Error> {
        self.advance(task_id, State::Lost, &[State::Started, State::Lost], attributes).await
    }

    async fn advance(
        &self,
        task_id: &str,
        state: State,
        from: &[State],
        attributes: &[(&'static str, String)],
    ) -> Result<bool, Error> {
        let (client, table) = self.ledger.parts();
        let sets: Vec<String> = attributes.iter().map(|(name, _)| format!(", #{name} = :{name}")).collect();
        let (list, values) = listed(from);
        let update = client
            .update_item()
            .table_name(table)
            .set_key(Some(key(&about::mitigation(task_id), "task")))
            .update_expression(format!("SET #state = :state{}", sets.concat()))
            .condition_expression(format!("#state IN ({list})"))
            .expression_attribute_names("#state", attribute::STATE)
            .set_expression_attribute_values(Some(values))
            .expression_attribute_values(":state", text(state.as_str()));
        let update = attributes.iter().fold(update, |update, (name, value)| {
            update
                .expression_attribute_names(format!("#{name}"), *name)
                .expression_attribute_values(format!(":{name}"), text(value))
        });
        written(update.send().await.map_err(Error::aws("UpdateItem", table)))
    }

    /// Writes a task and the claims of its findings, over a task in one of these states or none.
    async fn write(
        &self,
        request: &MitigationRequest,
        settled: &Settled<'_>,
        over: &[State],
        now: Millis,
    ) -> Result<Claim, Error> {
        let id = request.task_id();
        // What may start, now or later, is for the latest audit only.
        let may_start = matches!(settled.state, State::Claimed | State::Held | State::Observed);
        let checks: Vec<Check> =
            may_start.then(|| latest(&request.audit, &request.check)).into_iter().collect();
        let parts = match settled.target {
            Some(target @ Target::Findings(_)) => Some(distinct(target)),
            _ => None,
        };
        let target = |left: &[FindingRef]| match settled.target {
            Some(Target::Findings(_)) => Some(Target::Findings(left.to_vec())),
            other => other.cloned(),
        };
        let task = |left: &[FindingRef]| {
            let own = target(left).map(|target| MitigationRequest { target, ..request.clone() });
            item::task(&id, own.as_slice(), settled, now)
        };
        let left_out = settled.left_out.to_vec();
        // What may be malformed is of no audit.
        let mentions = settled.target.map(|_| of_audit::mention(request, now)).into_iter().collect();
        let state = settled.state;
        let writing = Writing { id: &id, parts, left_out, mentions, state, over, checks: &checks, now };
        Ok(match self.write_parts(writing, task).await? {
            Wrote::Yes(left) => target(&left).map_or(Claim::Nothing, Claim::Taken),
            Wrote::Nothing => Claim::Nothing,
            Wrote::Known(state) => Claim::Known(state),
            Wrote::Overtaken(later) => Claim::Overtaken(Latest::of(&later)),
        })
    }

    /// Writes a task and the claims of its parts. What of them other tasks have is left out, and the rest is written.
    async fn write_parts<T: Part>(
        &self,
        writing: Writing<'_, T>,
        task: impl Fn(&[T]) -> Item,
    ) -> Result<Wrote<T>, Error> {
        let Writing { id, parts, mut left_out, mentions, state, over, checks, now } = writing;
        let in_parts = parts.is_some();
        let mut left = parts.unwrap_or_default();
        loop {
            if in_parts && left.is_empty() {
                return Ok(Wrote::Nothing);
            }
            let mut puts = vec![(task(&left), unless_beyond(over))];
            let own = left.iter().map(|part| (part, state));
            let others = left_out.iter().map(|part| (part, State::Superseded));
            puts.extend(
                own.chain(others)
                    .map(|(part, state)| (part.claim(id, state, now), part.unless_held(id, state))),
            );
            puts.extend(mentions.iter().cloned());
            let Some(mut held) = self.put_all_or_none(puts, checks).await? else {
                return Ok(Wrote::Yes(left));
            };
            let overtaken = if checks.is_empty() { None } else { held.pop().flatten() };
            let mut held = held.into_iter();
            if let Some(known) = held.next().flatten() {
                let unknown = || Error::Later(format!("{id}: its item has no known state"));
                return State::of(&known).map(Wrote::Known).ok_or_else(unknown);
            }
            if let Some(later) = overtaken {
                return Ok(Wrote::Overtaken(later));
            }
            left.retain(|_| held.next().flatten().is_none());
            left_out.retain(|_| held.next().flatten().is_none());
        }
    }

    /// Puts all items, each on its condition, if all checks hold; or none. What comes back are the items as they are whose
    /// conditions do not hold, each in the place of its put or, after all puts, of its check; nothing if all are put.
    async fn put_all_or_none(
        &self,
        puts: Vec<(Item, Condition)>,
        checks: &[Check],
    ) -> Result<Option<Vec<Option<Item>>>, Error> {
        let (client, table) = self.ledger.parts();
        let puts = puts.into_iter().map(|(item, condition)| {
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(item.into_attributes()))
                .set_expression_attribute_names(condition.names())
                .set_expression_attribute_values(condition.values())
                .condition_expression(condition.expression)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            put.build().map(|put| TransactWriteItem::builder().put(put).build())
        });
        let checks = checks.iter().map(|Check { pk, condition }| {
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key(pk, LATEST_AUDIT)))
                .set_expression_attribute_names(condition.names())
                .set_expression_attribute_values(condition.values())
                .condition_expression(&condition.expression)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            check.build().map(|check| TransactWriteItem::builder().condition_check(check).build())
        });
        let items: Vec<TransactWriteItem> =
            puts.chain(checks).collect::<Result<_, _>>().map_err(|e| Error::Input(e.to_string()))?;
        let mut tries = 0;
        loop {
            let wrote = client.transact_write_items().set_transact_items(Some(items.clone())).send().await;
            let Err(error) = wrote else { return Ok(None) };
            let mut busy = false;
            if let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
                error.as_service_error()
            {
                let reasons = canceled.cancellation_reasons();
                let is_held = |reason: &&CancellationReason| reason.code() == Some("ConditionalCheckFailed");
                let held: Vec<Option<Item>> = reasons
                    .iter()
                    .map(|reason| Some(reason).filter(is_held))
                    .map(|held| held.map(|held| Item::from(held.item().cloned().unwrap_or_default())))
                    .collect();
                if held.iter().any(Option::is_some) {
                    return Ok(Some(held));
                }
                // All tasks of a check ask for the same item, and DynamoDB cancels one of two that do at a time.
                busy = reasons.iter().any(|reason| reason.code() == Some("TransactionConflict"));
            }
            tries += 1;
            if !busy || tries == TRIES {
                return Err(Error::aws("TransactWriteItems", table)(error));
            }
            tokio::time::sleep(Duration::from_millis(50) * 4_u32.pow(tries - 1)).await;
        }
    }
}

/// What a task works on, each claimed by itself: a finding or a violation.
trait Part: Clone {
    /// Its id at the service.
    fn id(&self) -> &str;

    /// The partition key of its claim.
    fn about(&self) -> String;

    /// Its claim by a task.
    fn claim(&self, task_id: &str, state: State, now: Millis) -> Item;

    /// On what its claim is written.
    fn unless_held(&self, task_id: &str, state: State) -> Condition;
}

impl Part for FindingRef {
    fn id(&self) -> &str {
        &self.finding_id
    }

    fn about(&self) -> String {
        about::finding(&self.finding_id)
    }

    fn claim(&self, task_id: &str, state: State, now: Millis) -> Item {
        item::claim(task_id, self, state, now)
    }

    fn unless_held(&self, task_id: &str, state: State) -> Condition {
        unless_held(task_id, state)
    }
}

/// A task that is written with the claims of its parts.
struct Writing<'w, T> {
    id: &'w str,
    /// What it claims. None: it has no parts that are claimed by themselves.
    parts: Option<Vec<T>>,
    /// What was asked for and is not to be mitigated.
    left_out: Vec<T>,
    /// By what its audit finds it.
    mentions: Vec<(Item, Condition)>,
    state: State,
    /// In which states its item may be.
    over: &'w [State],
    checks: &'w [Check],
    now: Millis,
}

/// What came of writing a task.
enum Wrote<T> {
    /// It is written with these parts.
    Yes(Vec<T>),
    /// Other tasks have all of its parts.
    Nothing,
    /// Its item is in another state.
    Known(State),
    /// A check does not hold, by this item.
    Overtaken(Item),
}

/// On what an item is written. `#state` is its state.
#[derive(Clone)]
struct Condition {
    expression: String,
    values: HashMap<String, AttributeValue>,
}

impl Condition {
    /// DynamoDB refuses a name that no expression has, and an empty map.
    fn names(&self) -> Option<HashMap<String, String>> {
        let names =
            [("#state", attribute::STATE)].into_iter().filter(|(alias, _)| self.expression.contains(alias));
        Some(names.map(|(alias, name)| (alias.to_owned(), name.to_owned())).collect())
            .filter(|names: &HashMap<_, _>| !names.is_empty())
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.clone()).filter(|values| !values.is_empty())
    }
}

/// What has to hold of the latest audit of a check, for others to be written.
#[derive(Clone)]
struct Check {
    pk: String,
    condition: Condition,
}

/// The latest audit of the check is this one. A message alone says when its audit began, so that is not compared: the
/// ledger has the audit before its messages are sent.
fn latest(audit: &Audit, check: &CheckName) -> Check {
    let values = HashMap::from([(":audit".to_owned(), text(&audit.task_id))]);
    let condition = Condition { expression: "task_id = :audit".to_owned(), values };
    Check { pk: about::history(check), condition }
}

/// For a task's item: it is new, or in one of these states.
fn unless_beyond(over: &[State]) -> Condition {
    let (list, values) = listed(over);
    let or = if over.is_empty() { String::new() } else { format!(" OR #state IN ({list})") };
    Condition { expression: format!("attribute_not_exists(#state){or}"), values }
}

/// For a finding's claim: it is new, or this task's, or, for a claim that holds, another's that does not.
fn unless_held(task_id: &str, state: State) -> Condition {
    let mut expression = "attribute_not_exists(#state) OR task_id = :task_id".to_owned();
    let mut values = HashMap::from([(":task_id".to_owned(), text(task_id))]);
    if state == State::Claimed {
        expression += " OR #state <> :held";
        values.insert(":held".to_owned(), text(State::Claimed.as_str()));
    }
    Condition { expression, values }
}

/// States as the values of an expression: `:s0, :s1` and what they stand for.
fn listed(states: &[State]) -> (String, HashMap<String, AttributeValue>) {
    let values = states.iter().enumerate().map(|(at, state)| (format!(":s{at}"), text(state.as_str())));
    let list: Vec<String> = (0..states.len()).map(|at| format!(":s{at}")).collect();
    (list.join(", "), values.collect())
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// The findings of a target, each once: a transaction writes no item twice.
fn distinct(target: &Target) -> Vec<FindingRef> {
    let Target::Findings(findings) = target else { return Vec::new() };
    let mut seen = BTreeSet::new();
    findings.iter().filter(|finding| seen.insert(finding.finding_id.as_str())).cloned().collect()
}
