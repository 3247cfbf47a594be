//! An invocation: what is asked, and the claim by which a repeated delivery of one schedule does nothing.

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::invocation;
use fleetwarden_aws::ledger::keys;
use fleetwarden_core::metrics;
use lambda_runtime::Context;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::AlarmWatch;
use crate::MOST_HOURS;

const NAME: &str = "alarm-watch";
/// What is left of an invocation when it stops comparing: enough for the snapshot and the alerts. Of a
/// short one it is a quarter.
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
        let request: Request = invocation::wish(event, "{\"hours\": 24}")?;
        let outcome = self.run_once(request, context).await;
        (self.emit)(
            &metrics::invocation::Invocation::of_one(NAME, self.clock.now(), outcome.is_err()).line(),
        );
        outcome
    }

    async fn run_once(&self, request: Request, context: &Context) -> Result<Value, Error> {
        let slot = invocation::slot(request.scheduled_at.as_deref(), context)?;
        if let Some(hours) = request.hours.filter(|hours| !(1..=MOST_HOURS).contains(hours)) {
            return Err(Error::Input(format!("hours: {hours} is not from 1 to {MOST_HOURS}")));
        }
        let (now, deadline) = (self.clock.now(), invocation::deadline(context));
        let (about, lease) = (keys::look(NAME, &slot), invocation::lease(deadline));
        let stop_at = invocation::stop_at(now, deadline, MARGIN);
        let run = Box::pin(self.run(request.hours, (now, stop_at)));
        let answer = self.alarms.ledger().run_once(&about, now, lease, run).await?;
        Ok(answer.map_or_else(|| json!({"slot": slot, "repeated": true}), |answer| json!(answer)))
    }
}
