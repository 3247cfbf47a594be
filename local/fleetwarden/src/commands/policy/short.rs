//! A finding as an operator writes it: only its check has to be said. `policy test` and `policy explain` read it.

pub(super) mod alarm;
mod checks;

use anyhow::Context as _;
use checks::Kind;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::ids::check::{self};
use fleetwarden_core::model::finding::{self};
use fleetwarden_core::model::resource::{
    IssuerCertificateIdentifier, NonCompliantResource, PolicyVersionIdentifier, ResourceIdentifier,
};
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::model::suppression;
use fleetwarden_core::nearest::did_you_mean;
use fleetwarden_core::policy::yaml::Spanned;
use fleetwarden_core::policy::{Diagnostic, Place, Policy, Rule};
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// The account of a finding that names none.
pub(super) const ACCOUNT: &str = "123456789012";
/// The region of a finding that names none.
pub(super) const REGION: &str = "us-east-1";

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

/// What an operator wrote, with what the check says filled in.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) finding: finding::Finding,
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) first_seen: Option<Millis>,
    pub(super) seen: Option<u32>,
    pub(super) first_suppressed: Option<Since>,
}

/// Since when a rule has suppressed a finding.
#[derive(Debug)]
pub(super) struct Since {
    at: Millis,
    rule: Spanned<String>,
}

impl Since {
    /// The same with the words on which the rule suppresses.
    ///
    /// # Errors
    /// If the rule suppresses nothing for a length of time.
    pub(super) fn of(&self, policy: &Policy) -> anyhow::Result<suppression::FirstSuppressed> {
        let Spanned { place: Place { line, .. }, value: name } = &self.rule;
        let terms = policy.rules().iter().find(|of| of.name() == name).and_then(Rule::terms);
        let terms = terms
            .with_context(|| format!("line {line}: no rule '{name}' suppresses for a length of time"))?;
        Ok(suppression::FirstSuppressed { at: self.at, terms })
    }
}

/// Gathers what is wrong.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) errors: Vec<Diagnostic>,
}

impl Reader {
    pub(super) fn error(&mut self, place: Place, what: impl Into<String>) {
        self.errors.push(Diagnostic::error(place, what));
    }

    /// A moment, or a day, which stands for its beginning in UTC.
    pub(super) fn time(&mut self, text: &Spanned<String>) -> Option<Millis> {
        let Spanned { place, value } = text;
        let time = Millis::parse(value).or_else(|| Millis::parse(&format!("{value}T00:00:00Z")));
        if time.is_none() {
            let what = format!("'{value}' is no time; write it as 2026-11-23T08:00:00Z or 2026-11-23");
            self.error(*place, what);
        }
        time
    }

    /// One of some words.
    pub(super) fn word(&mut self, text: &Spanned<String>, what: &str, allowed: &[&str]) -> Option<String> {
        if allowed.contains(&text.value.as_str()) {
            return Some(text.value.clone());
        }
        let near = did_you_mean(&text.value, allowed.iter().copied());
        let all = allowed.join(", ");
        self.error(text.place, format!("'{}' is no {what}{near} (allowed: {all})", text.value));
        None
    }

    /// A finding of an audit that began at `at`, in this account unless it names another one. After an error some
    /// value stands in, so that the rest is looked through too.
    pub(super) fn finding(&mut self, entry: Finding, account: Option<&str>, at: Millis) -> Option<Read> {
        let first_seen = entry.first_seen.as_ref().and_then(|text| self.time(text));
        let first_suppressed = entry.first_suppressed.and_then(|Spanned { value: first, .. }| {
            Some(Since { at: self.time(&first.at)?, rule: first.rule })
        });
        if let Some(Spanned { place, value: 0 }) = entry.seen {
            self.error(place, "a finding was seen once at least: in this audit");
        }
        let check = CheckName::new(&entry.check.value);
        let Some(facts) = checks::facts(check.as_str()) else {
            let near = did_you_mean(check.as_str(), check::KNOWN);
            self.error(entry.check.place, format!("'{check}' is no audit check{near}"));
            return None;
        };
        let words = Severity::ALL.map(Severity::as_str);
        let words = words.split_last().map_or(&[] as &[&str], |(_unknown, words)| words);
        let severity = entry.severity.as_ref();
        let severity = severity.and_then(|word| self.word(word, "severity", words));
        let severity = severity.map_or(facts.severity, |word| Severity::parse(&word));
        let text = |text: Option<Spanned<String>>| text.map(|text| text.value);
        let given = text(entry.account);
        let of = given.as_deref().or(account).unwrap_or(ACCOUNT);
        let identifier = identifier(entry.resource, facts.kind, of);
        let mut additional_info = BTreeMap::new();
        if let Some(expires) = entry.expires.as_ref().and_then(|text| self.time(text)) {
            additional_info.insert("EXPIRATION_TIME".to_owned(), expires.0.to_string());
        }
        let resource = identifier.map(|resource_identifier| NonCompliantResource {
            resource_type: Some(text(entry.r#type).unwrap_or_else(|| facts.kind.resource_type().to_owned())),
            resource_identifier,
            additional_info,
        });
        let finding = finding::Finding {
            finding_id: String::new(),
            check,
            severity,
            found_at: at,
            resource,
            related: Vec::new(),
            reason_code: text(entry.reason).or(facts.reason.map(str::to_owned)),
            reason: None,
            suppressed: entry.suppressed,
        };
        Some(Read {
            finding,
            account: given,
            region: text(entry.region),
            first_seen,
            seen: entry.seen.map(|seen| seen.value),
            first_suppressed,
        })
    }
}

fn identifier(
    said: Option<Spanned<OneOr<Identifier>>>,
    kind: Kind,
    account: &str,
) -> Option<ResourceIdentifier> {
    match said.map(|said| said.value) {
        Some(OneOr::One(none)) if none == "none" => None,
        Some(OneOr::One(label)) => Some(kind.identifier(&label)),
        Some(OneOr::More(members)) => Some(members.into()),
        None => Some(kind.identifier(&kind.example(account))),
    }
}
