//! What Device Defender says with the findings of each check, so that a case need not.
//!
//! Source: the developer guide's page "Audit checks" and the pages of the checks.

use fleetwarden_core::model::resource::{
    IssuerCertificateIdentifier, PolicyVersionIdentifier, ResourceIdentifier,
};
use fleetwarden_core::model::severity::Severity;

/// What all findings of a check have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// How bad they are.
    pub(super) severity: Severity,
    /// What they are about.
    pub(super) kind: Kind,
    /// Their reason code, if there is only one.
    pub(super) reason: Option<&'static str>,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    DeviceCertificate,
    CaCertificate,
    Policy,
    IdentityPool,
    Client,
    Account,
    RoleAlias,
    Issuer,
}

/// The facts of a check; none for one that is unknown.
pub(super) fn facts(check: &str) -> Option<Facts> {
    use Kind::{Account, CaCertificate, Client, DeviceCertificate, IdentityPool, Issuer, Policy, RoleAlias};
    use Severity::{Critical, High, Low, Medium};
    let revoked = Some("CERTIFICATE_REVOKED_BY_ISSUER");
    let (severity, kind, reason) = match check {
        "AUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK"
        | "UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK" => (Critical, IdentityPool, None),
        "CA_CERTIFICATE_EXPIRING_CHECK" => (Medium, CaCertificate, None),
        "CA_CERTIFICATE_KEY_QUALITY_CHECK" => (Critical, CaCertificate, None),
        "CONFLICTING_CLIENT_IDS_CHECK" => (High, Client, Some("DUPLICATE_CLIENT_ID_ACROSS_CONNECTIONS")),
        "DEVICE_CERTIFICATE_AGE_CHECK" => (Low, DeviceCertificate, Some("CERTIFICATE_PAST_AGE_THRESHOLD")),
        "DEVICE_CERTIFICATE_EXPIRING_CHECK" => (Medium, DeviceCertificate, None),
        "DEVICE_CERTIFICATE_KEY_QUALITY_CHECK" => (Critical, DeviceCertificate, None),
        "DEVICE_CERTIFICATE_SHARED_CHECK" => {
            (Critical, DeviceCertificate, Some("CERTIFICATE_SHARED_BY_MULTIPLE_DEVICES"))
        }
        "INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK" => {
            (Critical, Issuer, Some("INTERMEDIATE_CA_REVOKED_BY_ISSUER"))
        }
        "IOT_POLICY_OVERLY_PERMISSIVE_CHECK" => {
            (Critical, Policy, Some("ALLOWS_BROAD_ACCESS_TO_IOT_DATA_PLANE_ACTIONS"))
        }
        "IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK" => (Medium, Policy, None),
        "IOT_ROLE_ALIAS_ALLOWS_ACCESS_TO_UNUSED_SERVICES_CHECK" => {
            (Medium, RoleAlias, Some("ALLOWS_ACCESS_TO_UNUSED_SERVICES"))
        }
        "IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK" => (Critical, RoleAlias, None),
        "LOGGING_DISABLED_CHECK" => (Low, Account, Some("LOGGING_DISABLED")),
        "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK" => (Critical, CaCertificate, revoked),
        "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK" => (Medium, DeviceCertificate, revoked),
        _ => return None,
    };
    Some(Facts { severity, kind, reason })
}

impl Kind {
    /// The API's word (`ResourceType`).
    pub(super) const fn resource_type(self) -> &'static str {
        match self {
            Self::DeviceCertificate => "DEVICE_CERTIFICATE",
            Self::CaCertificate => "CA_CERTIFICATE",
            Self::Policy => "IOT_POLICY",
            Self::IdentityPool => "COGNITO_IDENTITY_POOL",
            Self::Client => "CLIENT_ID",
            Self::Account => "ACCOUNT_SETTINGS",
            Self::RoleAlias => "ROLE_ALIAS",
            Self::Issuer => "ISSUER_CERTIFICATE",
        }
    }

    /// Some resource of this kind, by the label that a rule's `resource` would name it by.
    pub(super) fn example(self, account: &str) -> String {
        match self {
            Self::DeviceCertificate | Self::CaCertificate => format!("{:064x}", 1),
            Self::Policy => "policy-1:1".to_owned(),
            Self::IdentityPool => "us-east-1:00000000-0000-4000-8000-000000000001".to_owned(),
            Self::Client => "client-1".to_owned(),
            Self::Account => account.to_owned(),
            Self::RoleAlias => format!("arn:aws:iot:us-east-1:{account}:rolealias/alias-1"),
            Self::Issuer => "01".to_owned(),
        }
    }

    /// The resource of this kind that has a label.
    pub(super) fn identifier(self, label: &str) -> ResourceIdentifier {
        let mut id = ResourceIdentifier::default();
        let text = Some(label.to_owned());
        match self {
            Self::DeviceCertificate => id.device_certificate_id = text,
            Self::CaCertificate => id.ca_certificate_id = text,
            Self::Policy => {
                let (name, version) = label.rsplit_once(':').unwrap_or((label, "1"));
                id.policy_version_identifier = Some(PolicyVersionIdentifier {
                    policy_name: Some(name.to_owned()),
                    policy_version_id: Some(version.to_owned()),
                });
            }
            Self::IdentityPool => id.cognito_identity_pool_id = text,
            Self::Client => id.client_id = text,
            Self::Account => id.account = text,
            Self::RoleAlias => id.role_alias_arn = text,
            Self::Issuer => {
                id.issuer_certificate_identifier = Some(IssuerCertificateIdentifier {
                    issuer_certificate_serial_number: text,
                    ..Default::default()
                });
            }
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetwarden_core::ids::check;

    #[test]
    fn every_check_has_its_facts_and_an_example_has_its_label() {
        for name in check::KNOWN {
            let facts = facts(name).unwrap();
            let example = facts.kind.example("123456789012");
            assert_eq!(facts.kind.identifier(&example).label(), example, "{name}");
        }
        assert!(facts("QUANTUM_CHECK").is_none());
    }
}
