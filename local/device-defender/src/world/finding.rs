//! How a finding is written out.

use serde_json::{Value, json};

use crate::checks::Check;
use crate::findings::{Finding, Times};
use crate::world::World;

/// `relatedResources` of a finding holds at most ten; `ListRelatedResourcesForAuditFinding` gives all.
const MOST_RELATED: u32 = 10;

impl World {
    /// An `AuditFinding`, or nothing when there is no such finding.
    pub(crate) fn finding(&self, finding: Finding, times: Times) -> Option<Value> {
        let audit = self.audits.get(&finding.audit)?;
        let (entry, suppressed) = audit.checks.get(&finding.check)?.finding(finding.position)?;
        let facts = finding.check.facts();
        let (code, reason) = facts.reasons.get(usize::from(entry.reason))?;
        let mut resource = json!({
            "resourceType": facts.kind.name(),
            "resourceIdentifier": self.fleet.identifier(finding.check, entry),
        });
        if let (Some(info), Some(resource)) =
            (self.fleet.additional_info(finding.check, entry), resource.as_object_mut())
        {
            resource.insert("additionalInfo".to_owned(), info);
        }
        let mut described = json!({
            "findingId": finding.id(self.seed()),
            "taskId": audit.id,
            "checkName": facts.name,
            "taskStartTime": times.write(audit.started),
            "findingTime": times.write(audit.ends),
            "severity": facts.severity,
            "nonCompliantResource": resource,
            "reasonForNonCompliance": reason,
            "reasonForNonComplianceCode": code,
            "isSuppressed": suppressed,
        });
        let related = self.fleet.related_count(finding.check, entry).min(MOST_RELATED);
        // The API says that this check's are given by ListRelatedResourcesForAuditFinding alone.
        if related > 0 && finding.check != Check::IntermediateRevoked {
            let related: Vec<Value> =
                (0..related).map(|position| self.fleet.related(finding.check, entry, position)).collect();
            described.as_object_mut()?.insert("relatedResources".to_owned(), related.into());
        }
        Some(described)
    }
}
