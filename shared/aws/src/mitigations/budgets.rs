//! What is spent of each budget: one item a budget, which the transaction of a claim changes in place of what it read.
//!
//! | `pk` | `sk` | what it is |
//! |---|---|---|
//! | `budget#KEY` | `latest` | the tasks that count in a budget now, each with its number of findings and its time |
//!
//! A task counts from its last claim on, because a start follows a claim: who waits for room claims again right before it
//! starts. It counts once, by its id, and its own number does not stand in its way. What is known not to have started is
//! taken out in the transaction that says so; so is a task that ended without effect, right before that is written. What
//! is never taken out, because a process died, leaves when its time is over.
//!
//! In the budget of a thing group only those findings count that have a thing in it, or of which that is not known: whoever
//! claims says which ([`Spend::among`]).
//!
//! Two claims at once read the same item, and one of them is written: the other reads again. So no order of claims, and no
//! death between two calls, spends more than there is.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use fleetwarden_core::message::CountInGroup;
use fleetwarden_core::model::mitigation::view::GuardAnswer;
use fleetwarden_core::policy::Budget;
use fleetwarden_core::policy::BudgetKey;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

use super::Mitigations;
use super::item::attribute;
use crate::Error;
use crate::ledger::Condition;
use crate::ledger::Item;
use crate::ledger::Ledger;
use crate::ledger::keys;
use crate::ledger::pause;

/// The sort key of a budget.
const LATEST: &str = "latest";
/// How many tasks count in a budget at most: an item has 400 KB at most (`PutItem`), and an entry about 100 bytes.
const MAX_ENTRIES: usize = 2_000;
/// How often a budget is written again that others write meanwhile.
const ROUNDS: u32 = 8;
/// For how long an item stays that counts nothing any more, in seconds: clocks differ.
const GRACE_SECONDS: i64 = 86_400;

/// The attributes of a budget.
mod of_budget {
    pub(super) const LABEL: &str = "label";
    pub(super) const LIMIT: &str = "limit_of_last_claim";
    pub(super) const WITHIN: &str = "within_seconds";
    pub(super) const ENTRIES: &str = "entries";
    /// How often it was written.
    pub(super) const WRITES: &str = "writes";
}

/// A budget that a claim has to fit into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    key: BudgetKey,
    label: String,
    limit: u64,
    within_seconds: i64,
    counts: Counts,
    /// Whether it is the budget of a thing group.
    of_group: bool,
    /// Of what a look-up has failed, and why.
    unknown: Option<String>,
    /// A person lets it go over the budget.
    is_lifted: bool,
}

/// How much of a claim counts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Counts {
    /// All that are claimed.
    All,
    /// So many.
    Number(u64),
    /// Of those that are claimed these.
    Among(BTreeSet<String>),
}

impl Spend {
    /// A budget, in a fleet or a group of so many things. None: unknown.
    pub fn new(budget: &Budget, things: Option<u64>) -> Self {
        Self {
            key: budget.key(),
            label: budget.label(),
            limit: budget.limit(things),
            within_seconds: budget.within_seconds,
            counts: Counts::All,
            of_group: budget.group.is_some(),
            unknown: None,
            is_lifted: false,
        }
    }

    /// It may go over the budget, and counts.
    #[must_use]
    pub fn lifted(self) -> Self {
        Self { is_lifted: true, ..self }
    }

    /// Only so many of the findings count.
    #[must_use]
    pub fn of(self, count: u64) -> Self {
        Self { counts: Counts::Number(count), ..self }
    }

    /// Of the findings that are claimed only these count. `unknown`: of which of them a look-up has failed, and why.
    #[must_use]
    pub fn among(self, ids: BTreeSet<String>, unknown: Option<String>) -> Self {
        Self { counts: Counts::Among(ids), unknown, ..self }
    }

    /// How many of so many findings count, of which these are the ids, as far as they have some.
    fn count(&self, all: u64, ids: &[&str]) -> u64 {
        match &self.counts {
            Counts::All => all,
            Counts::Number(count) => *count,
            Counts::Among(own) => ids.iter().filter(|id| own.contains(**id)).count() as u64,
        }
    }
}

/// A task that counts in a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The mitigation task.
    pub task: String,
    /// How many findings or violations.
    pub count: u64,
    /// When it was claimed last, in milliseconds since the epoch.
    pub at: Millis,
}

