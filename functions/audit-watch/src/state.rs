//! What the watch keeps from one run to the next: when it first ran, each scheduled audit as it is known, the
//! notifications that it published, and the problems that last.
//!
//! The service does not say when a scheduled audit was created. A run is expected only of a schedule that was seen, as
//! it is now, before that run was due; an audit that ended before the first run of the watch counts as handled. The last
//! run of a schedule is kept for longer than audit tasks are read: one that has stopped for good would otherwise look as
//! if it had never run, and raise another alert.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::state_item::HasNotices;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

use crate::account::Run;
use crate::account::Schedule;

/// A problem that is back within this time, or at the very next run, was never fixed: people know of it.
const FIXED_SECONDS: i64 = 2 * 86_400;
/// How many published notifications are kept: an item of the ledger has room for so many.
const REPUBLISHED: usize = 1_000;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct State {
    /// When the watch first ran.
    since: Option<Millis>,
    /// When it last ran.
    last_run: Option<Millis>,
    schedules: BTreeMap<String, Seen>,
    /// The audit tasks whose notifications the last run published.
    republished: BTreeSet<String>,
    pub(crate) notices: Notices,
}

/// A scheduled audit.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Seen {
    /// On which days it runs: with other days it counts as new.
    rhythm: String,
    /// When it was first seen so.
    pub(crate) at: Millis,
    /// When its last run started.
    pub(crate) last: Option<Millis>,
}

impl HasNotices for State {
    fn notices(&mut self) -> &mut Notices {
        &mut self.notices
    }
}

impl State {
    /// Begins a run: forgets the problems that were fixed.
    pub(crate) fn begin(&mut self, now: Millis) {
        self.since.get_or_insert(now);
        let last_run = self.last_run.unwrap_or(now);
        let since_last_run = now.seconds().saturating_sub(last_run.seconds());
        self.notices.forget(now, since_last_run.max(FIXED_SECONDS));
        self.last_run = Some(last_run.max(now));
    }

    /// When the watch first ran.
    pub(crate) fn since(&self, now: Millis) -> Millis {
        self.since.unwrap_or(now)
    }

    /// Sets the scheduled audits that there are, and forgets all others.
    pub(crate) fn set_schedules(&mut self, schedules: &[Schedule], now: Millis) {
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

    /// Sets the last run of each scheduled audit, unless a later one is known.
    pub(crate) fn set_last_runs(&mut self, runs: &[Run]) {
        for run in runs {
            if let Some(seen) = run.schedule.as_ref().and_then(|name| self.schedules.get_mut(name)) {
                seen.last = seen.last.max(Some(run.started));
            }
        }
    }

    /// A scheduled audit as it is known.
    pub(crate) fn seen(&self, schedule: &Schedule) -> Option<&Seen> {
        self.schedules.get(&schedule.name)
    }

    /// Whether the last run published the notification of an audit.
    pub(crate) fn was_republished(&self, task_id: &str) -> bool {
        self.republished.contains(task_id)
    }

    /// Sets the audits whose notifications this run published.
    pub(crate) fn set_republished(&mut self, task_ids: impl Iterator<Item = String>) {
        self.republished = task_ids.take(REPUBLISHED).collect();
    }
}
