//! What the watch remembers: since when it looks, since when it has known each scheduled audit, and since when what is
//! wrong is wrong.
//!
//! The service says of no scheduled audit when it was made. A run is expected only of one that was seen, as it is now,
//! before that run was due; and an audit that ended before the first look is nobody's to miss. The last run is kept for
//! longer than audit tasks are looked at: what has stopped for good would else look as if it had never run, and be told
//! once more.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

use crate::audits::account::Run;
use crate::audits::account::Schedule;

/// What was wrong, and is again before this is over or at the very next look, was never mended: whoever is told of it
/// knows.
const MENDED_SECONDS: i64 = 2 * 86_400;
/// How many audits that were sent through are remembered: an item of the ledger has room for so many.
const SENT: usize = 1_000;
const LATEST: &str = "latest";
const MEMORY: &str = "memory";

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Memory {
    /// When the watch first looked.
    pub(super) since: Millis,
    /// When it last looked.
    looked: Millis,
    schedules: BTreeMap<String, Seen>,
    /// What was wrong at the last looks.
    troubles: BTreeMap<String, Standing>,
    /// The audits that the last look sent through.
    sent: BTreeSet<String>,
}

/// A scheduled audit.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Seen {
    /// On which days it runs: with other days it is as good as new.
    rhythm: String,
    /// When it was first seen so.
    pub(super) at: Millis,
    /// When its last run began.
    pub(super) last: Option<Millis>,
}

/// Something that is wrong until it is mended.
#[derive(Debug, Deserialize, Serialize)]
struct Standing {
    since: Millis,
    seen: Millis,
}

impl Memory {
    /// Reads what was kept, or begins. What cannot be read was kept by another version, and it begins anew.
    pub(super) async fn recall(ledger: &Ledger, now: Millis) -> Result<Self, Error> {
        let item = ledger.get(&keys::audit_watch(), LATEST).await?;
        let kept = item.and_then(|item| serde_json::from_str(item.get_text(MEMORY)?).ok());
        let mut memory: Self = kept.unwrap_or_else(|| Self {
            since: now,
            looked: now,
            schedules: BTreeMap::new(),
            troubles: BTreeMap::new(),
            sent: BTreeSet::new(),
        });
        let before = std::mem::replace(&mut memory.looked, now);
        let lasts = |seen: Millis| seen >= before || now <= seen.plus_seconds(MENDED_SECONDS);
        memory.troubles.retain(|_, trouble| lasts(trouble.seen));
        Ok(memory)
    }

    /// Takes in the scheduled audits that there are, and forgets all others.
    pub(super) fn learn(&mut self, schedules: &[Schedule], now: Millis) {
        let mut before = std::mem::take(&mut self.schedules);
        self.schedules = schedules
            .iter()
            .filter_map(|schedule| {
                let rhythm = schedule.rhythm()?.to_string();
                let seen = before.remove(&schedule.name).filter(|seen| seen.rhythm == rhythm);
                Some((schedule.name.clone(), seen.unwrap_or(Seen { rhythm, at: now, last: None })))
            })
            .collect();
    }

    /// Takes in the runs that there are.
    pub(super) fn saw(&mut self, runs: &[Run]) {
        for run in runs {
            if let Some(seen) = run.schedule.as_ref().and_then(|name| self.schedules.get_mut(name)) {
                seen.last = seen.last.max(Some(run.started));
            }
        }
    }

    /// A scheduled audit as it was learned.
    pub(super) fn seen(&self, schedule: &Schedule) -> Option<&Seen> {
        self.schedules.get(&schedule.name)
    }

    /// Takes in something that is wrong until it is mended. Gives since when it is.
    pub(super) fn notice(&mut self, trouble: String, now: Millis) -> Millis {
        let standing = self.troubles.entry(trouble).or_insert(Standing { since: now, seen: now });
        standing.seen = now;
        standing.since
    }

    /// Whether the last look sent an audit through.
    pub(super) fn was_sent(&self, task_id: &str) -> bool {
        self.sent.contains(task_id)
    }

    /// Takes in what this look sent through.
    pub(super) fn sent(&mut self, task_ids: impl Iterator<Item = String>) {
        self.sent = task_ids.take(SENT).collect();
    }

    /// Keeps it, each time anew: an item of the ledger ends.
    pub(super) async fn keep(&self, ledger: &Ledger, now: Millis) -> Result<(), Error> {
        ledger.put(Item::new(&keys::audit_watch(), LATEST, now).json(MEMORY, self)).await
    }
}
