//! Alarms in the ledger: the life of each violation, the alarms of each device and behavior, and incidents.
//!
//! An event costs one read ([`BatchGetItem`](crate::ledger::Ledger::get_all)) and one transaction. The transaction names
//! the versions that were read, so that of two writers one reads again and merges; a repeat finds what it would write
//! and writes nothing. In the same transaction the device moves from one counter of its behavior to another, the
//! violation comes on or off the list of open ones, and joins the incident of its behavior if one is open. Counters are
//! added to, never read first, and spread over shards: workers that record events of other devices do not meet.
//!
//! - [`Alarms::record`] for events;
//! - [`Alarms::devices_in_alarm`] and [`Alarms::open`]: for the check before a mitigation, and for the watch on alarms;
//! - [`Incident`]s, opened once, by one conditional write.

mod count;
mod incident;
mod item;
mod life;
mod open;
mod record;
mod round;
mod snapshot;

use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::timestamp::Millis;

pub use self::incident::Incident;
pub use self::record::Update;
pub use self::round::Turn;
use crate::ledger::Ledger;

/// How often a transaction is planned again, because what it was planned on has changed.
const ROUNDS: u32 = 12;

/// The alarms in the ledger.
#[derive(Clone, Debug)]
pub struct Alarms {
    ledger: Ledger,
}

/// What the ledger knows of a violation and of what is around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The violation.
    pub life: Life,
    /// When the alarms of its device and behavior began, oldest first: those of the last days.
    pub raises: Vec<Millis>,
    /// The incident of its behavior that is not over, if there is one.
    pub incident: Option<Incident>,
}

impl Alarms {
    /// The alarms in this ledger.
    pub const fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// The ledger that they are in.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

#[cfg(test)]
mod tests;
