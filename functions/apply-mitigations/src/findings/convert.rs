//! From the SDK's types of a finding to our own.

use std::collections::HashMap;

use aws_sdk_iot::types;
use fleetwarden_aws::states::identifier;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::model::finding::RelatedResource;
use fleetwarden_core::model::resource::NonCompliantResource;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::timestamp::Millis;

use crate::task::millis;

/// The finding with this id. What names no check is of `check`.
pub(super) fn finding(of: types::AuditFinding, finding_id: String, check: &CheckName) -> Finding {
    let named = of.check_name.filter(|check| !check.is_empty());
    Finding {
        finding_id,
        check: named.map_or_else(|| check.clone(), |name| CheckName::new(&name)),
        severity: of.severity.map_or(Severity::Unknown, |severity| Severity::parse(severity.as_str())),
        found_at: millis(of.finding_time.as_ref()).unwrap_or(Millis(0)),
        resource: of.non_compliant_resource.map(resource),
        related: of.related_resources.into_iter().flatten().map(related).collect(),
        reason_code: of.reason_for_non_compliance_code,
        reason: of.reason_for_non_compliance,
        suppressed: of.is_suppressed.unwrap_or(false),
    }
}

fn resource(of: types::NonCompliantResource) -> NonCompliantResource {
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
