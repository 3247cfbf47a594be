//! Where an audit's report comes from: the service, and the ledger.

use std::ops::Deref;
use std::time::Duration;

use fleetwarden_commands::Service;
use fleetwarden_commands::sources;

use crate::MakeLedger;

/// All that a report asks.
pub(super) struct Sources<'c> {
    pub(super) service: &'c Service,
    pub(super) ledger: &'c MakeLedger,
    calls: sources::Sources<'c>,
}

impl<'c> Sources<'c> {
    /// Sources that have this much time.
    pub(super) fn new(service: &'c Service, ledger: &'c MakeLedger, left: Duration) -> Self {
        Self { service, ledger, calls: sources::Sources::new(service, left) }
    }

    /// What is missing in the report.
    pub(super) fn into_gaps(self) -> Vec<String> {
        self.calls.into_gaps()
    }
}

impl<'c> Deref for Sources<'c> {
    type Target = sources::Sources<'c>;

    fn deref(&self) -> &Self::Target {
        &self.calls
    }
}
