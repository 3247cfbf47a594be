//! A finding: one resource that one check found not to comply, in one audit.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use super::severity::Severity;
use crate::digest::Digest;
use crate::digest::hex;
use crate::ids::CheckName;
use crate::json;
use crate::model::resource::NonCompliantResource;
use crate::model::resource::ResourceIdentifier;
use crate::timestamp::Millis;

/// A finding (`AuditFinding`), with the members that are used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The finding's id, new at every audit: `[a-zA-Z0-9_-]{1,128}`.
    pub finding_id: String,
    /// The check that found it.
    pub check: CheckName,
    /// How bad it is.
    pub severity: Severity,
    /// When it was found.
    pub found_at: Millis,
    /// What does not comply. Absent if the service named nothing: such a finding is only ever reported.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resource: Option<NonCompliantResource>,
    /// Up to ten related resources, as the list operation gives them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub related: Vec<RelatedResource>,
    /// Why, for machines.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason_code: Option<String>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Whether a suppression was in force when the audit ran.
    pub suppressed: bool,
}

/// A resource that has to do with a finding (`RelatedResource`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RelatedResource {
    /// One of the API's `ResourceType`, open for new ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// Which resource.
    #[serde(deserialize_with = "json::or_default")]
    pub resource_identifier: ResourceIdentifier,
    /// What else the check said of it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "json::map")]
    pub additional_info: BTreeMap<String, String>,
}

impl Finding {
    /// The identity that stays from audit to audit.
    pub fn key(&self) -> FindingKey {
        FindingKey::new(&self.check, self.identifier(), self.reason_code.as_deref(), &self.finding_id)
    }

    /// Which resource the finding is about, if it names one.
    pub fn identifier(&self) -> Option<&ResourceIdentifier> {
        self.resource.as_ref().map(|r| &r.resource_identifier).filter(|id| !id.is_empty())
    }
}

/// The identity of a finding across audits: 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingKey(pub [u8; 16]);

impl FindingKey {
    /// From what stays from audit to audit: check, resource and reason code.
    ///
    /// A finding without resource has none: its own id stands in, so that it is new every time.
    pub fn new(
        check: &CheckName,
        resource: Option<&ResourceIdentifier>,
        reason_code: Option<&str>,
        finding_id: &str,
    ) -> Self {
        let digest = Digest::new("finding").part(check.as_str());
        let digest = match resource {
            Some(identifier) => identifier.add_to(digest),
            None => digest.part(finding_id),
        };
        Self(digest.part(reason_code.unwrap_or_default()).bytes())
    }
}

impl fmt::Display for FindingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for FindingKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for FindingKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| fits)
            .map(|n| Self(n.to_be_bytes()))
            .ok_or("a finding key is 32 hexadecimal digits")
    }
}

impl<'de> Deserialize<'de> for FindingKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn finding(id: &str) -> Finding {
        let resource_identifier =
            ResourceIdentifier { device_certificate_id: Some("ab".repeat(32)), ..Default::default() };
        Finding {
            finding_id: id.into(),
            check: CheckName::new("DEVICE_CERTIFICATE_EXPIRING_CHECK"),
            severity: Severity::Medium,
            found_at: Millis(1),
            resource: Some(NonCompliantResource { resource_identifier, ..Default::default() }),
            related: vec![],
            reason_code: Some("CERTIFICATE_PAST_EXPIRATION".into()),
            reason: None,
            suppressed: false,
        }
    }

    #[test]
    fn the_key_stays_while_the_id_changes() {
        assert_eq!(finding("one").key(), finding("two").key());
        let mut other = finding("one");
        other.reason_code = Some("CERTIFICATE_APPROACHING_EXPIRATION".into());
        assert_ne!(other.key(), finding("one").key());
    }

    #[test]
    fn a_finding_without_resource_is_its_own() {
        let bare = |id: &str| Finding { resource: None, ..finding(id) };
        assert_ne!(bare("one").key(), bare("two").key());
        assert_eq!(bare("one").key(), bare("one").key());
    }

    #[test]
    fn a_key_round_trips() {
        let key = finding("one").key();
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<FindingKey>(&text).unwrap(), key);
        assert!(serde_json::from_str::<FindingKey>("\"+0000000000000000000000000000001\"").is_err());
        assert!(serde_json::from_str::<FindingKey>("\"abc\"").is_err());
    }
}
