//! A finding record read back from the archive or the log group: what was found, and what was decided then.

use serde::Deserialize;

use crate::ids::CheckName;
use crate::model::finding::Finding;
use crate::model::finding::FindingKey;
use crate::model::finding::RelatedResource;
use crate::model::history::Status;
use crate::model::resource::NonCompliantResource;
use crate::model::severity::AlertSeverity;
use crate::model::severity::Severity;
use crate::model::suppression::FirstSuppressed;
use crate::model::thing::Things;
use crate::policy::Kind;
use crate::policy::Mode;
use crate::policy::Report;
use crate::policy::Subject;
use crate::timestamp::Millis;

/// What a [`FindingRecord`](crate::message::FindingRecord) becomes when it is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Flat")]
pub struct RecordedFinding {
    /// 12 digits.
    pub account: String,
    /// As `us-east-1`.
    pub region: String,
    /// The audit task.
    pub task_id: String,
    /// The scheduled audit's name; none for one on demand.
    pub schedule: Option<String>,
    /// When the audit began.
    pub audit_started_at: Millis,
    /// The identity across audits.
    pub key: FindingKey,
    /// New, known or returned.
    pub status: Status,
    /// When it was first seen.
    pub first_seen: Millis,
    /// In how many audits it was seen, that one included.
    pub times_seen: u32,
    /// Since when a rule had suppressed it for a length of time, before that audit.
    pub first_suppressed: Option<FirstSuppressed>,
    /// The things behind its resource, if a rule had asked for them.
    pub things: Things,
    /// The finding.
    pub finding: Finding,
    /// What was decided.
    pub decision: RecordedDecision,
}

/// What was decided on a recorded finding or alarm.
#[derive(Clone, Debug, Deserialize)]
pub struct RecordedDecision {
    /// `suppressed`, `suppress`, `mitigate` or `report`; of an alarm also `verify`.
    pub outcome: String,
    /// The rule that decided, if one did.
    pub rule: Option<String>,
    /// The policy's mode.
    #[serde(default)]
    pub mode: Mode,
    /// How loud a report is, if it has a loudness of its own.
    #[serde(default)]
    alert: Option<Loudness>,
    /// The hash of the policy.
    pub policy: String,
}

/// How loud a report is, as a record has it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Loudness {
    Severity(AlertSeverity),
    Silent(Silent),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Silent {
    Silent,
}

impl RecordedDecision {
    /// What was decided on a finding. None if it is no outcome of a finding.
    pub fn kind(&self) -> Option<Kind> {
        let report = match self.alert {
            None => Report::Alert(None),
            Some(Loudness::Severity(severity)) => Report::Alert(Some(severity)),
            Some(Loudness::Silent(Silent::Silent)) => Report::Silent,
        };
        [Kind::Suppressed, Kind::Suppress, Kind::Mitigate, Kind::Report(report)]
            .into_iter()
            .find(|kind| kind.word() == self.outcome)
    }
}

impl RecordedFinding {
    /// The finding as it stood before the policy, to decide on it again.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            finding: &self.finding,
            account: &self.account,
            region: &self.region,
            at: self.audit_started_at,
            first_seen: self.first_seen,
            times_seen: self.times_seen,
            first_suppressed: self.first_suppressed,
            things: &self.things,
        }
    }
}

/// The record's members side by side, as they are written: a flattened structure would be put into a buffer first.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flat {
    account: String,
    region: String,
    task_id: String,
    schedule: Option<String>,
    audit_started_at: Millis,
    key: FindingKey,
    status: Status,
    first_seen: Millis,
    times_seen: u32,
    #[serde(default)]
    first_suppressed: Option<FirstSuppressed>,
    #[serde(default)]
    things: Things,
    finding_id: String,
    check: CheckName,
    severity: Severity,
    found_at: Millis,
    #[serde(default)]
    resource: Option<NonCompliantResource>,
    #[serde(default)]
    related: Vec<RelatedResource>,
    #[serde(default)]
    reason_code: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    suppressed: bool,
    decision: RecordedDecision,
}

impl From<Flat> for RecordedFinding {
    fn from(flat: Flat) -> Self {
        Self {
            account: flat.account,
            region: flat.region,
            task_id: flat.task_id,
            schedule: flat.schedule,
            audit_started_at: flat.audit_started_at,
            key: flat.key,
            status: flat.status,
            first_seen: flat.first_seen,
            times_seen: flat.times_seen,
            first_suppressed: flat.first_suppressed,
            things: flat.things,
            decision: flat.decision,
            finding: Finding {
                finding_id: flat.finding_id,
                check: flat.check,
                severity: flat.severity,
                found_at: flat.found_at,
                resource: flat.resource,
                related: flat.related,
                reason_code: flat.reason_code,
                reason: flat.reason,
                suppressed: flat.suppressed,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::FindingRecord;
    use crate::model::suppression::Terms;
    use crate::model::thing::Thing;
    use crate::policy::Policy;

    #[test]
    fn what_was_written_is_decided_alike() {
        let text = "version: 1\nrules: [{ name: r, match: { group: lab }, report: { silent: true } }]";
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let finding = crate::model::finding::tests::finding("f");
        let lab = Thing { name: "pump".into(), described: None, groups: Some(vec!["lab".into()]) };
        let things = Things::Known(vec![lab]);
        let subject = Subject {
            finding: &finding,
            account: "123456789012",
            region: "eu-central-1",
            at: Millis(2),
            first_seen: Millis(1),
            times_seen: 2,
            first_suppressed: Some(FirstSuppressed { at: Millis(1), terms: Terms(7) }),
            things: &things,
        };
        let decision = policy.decide(&subject);
        let record = FindingRecord {
            kind: "finding",
            account: subject.account,
            region: subject.region,
            task_id: "t",
            schedule: None,
            audit_started_at: subject.at,
            key: finding.key(),
            status: Status::Known,
            first_seen: subject.first_seen,
            times_seen: subject.times_seen,
            first_suppressed: subject.first_suppressed,
            things: subject.things,
            finding: &finding,
            decision: &decision,
        };
        let written = serde_json::to_string(&record).unwrap();
        let read: RecordedFinding = serde_json::from_str(&written).unwrap();
        assert_eq!(read.first_suppressed, subject.first_suppressed);
        assert_eq!((read.decision.outcome.as_str(), read.decision.rule.as_deref()), ("report", Some("r")));
        let again = serde_json::to_string(&policy.decide(&read.subject())).unwrap();
        assert_eq!(again, serde_json::to_string(&decision).unwrap());
    }
}
