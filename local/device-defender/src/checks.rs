//! The 17 audit checks: severity, reason codes, what kind of resource each names, which actions may fix it.
//!
//! From "Audit checks" and "Mitigation actions" in the Device Defender guide. Two rows are not in AWS's table
//! of mitigation actions: `DEVICE_CERTIFICATE_AGE_CHECK` is taken to allow what the expiring check allows.

use Action::{AddThings, DeviceCertificate, EnableLogging, ReplacePolicy};

/// A kind of change that a mitigation action makes (`MitigationActionType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Action {
    DeviceCertificate,
    CaCertificate,
    AddThings,
    ReplacePolicy,
    EnableLogging,
    Publish,
}

impl Action {
    /// The value of `actionType` on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::DeviceCertificate => "UPDATE_DEVICE_CERTIFICATE",
            Self::CaCertificate => "UPDATE_CA_CERTIFICATE",
            Self::AddThings => "ADD_THINGS_TO_THING_GROUP",
            Self::ReplacePolicy => "REPLACE_DEFAULT_POLICY_VERSION",
            Self::EnableLogging => "ENABLE_IOT_LOGGING",
            Self::Publish => "PUBLISH_FINDING_TO_SNS",
        }
    }
}

/// What a check's non-compliant resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Device,
    Authority,
    Policy,
    Pool,
    Client,
    Account,
    RoleAlias,
    Issuer,
}

impl Kind {
    /// The value of `resourceType` on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Device => "DEVICE_CERTIFICATE",
            Self::Authority => "CA_CERTIFICATE",
            Self::Policy => "IOT_POLICY",
            Self::Pool => "COGNITO_IDENTITY_POOL",
            Self::Client => "CLIENT_ID",
            Self::Account => "ACCOUNT_SETTINGS",
            Self::RoleAlias => "ROLE_ALIAS",
            Self::Issuer => "ISSUER_CERTIFICATE",
        }
    }
}

/// An audit check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Check {
    AuthenticatedPool,
    CaExpiring,
    CaKeyQuality,
    ConflictingClients,
    DeviceAge,
    DeviceExpiring,
    DeviceKeyQuality,
    DeviceShared,
    IntermediateRevoked,
    PolicyPermissive,
    PolicyMisconfigured,
    AliasUnused,
    AliasPermissive,
    LoggingDisabled,
    CaRevoked,
    DeviceRevoked,
    UnauthenticatedPool,
}

/// What is fixed about a check.
pub(crate) struct Facts {
    pub(crate) name: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) kind: Kind,
    /// Reason codes with the sentence that goes with each.
    pub(crate) reasons: &'static [(&'static str, &'static str)],
    /// The actions that may fix it. Publishing the finding is allowed for every check.
    fixes: &'static [Action],
}

const BROAD_DATA_PLANE: (&str, &str) = (
    "ALLOWS_BROAD_ACCESS_TO_IOT_DATA_PLANE_ACTIONS",
    "Policy allows broad access to IoT data plane actions: [iot:Subscribe, iot:Connect, iot:Publish].",
);
const WEAK_KEY: &[(&str, &str)] = &[
    ("CERTIFICATE_KEY_VULNERABILITY_CVE-2017-15361", "Certificate key is vulnerable to CVE-2017-15361."),
    ("CERTIFICATE_KEY_VULNERABILITY_CVE-2008-0166", "Certificate key is vulnerable to CVE-2008-0166."),
];
const EXPIRY: &[(&str, &str)] = &[
    ("CERTIFICATE_APPROACHING_EXPIRATION", "Certificate is approaching its expiration date."),
    ("CERTIFICATE_PAST_EXPIRATION", "Certificate is past its expiration."),
];
const REVOKED: &[(&str, &str)] =
    &[("CERTIFICATE_REVOKED_BY_ISSUER", "Certificate is on the revocation list of its issuer.")];
const CERTIFICATE_FIXES: &[Action] = &[DeviceCertificate, AddThings];
const AUTHORITY_FIXES: &[Action] = &[Action::CaCertificate];

macro_rules! facts {
    ($name:literal, $severity:literal, $kind:ident, $reasons:expr, $fixes:expr) => {
        &Facts { name: $name, severity: $severity, kind: Kind::$kind, reasons: $reasons, fixes: $fixes }
    };
}

