//! What Device Defender says of the audit that a notification announces.
//!
//! The notification comes before and only names the audit; what follows works on the description of that audit by the
//! service. Anyone who may publish to the topic can send a notification that is early or invented: if it claimed the
//! audit, the true one would count as handled, and an invented compliant check would count every finding as fixed.
//!
//! One call of `DescribeAuditTask` for each audit. Until the description shows an end, it is asked again for some
//! seconds, since AWS does not say that it does so before the notification is sent.

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::invocation;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::iot_api::UNREADABLE;
use fleetwarden_core::api::notification;
use fleetwarden_core::api::notification::AuditEnded;
use fleetwarden_core::message::Audit;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::compare::differences;
use crate::compare::not_ended;
use crate::mismatch::Mismatch;
use crate::validate::validate;

const DESCRIBE: &str = "DescribeAuditTask";
/// How often one invocation looks for the end of an audit.
const LOOKS: u32 = 3;
/// How long it waits between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// An audit that has ended, as the service describes it.
pub(crate) struct Confirmed {
    pub(crate) audit: Audit,
    pub(crate) ended: AuditEnded,
    /// How the notification differs from it.
    pub(crate) differences: Vec<Text>,
}

/// Asks Device Defender about audits.
#[derive(Clone, Copy)]
pub(crate) struct Confirmation<'h> {
    /// Where audits are described.
    pub(crate) iot: &'h IotApi,
    /// The account: 12 digits.
    pub(crate) account: &'h str,
    /// Where the function runs.
    pub(crate) region: &'h str,
    /// The time.
    pub(crate) clock: &'h Clock,
    /// How much of the invocation has to be left for another look.
    pub(crate) margin: Duration,
}

impl Confirmation<'_> {
    /// Looks up the audit that a notification names.
    ///
    /// # Errors
    /// If the service does not answer, or not with what an audit task has.
    pub(crate) async fn confirm(
        &self,
        notified: &AuditEnded,
        deadline: Millis,
    ) -> Result<Result<Confirmed, Mismatch>, Error> {
        for _ in 1..LOOKS {
            let described = self.describe(notified).await?;
            if described.is_ok() || !invocation::has_time(self.clock.now(), deadline, self.margin) {
                return Ok(described);
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.describe(notified).await
    }

    async fn describe(&self, notified: &AuditEnded) -> Result<Result<Confirmed, Mismatch>, Error> {
        let task_id = &notified.task_id;
        let answer = match self.iot.ask::<Value>(DESCRIBE, json!({"taskId": task_id})).await {
            Err(Error::Aws { code, .. }) if code == "ResourceNotFoundException" => {
                return Ok(Err(Mismatch::NoSuchTask));
            }
            answer => answer?,
        };
        let unreadable = |message: String| Error::Aws {
            operation: DESCRIBE,
            on: format!("audit task {task_id}"),
            code: UNREADABLE.to_owned(),
            message,
        };
        let ended = notification::from_description(self.account, task_id, &answer).map_err(unreadable)?;
        let ended = AuditEnded::deserialize(ended).map_err(|error| unreadable(error.to_string()))?;
        if let Some(why) = not_ended(notified, &ended) {
            return Ok(Err(Mismatch::NotEnded(why)));
        }
        let audit = validate(&ended, self.account, self.region, self.clock.now());
        let audit = audit.map_err(|what| unreadable(format!("in the answer, {what}")))?;
        let differences = differences(notified, &ended);
        Ok(Ok(Confirmed { audit, ended, differences }))
    }
}
