//! What AWS says of the findings of each check: how severe they are, what they are about, and which reason codes they
//! have.
//!
//! Source: the pages of the checks in the developer guide of AWS IoT Device Defender. AWS may add to all of it: what is
//! not here is unusual, and not impossible.

use crate::ids::CheckName;
use crate::ids::check::KNOWN;
use crate::model::resource::ResourceType;
use crate::model::severity::Severity;

/// What AWS says of the findings of a check.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) severity: Severity,
    pub(crate) types: &'static [ResourceType],
    pub(crate) reasons: &'static [&'static str],
}

impl CheckName {
    /// What AWS says of the check's findings; none for an unknown check.
    pub(crate) fn facts(&self) -> Option<&'static Facts> {
        KNOWN.iter().position(|known| *known == self.as_str()).and_then(|at| FACTS.get(at))
    }
}

const DEVICE: &[ResourceType] = &[ResourceType::DeviceCertificate];
const CA: &[ResourceType] = &[ResourceType::CaCertificate];
const POOL: &[ResourceType] = &[ResourceType::CognitoIdentityPool];
const POLICY: &[ResourceType] = &[ResourceType::IotPolicy];
const ALIAS: &[ResourceType] = &[ResourceType::RoleAlias];

const EXPIRY: &[&str] = &["CERTIFICATE_APPROACHING_EXPIRATION", "CERTIFICATE_PAST_EXPIRATION"];
const KEY: &[&str] =
    &["CERTIFICATE_KEY_VULNERABILITY_CVE-2008-0166", "CERTIFICATE_KEY_VULNERABILITY_CVE-2017-15361"];
const REVOKED: &[&str] = &["CERTIFICATE_REVOKED_BY_ISSUER"];

const fn facts(
    severity: Severity,
    types: &'static [ResourceType],
    reasons: &'static [&'static str],
) -> Facts {
    Facts { severity, types, reasons }
}

/// In the order of [`KNOWN`].
static FACTS: [Facts; 17] = [
    facts(
        Severity::Critical,
        POOL,
        &[
            "ALLOWS_ACCESS_TO_IOT_NON_THING_ADMIN_ACTIONS",
            "ALLOWS_ACCESS_TO_IOT_THING_ADMIN_WRITE_ACTIONS",
            "ALLOWS_BROAD_ACCESS_TO_IOT_THING_ADMIN_READ_ACTIONS",
        ],
    ),
    facts(Severity::Medium, CA, EXPIRY),
    facts(Severity::Critical, CA, KEY),
    facts(Severity::High, &[ResourceType::ClientId], &["DUPLICATE_CLIENT_ID_ACROSS_CONNECTIONS"]),
    facts(Severity::Low, DEVICE, &["CERTIFICATE_PAST_AGE_THRESHOLD"]),
    facts(Severity::Medium, DEVICE, EXPIRY),
    facts(Severity::Critical, DEVICE, KEY),
    facts(Severity::Critical, DEVICE, &["CERTIFICATE_SHARED_BY_MULTIPLE_DEVICES"]),
    // AWS does not say which of the two its findings name: the issuer, or a device certificate below it.
    facts(
        Severity::Critical,
        &[ResourceType::IssuerCertificate, ResourceType::DeviceCertificate],
        &["INTERMEDIATE_CA_REVOKED_BY_ISSUER"],
    ),
    facts(Severity::Critical, POLICY, &["ALLOWS_BROAD_ACCESS_TO_IOT_DATA_PLANE_ACTIONS"]),
    facts(
        Severity::Medium,
        POLICY,
        &[
            "POLICY_CONTAINS_MQTT_WILDCARDS_IN_DENY_STATEMENT",
            "TOPIC_FILTERS_INTENDED_TO_DENY_ALLOWED_USING_WILDCARDS",
        ],
    ),
    facts(Severity::Medium, ALIAS, &["ALLOWS_ACCESS_TO_UNUSED_SERVICES"]),
    facts(
        Severity::Critical,
        ALIAS,
        &[
            "ALLOWS_ACCESS_TO_IOT_NON_THING_ADMIN_ACTIONS",
            "ALLOWS_ACCESS_TO_IOT_THING_ADMIN_WRITE_ACTIONS",
            "ALLOWS_ACCESS_TO_SECURITY_AUDITING_SERVICES",
            "ALLOWS_BROAD_ACCESS_TO_IOT_DATA_PLANE_ACTIONS",
            "ALLOWS_BROAD_ACCESS_TO_IOT_THING_ADMIN_READ_ACTIONS",
            "ALLOWS_BROAD_ACCESS_TO_USED_SERVICES",
        ],
    ),
    facts(Severity::Low, &[ResourceType::AccountSettings], &["LOGGING_DISABLED"]),
    facts(Severity::Critical, CA, REVOKED),
    facts(Severity::Medium, DEVICE, REVOKED),
    facts(
        Severity::Critical,
        POOL,
        &["ALLOWS_ACCESS_TO_IOT_ADMIN_ACTIONS", "ALLOWS_BROAD_ACCESS_TO_IOT_DATA_PLANE_ACTIONS"],
    ),
];

#[cfg(test)]
mod tests {
    use super::super::advice::reason;
    use super::*;

    #[test]
    fn every_reason_has_its_words() {
        for reasons in FACTS.iter().map(|facts| facts.reasons) {
            assert!(!reasons.is_empty());
            for code in reasons {
                assert!(reason(code).is_some(), "{code}");
            }
        }
    }

    #[test]
    fn the_checks_of_things_are_about_device_certificates_and_clients() {
        for check in KNOWN.map(CheckName::new) {
            let types = check.facts().unwrap().types;
            let of_things = [DEVICE, &[ResourceType::ClientId]].contains(&types);
            assert_eq!(of_things, check.is_of_things(), "{check}");
        }
    }
}