impl Check {
    /// Every check, in the order of their numbers.
    pub(crate) const ALL: [Self; 17] = [
        Self::AuthenticatedPool,
        Self::CaExpiring,
        Self::CaKeyQuality,
        Self::ConflictingClients,
        Self::DeviceAge,
        Self::DeviceExpiring,
        Self::DeviceKeyQuality,
        Self::DeviceShared,
        Self::IntermediateRevoked,
        Self::PolicyPermissive,
        Self::PolicyMisconfigured,
        Self::AliasUnused,
        Self::AliasPermissive,
        Self::LoggingDisabled,
        Self::CaRevoked,
        Self::DeviceRevoked,
        Self::UnauthenticatedPool,
    ];

    /// The check's number, which ids of findings carry.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    /// The check with this number.
    pub(crate) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The check with this name. Names are plain strings in the service model; the service refuses others.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.name() == name)
    }

    pub(crate) const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Whether AWS lets `action` be applied to this check's findings.
    pub(crate) fn allows(self, action: Action) -> bool {
        action == Action::Publish || self.facts().fixes.contains(&action)
    }

    /// The name of the check's threshold and its default in days, for the two checks that have one.
    pub(crate) const fn threshold(self) -> Option<(&'static str, i64)> {
        match self {
            Self::DeviceAge => Some(("CERT_AGE_THRESHOLD_IN_DAYS", 365)),
            Self::DeviceExpiring => Some(("CERT_EXPIRATION_THRESHOLD_IN_DAYS", 30)),
            _ => None,
        }
    }

    #[expect(clippy::too_many_lines, reason = "it is a table: one arm a check")]
    pub(crate) const fn facts(self) -> &'static Facts {
        match self {
            Self::AuthenticatedPool => facts!(
                "AUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK",
                "CRITICAL",
                Pool,
                &[
                    (
                        "ALLOWS_BROAD_ACCESS_TO_IOT_THING_ADMIN_READ_ACTIONS",
                        "Role allows broad access to IoT thing administration read actions."
                    ),
                    (
                        "ALLOWS_ACCESS_TO_IOT_NON_THING_ADMIN_ACTIONS",
                        "Role allows access to IoT administration actions that are not on things."
                    ),
                    (
                        "ALLOWS_ACCESS_TO_IOT_THING_ADMIN_WRITE_ACTIONS",
                        "Role allows access to IoT thing administration write actions."
                    ),
                ],
                &[]
            ),
            Self::CaExpiring => {
                facts!("CA_CERTIFICATE_EXPIRING_CHECK", "MEDIUM", Authority, EXPIRY, AUTHORITY_FIXES)
            }
            Self::CaKeyQuality => {
                facts!("CA_CERTIFICATE_KEY_QUALITY_CHECK", "CRITICAL", Authority, WEAK_KEY, AUTHORITY_FIXES)
            }
            Self::ConflictingClients => facts!(
                "CONFLICTING_CLIENT_IDS_CHECK",
                "HIGH",
                Client,
                &[(
                    "DUPLICATE_CLIENT_ID_ACROSS_CONNECTIONS",
                    "Several devices connected with the same client id."
                )],
                &[]
            ),
            Self::DeviceAge => facts!(
                "DEVICE_CERTIFICATE_AGE_CHECK",
                "LOW",
                Device,
                &[("CERTIFICATE_PAST_AGE_THRESHOLD", "Certificate is older than the configured age.")],
                CERTIFICATE_FIXES
            ),
            Self::DeviceExpiring => {
                facts!("DEVICE_CERTIFICATE_EXPIRING_CHECK", "MEDIUM", Device, EXPIRY, CERTIFICATE_FIXES)
            }
            Self::DeviceKeyQuality => facts!(
                "DEVICE_CERTIFICATE_KEY_QUALITY_CHECK",
                "CRITICAL",
                Device,
                WEAK_KEY,
                CERTIFICATE_FIXES
            ),
            Self::DeviceShared => facts!(
                "DEVICE_CERTIFICATE_SHARED_CHECK",
                "CRITICAL",
                Device,
                &[(
                    "CERTIFICATE_SHARED_BY_MULTIPLE_DEVICES",
                    "Certificate was used by several connections at once."
                )],
                CERTIFICATE_FIXES
            ),
            Self::IntermediateRevoked => facts!(
                "INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK",
                "CRITICAL",
                Issuer,
                &[(
                    "INTERMEDIATE_CA_REVOKED_BY_ISSUER",
                    "Intermediate CA was revoked while device certificates that it issued are active."
                )],
                CERTIFICATE_FIXES
            ),
            Self::PolicyPermissive => facts!(
                "IOT_POLICY_OVERLY_PERMISSIVE_CHECK",
                "CRITICAL",
                Policy,
                &[BROAD_DATA_PLANE],
                &[ReplacePolicy]
            ),
            Self::PolicyMisconfigured => facts!(
                "IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK",
                "MEDIUM",
                Policy,
                &[
                    (
                        "POLICY_CONTAINS_MQTT_WILDCARDS_IN_DENY_STATEMENT",
                        "Policy has MQTT wildcards in a Deny statement."
                    ),
                    (
                        "TOPIC_FILTERS_INTENDED_TO_DENY_ALLOWED_USING_WILDCARDS",
                        "Topic filters that are denied can be reached with wildcards."
                    ),
                ],
                &[ReplacePolicy]
            ),
            Self::AliasUnused => facts!(
                "IOT_ROLE_ALIAS_ALLOWS_ACCESS_TO_UNUSED_SERVICES_CHECK",
                "MEDIUM",
                RoleAlias,
                &[(
                    "ALLOWS_ACCESS_TO_UNUSED_SERVICES",
                    "Role alias gives access to services not used in the last year."
                )],
                &[]
            ),
            Self::AliasPermissive => facts!(
                "IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK",
                "CRITICAL",
                RoleAlias,
                &[
                    (
                        "ALLOWS_BROAD_ACCESS_TO_USED_SERVICES",
                        "Role alias gives broad access to used services."
                    ),
                    (
                        "ALLOWS_ACCESS_TO_SECURITY_AUDITING_SERVICES",
                        "Role alias gives access to security auditing services."
                    ),
                    (
                        "ALLOWS_BROAD_ACCESS_TO_IOT_THING_ADMIN_READ_ACTIONS",
                        "Role alias allows broad access to IoT thing administration read actions."
                    ),
                    (
                        "ALLOWS_ACCESS_TO_IOT_NON_THING_ADMIN_ACTIONS",
                        "Role alias allows access to IoT administration actions that are not on things."
                    ),
                    (
                        "ALLOWS_ACCESS_TO_IOT_THING_ADMIN_WRITE_ACTIONS",
                        "Role alias allows access to IoT thing administration write actions."
                    ),
                    BROAD_DATA_PLANE,
                ],
                &[]
            ),
            Self::LoggingDisabled => facts!(
                "LOGGING_DISABLED_CHECK",
                "LOW",
                Account,
                &[("LOGGING_DISABLED", "Logging to CloudWatch is disabled for AWS IoT.")],
                &[EnableLogging]
            ),
            Self::CaRevoked => facts!(
                "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK",
                "CRITICAL",
                Authority,
                REVOKED,
                AUTHORITY_FIXES
            ),
            Self::DeviceRevoked => facts!(
                "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK",
                "MEDIUM",
                Device,
                REVOKED,
                CERTIFICATE_FIXES
            ),
            Self::UnauthenticatedPool => facts!(
                "UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK",
                "CRITICAL",
                Pool,
                &[
                    (
                        "ALLOWS_ACCESS_TO_IOT_ADMIN_ACTIONS",
                        "Role allows access to IoT administration actions."
                    ),
                    BROAD_DATA_PLANE,
                ],
                &[]
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back() {
        for check in Check::ALL {
            assert_eq!(Check::numbered(check.number()), Some(check));
            assert_eq!(Check::named(check.name()), Some(check));
            assert!(!check.facts().reasons.is_empty());
            assert!(check.allows(Action::Publish));
        }
        assert_eq!(Check::numbered(17), None);
        assert_eq!(Check::named("REVOKED_CA_CERT_CHECK"), None);
    }

    #[test]
    fn the_matrix_of_mitigation_actions() {
        let count = |action| Check::ALL.iter().filter(|check| check.allows(action)).count();
        assert_eq!(count(Action::DeviceCertificate), 6);
        assert_eq!(count(Action::AddThings), 6);
        assert_eq!(count(Action::CaCertificate), 3);
        assert_eq!(count(Action::ReplacePolicy), 2);
        assert_eq!(count(Action::EnableLogging), 1);
    }
}
