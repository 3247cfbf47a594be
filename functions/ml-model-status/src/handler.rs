//! An invocation: what is asked, and the work of each time of the schedule once.

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::invocation;
use fleetwarden_aws::schedule::Schedule;
use lambda_runtime::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::MlModelStatus;

const NAME: &str = "ml-model-status";
/// What is left of an invocation when it stops asking: enough for the snapshot and the alerts.
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
        let Request { scheduled_at } = invocation::wish(event, "{}")?;
        let Self { ledger, clock, emit, .. } = self;
        let schedule = Schedule { function: NAME, margin: MARGIN, ledger, clock, emit: *emit };
        schedule.run(scheduled_at.as_deref(), context, async |span| Box::pin(self.run(span)).await).await
    }
}
