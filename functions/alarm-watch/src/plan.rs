//! What needs no service: which events the ledger lacks, which alarms are stale, how far a run got.

use std::collections::HashSet;

use fleetwarden_aws::alarms::Incident;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::Source;
use fleetwarden_core::policy::AlarmSettings;
use fleetwarden_core::timestamp::Millis;

use crate::alerts::Place;
use crate::compare::Found;
use crate::snapshot::Snapshot;
use crate::violation::Active;

/// For so long a message may be on its way, and its event is not missing.
pub(crate) const GRACE_SECONDS: i64 = 15 * 60;
/// What is so new may still be on its way to the list: it is compared again.
pub(crate) const OVERLAP_SECONDS: i64 = 3_600;
/// How much is compared at a time, and the least: the grid of metrics.
const SLICE_SECONDS: i64 = 3_600;
const LEAST_SECONDS: i64 = 300;
/// How far back the service is asked.
const KEPT_SECONDS: i64 = crate::MOST_HOURS * 3_600;
/// The latest alarm of an incident is known to this, in seconds.
const BUCKET_SECONDS: i64 = 300;

/// An event's identity, the same in each run.
pub(crate) fn key(event: &AlarmEvent) -> String {
    format!("{} {} {}", event.alarm.violation_id, event.event.as_str(), event.at.0)
}

/// Whether the ledger has an event. Only its time tells: a list may write the rest of a violation in another way than its
/// message.
fn is_heard(life: Option<&Life>, event: &AlarmEvent) -> bool {
    let known = |at: Option<Millis>| at.is_some_and(|at| at >= event.at);
    match (life, &event.event) {
        // An unknown type changes nothing.
        (_, EventType::Unknown(_)) => true,
        (None, _) => false,
        (Some(life), EventType::InAlarm) => known(life.raised_at),
        (Some(life), EventType::AlarmCleared) => known(life.cleared_at),
        (Some(life), EventType::AlarmInvalidated) => known(life.invalidated_at),
    }
}

/// What becomes of an event that the service lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// The ledger has it.
    Heard,
    /// Its alert is suppressed at the service.
    Suppressed,
    /// It is sent to the alarm queue.
    Missing,
}

/// Compares an event with what the ledger has of its violation.
pub(crate) fn compare(event: &AlarmEvent, life: Option<&Life>) -> Listed {
    if is_heard(life, event) {
        return Listed::Heard;
    }
    // Suppressed alerts are not sent, by the operator's wish. The end of an alarm that was sent is wanted.
    let is_wanted = life.is_some_and(|life| life.raised_at.is_some()) && event.event != EventType::InAlarm;
    if event.alarm.suppressed && !is_wanted { Listed::Suppressed } else { Listed::Missing }
}

/// The event by which the ledger would have an active violation in alarm; none if it has.
pub(crate) fn missing_begin(active: &Active, life: Option<&Life>) -> Option<AlarmEvent> {
    let Some(life) = life.filter(|life| life.raised_at.is_some()) else { return Some(active.begin.clone()) };
    let ended = life.ended_at()?;
    // The list may be older than the end. What the device did after its end is not.
    let again = active.last_at.filter(|last| *last > ended)?;
    Some(AlarmEvent { at: again, ..active.begin.clone() })
}

/// Whether an alarm that the ledger has open may be stale: the service does not list it among the `active` violations.
pub(crate) fn may_be_stale(
    life: &Life,
    place: Place<'_>,
    active: &HashSet<String>,
    found: &Found,
    now: Millis,
) -> bool {
    let alarm = &life.alarm;
    alarm.source == Source::DeviceDefender
        && (alarm.account.as_str(), alarm.region.as_str()) == (place.account, place.region)
        && life.raised_at.is_some_and(|raised| raised <= now.plus_seconds(-GRACE_SECONDS))
        && !active.contains(&alarm.violation_id)
        && !found.ended.contains(&alarm.violation_id)
}

/// The end of a stale alarm. When it really ended is unknown: it is the time of the run.
pub(crate) fn end_of(life: Life, now: Millis) -> AlarmEvent {
    AlarmEvent {
        alarm: life.alarm,
        event: EventType::AlarmInvalidated,
        at: now,
        value: None,
        verification: None,
    }
}

/// Whether no device has alarmed within the window.
pub(crate) fn is_calm(incident: &Incident, settings: &AlarmSettings, now: Millis) -> bool {
    incident.latest_at.plus_seconds(settings.incident_window_seconds + BUCKET_SECONDS) <= now
}

/// Which events a run compares, slice by slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Period {
    from: Millis,
    /// Where the last run got to.
    reached: Millis,
    overlap: Millis,
    now: Millis,
    slice_seconds: i64,
}

/// How far the comparison of events got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// From when on.
    pub(crate) from: Millis,
    /// Where the next run begins.
    pub(crate) heard_until: Millis,
    /// How many seconds it takes at a time.
    pub(crate) slice_seconds: i64,
    /// Whether there was time for all.
    pub(crate) is_complete: bool,
}

impl Period {
    /// The events since the last run, or of so many hours.
    pub(crate) fn of(snapshot: &Snapshot, hours: Option<i64>, now: Millis) -> Self {
        let overlap = now.plus_seconds(-OVERLAP_SECONDS);
        let reached = snapshot.heard_until.unwrap_or(overlap);
        let from = hours.map_or(reached, |hours| now.plus_seconds(-hours * 3_600));
        let from = from.max(now.plus_seconds(-KEPT_SECONDS));
        let slice_seconds =
            snapshot.slice_seconds.unwrap_or(SLICE_SECONDS).clamp(LEAST_SECONDS, SLICE_SECONDS);
        Self { from, reached, overlap, now, slice_seconds }
    }

    /// Where the first slice begins.
    pub(crate) const fn from(&self) -> Millis {
        self.from
    }

    /// The end of the slice that begins at a moment; none at the end of the period.
    pub(crate) fn slice(&self, at: Millis) -> Option<Millis> {
        if at >= self.now {
            return None;
        }
        // What is left over by a little is part of the last slice.
        let end = at.plus_seconds(self.slice_seconds);
        Some(if end.plus_seconds(LEAST_SECONDS) >= self.now { self.now } else { end })
    }

    /// How far a run got that compared all slices before `at`. In the slice that begins at `open_since` something was
    /// missing: it counts as heard only when the ledger has it.
    pub(crate) fn progress(&self, at: Millis, open_since: Option<Millis>) -> Progress {
        let is_complete = at >= self.now;
        let heard_until = match open_since {
            Some(open_since) => open_since,
            // A run over fewer hours than were open says nothing of the others.
            None if self.from > self.reached => self.reached,
            None => at.min(self.overlap).max(self.reached.min(self.overlap)),
        };
        let is_stuck = !is_complete && at == self.from;
        let slice_seconds = if is_stuck { self.slice_seconds / 2 } else { SLICE_SECONDS };
        let slice_seconds = slice_seconds.max(LEAST_SECONDS);
        Progress { from: self.from, heard_until, slice_seconds, is_complete }
    }
}

/// How many seconds of events were not compared for want of time.
pub(crate) fn behind(progress: Option<&Progress>, now: Millis) -> Option<u64> {
    let progress = progress.filter(|progress| !progress.is_complete)?;
    u64::try_from(now.seconds() - progress.heard_until.seconds()).ok()
}
