//! The names of Device Defender's audit checks, and how old documents spell them.
//!
//! The service has no enumeration of checks: names are plain strings and new ones come. So a name that is
//! not known here is kept as it is and travels on; only aliases are replaced.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::Error as _;

use super::InvalidId;
use super::names::is_check_name;
use crate::untrusted::Piece;
use crate::untrusted::Text;

/// The checks that the service has today.
///
/// Source: `AuditCheckConfigurations` of `AWS::IoT::AccountAuditConfiguration` and the developer guide's page
/// "Audit checks".
pub const KNOWN: [&str; 17] = [
    "AUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK",
    "CA_CERTIFICATE_EXPIRING_CHECK",
    "CA_CERTIFICATE_KEY_QUALITY_CHECK",
    "CONFLICTING_CLIENT_IDS_CHECK",
    "DEVICE_CERTIFICATE_AGE_CHECK",
    "DEVICE_CERTIFICATE_EXPIRING_CHECK",
    "DEVICE_CERTIFICATE_KEY_QUALITY_CHECK",
    "DEVICE_CERTIFICATE_SHARED_CHECK",
    "INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK",
    "IOT_POLICY_OVERLY_PERMISSIVE_CHECK",
    "IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK",
    "IOT_ROLE_ALIAS_ALLOWS_ACCESS_TO_UNUSED_SERVICES_CHECK",
    "IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK",
    "LOGGING_DISABLED_CHECK",
    "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK",
    "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK",
    "UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK",
];

/// The checks that look at device certificates and client ids. Things are behind these, and can be found; behind a
/// policy or an issuer stand too many.
pub(crate) const OF_THINGS: [&str; 6] = [KNOWN[3], KNOWN[4], KNOWN[5], KNOWN[6], KNOWN[7], KNOWN[15]];

/// Names that stand in AWS's documents and samples, with the name that the API uses.
pub(crate) const ALIASES: [(&str, &str); 8] = [
    ("AUTHENTICATED_COGNITO_IDENTITY_UNRESTRICTED_ACCESS_CHECK", KNOWN[0]),
    ("AUTHENTICATE_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK", KNOWN[0]),
    ("CA_CERT_APPROACHING_EXPIRATION_CHECK", KNOWN[1]),
    ("DEVICE_CERT_APPROACHING_EXPIRATION_CHECK", KNOWN[5]),
    ("IOT_POLICY_UNRESTRICTED_CHECK", KNOWN[9]),
    ("REVOKED_CA_CERT_CHECK", KNOWN[14]),
    ("REVOKED_DEVICE_CERT_CHECK", KNOWN[15]),
    ("UNAUTHENTICATED_COGNITO_IDENTITY_UNRESTRICTED_ACCESS_CHECK", KNOWN[16]),
];

/// The name of an audit check, in the API's spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CheckName(Cow<'static, str>);

impl CheckName {
    /// Takes a name in any spelling. A known name costs no allocation; an unknown one is kept.
    pub fn new(name: &str) -> Self {
        let known = |n: &&'static str| *n == name;
        let alias = || ALIASES.iter().find(|(old, _)| *old == name).map(|(_, new)| *new);
        match KNOWN.iter().copied().find(|n| known(n)).or_else(alias) {
            Some(found) => Self(Cow::Borrowed(found)),
            None => Self(Cow::Owned(name.to_owned())),
        }
    }

    /// The names of [`KNOWN`].
    pub(crate) fn known() -> impl Iterator<Item = Self> {
        KNOWN.iter().map(|name| Self(Cow::Borrowed(name)))
    }

    /// The name as the API spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the service is known to have this check.
    pub fn is_known(&self) -> bool {
        KNOWN.contains(&self.as_str())
    }

    /// Whether its resources are such that the things behind them can be found.
    pub fn is_of_things(&self) -> bool {
        OF_THINGS.contains(&self.as_str())
    }
}

impl Piece for CheckName {
    fn text(&self) -> Text {
        self.as_str().text()
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CheckName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer).map(|name| Self::new(&name))
    }
}

/// Reads the name of a check that becomes part of keys: one that is made as every known one is.
///
/// # Errors
/// If it is not.
pub(crate) fn valid_check<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CheckName, D::Error> {
    let name = Cow::<'de, str>::deserialize(deserializer)?;
    if !is_check_name(&name) {
        return Err(D::Error::custom(InvalidId::new(&name, "not a check name")));
    }
    Ok(CheckName::new(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_name_becomes_the_api_name_and_an_unknown_one_stays() {
        assert_eq!(
            CheckName::new("REVOKED_DEVICE_CERT_CHECK").as_str(),
            "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK"
        );
        assert_eq!(CheckName::new("QUANTUM_CHECK").as_str(), "QUANTUM_CHECK");
        assert!(!CheckName::new("QUANTUM_CHECK").is_known());
    }

    #[test]
    fn every_alias_names_a_known_check_and_is_none_itself() {
        for (old, new) in ALIASES {
            assert!(KNOWN.contains(&new) && !KNOWN.contains(&old), "{old}");
        }
    }

    #[test]
    fn the_checks_of_things_are_those_of_device_certificates_and_clients() {
        let of_things = |check: &&str| check.contains("DEVICE_CERTIFICATE_") || check.contains("CLIENT_ID");
        let expected: Vec<_> = KNOWN.into_iter().filter(of_things).collect();
        assert_eq!(expected, OF_THINGS);
        assert!(CheckName::new("REVOKED_DEVICE_CERT_CHECK").is_of_things());
    }

    #[test]
    fn a_known_name_is_borrowed() {
        let name: CheckName = serde_json::from_str("\"LOGGING_DISABLED_CHECK\"").unwrap();
        assert!(matches!(name.0, Cow::Borrowed(_)));
    }
}
