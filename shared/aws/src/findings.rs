//! A finding of an audit as the SDK has it (`ListAuditFindings`, `DescribeAuditFinding`), in our own types.

use std::collections::HashMap;

use aws_sdk_iot::types;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::model::finding::RelatedResource;
use fleetwarden_core::model::resource::NonCompliantResource;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::timestamp::Millis;

use crate::clock::millis;
use crate::states::identifier;

/// The finding. What names no check is of `check`. What has no id of its own gets `name` and can only be reported, as what
/// names no resource.
#[must_use]
pub fn finding(of: types::AuditFinding, check: &CheckName, name: &str) -> Finding {
    let named = of.check_name.filter(|check| !check.is_empty());
    let resource = of.non_compliant_resource.filter(|_| of.finding_id.is_some());
    Finding {
        finding_id: of.finding_id.unwrap_or_else(|| name.to_owned()),
        check: named.map_or_else(|| check.clone(), |name| CheckName::new(&name)),
        severity: of.severity.map_or(Severity::Unknown, |severity| Severity::parse(severity.as_str())),
        found_at: of.finding_time.as_ref().map_or(Millis(0), millis),
        resource: resource.map(non_compliant),
        related: of.related_resources.into_iter().flatten().map(related).collect(),
        reason_code: of.reason_for_non_compliance_code,
        reason: of.reason_for_non_compliance,
        suppressed: of.is_suppressed.unwrap_or(false),
    }
}

fn non_compliant(of: types::NonCompliantResource) -> NonCompliantResource {
    NonCompliantResource {
        resource_type: of.resource_type.map(|kind| kind.as_str().to_owned()),
        resource_identifier: of.resource_identifier.map(identifier).unwrap_or_default(),
        additional_info: of.additional_info.map(HashMap::into_iter).into_iter().flatten().collect(),
    }
}

fn related(of: types::RelatedResource) -> RelatedResource {
    RelatedResource {
        resource_type: of.resource_type.map(|kind| kind.as_str().to_owned()),
        resource_identifier: of.resource_identifier.map(identifier).unwrap_or_default(),
        additional_info: of.additional_info.map(HashMap::into_iter).into_iter().flatten().collect(),
    }
}
