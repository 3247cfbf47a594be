//! The watch on the audits themselves: those that did not come, did not work, or nobody hears of.

use fleetwarden_aws::Error;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::SuppressionReview;

/// What the watch saw.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Watched {
    /// Alerts that were raised, or had been before.
    pub(crate) alerts: u32,
}

impl SuppressionReview {
    /// Looks at schedules, tasks and configuration, and tells what is wrong.
    #[expect(clippy::unused_async, reason = "to be written")]
    pub(crate) async fn watch_audits(&self, _now: Millis) -> Result<Watched, Error> {
        Ok(Watched::default())
    }
}
