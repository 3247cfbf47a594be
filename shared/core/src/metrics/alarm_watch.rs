//! What the watch on the alarms of an account sees at one look.

use serde::Deserialize;
use serde::Serialize;

use super::Metric;
use super::Record;
use super::line;
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

/// A look with its time.
struct Look<'l>(Millis, &'l AlarmWatch);

impl Record for Look<'_> {
    fn at(&self) -> Millis {
        self.0
    }

    fn metrics(&self) -> Vec<Metric> {
        let Self(_, seen) = self;
        vec![
            Metric::count("AlarmsUnheard", seen.alarms_unheard),
            Metric::count("AlarmsUndelivered", seen.alarms_undelivered),
            Metric::count("AlarmsGone", seen.alarms_gone),
            Metric::count("ActiveViolations", seen.active_violations),
            Metric::count("IncidentsEnded", seen.incidents_ended),
            Metric::seconds("AlarmWatchBehindSeconds", seen.behind_seconds),
            Metric::count("AlarmLooksRefused", seen.looks_refused),
        ]
    }
}

/// The metric line of a look at the alarms.
pub fn alarm_watch_line(at: Millis, seen: &AlarmWatch) -> String {
    line(&Look(at, seen))
}