/// A claim goes over a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// The budget.
    pub label: String,
    /// How many it lets through.
    pub limit: u64,
    /// How many count in it now.
    pub used: u64,
    /// How many the claim is for.
    pub count: u64,
    /// When there is room, as far as is known now. None: the budget never has so much.
    pub until: Option<Millis>,
    /// If it is the budget of a thing group, and no look-up has failed: how much of the claim counts there.
    pub in_group: Option<CountInGroup>,
    /// Of what a look-up has failed, and why.
    pub unknown: Option<String>,
}

impl Over {
    /// Why nothing starts.
    #[must_use]
    pub fn reason(&self) -> String {
        let Self { label, limit, used, count, until, unknown, .. } = self;
        let then = match until {
            Some(until) => format!("there is room from {} on", until.rfc3339()),
            None => "it never has room for so many".to_owned(),
        };
        let unknown = unknown.as_ref().map(|unknown| format!("; {unknown}")).unwrap_or_default();
        format!(
            "over the budget of {label}: {used} of {limit} are used, and this is for {count}; {then}{unknown}"
        )
    }
}

/// What is spent of a budget now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The tasks that count, the oldest first.
    pub entries: Vec<Entry>,
}

/// A budget's item as it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    writes: Option<i64>,
    entries: Vec<Entry>,
    item: Option<Item>,
}

/// The budgets of a claim, or of what gives back.
pub(super) struct Change {
    /// What is put for them.
    pub(super) puts: Vec<(Item, Condition)>,
    /// What the budgets say, for the task's item.
    pub(super) answers: Vec<GuardAnswer>,
}

impl Mitigations {
    /// The budget that a claim of so many findings would go over now, if there is one. Nothing is spent. Nobody says here
    /// which findings it would be for, so that nothing counts [`among`](Spend::among) them.
    ///
    /// # Errors
    /// If the table does not answer, or has something else in place of a budget.
    pub async fn over_budget(
        &self,
        id: &str,
        spends: &[Spend],
        count: u64,
        now: Millis,
    ) -> Result<Option<Over>, Error> {
        Ok(self.spend(id, spends, (count, &[]), now).await?.err())
    }

    /// What is spent of budgets now, in their order.
    ///
    /// # Errors
    /// As [`over_budget`](Self::over_budget).
    pub async fn spent(&self, budgets: &[Budget], now: Millis) -> Result<Vec<Spent>, Error> {
        let keys: Vec<String> = budgets.iter().map(|budget| budget.key().to_string()).collect();
        let read = read(&self.ledger, &keys).await?;
        let of = |(budget, read): (&Budget, Read)| {
            let mut entries = read.entries;
            entries.retain(|entry| counts(entry, budget.within_seconds, now));
            entries.sort_by_key(|entry| entry.at);
            Spent { entries }
        };
        Ok(budgets.iter().zip(read).map(of).collect())
    }

    /// Gives back what a task has spent: it has ended without effect.
    ///
    /// # Errors
    /// If the table does not answer, or others write the budget as often as this is tried.
    pub async fn give_back(&self, id: &str) -> Result<(), Error> {
        for round in 0..ROUNDS {
            let Change { puts, .. } = self.returns(id).await?;
            if puts.is_empty() || self.put_all_or_none(puts, &[]).await?.is_none() {
                return Ok(());
            }
            pause(round).await;
        }
        Err(Error::Later(format!("{id}: its budgets are still written by others after {ROUNDS} tries")))
    }

    /// What a claim of so many findings with these ids writes, or the budget that it goes over.
    pub(super) async fn spend(
        &self,
        id: &str,
        spends: &[Spend],
        (count, ids): (u64, &[&str]),
        now: Millis,
    ) -> Result<Result<Change, Over>, Error> {
        let mut change = Change { puts: Vec::new(), answers: Vec::new() };
        for (spend, read) in spends.iter().zip(read(&self.ledger, &keys_of(spends)).await?) {
            let count = spend.count(count, ids);
            if count == 0 {
                continue;
            }
            let condition = unless_written(read.writes);
            match fit(spend, read, id, count, now) {
                Ok((item, used)) => {
                    let reason = format!("{used} of {} are used with this task", spend.limit);
                    let guard = format!("budget of {}", spend.label);
                    change.answers.push(GuardAnswer { guard, passed: true, reason: Some(reason) });
                    change.puts.push((item, condition));
                }
                Err(over) => return Ok(Err(over)),
            }
        }
        Ok(Ok(change))
    }

