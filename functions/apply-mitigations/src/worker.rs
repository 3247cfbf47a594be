//! What one process remembers from message to message: nothing that a promise depends on.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use fleetwarden_core::digest::Digest;
use fleetwarden_core::timestamp::Millis;

/// For how long no other start is tried after the service had no room for one, in seconds: a task takes longer.
const FULL_SECONDS: i64 = 10;

/// A process of the function.
#[derive(Debug)]
pub struct Worker {
    name: String,
    sent: AtomicU64,
    full_until: AtomicI64,
}

impl Worker {
    /// A process that has a name of its own.
    pub fn new(name: &str) -> Self {
        let name = Digest::new("worker").part(name).hex();
        Self { name, sent: AtomicU64::new(0), full_until: AtomicI64::new(i64::MIN) }
    }

    /// An id that no other message has.
    pub(crate) fn message_id(&self) -> String {
        format!("{}-{}", self.name, self.sent.fetch_add(1, Ordering::Relaxed))
    }

    /// The service had no room for a task.
    pub(crate) fn has_met_full(&self, now: Millis) {
        self.full_until.store(now.plus_seconds(FULL_SECONDS).0, Ordering::Relaxed);
    }

    /// Whether there was no room a moment ago. A start costs a call a finding before it is refused: of thousands that
    /// wait for room, only a few have to find that out.
    pub(crate) fn is_full(&self, now: Millis) -> bool {
        now.0 < self.full_until.load(Ordering::Relaxed)
    }
}
