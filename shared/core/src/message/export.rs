//! Finding queue: what `export-findings` writes to the log group, the metrics and the archive.

use serde::Deserialize;
use serde::Serialize;
use serde_json::value::RawValue;

use super::audit::Audit;
use super::tally::Tally;
use crate::ids::CheckName;
use crate::ids::check::valid_check;
use crate::model::finding::Finding;
use crate::model::finding::FindingKey;
use crate::model::history::Status;
use crate::model::suppression::FirstSuppressed;
use crate::model::thing::Things;
use crate::policy::Decision;
use crate::timestamp::Millis;

/// Finding queue: something of one check to export. Findings stay the text that triage wrote.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportMessage<'a> {
    /// The audit.
    pub audit: Audit,
    /// The check.
    #[serde(deserialize_with = "valid_check")]
    pub check: CheckName,
    /// What there is to export.
    #[serde(borrow)]
    pub export: Export<'a>,
}

/// What there is to export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Export<'a> {
    /// Findings of one page.
    Page {
        /// The page's number, from 0.
        page: u32,
        /// The part of the page, from 0: a page too large for a message is split.
        part: u32,
        /// Each a [`FindingRecord`].
        #[serde(borrow)]
        findings: Vec<&'a RawValue>,
    },
    /// The whole check was triaged.
    Summary(Tally),
}

/// A finding with its decision, as it stands in the log group and in the archive.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingRecord<'a> {
    /// Always `finding`, to be told from other events.
    pub kind: &'static str,
    /// 12 digits.
    pub account: &'a str,
    /// As `us-east-1`.
    pub region: &'a str,
    /// The audit task.
    pub task_id: &'a str,
    /// The scheduled audit's name; null for one on demand.
    pub schedule: Option<&'a str>,
    /// When the audit began, epoch milliseconds.
    pub audit_started_at: Millis,
    /// The identity across audits.
    pub key: FindingKey,
    /// New, known or returned.
    pub status: Status,
    /// When it was first seen, epoch milliseconds.
    pub first_seen: Millis,
    /// In how many audits it was seen, this one included.
    pub times_seen: u32,
    /// Since when a rule had suppressed it for a length of time, before this audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_suppressed: Option<FirstSuppressed>,
    /// The things behind its resource, if a rule asked for them.
    #[serde(skip_serializing_if = "Things::is_not_asked")]
    pub things: &'a Things,
    /// The finding.
    #[serde(flatten)]
    pub finding: &'a Finding,
    /// What was decided and why.
    pub decision: &'a Decision<'a, 'a>,
}