    /// What is written to give back what a task has spent, as its item says.
    pub(super) async fn returns(&self, id: &str) -> Result<Change, Error> {
        let task = self.ledger.get(&keys::mitigation(id), "task").await?;
        let keys = task.as_ref().map(budgets_of).unwrap_or_default();
        let mut puts = Vec::new();
        for Read { writes, mut entries, item } in read(&self.ledger, &keys).await? {
            let count = entries.len();
            entries.retain(|entry| entry.task != id);
            let Some(item) = item.filter(|_| entries.len() < count) else { continue };
            let item = item
                .json(of_budget::ENTRIES, &entries)
                .number(of_budget::WRITES, writes.unwrap_or_default().saturating_add(1));
            puts.push((item, unless_written(writes)));
        }
        Ok(Change { puts, answers: Vec::new() })
    }
}

/// The keys of the budgets that a task has spent of.
fn budgets_of(task: &Item) -> Vec<String> {
    task.get_json(attribute::BUDGETS).unwrap_or_default()
}

/// The keys of budgets, for a task's item.
pub(super) fn keys_of(spends: &[Spend]) -> Vec<String> {
    spends.iter().map(|spend| spend.key.to_string()).collect()
}

/// Reads budgets as they are now, in the order of their keys.
async fn read(ledger: &Ledger, wanted: &[String]) -> Result<Vec<Read>, Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let pks: Vec<(String, &str)> = wanted.iter().map(|key| (keys::budget(key), LATEST)).collect();
    let mut by_pk = BTreeMap::new();
    for item in ledger.get_all(&pks).await? {
        let pk = item.get_text("pk").unwrap_or_default().to_owned();
        let entries = item.get_json(of_budget::ENTRIES).ok_or_else(|| {
            // What is spent is unknown, and so nothing may be spent.
            Error::Later(format!(
                "the ledger's item {pk} is no budget: delete it, and nothing counts in it any more"
            ))
        })?;
        let writes = item.get_number(of_budget::WRITES);
        by_pk.insert(pk, Read { writes, entries, item: Some(item) });
    }
    Ok(pks.iter().map(|(pk, _)| by_pk.remove(pk).unwrap_or_default()).collect())
}

/// Whether a task still counts in a budget of so many seconds.
const fn counts(entry: &Entry, within_seconds: i64, now: Millis) -> bool {
    entry.at.plus_seconds(within_seconds).0 > now.0
}

/// The item of a budget with a task in it, and how many are used then. Pure.
fn fit(spend: &Spend, read: Read, id: &str, count: u64, now: Millis) -> Result<(Item, u64), Over> {
    let Spend { key, label, limit, within_seconds, is_lifted, of_group, unknown, .. } = spend;
    let mut entries = read.entries;
    entries.retain(|entry| entry.task != id && counts(entry, *within_seconds, now));
    entries.sort_by_key(|entry| entry.at);
    let used = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.count));
    let needs = used.saturating_add(count);
    if (needs > *limit && !is_lifted) || entries.len() >= MAX_ENTRIES {
        let mut left = needs;
        let frees = entries.iter().enumerate().find(|(at, entry)| {
            left = left.saturating_sub(entry.count);
            left <= *limit && entries.len() - at <= MAX_ENTRIES
        });
        let until = frees.map(|(_, entry)| entry.at.plus_seconds(*within_seconds));
        let until = until.filter(|_| count <= *limit);
        // What a failed look-up counts in may be less at the next one.
        let in_group = (*of_group && unknown.is_none()).then_some(CountInGroup { budget: *key, count });
        let (label, unknown) = (label.clone(), unknown.clone());
        return Err(Over { label, limit: *limit, used, count, until, in_group, unknown });
    }
    entries.push(Entry { task: id.to_owned(), count, at: now });
    let writes = read.writes.unwrap_or_default().saturating_add(1);
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let item = Item::new(&keys::budget(&key.to_string()), LATEST, now)
        .until(now.plus_seconds(within_seconds.saturating_add(GRACE_SECONDS)))
        .text(of_budget::LABEL, label)
        .number(of_budget::LIMIT, number(*limit))
        .number(of_budget::WITHIN, *within_seconds)
        .json(of_budget::ENTRIES, &entries)
        .number(of_budget::WRITES, writes);
    Ok((item, needs))
}

