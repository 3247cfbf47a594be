//! A page of an answer: how much of it there is room for, until when, and where the next one begins.

use fleetwarden_aws::clock::Clock;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;
use serde_json::Value;

/// Lambda gives back 6 MB at most; what is over this goes into the next answer (bytes).
const MAX_ANSWER: usize = 5_000_000;
/// Nothing more is read when less than this is left.
const MARGIN_SECONDS: i64 = 10;
/// How many entries a page has by default.
const ENTRIES: usize = 250;

/// The room in a page.
pub(crate) struct Room<'c> {
    entries: usize,
    bytes: usize,
    clock: &'c Clock,
    until: Millis,
}

impl<'c> Room<'c> {
    /// The room that a command asks for, in an invocation that ends at a moment.
    pub(crate) fn of(command: &Command, clock: &'c Clock, deadline: Millis) -> Self {
        let wanted = command.input.get("maxResults").and_then(Value::as_u64);
        let entries = match wanted.and_then(|wanted| usize::try_from(wanted).ok()) {
            _ if command.all => usize::MAX,
            Some(wanted) => wanted,
            None => ENTRIES,
        };
        Self { entries, bytes: MAX_ANSWER, clock, until: deadline.plus_seconds(-MARGIN_SECONDS) }
    }

    /// Takes the room that an entry needs, if there is so much.
    pub(crate) fn take(&mut self, entry: &impl Serialize) -> bool {
        let size = serde_json::to_string(entry).map_or(0, |text| text.len() + 1);
        let left = self.entries.checked_sub(1).zip(self.bytes.checked_sub(size));
        if let Some(left) = left {
            (self.entries, self.bytes) = left;
        }
        left.is_some()
    }

    /// How many entries it has room for, at most so many as one call should read.
    pub(crate) fn limit(&self, most: i32) -> i32 {
        i32::try_from(self.entries).unwrap_or(most).clamp(1, most)
    }

    /// Whether nothing more should be read.
    pub(crate) fn is_closed(&self) -> bool {
        self.entries == 0 || self.clock.now() >= self.until
    }
}

/// A `nextToken` that is none of ours.
pub(crate) fn foreign() -> Failure {
    Failure::fault("$.nextToken", "is no token that this command gave for these members")
}
