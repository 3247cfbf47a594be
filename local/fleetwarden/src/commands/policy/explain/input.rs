//! Findings as operators have them: a record of the archive or the log group, an `AuditFinding` as the AWS CLI
//! prints it, or the finding of a case of `policy test`, also in YAML. They are told apart by their shape.

use super::super::short::{self, Reader};
use crate::input::looks_like_json;
use anyhow::{Result, anyhow, bail};
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::json;
use fleetwarden_core::message::record::{RecordedDecision, RecordedFinding};
use fleetwarden_core::model::finding::{Finding, RelatedResource};
use fleetwarden_core::model::resource::NonCompliantResource;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::model::suppression::FirstSuppressed;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::{Diagnostic, Place, Policy, Subject, yaml};
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// From here on a number is in milliseconds: as seconds it would be the year 5138.
const MILLISECONDS: f64 = 1e11;

/// What is needed besides the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    /// Stands in for the start of the audit where a finding says nothing of its time.
    pub(super) now: Millis,
    /// The account that the operator names.
    pub(super) account: Option<&'a str>,
    /// The policy whose rules a finding in short form can name.
    pub(super) policy: &'a Policy,
}

/// A finding, and as much as is known of its audit and its past.
#[derive(Debug)]
pub(super) struct Given {
    /// The finding.
    pub(super) finding: Finding,
    /// The account of the audit.
    pub(super) account: Option<String>,
    /// The region of the audit.
    pub(super) region: Option<String>,
    /// The account and the region that are assumed where neither the finding nor the operator names them.
    place: [&'static str; 2],
    /// When the audit began.
    pub(super) at: Millis,
    /// When it was first seen.
    pub(super) first_seen: Option<Millis>,
    /// In how many audits it was seen, this one included.
    pub(super) seen: Option<u32>,
    /// Since when a rule had suppressed it for a length of time.
    pub(super) first_suppressed: Option<FirstSuppressed>,
    /// The things behind its resource.
    pub(super) things: Option<Things>,
    /// What was decided then.
    pub(super) recorded: Option<RecordedDecision>,
}

impl Given {
    /// What is decided on: what is not known of the finding's past is taken as if this were its first audit.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            finding: &self.finding,
            account: self.account.as_deref().unwrap_or(self.place[0]),
            region: self.region.as_deref().unwrap_or(self.place[1]),
            at: self.at,
            first_seen: self.first_seen.unwrap_or(self.at),
            times_seen: self.seen.unwrap_or(1),
            first_suppressed: self.first_suppressed,
            things: self.things.as_ref().unwrap_or(&Things::NotAsked),
        }
    }

    /// What the finding does not say, with the options that say it.
    pub(super) fn assumed(&self) -> String {
        let mut assumed = Vec::new();
        match (self.first_seen, self.seen) {
            (Some(_), Some(_)) => {}
            (None, None) => assumed.push("that it is new (--first-seen, --seen)"),
            (None, Some(_)) => assumed.push("that it was first seen in this audit (--first-seen)"),
            (Some(_), None) => assumed.push("that it was seen once (--seen)"),
        }
        let [account, region] = self.place;
        let no_account =
            if account.is_empty() { "no account".to_owned() } else { format!("account {account}") };
        let no_region = if region.is_empty() { "no region".to_owned() } else { format!("region {region}") };
        let mut assumed: Vec<String> = assumed.into_iter().map(str::to_owned).collect();
        match (&self.account, &self.region) {
            (Some(_), Some(_)) => {}
            (None, None) => assumed.push(format!("{no_account} and {no_region} (--account, --region)")),
            (None, Some(_)) => assumed.push(format!("{no_account} (--account)")),
            (Some(_), None) => assumed.push(format!("{no_region} (--region)")),
        }
        assumed.join("; ")
    }
}

/// Reads the findings of a text: one JSON value, or several one after the other, as in an object of the archive; or
/// one finding in short form, or a list of them, in YAML.
pub(super) fn read(text: &str, around: Around<'_>) -> Result<Vec<Given>> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let values = match values.collect::<Result<Vec<_>, _>>() {
        Ok(values) => values,
        Err(_) if !looks_like_json(text) => return of_yaml(text, around),
        Err(error) => bail!("invalid JSON: {error}"),
    };
    let mut findings = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let read = of_value(value.get(), around, &mut findings);
        match read {
            Err(error) if values.len() > 1 => bail!("value {}: {error}", at + 1),
            read => read?,
        }
    }
    if findings.is_empty() {
        bail!("there is nothing in it");
    }
    Ok(findings)
}

fn of_yaml(text: &str, around: Around<'_>) -> Result<Vec<Given>> {
    let is_list = text.lines().any(|line| line.starts_with('-') && line != "---") || text.starts_with('[');
    let bytes = text.as_bytes();
    let entries = if is_list { yaml::read(bytes) } else { yaml::read(bytes).map(|one| vec![one]) };
    let entries = entries.map_err(|error| wrong(&[error]))?;
    entries.into_iter().map(|entry| of_short(entry, around)).collect()
}

fn of_short(entry: short::Finding, around: Around<'_>) -> Result<Given> {
    let mut reader = Reader::default();
    let read = reader.finding(entry, around.account, around.now);
    let Some(read) = read.filter(|_| reader.errors.is_empty()) else {
        reader.errors.sort();
        return Err(wrong(&reader.errors));
    };
    Ok(Given {
        finding: read.finding,
        account: read.account,
        region: read.region,
        place: [short::ACCOUNT, short::REGION],
        at: around.now,
        first_seen: read.first_seen,
        seen: read.seen,
        first_suppressed: read.first_suppressed.map(|since| since.of(around.policy)).transpose()?,
        things: None,
        recorded: None,
    })
}