/// Nobody else has written the budget since it was read.
fn unless_written(writes: Option<i64>) -> Condition {
    let name = of_budget::WRITES;
    match writes {
        None => Condition { expression: format!("attribute_not_exists({name})"), values: HashMap::new() },
        Some(writes) => Condition {
            expression: format!("{name} = :writes"),
            values: HashMap::from([(":writes".to_owned(), AttributeValue::N(writes.to_string()))]),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;

    fn spend(limit: u64) -> Spend {
        let budget = Budget { most: limit, or_share: None, ..Budget::default() };
        Spend::new(&budget, None)
    }

    fn entries(of: &[(&str, u64, i64)]) -> Read {
        let entries = of.iter().map(|(task, count, at)| {
            let (task, at) = ((*task).to_owned(), Millis::from_seconds(*at));
            Entry { task, count: *count, at }
        });
        Read { writes: Some(3), entries: entries.collect(), item: None }
    }

    #[test]
    fn a_task_counts_once_and_from_its_last_claim_on() {
        let now = Millis::from_seconds(HOUR);
        let (item, used) = fit(&spend(10), entries(&[("a", 4, 10), ("b", 6, 20)]), "b", 5, now).unwrap();
        assert_eq!(used, 9);
        let now_in: Vec<Entry> = item.get_json(of_budget::ENTRIES).unwrap();
        assert_eq!(
            now_in.iter().map(|entry| (entry.task.as_str(), entry.count)).collect::<Vec<_>>(),
            [("a", 4), ("b", 5)]
        );
        assert_eq!(now_in[1].at, now);
        assert_eq!(item.get_number(of_budget::WRITES), Some(4));
    }

    #[test]
    fn what_a_person_lets_go_over_counts_all_the_same() {
        let now = Millis::from_seconds(HOUR);
        let read = || entries(&[("a", 4, 10), ("b", 6, 20)]);
        let (item, used) = fit(&spend(10).lifted(), read(), "c", 5, now).unwrap();
        assert_eq!((used, item.get_json::<Vec<Entry>>(of_budget::ENTRIES).unwrap().len()), (15, 3));
        assert!(fit(&spend(10), read(), "c", 5, now).is_err());
    }

    #[test]
    fn what_goes_over_has_room_when_enough_is_too_old() {
        let now = Millis::from_seconds(HOUR);
        let of = |count, read| {
            fit(&spend(10), read, "c", count, now).map(|(_, used)| used).map_err(|over| over.until)
        };
        let read = || entries(&[("a", 4, 10), ("b", 6, 20)]);
        assert_eq!(of(1, read()), Err(Some(Millis::from_seconds(HOUR + 10))));
        assert_eq!(of(5, read()), Err(Some(Millis::from_seconds(HOUR + 20))));
        assert_eq!(of(11, read()), Err(None));
        // What is an hour old does not count.
        assert_eq!(of(10, entries(&[("a", 4, 0)])), Ok(10));
        assert_eq!(of(10, entries(&[])), Ok(10));
    }

    #[test]
    fn in_a_group_only_what_is_in_it_counts() {
        let spend = Spend { of_group: true, ..spend(10) };
        assert_eq!(spend.count(3, &["a", "b", "c"]), 3, "nobody has asked");
        let among = spend.clone().among(["b", "c", "d"].map(str::to_owned).into(), Some("why".into()));
        assert_eq!((among.count(2, &["a", "b"]), spend.clone().of(7).count(2, &["a", "b"])), (1, 7));
        let over = |spend: &Spend| {
            fit(spend, entries(&[("x", 9, 10)]), "y", 2, Millis::from_seconds(HOUR)).unwrap_err()
        };
        assert_eq!(over(&spend).in_group, Some(CountInGroup { budget: spend.key, count: 2 }));
        let unknown = over(&among);
        assert!(unknown.reason().ends_with("this is for 2; there is room from 1970-01-01T01:00:10Z on; why"));
        assert_eq!(unknown.in_group, None, "it is asked again");
    }

    #[test]
    fn an_item_has_no_more_tasks_than_it_can_hold() {
        let now = Millis::from_seconds(HOUR);
        let many: Vec<(String, i64)> = (0..2_000).map(|n| (format!("t-{n}"), 1 + n)).collect();
        let many: Vec<(&str, u64, i64)> = many.iter().map(|(task, at)| (task.as_str(), 1, *at)).collect();
        let over = fit(&spend(1_000_000), entries(&many), "c", 1, now).unwrap_err();
        assert_eq!(over.until, Some(Millis::from_seconds(HOUR + 1)));
    }
}
