//! The metrics of a look of the watch on alarms.

use serde::Deserialize;
use serde::Serialize;

use super::gauges;
use crate::timestamp::Millis;

/// What a watch on the alarms of an account sees at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AlarmWatch {
    /// Events that no message told of, and that were sent through.
    pub alarms_unheard: u64,
    /// Events that an earlier look sent through, and that are still not known.
    pub alarms_undelivered: u64,
    /// Alarms that the service no longer lists, and that were ended.
    pub alarms_gone: u64,
    /// Alarms in alarm at the service.
    pub active_violations: u64,
    /// Incidents that were ended.
    pub incidents_ended: u64,
    /// How far the watch is behind, in seconds: 0 unless there was no time for all events.
    pub behind_seconds: u64,
    /// Looks that were refused: what they would have shown is not counted.
    pub looks_refused: u64,
}

/// The metric line of a look at the alarms.
pub fn alarm_watch_line(at: Millis, seen: &AlarmWatch) -> String {
    let values = [
        ("AlarmsUnheard", "Count", seen.alarms_unheard),
        ("AlarmsUndelivered", "Count", seen.alarms_undelivered),
        ("AlarmsGone", "Count", seen.alarms_gone),
        ("ActiveViolations", "Count", seen.active_violations),
        ("IncidentsEnded", "Count", seen.incidents_ended),
        ("AlarmWatchBehindSeconds", "Seconds", seen.behind_seconds),
        ("AlarmLooksRefused", "Count", seen.looks_refused),
    ];
    gauges(at, None, &values.map(|(name, unit, count)| (name, unit, count.into())))
}
