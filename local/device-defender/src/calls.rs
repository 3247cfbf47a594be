//! What was asked of the endpoint and how it was answered, for tests that count.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The log of calls. It holds counts only, so it does not grow with the calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Operation, then outcome: an error code, `ok`, or `fault:` and the kind of fault.
    counts: BTreeMap<String, BTreeMap<String, u64>>,
    unknown_members: u64,
}

impl Calls {
    pub(crate) fn record(&mut self, operation: &str, outcome: &str) {
        let outcomes = self.counts.entry(operation.to_owned()).or_default();
        *outcomes.entry(outcome.to_owned()).or_default() += 1;
    }

    pub(crate) const fn unknown(&mut self, members: u64) {
        self.unknown_members += members;
    }

    pub(crate) fn describe(&self) -> Value {
        let total: u64 = self.counts.values().flat_map(BTreeMap::values).sum();
        json!({ "total": total, "byOperation": self.counts, "unknownMembers": self.unknown_members })
    }
}
