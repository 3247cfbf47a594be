//! What the functions call: counted always, and recorded when somebody wants to replay it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fleetwarden_bench::{Call, Plan, Step};

#[derive(Default)]
struct State {
    counts: BTreeMap<String, u64>,
    plan: Option<Plan>,
}

/// Sees every call.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<State>);

impl Recorder {
    /// Forgets what was seen. `records`: whether calls are recorded from now on.
    pub(crate) fn reset(&self, records: bool) {
        *self.state() = State { plan: records.then(Plan::default), ..State::default() };
    }

    /// How often an operation was called.
    pub(crate) fn count(&self, operation: &str) -> u64 {
        self.state().counts.get(operation).copied().unwrap_or(0)
    }

    /// How often anything was called.
    pub(crate) fn total(&self) -> u64 {
        self.state().counts.values().sum()
    }

    /// The recording.
    pub(crate) fn take(&self) -> Plan {
        self.state().plan.take().unwrap_or_default()
    }

    /// A call has come. Its place in the recording, if there is one.
    pub(crate) fn begin(&self, operation: &str, call: impl FnOnce() -> Call) -> Option<usize> {
        let mut state = self.state();
        match state.counts.get_mut(operation) {
            Some(count) => *count += 1,
            None => drop(state.counts.insert(operation.to_owned(), 1)),
        }
        let plan = state.plan.as_mut()?;
        plan.steps.push(Step::Begin(plan.calls.len()));
        plan.calls.push(call());
        Some(plan.calls.len() - 1)
    }

    /// A call's answer goes out.
    pub(crate) fn end(&self, at: usize, status: u16) {
        let mut state = self.state();
        if let Some(plan) = &mut state.plan {
            plan.steps.push(Step::End(at));
            if let Some(call) = plan.calls.get_mut(at) {
                call.status = status;
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
