//! How many things a fleet and its thing groups have: what a share in a budget is a share of.
//!
//! | of what | where it is asked | if nobody can say |
//! |---|---|---|
//! | the fleet | `GetStatistics`: one call, and only with fleet indexing | unknown |
//! | a thing group, with those below it | `ListThingsInThingGroup`: 250 things a call, up to 10,000 | unknown |
//!
//! Where a size is unknown, a budget lets through its number alone. So a group that is larger than what is read counts as
//! that much. Sizes are asked for only when a number alone would hold a task, and the ledger has the answers for a day.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use aws_sdk_iot::Client;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::policy::Budget;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::visible;

use crate::Error;
use crate::ledger::Item;
use crate::ledger::Ledger;
use crate::ledger::keys;

/// How long a size is valid, in seconds.
const VALID_SECONDS: i64 = 86_400;
/// How many things of a group are asked for at once, and how many are counted.
const PAGE: i32 = 250;
const MOST_THINGS: u64 = 10_000;
/// The sort key, and the attributes.
const SIZE: &str = "size";
const THINGS: &str = "things";
const AT: &str = "at";

/// The sizes that budgets need, as far as they are known: that of the fleet without a name, those of groups by theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes(BTreeMap<Option<String>, u64>);

impl Sizes {
    /// How many things a budget has a share of. None: unknown.
    #[must_use]
    pub fn of(&self, budget: &Budget) -> Option<u64> {
        self.0.get(&budget.group).copied()
    }

    /// How many things the fleet has. None: unknown, or no budget has a share of it.
    #[must_use]
    pub fn fleet(&self) -> Option<u64> {
        self.0.get(&None).copied()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The sizes that were counted within a day, of what these budgets have a share of.
///
/// # Errors
/// If the table does not answer.
pub async fn known<'b>(
    ledger: &Ledger,
    budgets: impl Iterator<Item = &'b Budget>,
    now: Millis,
) -> Result<Sizes, Error> {
    Ok(recorded(ledger, budgets, now).await?.0)
}

/// The sizes: what the ledger has, or else what the service says.
///
/// # Errors
/// If the table does not answer.
pub async fn count<'b>(
    ledger: &Ledger,
    iot: &Client,
    budgets: impl Iterator<Item = &'b Budget>,
    now: Millis,
) -> Result<Sizes, Error> {
    let (mut sizes, unknown) = recorded(ledger, budgets, now).await?;
    for of in unknown {
        let asked = match &of {
            Some(group) => things_in(iot, group).await,
            None => things_of_fleet(iot).await,
        };
        let size = match asked {
            Ok(size) => size,
            Err(error) => {
                let of = of.as_deref().map(|group| format!("thing group {group}"));
                let of = of.as_deref().unwrap_or("the fleet");
                tracing::warn!(%error, "the size of {of} is unknown: of a budget only its number counts");
                continue;
            }
        };
        let things = i64::try_from(size).unwrap_or(i64::MAX);
        let item = Item::new(&keys::size(of.as_deref()), SIZE, now).number(THINGS, things).number(AT, now.0);
        ledger.put(item.until(now.plus_seconds(VALID_SECONDS))).await?;
        sizes.0.insert(of, size);
    }
    Ok(sizes)
}

/// The sizes in the ledger, and of what it has none.
async fn recorded<'b>(
    ledger: &Ledger,
    budgets: impl Iterator<Item = &'b Budget>,
    now: Millis,
) -> Result<(Sizes, Vec<Option<String>>), Error> {
    let (mut sizes, mut unknown) = (Sizes::default(), Vec::new());
    for of in shared(budgets) {
        match read(ledger, of.as_deref(), now).await? {
            Some(size) => drop(sizes.0.insert(of, size)),
            None => unknown.push(of),
        }
    }
    Ok((sizes, unknown))
}

/// What budgets have a share of, each once.
fn shared<'b>(budgets: impl Iterator<Item = &'b Budget>) -> BTreeSet<Option<String>> {
    budgets.filter(|budget| budget.or_share.is_some()).map(|budget| budget.group.clone()).collect()
}

