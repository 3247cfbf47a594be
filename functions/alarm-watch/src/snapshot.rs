//! What a run leaves in the ledger for the next one.

use std::collections::BTreeMap;

use fleetwarden_aws::state_item::HasNotices;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

use crate::plan::GRACE_SECONDS;

/// How many events that were sent are remembered: an item of the ledger has room for so many.
const SENT: usize = 1_000;
/// How often an event is sent to the alarm queue. If the ledger does not have it after that it is parked, and would be
/// parked again every hour.
const TRIES: u32 = 3;
/// A problem that comes back within this time was never fixed, in seconds.
pub(crate) const FIXED_SECONDS: i64 = 2 * 86_400;

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Snapshot {
    /// The first run: an event from before is no problem.
    pub(crate) since: Option<Millis>,
    /// All events before this were compared with the ledger, and it has them.
    pub(crate) heard_until: Option<Millis>,
    /// How many seconds of events the next run takes at a time: after a run that had too little time, fewer.
    pub(crate) slice_seconds: Option<i64>,
    /// The events that the last runs sent to the alarm queue.
    sent: BTreeMap<String, Sent>,
    pub(crate) notices: Notices,
}

/// An event that was sent to the alarm queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Sent {
    /// How often.
    times: u32,
    /// When it was last.
    at: Millis,
}

/// What becomes of an event that the ledger does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// It is sent for the first time.
    First,
    /// It was sent a moment ago, and may be on its way.
    OnItsWay,
    /// It was sent before, and is sent again.
    Again,
    /// It was sent often enough.
    GivenUp,
}

impl HasNotices for Snapshot {
    fn notices(&mut self) -> &mut Notices {
        &mut self.notices
    }
}

impl Snapshot {
    /// What becomes of an event.
    pub(crate) fn sending(&self, key: &str, now: Millis) -> Sending {
        match self.sent.get(key) {
            None => Sending::First,
            Some(sent) if now < sent.at.plus_seconds(GRACE_SECONDS) => Sending::OnItsWay,
            Some(sent) if sent.times < TRIES => Sending::Again,
            Some(_) => Sending::GivenUp,
        }
    }

    /// Remembers what became of the events that the ledger did not have. All others are forgotten.
    pub(crate) fn sent<'f>(&mut self, found: impl Iterator<Item = (&'f String, &'f Sending)>, now: Millis) {
        let before = std::mem::take(&mut self.sent);
        let sent = |key: &String, sending: Sending| match (before.get(key), sending) {
            (Some(sent), Sending::OnItsWay | Sending::GivenUp) => *sent,
            (sent, _) => Sent { times: sent.map_or(1, |sent| sent.times + 1), at: now },
        };
        self.sent = found.take(SENT).map(|(key, sending)| (key.clone(), sent(key, *sending))).collect();
    }
}
