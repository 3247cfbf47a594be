//! An invocation: what is asked, and the work of each time of the schedule once.

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::invocation;
use fleetwarden_aws::schedule::Schedule;
use lambda_runtime::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::AlarmWatch;
use crate::MOST_HOURS;

const NAME: &str = "alarm-watch";
/// What is left of an invocation when it stops comparing: enough for the snapshot and the alerts.
const MARGIN: Duration = Duration::from_secs(30);

/// The event.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Request {
    /// The time of the schedule, in RFC 3339: a delivery that is repeated has the same.
    scheduled_at: Option<String>,
    /// How many hours of events to compare, 1 to 336; otherwise those since the last run.
    hours: Option<i64>,
}

impl AlarmWatch {
    /// Takes an invocation of the schedule or of a person. Gives what was found.
    ///
    /// # Errors
    /// What is wrong with the event, or that ledger or alert topic do not answer. If AWS IoT or the alarm queue do not
    /// answer, there is an alert.
    pub async fn handle(&self, event: Value, context: &Context) -> Result<Value, Error> {
        let Request { scheduled_at, hours } = invocation::wish(event, "{\"hours\": 24}")?;
        let Self { clock, emit, .. } = self;
        let ledger = self.alarms.ledger();
        let schedule = Schedule { function: NAME, margin: MARGIN, ledger, clock, emit: *emit };
        let run = async |span| {
            if let Some(hours) = hours.filter(|hours| !(1..=MOST_HOURS).contains(hours)) {
                return Err(Error::Input(format!("hours: {hours} is not from 1 to {MOST_HOURS}")));
            }
            Box::pin(self.run(hours, span)).await
        };
        schedule.run(scheduled_at.as_deref(), context, run).await
    }
}