async fn read(ledger: &Ledger, group: Option<&str>, now: Millis) -> Result<Option<u64>, Error> {
    let item = ledger.get(&keys::size(group), SIZE).await?;
    let fresh =
        |item: &Item| item.get_number(AT).is_some_and(|at| Millis(at).plus_seconds(VALID_SECONDS) > now);
    Ok(item.filter(fresh).and_then(|item| item.get_number(THINGS)).and_then(|n| u64::try_from(n).ok()))
}

async fn things_of_fleet(iot: &Client) -> Result<u64, Error> {
    let operation = "GetStatistics";
    let answer = iot.get_statistics().query_string("thingName:*").send().await;
    let answer = answer.map_err(Error::aws(operation, "all things"))?;
    let count = answer.statistics.and_then(|statistics| u64::try_from(statistics.count).ok());
    count.ok_or_else(|| Error::Later(format!("{operation}: an answer without a count")))
}

async fn things_in(iot: &Client, group: &str) -> Result<u64, Error> {
    let operation = "ListThingsInThingGroup";
    let (mut things, mut pages) = (BTreeSet::new(), Pages::default());
    loop {
        let list = iot.list_things_in_thing_group().thing_group_name(group).recursive(true);
        let list = list.max_results(PAGE).set_next_token(pages.token().map(ToOwned::to_owned));
        let page = list.send().await.map_err(Error::aws(operation, &visible(group)))?;
        things.extend(page.things.unwrap_or_default());
        let goes_on =
            pages.turn(page.next_token).map_err(|endless| Error::Later(format!("{operation}: {endless}")))?;
        let count = things.len() as u64;
        if !goes_on || count >= MOST_THINGS {
            return Ok(count.min(MOST_THINGS));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering;

    use serde_json::json;

    use super::*;
    use crate::testing::Answer;
    use crate::testing::cloud::Cloud;
    use crate::testing::cloud::START;

    fn budgets() -> [Budget; 3] {
        let of = |group: Option<&str>, or_share| Budget {
            group: group.map(str::to_owned),
            or_share,
            ..Budget::default()
        };
        [of(None, Some(100)), of(Some("pumps"), Some(100)), of(Some("valves"), None)]
    }

    #[tokio::test]
    async fn each_share_has_its_own_size_and_a_large_group_is_not_read_to_its_end() {
        let cloud = Cloud::default();
        let (own, pages) = (cloud.clone(), Arc::new(AtomicU32::new(0)));
        let shared = cloud.clients_with(move |call| {
            let Some((_, path)) = call.operation.split_once(' ') else { return own.answer(call) };
            match path {
                path if path.starts_with("/thing-groups/pumps/things") => {
                    let at = pages.fetch_add(1, Ordering::Relaxed);
                    let things: Vec<String> = (0..250).map(|n| format!("t-{at}-{n}")).collect();
                    Answer::ok(json!({"things": things, "nextToken": at.to_string()}))
                }
                "/indices/statistics" => Answer::ok(json!({"statistics": {"count": 7}})),
                _ => own.answer(call),
            }
        });
        let ledger = Ledger::new(cloud.clients().dynamodb(), "ledger".into());
        let budgets = budgets();
        let sizes = count(&ledger, &shared.iot(), budgets.iter(), START).await.unwrap();
        assert_eq!(budgets.each_ref().map(|budget| sizes.of(budget)), [Some(7), Some(10_000), None]);
        let later = START.plus_seconds(VALID_SECONDS - 1);
        assert_eq!(known(&ledger, budgets.iter(), later).await.unwrap(), sizes);
        assert!(known(&ledger, budgets.iter(), later.plus_seconds(1)).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_does_not_answer_is_unknown_and_hides_no_other() {
        let cloud = Cloud::default();
        let own = cloud.clone();
        let shared = cloud.clients_with(move |call| match call.operation.split_once(' ') {
            Some((_, "/indices/statistics")) => Answer::error(400, "IndexNotReadyException", "{}"),
            Some((_, path)) if path.starts_with("/thing-groups/") => {
                Answer::ok(json!({"things": ["a", "b"]}))
            }
            _ => own.answer(call),
        });
        let ledger = Ledger::new(cloud.clients().dynamodb(), "ledger".into());
        let budgets = budgets();
        let sizes = count(&ledger, &shared.iot(), budgets.iter(), START).await.unwrap();
        assert_eq!(budgets.each_ref().map(|budget| sizes.of(budget)), [None, Some(2), None]);
    }
}
