//! How many things a fleet has: what a share in a budget is a share of.
//!
//! The fleet index says it in one call (`GetStatistics`), but not every account has an index, and the registry gives only
//! lists. So without an index the size is unknown, and a budget lets through its number alone. It is asked for only when
//! a number alone would hold a task, and the ledger has the answer for a day.

use aws_sdk_iot::Client;
use fleetwarden_core::timestamp::Millis;

use crate::Error;
use crate::ledger::Item;
use crate::ledger::Ledger;
use crate::ledger::keys;

/// How long a size is valid, in seconds.
const VALID_SECONDS: i64 = 86_400;
/// The sort key, and the attributes.
const SIZE: &str = "size";
const THINGS: &str = "things";
const AT: &str = "at";

/// The size that was counted within a day. None: unknown.
///
/// # Errors
/// If the table does not answer.
pub async fn known(ledger: &Ledger, now: Millis) -> Result<Option<u64>, Error> {
    let item = ledger.get(&keys::fleet(), SIZE).await?;
    let fresh =
        |item: &Item| item.get_number(AT).is_some_and(|at| Millis(at).plus_seconds(VALID_SECONDS) > now);
    Ok(item.filter(fresh).and_then(|item| item.get_number(THINGS)).and_then(|n| u64::try_from(n).ok()))
}

/// The size: what the ledger has, or else what the fleet index says. None: unknown.
///
/// # Errors
/// If the table does not answer.
pub async fn count(ledger: &Ledger, iot: &Client, now: Millis) -> Result<Option<u64>, Error> {
    if let Some(size) = known(ledger, now).await? {
        return Ok(Some(size));
    }
    let answer = iot.get_statistics().query_string("thingName:*").send().await;
    let answer = match answer.map_err(Error::aws("GetStatistics", "all things")) {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(%error, "the size of the fleet is unknown: of each budget only its number counts");
            return Ok(None);
        }
    };
    let Some(things) = answer.statistics.map(|statistics| i64::from(statistics.count)) else {
        return Ok(None);
    };
    let item = Item::new(&keys::fleet(), SIZE, now).number(THINGS, things).number(AT, now.0);
    ledger.put(item.until(now.plus_seconds(VALID_SECONDS))).await?;
    Ok(u64::try_from(things).ok())
}
