//! Findings as operators have them: a record of the archive or the log group, or an `AuditFinding` as the AWS CLI
//! prints it. They are told apart by their shape.

use anyhow::{Result, anyhow, bail};
use fleetwarden_core::check::CheckName;
use fleetwarden_core::finding::{Finding, RelatedResource, Severity};
use fleetwarden_core::json;
use fleetwarden_core::policy::Subject;
use fleetwarden_core::record::{RecordedDecision, RecordedFinding};
use fleetwarden_core::resource::NonCompliantResource;
use fleetwarden_core::suppression::FirstSuppressed;
use fleetwarden_core::thing::Things;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// From here on a number is in milliseconds: as seconds it would be the year 5138.
const MILLISECONDS: f64 = 1e11;

/// A finding, and as much as is known of its audit and its past.
#[derive(Debug)]
pub(super) struct Given {
    /// The finding.
    pub(super) finding: Finding,
    /// The account of the audit.
    pub(super) account: Option<String>,
    /// The region of the audit.
    pub(super) region: Option<String>,
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
            account: self.account.as_deref().unwrap_or_default(),
            region: self.region.as_deref().unwrap_or_default(),
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
        match (&self.account, &self.region) {
            (Some(_), Some(_)) => {}
            (None, None) => assumed.push("no account and no region (--account, --region)"),
            (None, Some(_)) => assumed.push("no account (--account)"),
            (Some(_), None) => assumed.push("no region (--region)"),
        }
        assumed.join("; ")
    }
}

/// Reads the findings of a text: one JSON value, or several one after the other, as in an object of the archive.
///
/// `now` stands in for the start of the audit where a finding says nothing of its time.
pub(super) fn read(text: &str, now: Millis) -> Result<Vec<Given>> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let values =
        values.collect::<Result<Vec<_>, _>>().map_err(|error| anyhow!("this is no JSON: {error}"))?;
    let mut findings = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let read = of_value(value.get(), now, &mut findings);
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

/// What tells the shapes apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a finding")]
struct Shape {
    findings: Option<IgnoredAny>,
    finding: Option<IgnoredAny>,
    check: Option<IgnoredAny>,
    check_name: Option<IgnoredAny>,
}

fn of_value(text: &str, now: Millis, findings: &mut Vec<Given>) -> Result<()> {
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
            of_value(one.get(), now, findings).map_err(|error| anyhow!("[{at}]: {error}"))?;
        }
        return Ok(());
    }
    match json::read::<Shape>(text)? {
        Shape { findings: Some(_), .. } => {
            let listed = json::read::<Listed>(text)?.findings;
            findings.extend(listed.into_iter().map(|finding| finding.given(now)));
        }
        Shape { finding: Some(_), .. } => findings.push(json::read::<Described>(text)?.finding.given(now)),
        Shape { check_name: Some(_), .. } => findings.push(json::read::<AuditFinding>(text)?.given(now)),
        Shape { check: Some(_), .. } => findings.push(json::read::<RecordedFinding>(text)?.into()),
        _ => bail!(
            "neither a record of the archive (a member 'check'), nor a finding of the AWS CLI (a member \
             'checkName'), nor an answer with 'finding' or 'findings'"
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
