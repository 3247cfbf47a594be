//! The audit that a message is about.

use serde::Deserialize;
use serde::Serialize;

use crate::ids::CheckName;
use crate::ids::names::is_check_name;
use crate::ids::names::is_region;
use crate::ids::names::is_task_id;
use crate::timestamp::Millis;
use crate::untrusted::shown;

/// An audit that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// 12 digits.
    pub account: String,
    /// As `us-east-1`. The notification does not carry it; it is the region of the function.
    pub region: String,
    /// `[a-zA-Z0-9-]{1,40}`.
    pub task_id: String,
    /// The scheduled audit's name; none for one on demand.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schedule: Option<String>,
    /// When the audit began.
    pub started_at: Millis,
}

impl Audit {
    /// Finds what is wrong with an audit and a check of it, as a member's path with a reason.
    ///
    /// # Errors
    /// The first member whose value could not have come from the service, or is of another account.
    pub fn verify(&self, account: &str, check: &CheckName) -> Result<(), String> {
        if self.account != account {
            return Err(format!("audit.account: this is account {account}, not '{}'", shown(&self.account)));
        }
        if !is_region(&self.region) {
            return Err(format!("audit.region: '{}' is no region", shown(&self.region)));
        }
        if !is_task_id(&self.task_id) {
            return Err(format!("audit.taskId: '{}' is no task id", shown(&self.task_id)));
        }
        if !is_check_name(check.as_str()) {
            return Err(format!("check: '{}' is no check name", shown(check.as_str())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_member_that_is_wrong_is_named() {
        let audit = |account: &str, task_id: &str| Audit {
            account: account.into(),
            region: "us-east-1".into(),
            task_id: task_id.into(),
            schedule: None,
            started_at: Millis(0),
        };
        let wrong = |audit: Audit, check| audit.verify("123456789012", &CheckName::new(check)).unwrap_err();
        assert!(wrong(audit("210987654321", "t"), "A_CHECK").starts_with("audit.account: "));
        assert!(wrong(audit("123456789012", "t/.."), "A_CHECK").starts_with("audit.taskId: "));
        let nowhere = Audit { region: "../x".into(), ..audit("123456789012", "t") };
        assert!(wrong(nowhere, "A_CHECK").starts_with("audit.region: "));
        assert!(wrong(audit("123456789012", "t"), "A:CHECK").starts_with("check: "));
        assert_eq!(audit("123456789012", "t").verify("123456789012", &CheckName::new("A_CHECK")), Ok(()));
    }
}
