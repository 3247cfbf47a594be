//! Which resource a check looks at, and how a suppression names it.
//!
//! Source: the table of the developer guide's page "Audit finding suppressions"; for the three checks that it leaves
//! out, the resource of their findings.

use fleetwarden_core::digest::Digest;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::resource::PolicyVersionIdentifier;
use fleetwarden_core::model::resource::ResourceIdentifier;

/// The kind of resource that a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    DeviceCertificate,
    CaCertificate,
    ClientId,
    /// By `name:version`.
    PolicyVersion,
    RoleAlias,
    IdentityPool,
    Account,
}

impl Kind {
    /// None for an unknown check, and for issuers: these are named by three members together, which no list has.
    pub(crate) fn of(check: &CheckName) -> Option<Self> {
        Some(match check.as_str() {
            "DEVICE_CERTIFICATE_AGE_CHECK"
            | "DEVICE_CERTIFICATE_EXPIRING_CHECK"
            | "DEVICE_CERTIFICATE_KEY_QUALITY_CHECK"
            | "DEVICE_CERTIFICATE_SHARED_CHECK"
            | "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK" => Self::DeviceCertificate,
            "CA_CERTIFICATE_EXPIRING_CHECK"
            | "CA_CERTIFICATE_KEY_QUALITY_CHECK"
            | "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK" => Self::CaCertificate,
            "CONFLICTING_CLIENT_IDS_CHECK" => Self::ClientId,
            "IOT_POLICY_OVERLY_PERMISSIVE_CHECK" | "IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK" => {
                Self::PolicyVersion
            }
            "IOT_ROLE_ALIAS_ALLOWS_ACCESS_TO_UNUSED_SERVICES_CHECK"
            | "IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK" => Self::RoleAlias,
            "AUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK"
            | "UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK" => Self::IdentityPool,
            "LOGGING_DISABLED_CHECK" => Self::Account,
            _ => return None,
        })
    }

    /// The resource of this name.
    pub(crate) fn identifier(self, name: &str) -> ResourceIdentifier {
        let (name, mut id) = (Some(name.to_owned()), ResourceIdentifier::default());
        match self {
            Self::DeviceCertificate => id.device_certificate_id = name,
            Self::CaCertificate => id.ca_certificate_id = name,
            Self::ClientId => id.client_id = name,
            Self::RoleAlias => id.role_alias_arn = name,
            Self::IdentityPool => id.cognito_identity_pool_id = name,
            Self::Account => id.account = name,
            Self::PolicyVersion => {
                let name = name.unwrap_or_default();
                let (policy, version) = name.rsplit_once(':').unwrap_or((&name, ""));
                id.policy_version_identifier = Some(PolicyVersionIdentifier {
                    policy_name: Some(policy.to_owned()),
                    policy_version_id: Some(version.to_owned()),
                });
            }
        }
        id
    }
}

/// The key of a suppression and of the findings that it hides.
pub(crate) fn key(check: &CheckName, resource: &ResourceIdentifier) -> u128 {
    u128::from_be_bytes(resource.add_to(Digest::new("suppressed").part(check.as_str())).bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetwarden_core::ids::check::KNOWN;

    #[test]
    fn every_check_but_that_of_issuers_has_a_resource_that_its_name_makes() {
        for check in KNOWN {
            let kind = Kind::of(&CheckName::new(check));
            assert_eq!(kind.is_none(), check.starts_with("INTERMEDIATE_CA_"), "{check}");
            let Some(kind) = kind else { continue };
            assert_eq!(kind.identifier("name:3").label(), "name:3", "{check}");
        }
    }

    #[test]
    fn the_same_resource_is_another_for_another_check() {
        let id = Kind::DeviceCertificate.identifier("ab");
        let [one, other] = [KNOWN[4], KNOWN[5]].map(|check| key(&CheckName::new(check), &id));
        assert_ne!(one, other);
    }
}
