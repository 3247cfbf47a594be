//! From our identifier to the SDK's.

use aws_sdk_iot::types;
use fleetwarden_core::model::resource::ResourceIdentifier;

/// The same identifier, member for member: a suppression matches only the identical one.
pub fn identifier(from: &ResourceIdentifier) -> types::ResourceIdentifier {
    let policy = from.policy_version_identifier.as_ref().map(|policy| {
        types::PolicyVersionIdentifier::builder()
            .set_policy_name(policy.policy_name.clone())
            .set_policy_version_id(policy.policy_version_id.clone())
            .build()
    });
    let issuer = from.issuer_certificate_identifier.as_ref().map(|issuer| {
        types::IssuerCertificateIdentifier::builder()
            .set_issuer_certificate_subject(issuer.issuer_certificate_subject.clone())
            .set_issuer_id(issuer.issuer_id.clone())
            .set_issuer_certificate_serial_number(issuer.issuer_certificate_serial_number.clone())
            .build()
    });
    types::ResourceIdentifier::builder()
        .set_device_certificate_id(from.device_certificate_id.clone())
        .set_ca_certificate_id(from.ca_certificate_id.clone())
        .set_cognito_identity_pool_id(from.cognito_identity_pool_id.clone())
        .set_client_id(from.client_id.clone())
        .set_policy_version_identifier(policy)
        .set_account(from.account.clone())
        .set_iam_role_arn(from.iam_role_arn.clone())
        .set_role_alias_arn(from.role_alias_arn.clone())
        .set_issuer_certificate_identifier(issuer)
        .set_device_certificate_arn(from.device_certificate_arn.clone())
        .build()
}
