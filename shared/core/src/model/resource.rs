//! What a finding is about: the resource that does not comply.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::json;

/// Names one resource. A plain structure of optional members, as the API has it (`ResourceIdentifier`).
///
/// It is kept exactly as the finding had it, because a suppression matches only the identical identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceIdentifier {
    /// 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_certificate_id: Option<String>,
    /// 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_certificate_id: Option<String>,
    /// An Amazon Cognito identity pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cognito_identity_pool_id: Option<String>,
    /// An MQTT client id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// An AWS IoT policy and its version: a new default version is another resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_version_identifier: Option<PolicyVersionIdentifier>,
    /// 12 digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// An IAM role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iam_role_arn: Option<String>,
    /// An AWS IoT role alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_alias_arn: Option<String>,
    /// The certificate that issued device certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_certificate_identifier: Option<IssuerCertificateIdentifier>,
    /// A device certificate by its ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_certificate_arn: Option<String>,
}

/// A version of an AWS IoT policy (`PolicyVersionIdentifier`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyVersionIdentifier {
    /// 1–128 of `[\w+=,.@-]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_name: Option<String>,
    /// Digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_version_id: Option<String>,
}

/// A certificate that issues others (`IssuerCertificateIdentifier`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IssuerCertificateIdentifier {
    /// At most 1000 printable characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_certificate_subject: Option<String>,
    /// At most 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_id: Option<String>,
    /// At most 20 hexadecimal digits and colons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_certificate_serial_number: Option<String>,
}

impl ResourceIdentifier {
    /// The members that are set, in one fixed order, each with its API name.
    pub fn members(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let policy = self.policy_version_identifier.as_ref();
        let issuer = self.issuer_certificate_identifier.as_ref();
        [
            ("account", self.account.as_deref()),
            ("caCertificateId", self.ca_certificate_id.as_deref()),
            ("clientId", self.client_id.as_deref()),
            ("cognitoIdentityPoolId", self.cognito_identity_pool_id.as_deref()),
            ("deviceCertificateArn", self.device_certificate_arn.as_deref()),
            ("deviceCertificateId", self.device_certificate_id.as_deref()),
            ("iamRoleArn", self.iam_role_arn.as_deref()),
            (
                "issuerCertificateSerialNumber",
                issuer.and_then(|i| i.issuer_certificate_serial_number.as_deref()),
            ),
            ("issuerCertificateSubject", issuer.and_then(|i| i.issuer_certificate_subject.as_deref())),
            ("issuerId", issuer.and_then(|i| i.issuer_id.as_deref())),
            ("policyName", policy.and_then(|p| p.policy_name.as_deref())),
            ("policyVersionId", policy.and_then(|p| p.policy_version_id.as_deref())),
            ("roleAliasArn", self.role_alias_arn.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|v| (name, v)))
    }

    /// Whether no member is set: then it names nothing.
    pub fn is_empty(&self) -> bool {
        self.members().next().is_none()
    }

    /// Adds the identifier to an identity. Two identifiers add the same only if they name the same resource.
    #[must_use]
    pub fn add_to(&self, digest: Digest) -> Digest {
        self.members().fold(digest, |d, (name, value)| d.part(name).part(value))
    }

    /// The one string that people use for the resource, and that a policy's `resource` pattern is matched
    /// against: the id or ARN itself, `name:version` for a policy, the serial number for an issuer.
    pub fn label(&self) -> Cow<'_, str> {
        if let Some(policy) = &self.policy_version_identifier {
            let (name, version) = (policy.policy_name.as_deref(), policy.policy_version_id.as_deref());
            return Cow::Owned(format!("{}:{}", name.unwrap_or_default(), version.unwrap_or_default()));
        }
        self.members().next().map_or(Cow::Borrowed(""), |(_, value)| Cow::Borrowed(value))
    }
}

/// The kinds of resource that findings are about (`ResourceType`). The API's `IAM_ROLE` is missing: roles are only
/// related to what a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResourceType {
    DeviceCertificate,
    CaCertificate,
    IotPolicy,
    CognitoIdentityPool,
    ClientId,
    AccountSettings,
    RoleAlias,
    IssuerCertificate,
}

impl ResourceType {
    /// Whether the things behind a resource of this kind can be found.
    pub(crate) const fn has_things(self) -> bool {
        matches!(self, Self::DeviceCertificate | Self::ClientId)
    }

    /// The API's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::DeviceCertificate => "DEVICE_CERTIFICATE",
            Self::CaCertificate => "CA_CERTIFICATE",
            Self::IotPolicy => "IOT_POLICY",
            Self::CognitoIdentityPool => "COGNITO_IDENTITY_POOL",
            Self::ClientId => "CLIENT_ID",
            Self::AccountSettings => "ACCOUNT_SETTINGS",
            Self::RoleAlias => "ROLE_ALIAS",
            Self::IssuerCertificate => "ISSUER_CERTIFICATE",
        }
    }
}

/// The resource of a finding (`NonCompliantResource`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NonCompliantResource {
    /// One of the API's `ResourceType`, open for new ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// Which resource.
    #[serde(deserialize_with = "json::or_default")]
    pub resource_identifier: ResourceIdentifier,
    /// What else the check said of it, as `EXPIRATION_TIME` in epoch milliseconds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "json::map")]
    pub additional_info: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, version: &str) -> ResourceIdentifier {
        let id = PolicyVersionIdentifier {
            policy_name: Some(name.into()),
            policy_version_id: Some(version.into()),
        };
        ResourceIdentifier { policy_version_identifier: Some(id), ..Default::default() }
    }

    #[test]
    fn a_policy_is_labelled_with_its_version() {
        assert_eq!(policy("allow-all", "3").label(), "allow-all:3");
    }

    #[test]
    fn the_same_value_in_another_member_is_another_resource() {
        let thing = |id: ResourceIdentifier| id.add_to(Digest::new("t")).hex();
        let client = ResourceIdentifier { client_id: Some("x".into()), ..Default::default() };
        let account = ResourceIdentifier { account: Some("x".into()), ..Default::default() };
        assert_ne!(thing(client), thing(account));
        assert_ne!(thing(policy("p", "1")), thing(policy("p", "2")));
    }

    #[test]
    fn an_identifier_goes_out_as_it_came_in() {
        let text = r#"{"policyVersionIdentifier":{"policyName":"p","policyVersionId":"1"}}"#;
        let id: ResourceIdentifier = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), text);
    }
}
