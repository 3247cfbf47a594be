//! The findings of a page, each with what the audits before knew of it.

use fleetwarden_aws::Error;
use fleetwarden_core::api::listing::Listed;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::message::FindingRecord;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::Past;
use fleetwarden_core::message::record::RecordedFinding;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::model::finding::FindingKey;
use fleetwarden_core::model::history::Record;
use fleetwarden_core::model::history::Status;
use fleetwarden_core::model::suppression::FirstSuppressed;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::Decision;
use fleetwarden_core::policy::Subject;
use fleetwarden_core::timestamp::Millis;

use crate::history::History;

/// A finding with its past.
pub(crate) struct Found {
    pub(crate) finding: Finding,
    key: FindingKey,
    status: Status,
    first_seen: Millis,
    times_seen: u16,
    first_suppressed: Option<FirstSuppressed>,
}

/// The findings of a page, each with its past.
pub(crate) fn with_past(
    listed: Vec<Listed>,
    page: u32,
    message: &CheckMessage,
    history: &History,
) -> Result<Vec<Found>, Error> {
    let started_at = message.audit.started_at;
    let with_past = |(at, listed): (usize, Listed)| {
        let finding = listed.into_finding(&message.check, || format!("unnamed-{page}-{at}"));
        let key = finding.key();
        let before = history.look_up(key)?;
        Ok(Found {
            finding,
            key,
            status: history.status(before.as_ref()),
            first_seen: before.map_or(started_at, |record| record.first_seen.min(started_at)),
            times_seen: before.map_or(0, |record| record.times_seen).saturating_add(1),
            first_suppressed: before.and_then(|record| record.first_suppressed),
        })
    };
    listed.into_iter().enumerate().map(with_past).collect()
}

impl Found {
    /// A finding as an earlier try has recorded it.
    pub(crate) fn recorded(record: &RecordedFinding) -> Self {
        Self {
            finding: record.finding.clone(),
            key: record.key,
            status: record.status,
            first_seen: record.first_seen,
            times_seen: u16::try_from(record.times_seen).unwrap_or(u16::MAX),
            first_suppressed: record.first_suppressed,
        }
    }

    /// What is decided on before anything is looked up.
    pub(crate) fn subject<'s>(&'s self, audit: &'s Audit) -> Subject<'s> {
        Subject {
            finding: &self.finding,
            account: &audit.account,
            region: &audit.region,
            at: audit.started_at,
            first_seen: self.first_seen,
            times_seen: self.times_seen.into(),
            first_suppressed: self.first_suppressed,
            things: &Things::NotAsked,
        }
    }

    /// The record to export.
    pub(crate) fn export<'s>(
        &'s self,
        audit: &'s Audit,
        things: &'s Things,
        decision: &'s Decision<'s, 's>,
    ) -> FindingRecord<'s> {
        FindingRecord {
            kind: "finding",
            account: &audit.account,
            region: &audit.region,
            task_id: &audit.task_id,
            schedule: audit.schedule.as_deref(),
            audit_started_at: audit.started_at,
            key: self.key,
            status: self.status,
            first_seen: self.first_seen,
            times_seen: self.times_seen.into(),
            first_suppressed: self.first_suppressed,
            things,
            finding: &self.finding,
            decision,
        }
    }

    /// The finding with its past, for a policy that decides on it again.
    pub(crate) fn reference(&self) -> FindingRef {
        let Self { finding, key, first_seen, times_seen, first_suppressed, .. } = self;
        let past = Past {
            first_seen: *first_seen,
            times_seen: (*times_seen).into(),
            first_suppressed: *first_suppressed,
        };
        FindingRef { finding_id: finding.finding_id.clone(), key: *key, past: Some(past) }
    }

    /// The record for the history of the check.
    pub(crate) fn record(&self, audit: &Audit, decision: &Decision<'_, '_>) -> Record {
        Record {
            key: self.key,
            first_seen: self.first_seen,
            last_seen: audit.started_at,
            times_seen: self.times_seen,
            severity: self.finding.severity,
            open: true,
            first_suppressed: decision.first_suppressed(),
            suppressed: self.finding.suppressed,
        }
    }
}
