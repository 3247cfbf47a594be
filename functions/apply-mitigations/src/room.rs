//! Whether the service had room for a task a moment ago, as this process remembers it. No promise depends on it.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use fleetwarden_core::timestamp::Millis;

/// For how long no other start is tried after one met ten running tasks, in seconds: a task takes longer.
const FULL_SECONDS: i64 = 10;

/// The room for tasks.
#[derive(Debug, Default)]
pub(crate) struct Room {
    full_until: AtomicI64,
}

impl Room {
    /// The service had no room for a task.
    pub(crate) fn was_full(&self, now: Millis) {
        self.full_until.store(now.plus_seconds(FULL_SECONDS).0, Ordering::Relaxed);
    }

    /// Whether there was no room a moment ago. A start costs a call a finding before it is refused: of thousands that
    /// wait for room, only a few have to find that out.
    pub(crate) fn is_full(&self, now: Millis) -> bool {
        now.0 < self.full_until.load(Ordering::Relaxed)
    }
}
