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

use crate::MlModelStatus;

const NAME: &str = "ml-model-status";
/// What is left of an invocation when it stops asking: enough for the snapshot and the alerts. Of a short
/// one it is a quarter.
const MARGIN: Duration = Duration::from_secs(45);

/// The event.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Request {
    /// The time of the schedule, in RFC 3339: a delivery that is repeated has the same.
    scheduled_at: Option<String>,
}

impl MlModelStatus {
    /// Takes an invocation of the schedule or of a person. Gives the status of all models.
    ///
    /// # Errors
    /// What is wrong with the event, or that ledger or alert topic do not answer. If AWS IoT does not answer, there is an
    /// alert.
    pub async fn handle(&self, event: Value, context: &Context) -> Result<Value, Error> {
        let request: Request = invocation::wish(event, "{}")?;
        let outcome = self.run_once(request, context).await;
        (self.emit)(
            &metrics::invocation::Invocation::of_one(NAME, self.clock.now(), outcome.is_err()).line(),
        );
        outcome
    }

    async fn run_once(&self, request: Request, context: &Context) -> Result<Value, Error> {
        let slot = invocation::slot(request.scheduled_at.as_deref(), context)?;
        let (now, deadline) = (self.clock.now(), invocation::deadline(context));
        let (about, lease) = (keys::look(NAME, &slot), invocation::lease(deadline));
        let stop_at = invocation::stop_at(now, deadline, MARGIN);
        let run = Box::pin(self.run((now, stop_at)));
        let status = self.ledger.run_once(&about, now, lease, run).await?;
        Ok(status.map_or_else(|| json!({"slot": slot, "repeated": true}), |status| json!(status)))
    }
}
