//! What is wrong with the audits that were read. Pure.

use std::collections::BTreeMap;

use fleetwarden_core::timestamp::Millis;

use crate::account::Run;
use crate::account::Schedule;
use crate::problem::Problem;
use crate::state::State;

/// An audit that started later than this may have ended a moment ago: its notification has time until the next run.
const FRESH_SECONDS: i64 = 2 * 3_600;
/// An audit of a large account takes minutes to hours.
const STUCK_SECONDS: i64 = 86_400;

/// The audits that have been running for too long.
pub(crate) fn stuck(runs: &[Run], now: Millis) -> impl Iterator<Item = Problem> {
    let before = now.plus_seconds(-STUCK_SECONDS);
    runs.iter().filter(move |run| run.is_running() && run.started < before).map(|run| Problem::Stuck {
        task_id: run.task_id.clone(),
        schedule: run.schedule.clone(),
        started: run.started,
        waiting: run.checks_that_are("WAITING_FOR_DATA_COLLECTION"),
        running: run.checks_that_are("IN_PROGRESS"),
    })
}

/// The audits that ended and that the ledger did not have.
pub(crate) fn unrecorded(runs: &[Run], now: Millis) -> Vec<&Run> {
    let before = now.plus_seconds(-FRESH_SECONDS);
    let unrecorded = |run: &&Run| run.described.is_some() && !run.is_running() && run.started <= before;
    runs.iter().filter(unrecorded).collect()
}

/// The scheduled audits whose next run should have started and did not: by the time of day of their earlier runs, or
/// because its day is over everywhere.
pub(crate) fn missing(state: &State, schedules: &[Schedule], runs: &[Run], now: Millis) -> Vec<Problem> {
    let missing = schedules.iter().filter_map(|schedule| {
        let rhythm = schedule.rhythm()?;
        let seen = state.seen(schedule)?;
        let own = runs.iter().filter(|run| run.schedule.as_deref() == Some(&schedule.name));
        let started = own.map(|run| run.started).chain(seen.last).filter(|started| *started >= seen.at);
        let usual = rhythm.expected(started).filter(|next| next.late <= now).map(|next| next.at);
        let due = rhythm.due(now);
        let is_over = due.since >= seen.at && seen.last.is_none_or(|last| last < due.since);
        (usual.is_some() || is_over).then(|| Problem::Missing {
            schedule: schedule.name.clone(),
            rhythm,
            due: usual.map_or_else(|| due.day.day(), Millis::rfc3339),
            usual: usual.is_some(),
            last: seen.last,
            first_seen: seen.at,
        })
    });
    missing.collect()
}

/// How many checks failed or were canceled in the latest audit of each schedule and the latest on demand.
pub(crate) fn checks_failed(runs: &[Run]) -> u64 {
    let mut latest: BTreeMap<Option<&str>, &Run> = BTreeMap::new();
    for run in runs {
        let known = latest.entry(run.schedule.as_deref()).or_insert(run);
        if run.started > known.started {
            *known = run;
        }
    }
    latest.values().map(|run| run.failed).sum()
}
