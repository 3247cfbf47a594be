//! The resource identifier of the API, and the form in which two of them are compared.
//!
//! Suppressions and the filter of `ListAuditFindings` name a resource by it. Members beyond the one that the
//! check's resources have are accepted and ignored, as a plain structure of optional members allows.

use serde::{Deserialize, Serialize};

use crate::checks::Kind;

/// `ResourceIdentifier` of the service model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResourceIdentifier {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_certificate_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_certificate_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cognito_identity_pool_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy_version_identifier: Option<PolicyVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iam_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role_alias_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer_certificate_identifier: Option<Issuer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_certificate_arn: Option<String>,
}

/// `PolicyVersionIdentifier`. A suppression is for one version: a new default version is a new resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PolicyVersion {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) policy_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) policy_version_id: String,
}

/// `IssuerCertificateIdentifier`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
pub(crate) struct Issuer {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) issuer_certificate_subject: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) issuer_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) issuer_certificate_serial_number: String,
}

impl ResourceIdentifier {
    /// The text under which a resource of this kind is known, or the member that is missing.
    pub(crate) fn key(&self, kind: Kind) -> Result<String, &'static str> {
        let hexadecimal = |id: &String| id.trim_start_matches("0x").to_ascii_lowercase();
        match kind {
            Kind::Device => self.device_certificate_id.as_ref().map(hexadecimal).ok_or("deviceCertificateId"),
            Kind::Authority => self.ca_certificate_id.as_ref().map(hexadecimal).ok_or("caCertificateId"),
            Kind::Pool => self.cognito_identity_pool_id.clone().ok_or("cognitoIdentityPoolId"),
            Kind::Client => self.client_id.clone().ok_or("clientId"),
            Kind::Account => self.account.clone().ok_or("account"),
            Kind::RoleAlias => self.role_alias_arn.clone().ok_or("roleAliasArn"),
            Kind::Policy => {
                let PolicyVersion { policy_name, policy_version_id } =
                    self.policy_version_identifier.as_ref().ok_or("policyVersionIdentifier")?;
                match (policy_name.is_empty(), policy_version_id.is_empty()) {
                    (true, _) => Err("policyVersionIdentifier.policyName"),
                    (_, true) => Err("policyVersionIdentifier.policyVersionId"),
                    _ => Ok(format!("{policy_name}:{policy_version_id}")),
                }
            }
            Kind::Issuer => {
                let issuer =
                    self.issuer_certificate_identifier.as_ref().ok_or("issuerCertificateIdentifier")?;
                if issuer.issuer_id.is_empty() {
                    return Err("issuerCertificateIdentifier.issuerId");
                }
                Ok(hexadecimal(&issuer.issuer_id))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_certificate_has_one_key() {
        let id = |text: &str| ResourceIdentifier {
            device_certificate_id: Some(text.to_owned()),
            ..ResourceIdentifier::default()
        };
        assert_eq!(id("0xABcd").key(Kind::Device), id("abcd").key(Kind::Device));
        assert_eq!(id("abcd").key(Kind::Client), Err("clientId"));
    }

    #[test]
    fn half_a_resource_is_none() {
        let read = |text: &str| serde_json::from_str::<ResourceIdentifier>(text).unwrap();
        let policy = |text: &str| read(text).key(Kind::Policy);
        assert_eq!(policy(r"{}"), Err("policyVersionIdentifier"));
        assert_eq!(policy(r#"{"policyVersionIdentifier":{}}"#), Err("policyVersionIdentifier.policyName"));
        assert_eq!(
            policy(r#"{"policyVersionIdentifier":{"policyName":"p"}}"#),
            Err("policyVersionIdentifier.policyVersionId")
        );
        let issuer = read(r#"{"issuerCertificateIdentifier":{"issuerCertificateSubject":"CN=x"}}"#);
        assert_eq!(issuer.key(Kind::Issuer), Err("issuerCertificateIdentifier.issuerId"));
        let issuer = r#"{"issuerCertificateIdentifier":{"issuerId":"ab"}}"#;
        assert_eq!(read(issuer).key(Kind::Issuer), Ok("ab".to_owned()));
        // What was not said is not told: an empty text is no serial number.
        assert_eq!(serde_json::to_string(&read(issuer)).unwrap(), issuer);
    }
}
