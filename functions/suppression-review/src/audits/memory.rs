//! What the watch remembers: since when it looks, and since when it has known each scheduled audit.
//!
//! The service says of no scheduled audit when it was made. A run is expected only of one that was seen, as it is now,
//! before that run was due; and an audit that ended before the first look is nobody's to miss.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::about;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

use crate::audits::account::Schedule;

const LATEST: &str = "latest";
const MEMORY: &str = "memory";

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Memory {
    /// When the watch first looked.
    pub(super) since: Millis,
    schedules: BTreeMap<String, FirstSeen>,
}

#[derive(Debug, Deserialize, Serialize)]
struct FirstSeen {
    /// On which days it ran then: with other days it is as good as new.
    rhythm: String,
    at: Millis,
}

impl Memory {
    /// Reads what was kept, or begins. What cannot be read was kept by another version, and it begins anew.
    pub(super) async fn recall(ledger: &Ledger, now: Millis) -> Result<Self, Error> {
        let item = ledger.get(&about::audit_watch(), LATEST).await?;
        let kept = item.and_then(|item| serde_json::from_str(item.get_text(MEMORY)?).ok());
        Ok(kept.unwrap_or(Self { since: now, schedules: BTreeMap::new() }))
    }

    /// Takes in the scheduled audits that there are, and forgets all others.
    pub(super) fn learn(&mut self, schedules: &[Schedule], now: Millis) {
        let mut before = std::mem::take(&mut self.schedules);
        self.schedules = schedules
            .iter()
            .filter_map(|schedule| {
                let rhythm = schedule.rhythm()?.to_string();
                let seen = before.remove(&schedule.name).filter(|seen| seen.rhythm == rhythm);
                Some((schedule.name.clone(), seen.unwrap_or(FirstSeen { rhythm, at: now })))
            })
            .collect();
    }

    /// When a scheduled audit was first seen as it is.
    pub(super) fn first_seen(&self, schedule: &Schedule) -> Option<Millis> {
        self.schedules.get(&schedule.name).map(|seen| seen.at)
    }

    /// Keeps it, each time anew: an item of the ledger ends.
    pub(super) async fn keep(&self, ledger: &Ledger, now: Millis) -> Result<(), Error> {
        ledger.put(Item::new(&about::audit_watch(), LATEST, now).json(MEMORY, self)).await
    }
}
