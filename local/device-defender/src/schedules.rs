//! Scheduled audits: on which days they run, and when.
//!
//! "The start time of each audit is determined by the system", and AWS does not say which it is: here it is six
//! o'clock in the morning, UTC. The first run is on the first such day, also of a biweekly audit.

use serde_json::{Value, json};

use crate::checks::Check;
use crate::failure::Failure;
use fleetwarden_core::model::schedule::Rhythm;
use fleetwarden_core::timestamp::Millis;

/// The hour of the day, in UTC, at which scheduled audits run.
const HOUR_OF_DAY: i64 = 6;

const DAY_MS: i64 = 86_400_000;

/// A scheduled audit.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) number: u32,
    pub(crate) arn: String,
    pub(crate) frequency: String,
    pub(crate) day_of_month: Option<String>,
    pub(crate) day_of_week: Option<String>,
    pub(crate) checks: Vec<Check>,
    pub(crate) rhythm: Rhythm,
    /// When the next run begins.
    pub(crate) due: i64,
}

impl Schedule {
    pub(crate) fn describe(&self, name: &str) -> Value {
        let mut described = json!({
            "scheduledAuditName": name,
            "scheduledAuditArn": self.arn,
            "frequency": self.frequency,
        });
        if let Some(described) = described.as_object_mut() {
            for (member, day) in [("dayOfMonth", &self.day_of_month), ("dayOfWeek", &self.day_of_week)] {
                if let Some(day) = day {
                    described.insert(member.to_owned(), day.as_str().into());
                }
            }
        }
        described
    }

    /// Takes the days from its members. Each frequency needs its day, and must not carry over the other's from
    /// before an update.
    pub(crate) fn plan(&mut self, now: i64) -> Result<(), Failure> {
        match self.frequency.as_str() {
            "WEEKLY" | "BIWEEKLY" => self.day_of_month = None,
            "MONTHLY" => self.day_of_week = None,
            _ => (self.day_of_month, self.day_of_week) = (None, None),
        }
        let read = Rhythm::read(&self.frequency, self.day_of_week.as_deref(), self.day_of_month.as_deref());
        self.rhythm = read.ok_or_else(|| {
            let member = if self.frequency == "MONTHLY" { "dayOfMonth" } else { "dayOfWeek" };
            Failure::invalid(format!("{member} is required when frequency is {}", self.frequency))
        })?;
        self.due = hour_of(self.rhythm.next(Millis(now.saturating_sub(DAY_MS))));
        if self.due <= now {
            self.due = hour_of(self.rhythm.next(Millis(now)));
        }
        Ok(())
    }

    /// Moves it to the run after the one that is due.
    pub(crate) fn go_on(&mut self) {
        let next = self.rhythm.next(Millis(self.due));
        let skips = matches!(self.rhythm, Rhythm::Biweekly(_));
        let due = hour_of(if skips { self.rhythm.next(next) } else { next });
        // Where the calendar ends nothing comes next.
        self.due = if due > self.due { due } else { i64::MAX };
    }
}

const fn hour_of(Millis(day): Millis) -> i64 {
    day.saturating_add(HOUR_OF_DAY * 3_600_000)
}
