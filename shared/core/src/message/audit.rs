//! The audit that a message is about.

use serde::Deserialize;
use serde::Serialize;

use crate::ids::AccountId;
use crate::ids::AuditTaskId;
use crate::ids::InvalidId;
use crate::ids::Region;
use crate::timestamp::Millis;

/// An audit that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// Its account.
    pub account: AccountId,
    /// Its region. The notification does not carry it; it is the region of the function.
    pub region: Region,
    /// Its task.
    pub task_id: AuditTaskId,
    /// The scheduled audit's name; none for one on demand.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schedule: Option<String>,
    /// When the audit began.
    pub started_at: Millis,
}

impl Audit {
    /// An audit as the service names it.
    ///
    /// # Errors
    /// The first name that could not have come from the service, and what is wrong with it.
    pub fn new(
        (account, region): (&str, &str),
        task_id: &str,
        schedule: Option<String>,
        started_at: Millis,
    ) -> Result<Self, InvalidId> {
        let (account, region) = (account.parse()?, region.parse()?);
        Ok(Self { account, region, task_id: task_id.parse()?, schedule, started_at })
    }
}
