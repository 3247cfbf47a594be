//! From the SDK's finding to ours.

use aws_sdk_iot::primitives::DateTime;
use aws_sdk_iot::types;
use fleetwarden_core::check::CheckName;
use fleetwarden_core::finding::Finding;
use fleetwarden_core::finding::RelatedResource;
use fleetwarden_core::finding::Severity;
use fleetwarden_core::resource::IssuerCertificateIdentifier;
use fleetwarden_core::resource::NonCompliantResource;
use fleetwarden_core::resource::PolicyVersionIdentifier;
use fleetwarden_core::resource::ResourceIdentifier;
use fleetwarden_core::timestamp::Millis;

/// Takes a finding over. Every member can be missing: what has no id of its own gets `name`, and what names
/// no resource can only be reported.
pub(crate) fn finding(from: types::AuditFinding, name: impl FnOnce() -> String) -> Finding {
    let unnamed = from.finding_id.is_none();
    let resource = from.non_compliant_resource.map(resource).filter(|_| !unnamed);
    Finding {
        finding_id: from.finding_id.unwrap_or_else(name),
        check: CheckName::new(from.check_name.as_deref().unwrap_or_default()),
        severity: from.severity.as_ref().map_or(Severity::Unknown, |s| Severity::parse(s.as_str())),
        found_at: from.finding_time.as_ref().map_or(Millis(0), millis),
        resource,
        related: from.related_resources.unwrap_or_default().into_iter().map(related).collect(),
        reason_code: from.reason_for_non_compliance_code,
        reason: from.reason_for_non_compliance,
        suppressed: from.is_suppressed.unwrap_or(false),
    }
}

fn resource(from: types::NonCompliantResource) -> NonCompliantResource {
    NonCompliantResource {
        resource_type: from.resource_type.map(|t| t.as_str().to_owned()),
        resource_identifier: from.resource_identifier.map(identifier).unwrap_or_default(),
        additional_info: from.additional_info.unwrap_or_default().into_iter().collect(),
    }
}

fn related(from: types::RelatedResource) -> RelatedResource {
    RelatedResource {
        resource_type: from.resource_type.map(|t| t.as_str().to_owned()),
        resource_identifier: from.resource_identifier.map(identifier).unwrap_or_default(),
        additional_info: from.additional_info.unwrap_or_default().into_iter().collect(),
    }
}

fn identifier(from: types::ResourceIdentifier) -> ResourceIdentifier {
    ResourceIdentifier {
        device_certificate_id: from.device_certificate_id,
        ca_certificate_id: from.ca_certificate_id,
        cognito_identity_pool_id: from.cognito_identity_pool_id,
        client_id: from.client_id,
        policy_version_identifier: from.policy_version_identifier.map(|policy| PolicyVersionIdentifier {
            policy_name: policy.policy_name,
            policy_version_id: policy.policy_version_id,
        }),
        account: from.account,
        iam_role_arn: from.iam_role_arn,
        role_alias_arn: from.role_alias_arn,
        issuer_certificate_identifier: from.issuer_certificate_identifier.map(|issuer| {
            IssuerCertificateIdentifier {
                issuer_certificate_subject: issuer.issuer_certificate_subject,
                issuer_id: issuer.issuer_id,
                issuer_certificate_serial_number: issuer.issuer_certificate_serial_number,
            }
        }),
        device_certificate_arn: from.device_certificate_arn,
    }
}

fn millis(time: &DateTime) -> Millis {
    time.to_millis().map_or(Millis(0), Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_without_anything_can_only_be_reported() {
        let finding = finding(types::AuditFinding::builder().build(), || "unnamed-0-0".into());
        assert_eq!((finding.finding_id.as_str(), finding.identifier()), ("unnamed-0-0", None));
    }

    #[test]
    fn a_resource_without_an_id_of_its_finding_is_not_acted_on() {
        let id = types::ResourceIdentifier::builder().client_id("pump").build();
        let resource = types::NonCompliantResource::builder().resource_identifier(id).build();
        let unnamed = types::AuditFinding::builder().non_compliant_resource(resource.clone()).build();
        assert_eq!(finding(unnamed, || "unnamed".into()).identifier(), None);
        let named = types::AuditFinding::builder().non_compliant_resource(resource).finding_id("f").build();
        assert_eq!(
            finding(named, || "unnamed".into()).identifier().and_then(|id| id.client_id.as_deref()),
            Some("pump")
        );
    }

    #[test]
    fn words_that_are_new_stay() {
        let resource = types::NonCompliantResource::builder().resource_type("SATELLITE".into()).build();
        let from = types::AuditFinding::builder()
            .finding_id("f")
            .severity("DIRE".into())
            .non_compliant_resource(resource);
        let finding = finding(from.build(), String::new);
        assert_eq!(finding.severity, Severity::Unknown);
        assert_eq!(finding.resource.and_then(|r| r.resource_type).as_deref(), Some("SATELLITE"));
    }
}
