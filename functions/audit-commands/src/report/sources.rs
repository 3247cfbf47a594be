//! Where an audit's report comes from: the service, and what the function has beside it.

use std::ops::Deref;
use std::time::Duration;

use fleetwarden_commands::sources;

use crate::AuditCommands;

/// All that a report asks.
pub(super) struct Sources<'c> {
    pub(super) commands: &'c AuditCommands,
    pub(super) service: sources::Sources<'c>,
}

impl<'c> Sources<'c> {
    /// Sources that have this much time.
    pub(super) fn new(commands: &'c AuditCommands, left: Duration) -> Self {
        Self { commands, service: sources::Sources::new(&commands.service, left) }
    }
}

impl<'c> Deref for Sources<'c> {
    type Target = sources::Sources<'c>;

    fn deref(&self) -> &Self::Target {
        &self.service
    }
}
