//! The identity of a mitigation.

use crate::digest::Digest;
use crate::message::MitigationRequest;
use crate::message::Target;

/// How many finding ids one task takes (`AuditMitigationActionsTaskTarget.findingIds`).
pub const MAX_FINDINGS: usize = 25;
/// How many reason codes a check can be filtered by (`auditCheckToReasonCodeFilter`).
pub const MAX_REASON_CODES: usize = 25;

impl MitigationRequest {
    /// The mitigation task's id, and the token of the call that starts it: made from audit, check, rule,
    /// actions and findings, so that a repeat names the same task. 35 characters of `[a-z0-9-]`.
    pub fn task_id(&self) -> String {
        let digest = Digest::new("mitigation")
            .part(&self.audit.account)
            .part(&self.audit.region)
            .part(&self.audit.task_id)
            .part(self.check.as_str())
            .part(&self.rule)
            .parts(self.actions.iter().map(String::as_str));
        let digest = match &self.target {
            Target::Findings(findings) => {
                let mut ids: Vec<&str> = findings.iter().map(|f| f.finding_id.as_str()).collect();
                ids.sort_unstable();
                digest.parts(ids.into_iter())
            }
            Target::WholeCheck { reason_codes, .. } => {
                digest.part("whole check").parts(reason_codes.iter().map(String::as_str))
            }
        };
        format!("fw-{}", digest.hex())
    }

    /// How many findings the mitigation is for.
    pub fn count(&self) -> u64 {
        self.target.count()
    }
}

impl Target {
    /// How many findings that is.
    pub fn count(&self) -> u64 {
        match self {
            Self::Findings(findings) => findings.len() as u64,
            Self::WholeCheck { count, .. } => *count,
        }
    }
}