pub(super) fn wrong(errors: &[Diagnostic]) -> anyhow::Error {
    let words = errors.iter().map(|Diagnostic { place: Place { line, column }, what, .. }| match line {
        0 => what.clone(),
        _ => format!("line {line}, column {column}: {what}"),
    });
    anyhow!(words.collect::<Vec<_>>().join("; "))
}

/// What tells the shapes apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a finding")]
struct Shape {
    findings: Option<IgnoredAny>,
    finding: Option<IgnoredAny>,
    check: Option<IgnoredAny>,
    finding_id: Option<IgnoredAny>,
    check_name: Option<IgnoredAny>,
}

fn of_value(text: &str, around: Around<'_>, findings: &mut Vec<Given>) -> Result<()> {
    #[derive(Deserialize)]
    struct Listed {
        findings: Vec<AuditFinding>,
    }
    #[derive(Deserialize)]
    struct Described {
        finding: AuditFinding,
    }
    if text.trim_start().starts_with('[') {
        let many: Vec<&RawValue> = json::read(text)?;
        for (at, one) in many.iter().enumerate() {
            of_value(one.get(), around, findings).map_err(|error| anyhow!("[{at}]: {error}"))?;
        }
        return Ok(());
    }
    match json::read::<Shape>(text)? {
        Shape { findings: Some(_), .. } => {
            let listed = json::read::<Listed>(text)?.findings;
            findings.extend(listed.into_iter().map(|finding| finding.given(around.now)));
        }
        Shape { finding: Some(_), .. } => {
            findings.push(json::read::<Described>(text)?.finding.given(around.now));
        }
        Shape { check_name: Some(_), .. } => {
            findings.push(json::read::<AuditFinding>(text)?.given(around.now));
        }
        Shape { check: Some(_), finding_id: None, .. } => {
            let entry = yaml::read(text.as_bytes()).map_err(|error| wrong(&[error]))?;
            findings.push(of_short(entry, around)?);
        }
        Shape { check: Some(_), .. } => findings.push(json::read::<RecordedFinding>(text)?.into()),
        _ => bail!(
            "neither a record of the archive or a finding as in a case of 'policy test' (a member 'check'), nor a \
             finding of the AWS CLI (a member 'checkName'), nor an answer with 'finding' or 'findings'"
        ),
    }
    Ok(())
}

impl From<RecordedFinding> for Given {
    fn from(record: RecordedFinding) -> Self {
        Self {
            finding: record.finding,
            account: Some(record.account),
            region: Some(record.region),
            place: Default::default(),
            at: record.audit_started_at,
            first_seen: Some(record.first_seen),
            seen: Some(record.times_seen),
            first_suppressed: record.first_suppressed,
            things: Some(record.things),
            recorded: Some(record.decision),
        }
    }
}

/// A finding as `DescribeAuditFinding` and `ListAuditFindings` have it (`AuditFinding`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a finding")]
struct AuditFinding {
    finding_id: String,
    check_name: CheckName,
    #[serde(default = "no_severity")]
    severity: Severity,
    task_start_time: Option<Moment>,
    finding_time: Option<Moment>,
    non_compliant_resource: Option<NonCompliantResource>,
    #[serde(default)]
    related_resources: Vec<RelatedResource>,
    reason_for_non_compliance: Option<String>,
    reason_for_non_compliance_code: Option<String>,
    #[serde(default)]
    is_suppressed: bool,
}

const fn no_severity() -> Severity {
    Severity::Unknown
}

impl AuditFinding {
    fn given(self, now: Millis) -> Given {
        let moment = |at: Option<Moment>| at.map(|Moment(at)| at);
        let found_at = moment(self.finding_time);
        let at = moment(self.task_start_time).or(found_at).unwrap_or(now);
        let finding = Finding {
            finding_id: self.finding_id,
            check: self.check_name,
            severity: self.severity,
            found_at: found_at.unwrap_or(at),
            resource: self.non_compliant_resource,
            related: self.related_resources,
            reason_code: self.reason_for_non_compliance_code,
            reason: self.reason_for_non_compliance,
            suppressed: self.is_suppressed,
        };
        Given {
            finding,
            account: None,
            region: None,
            place: Default::default(),
            at,
            first_seen: None,
            seen: None,
            first_suppressed: None,
            things: None,
            recorded: None,
        }
    }
}

/// A time of the API: epoch seconds with a fraction, as the service has it; epoch milliseconds, as its messages
/// have it; or RFC 3339, as the second version of the AWS CLI prints it.
struct Moment(Millis);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Moment;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: epoch seconds, or a text as 2026-11-23T08:00:00Z")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
                Millis::parse(text)
                    .map(Moment)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Moment, E> {
                let scaled = if number.abs() < MILLISECONDS { number * 1000.0 } else { number };
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "it saturates; no calendar goes that far"
                )]
                Ok(Moment(Millis(scaled.round() as i64)))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Moment, E> {
                #[expect(clippy::cast_precision_loss, reason = "52 bits of milliseconds are 140,000 years")]
                self.visit_f64(number as f64)
            }
        }
        deserializer.deserialize_any(Any)
    }
}
