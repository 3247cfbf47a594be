//! A file of cases as the operator writes it. Its words are those of the policy language where that has one.

use super::super::things::Said;
use fleetwarden_core::policy::yaml::Spanned;
use fleetwarden_core::resource::{IssuerCertificateIdentifier, PolicyVersionIdentifier, ResourceIdentifier};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Cases for a policy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    /// The policy, by its path from this file's folder. Left out: the file of the same name in the folder above.
    pub(super) policy: Option<Spanned<String>>,
    /// The cases, in the order in which they are told.
    pub(super) cases: Spanned<Vec<Case>>,
}

/// A finding, and what the policy should decide on it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    /// What the case shows, in words that no other case of the file has.
    pub(super) name: Spanned<String>,
    /// When the audit began. Left out: 2026-01-01T00:00:00Z.
    pub(super) at: Option<Spanned<String>>,
    /// The finding.
    pub(super) finding: Finding,
    /// The things behind its resource, all of them, or `unknown`. Left out: there are none.
    pub(super) things: Option<Spanned<Said>>,
    /// What should come out. Only what is written is compared.
    pub(super) expect: Spanned<Expect>,
}

/// A finding. Only its check has to be said.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Finding {
    /// The check that found it.
    pub(super) check: Spanned<String>,
    /// Left out: the severity that Device Defender gives the check.
    pub(super) severity: Option<Spanned<String>>,
    /// The reason code. Left out: the one that the check has, or none if it has several.
    pub(super) reason: Option<Spanned<String>>,
    /// The type of the resource. Left out: the one that the check has.
    pub(super) r#type: Option<Spanned<String>>,
    /// The resource, as a rule's `resource` names it or with the members of the API, or `none`. Left out: some
    /// resource of the check's type.
    pub(super) resource: Option<Spanned<OneOr<Identifier>>>,
    /// When it was first seen. Left out: in this audit.
    pub(super) first_seen: Option<Spanned<String>>,
    /// In how many audits it was seen, this one included. Left out: in this one.
    pub(super) seen: Option<Spanned<u32>>,
    /// Since when a rule has suppressed it for a length of time. Left out: none has.
    pub(super) first_suppressed: Option<Spanned<FirstSuppressed>>,
    /// When the certificate expires. Left out: the finding says nothing of it.
    pub(super) expires: Option<Spanned<String>>,
    /// The account of the audit. Left out: 123456789012.
    pub(super) account: Option<Spanned<String>>,
    /// The region of the audit. Left out: us-east-1.
    pub(super) region: Option<Spanned<String>>,
    /// Whether a suppression was in force.
    #[serde(default)]
    pub(super) suppressed: bool,
}

/// Since when a rule has suppressed a finding, on the words that it has today.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FirstSuppressed {
    /// The start of the audit in which it was first decided.
    pub(super) at: Spanned<String>,
    /// The rule.
    pub(super) rule: Spanned<String>,
}

/// What should come out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expect {
    /// The rule that decides, or `none`.
    pub(super) rule: Option<Spanned<String>>,
    /// `suppress`, `mitigate`, `report` or `suppressed`.
    pub(super) outcome: Option<Spanned<String>>,
    /// The mitigation actions in their order, or `none`.
    pub(super) actions: Option<Spanned<OneOr<Vec<String>>>>,
    /// When the suppression ends, or `indefinitely`, or `none`.
    pub(super) until: Option<Spanned<String>>,
    /// How severe the alert is, or `silent`, or `none`.
    pub(super) alert: Option<Spanned<String>>,
    /// What keeps the rule from acting: `protectedBy`, `protectionUnknown`, `ruleUnknown` or `none`; the first and
    /// the third also with what, as in an explanation.
    pub(super) held: Option<Spanned<OneOr<Held>>>,
    /// The rule in shadow that would decide, or `none`.
    pub(super) shadow: Option<Spanned<String>>,
    /// When a mitigation can begin that is decided at `at`, or `at once`, `never` or `none`.
    pub(super) opens: Option<Spanned<String>>,
}

/// What keeps a rule from acting.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Held {
    /// The protection, by its kind and pattern.
    pub(super) protected_by: Option<Protection>,
    /// The earlier rule of which nobody knows whether it matches.
    pub(super) rule_unknown: Option<String>,
}

/// A protection, by the pattern that stands in the policy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Protection {
    pub(super) thing: Option<String>,
    pub(super) group: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) policy: Option<String>,
}

/// A resource by the members that the API has for it (`ResourceIdentifier`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the API's names")]
pub(super) struct Identifier {
    device_certificate_id: Option<String>,
    ca_certificate_id: Option<String>,
    cognito_identity_pool_id: Option<String>,
    client_id: Option<String>,
    policy_version_identifier: Option<PolicyVersion>,
    account: Option<String>,
    iam_role_arn: Option<String>,
    role_alias_arn: Option<String>,
    issuer_certificate_identifier: Option<Issuer>,
    device_certificate_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyVersion {
    policy_name: Option<String>,
    policy_version_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the API's names")]
struct Issuer {
    issuer_certificate_subject: Option<String>,
    issuer_id: Option<String>,
    issuer_certificate_serial_number: Option<String>,
}

impl From<Identifier> for ResourceIdentifier {
    fn from(entry: Identifier) -> Self {
        Self {
            device_certificate_id: entry.device_certificate_id,
            ca_certificate_id: entry.ca_certificate_id,
            cognito_identity_pool_id: entry.cognito_identity_pool_id,
            client_id: entry.client_id,
            policy_version_identifier: entry.policy_version_identifier.map(|policy| {
                PolicyVersionIdentifier {
                    policy_name: policy.policy_name,
                    policy_version_id: policy.policy_version_id,
                }
            }),
            account: entry.account,
            iam_role_arn: entry.iam_role_arn,
            role_alias_arn: entry.role_alias_arn,
            issuer_certificate_identifier: entry.issuer_certificate_identifier.map(|issuer| {
                IssuerCertificateIdentifier {
                    issuer_certificate_subject: issuer.issuer_certificate_subject,
                    issuer_id: issuer.issuer_id,
                    issuer_certificate_serial_number: issuer.issuer_certificate_serial_number,
                }
            }),
            device_certificate_arn: entry.device_certificate_arn,
        }
    }
}

/// One text, or something larger.
#[derive(Debug)]
pub(super) enum OneOr<T> {
    One(String),
    More(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = OneOr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or more")
            }
            fn visit_str<E: de::Error>(self, one: &str) -> Result<OneOr<T>, E> {
                match one {
                    "" => Err(E::custom("a value is expected here, not nothing")),
                    one => Ok(OneOr::One(one.to_owned())),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<OneOr<T>, A::Error> {
                T::deserialize(SeqAccessDeserializer::new(items)).map(OneOr::More)
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<OneOr<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(OneOr::More)
            }
        }
        deserializer.deserialize_any(Any(PhantomData))
    }
}
