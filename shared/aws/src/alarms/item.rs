//! The names of the attributes, and where items stand.

use fleetwarden_core::model::alarm::BehaviorKey;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::SeriesKey;
use fleetwarden_core::model::alarm::State;
use fleetwarden_core::timestamp::Millis;

use crate::ledger::Item;
use crate::ledger::keys;

/// The sort keys.
pub(super) const LIFE: &str = "life";
pub(super) const SERIES: &str = "series";
pub(super) const LATEST: &str = "latest";

/// The attributes.
pub(super) mod attribute {
    /// A [`Life`](fleetwarden_core::model::alarm::Life), as JSON.
    pub(in crate::alarms) const LIFE: &str = "life";
    /// A [`Series`](fleetwarden_core::model::alarm::Series), as JSON.
    pub(in crate::alarms) const SERIES: &str = "series";
    /// An [`Incident`](super::super::Incident), as JSON.
    pub(in crate::alarms) const INCIDENT: &str = "incident";
    /// The key of a behavior.
    pub(in crate::alarms) const BEHAVIOR: &str = "behavior";
    /// Which of a behavior's incidents it is, from 1.
    pub(in crate::alarms) const NUMBER: &str = "number";
    /// How many devices.
    pub(in crate::alarms) const DEVICES: &str = "devices";
    /// When a violation was raised, epoch milliseconds.
    pub(in crate::alarms) const RAISED_AT: &str = "raised_at";
    /// The number of the last message of a chain.
    pub(in crate::alarms) const ROUND: &str = "round";
    /// Its id.
    pub(in crate::alarms) const ROUND_ID: &str = "round_id";
}

/// In how many parts the list of open violations is.
pub(super) const PARTS: u8 = 16;
/// Over how many items a counter is spread.
const SHARDS: u8 = 8;

/// A small number that depends on a text alone.
fn spread(text: &str, over: u8) -> u8 {
    text.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)) % over.max(1)
}

/// The list on which an open violation stands.
pub(super) fn open_list(violation_id: &str) -> String {
    keys::open_alarms(spread(violation_id, PARTS))
}

/// The shard in which a device is counted: always the same one.
pub(super) fn shard(series: &SeriesKey) -> u8 {
    spread(&series.0, SHARDS)
}

/// The item of a violation on the list of open ones, if it is open.
pub(super) fn open(life: &Life, behavior: &BehaviorKey, now: Millis) -> Option<Item> {
    let raised_at = life.raised_at.filter(|_| life.state() == Some(State::Raised))?;
    let id = &life.alarm.violation_id;
    let item = Item::new(&open_list(id), id, now).number(attribute::RAISED_AT, raised_at.0);
    Some(item.text(attribute::BEHAVIOR, &behavior.0))
}
