//! What the watch keeps from one look to the next.

use std::collections::BTreeMap;

use fleetwarden_aws::kept::HasNotices;
use fleetwarden_core::notices::Notices;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

/// How many events that were sent through are remembered: an item of the ledger has room for so many.
const SENT: usize = 1_000;
/// How often an event is sent through. What is not heard after that is parked somewhere, and sending it again every hour
/// would park it again every hour.
const TRIES: u32 = 3;
/// What was wrong, and is again before this is over, was never mended.
pub(crate) const MENDED_SECONDS: i64 = 2 * 86_400;

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Memory {
    /// When the watch first looked: what was before is not missed by anybody.
    pub(crate) since: Option<Millis>,
    /// All events before this were held against the ledger, and it knew them.
    pub(crate) heard_until: Option<Millis>,
    /// How many seconds of events were too many for one look: the next one takes fewer at a time.
    pub(crate) slice_seconds: Option<i64>,
    /// How often each event was sent through that the last looks did.
    sent: BTreeMap<String, u32>,
    pub(crate) notices: Notices,
}

/// What becomes of an event that the ledger does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// It is sent for the first time.
    First,
    /// It was sent before, and is sent again.
    Again,
    /// It was sent often enough.
    GivenUp,
}

impl HasNotices for Memory {
    fn notices(&mut self) -> &mut Notices {
        &mut self.notices
    }
}

impl Memory {
    /// What becomes of an event.
    pub(crate) fn sending(&self, key: &str) -> Sending {
        match self.sent.get(key) {
            None => Sending::First,
            Some(times) if *times < TRIES => Sending::Again,
            Some(_) => Sending::GivenUp,
        }
    }

    /// Takes in what this look found: `found` are all events that the ledger did not know, sent or not.
    pub(crate) fn sent<'f>(&mut self, found: impl Iterator<Item = &'f String>) {
        let before = std::mem::take(&mut self.sent);
        let times = |key: &String| before.get(key).map_or(1, |times| (times + 1).min(TRIES));
        self.sent = found.take(SENT).map(|key| (key.clone(), times(key))).collect();
    }
}
