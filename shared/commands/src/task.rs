//! The start of a mitigation task whose findings or violations are claimed, and what is written down of it.

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_core::api::input::TOKEN;
use fleetwarden_core::timestamp::Millis;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::Service;
use crate::calls::answer;
use crate::calls::is;
use crate::calls::is_not_started;
use crate::command::Command;
use crate::failure::Failure;

/// What the service says to the id of a task that exists.
pub const EXISTS: &str = "TaskAlreadyExistsException";

/// What came of a start. A failure tells whether nothing was started for certain.
pub type Started = Result<Box<RawValue>, (Failure, bool)>;

impl Service {
    /// Starts the task. One with this id that is `alike`, as `describe` gives it, is an earlier try's, unless the caller
    /// has a token of their own: then the service says what it is.
    pub async fn start(
        &self,
        command: &Command,
        input: &Map<String, Value>,
        describe: &str,
        alike: impl Fn(&Value) -> bool,
    ) -> Started {
        let error = match self.iot.call(command.operation, input).await {
            Ok(started) => return Ok(started),
            Err(error) => error,
        };
        // Of several tries the first may have been done, whatever the last was told.
        let id = json!({"taskId": command.text("taskId")});
        let there = match self.ask_if_there(describe, id.clone()).await {
            Ok(there) => there,
            Err(unknown) => {
                tracing::warn!(error = %unknown, "it is unknown whether the mitigation task was started");
                return Err((error.into(), false));
            }
        };
        let exists = is(&error, EXISTS);
        let Some(there) = there else {
            let refused = is_not_started(&error);
            return Err((error.into(), refused));
        };
        if alike(&there) && !(exists && command.input.contains_key(TOKEN)) {
            return answer(&id).map_err(|failure| (failure, false));
        }
        Err((error.into(), exists))
    }

    /// Writes down what came of a start; gives the claims back if nothing was started for certain and this try was the
    /// first to claim.
    ///
    /// # Errors
    /// The start's.
    pub async fn settle_start(
        &self,
        id: &str,
        started: Started,
        first: bool,
        claimed_at: Millis,
        mitigations: &Mitigations,
    ) -> Result<Box<RawValue>, Failure> {
        let now = self.clock.now();
        match started {
            Ok(started) => {
                // If it cannot be written, the follow-up writes how it ended.
                if let Err(error) = mitigations.started(id, now).await {
                    tracing::warn!(mitigation.task_id = id, %error, "the mitigation task was started, and the ledger does not have it");
                }
                tracing::info!(mitigation.task_id = id, "the mitigation task is started");
                Ok(started)
            }
            Err((failure, never)) => {
                let released = if never && first {
                    // A repeat that has claimed it meanwhile keeps it.
                    mitigations.release(id, &failure.to_string(), claimed_at, now).await.map(drop)
                } else {
                    Ok(())
                };
                if let Err::<_, Error>(error) = released {
                    tracing::warn!(mitigation.task_id = id, %error, "the follow-up gives the claims back");
                }
                Err(failure)
            }
        }
    }
}
