//! How many findings of a check ended in which way.

use std::collections::BTreeMap;

use aws_sdk_iot::operation::describe_audit_mitigation_actions_task::DescribeAuditMitigationActionsTaskOutput as Task;
use aws_sdk_iot::types::TaskStatisticsForAuditCheck;
use fleetwarden_core::message::Target;
use serde::Serialize;

/// How many findings of a check ended in which way (`TaskStatisticsForAuditCheck`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Statistics {
    pub(crate) total: i64,
    pub(crate) succeeded: i64,
    pub(crate) failed: i64,
    pub(crate) skipped: i64,
    pub(crate) canceled: i64,
}

impl Statistics {
    /// Those of a task, by check.
    pub(crate) fn by_check(task: &Task) -> BTreeMap<&str, Self> {
        let all = task.task_statistics().into_iter().flatten();
        all.map(|(check, of)| (check.as_str(), Self::from(of))).collect()
    }

    /// Without what was not to be mitigated: a task of a whole check skips what is suppressed and what has other reason
    /// codes than its own.
    pub(crate) const fn wanted(self, target: &Target) -> Self {
        match target {
            Target::WholeCheck { .. } => {
                Self { total: self.total.saturating_sub(self.skipped), skipped: 0, ..self }
            }
            Target::Findings(_) => self,
        }
    }

    /// Whether no action was tried on any of them. One that failed may have done a part.
    pub(crate) const fn is_without_effect(&self) -> bool {
        self.succeeded == 0 && self.failed == 0
    }

    /// How many did not succeed.
    pub(crate) const fn not_succeeded(self) -> i64 {
        self.failed.saturating_add(self.skipped).saturating_add(self.canceled)
    }
}

impl From<&TaskStatisticsForAuditCheck> for Statistics {
    fn from(of: &TaskStatisticsForAuditCheck) -> Self {
        Self {
            total: of.total_findings_count.unwrap_or_default(),
            succeeded: of.succeeded_findings_count.unwrap_or_default(),
            failed: of.failed_findings_count.unwrap_or_default(),
            skipped: of.skipped_findings_count.unwrap_or_default(),
            canceled: of.canceled_findings_count.unwrap_or_default(),
        }
    }
}
