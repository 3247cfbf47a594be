//! The report of an audit: whether each check complies, what changed, what is being done, what is hidden, and how to
//! make it comply.
//!
//! `audit-commands` gathers it, and gives it as JSON, Markdown or a page of HTML that needs nothing else.

pub mod alarm;
mod html;
mod markdown;
mod page;
mod sections;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use page::Page;
use serde::Serialize;
use serde::Serializer;

use crate::ids::CheckName;
use crate::message::Decided;
use crate::model::check::advice::Advice;
use crate::model::debt::Debt;
use crate::model::mitigation::Outcomes;
use crate::model::severity::Severity;
use crate::policy::Mode;
use crate::timestamp::Millis;

/// The report of one audit.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    /// 12 digits.
    pub account: String,
    /// As `us-east-1`.
    pub region: String,
    /// The audit task.
    pub task_id: String,
    /// `IN_PROGRESS`, `COMPLETED`, `FAILED` or `CANCELED` (`DescribeAuditTask`).
    pub task_status: String,
    /// The scheduled audit's name; none for one on demand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// When the audit began, epoch milliseconds.
    pub started_at: Millis,
    /// When the report was made, epoch milliseconds.
    pub made_at: Millis,
    /// Sums over the checks, by [`AuditReport::sum`].
    pub totals: Totals,
    /// How findings of mitigations that Fleetwarden has followed to their end have ended. None if the ledger could not say.
    #[serde(skip)]
    pub confirmed: Option<Outcomes>,
    /// Each check, the worst first. As JSON, those that do not comply have a member `advice`.
    #[serde(serialize_with = "advised")]
    pub checks: Vec<CheckReport>,
    /// Mitigation tasks on this audit's findings, newest first.
    pub mitigations: Vec<MitigationReport>,
    /// Whether Device Defender could not be asked for all of them: then it may have tasks that are not here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mitigations_unknown: bool,
    /// Mitigations of this audit's findings that were decided or asked for, and that Device Defender has no task of.
    pub not_started: NotStartedReport,
    /// What is hidden. It never counts against compliance.
    pub suppressed: SuppressedReport,
    /// The debt of suppressions at the last review, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debt: Option<Debt>,
    /// What could not be found out, and why: a report with gaps says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
}

/// Sums over the checks of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// What the checks come to.
    pub verdict: Verdict,
    /// Checks by status.
    pub checks: BTreeMap<&'static str, u64>,
    /// Resources that were looked at.
    pub resources: u64,
    /// What does not comply, without the suppressed.
    pub non_compliant: u64,
    /// What is suppressed.
    pub suppressed: u64,
    /// What does not comply, by severity.
    pub severities: BTreeMap<Severity, u64>,
    /// Since the audits before. None if none of the checks was triaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// What was decided, and what was done.
    pub effects: Effects,
}

/// What became of the findings of an audit: what was decided, what of it was only observed, and what was done. The words
/// are those of the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effects {
    /// Decided: suppress.
    pub suppress_decided: u64,
    /// Of these, in mode `observe`: nothing is done.
    pub suppress_observed: u64,
    /// Decided: mitigate.
    pub mitigate_decided: u64,
    /// Of these, in mode `observe`: nothing is done.
    pub mitigate_observed: u64,
    /// Done: Device Defender has confirmed that every action succeeded. None if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mitigated: Option<u64>,
    /// Their mitigation task has ended, and not every action succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mitigate_failed: Option<u64>,
}

/// What the checks of an audit come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// A check does not comply, whatever became of the others.
    NonCompliant,
    /// Every check that was done complies; others failed, were canceled, or there were none.
    #[default]
    Incomplete,
    /// Every check that was done complies; others are still to come.
    InProgress,
    /// All checks comply.
    Compliant,
}

/// What changed since the audits before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// Never seen before.
    pub new: u64,
    /// Gone.
    pub fixed: u64,
    /// Had been gone and is back.
    pub returned: u64,
}

/// One check of an audit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// The check.
    pub check: CheckName,
    /// How it ended.
    pub status: Status,
    /// Resources that were looked at, if the service says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<u64>,
    /// What does not comply, without the suppressed.
    pub non_compliant: u64,
    /// What is suppressed.
    pub suppressed: u64,
    /// What does not comply, by severity.
    pub severities: BTreeMap<Severity, u64>,
    /// What does not comply, by reason code; without one under the empty name.
    pub reasons: BTreeMap<String, u64>,
    /// What does not comply, by the decision on it. Nothing if the check was not triaged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decided>,
    /// Since the audits before. None if the check was not triaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// When the oldest of what does not comply was first seen, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Millis>,
    /// Some of what does not comply.
    pub examples: Vec<Example>,
    /// Why it failed or was canceled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// How a check ended (`AuditCheckDetails.checkRunStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the service's own words")]
pub enum Status {
    Failed,
    NonCompliant,
    Canceled,
    WaitingForDataCollection,
    InProgress,
    Compliant,
}

/// A resource that does not comply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// The finding in this audit.
    pub finding_id: String,
    /// The resource's type, as `DEVICE_CERTIFICATE`.
    pub resource_type: String,
    /// What people call the resource.
    pub resource: String,
    /// How severe.
    pub severity: Severity,
    /// Why, in the service's words.
    pub reason: String,
}

/// Why a check failed or was canceled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// As `INSUFFICIENT_PERMISSIONS`; empty if the service gave only words.
    pub code: String,
    /// In the service's words.
    pub message: String,
}

/// A mitigation task on findings of an audit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MitigationReport {
    /// The mitigation task.
    pub task_id: String,
    /// `IN_PROGRESS`, `COMPLETED`, `FAILED` or `CANCELED`.
    pub task_status: String,
    /// When it began, epoch milliseconds.
    pub started_at: Millis,
    /// When it ended, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Millis>,
    /// Who asked for it: `rule NAME`, `a command`, or `others` than Fleetwarden. None if the ledger could not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Its actions, by check.
    pub actions: BTreeMap<CheckName, Vec<String>>,
    /// Findings by what became of them (`TaskStatisticsForAuditCheck`).
    pub findings: Outcomes,
}

/// Mitigations that Device Defender has no task of, by what the ledger says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotStartedReport {
    /// How many there are, by state.
    pub states: BTreeMap<String, u64>,
    /// Some of them: those first that need somebody, then the newest.
    pub tasks: Vec<NotStarted>,
    /// Whether the ledger could not say.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
}

/// A mitigation that Device Defender has no task of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotStarted {
    /// The mitigation task.
    pub task_id: String,
    /// `refused`, `given-up`, `lost`, `held`, `claimed`, `superseded` or `observed`.
    pub state: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when it is held, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// When it came into this state, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Millis>,
    /// Who asked for it: `rule NAME`, or `a command`.
    pub by: String,
    /// Its actions, by check.
    pub actions: BTreeMap<CheckName, Vec<String>>,
    /// On how many findings.
    pub findings: u64,
}

/// What is hidden.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SuppressedReport {
    /// Findings of this audit that are suppressed.
    pub findings: u64,
    /// The suppressions of this audit's checks, those alike together, the most first.
    pub suppressions: Vec<Suppressed>,
    /// Whether there are more suppressions than were read.
    pub more: bool,
}

/// Suppressions of one check that are alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Suppressed {
    /// The check.
    pub check: CheckName,
    /// How many resources.
    pub count: u64,
    /// When they end, epoch milliseconds. None means never.
    pub until: Option<Millis>,
    /// What made them: `rule NAME`, `standing NAME`, or `by hand`.
    pub by: String,
    /// Who answers for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where it was agreed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Why; what people wrote when they made it by hand.
    pub why: String,
}

impl AuditReport {
    /// Brings the checks in order, the worst first, and sums them up.
    pub fn sum(&mut self) {
        self.checks.sort_by_cached_key(CheckReport::rank);
        let mut totals = Totals { verdict: self.verdict(), ..Totals::default() };
        for check in &self.checks {
            *totals.checks.entry(check.status.as_str()).or_default() += 1;
            totals.resources += check.resources.unwrap_or_default();
            totals.non_compliant += check.non_compliant;
            totals.suppressed += check.suppressed;
            for (severity, count) in &check.severities {
                *totals.severities.entry(*severity).or_default() += count;
            }
            if let Some(Changes { new, fixed, returned }) = check.changes {
                let sum = totals.changes.get_or_insert_default();
                sum.new += new;
                sum.fixed += fixed;
                sum.returned += returned;
            }
        }
        let decided = |outcome: &str, observed: bool| {
            let decisions = self.checks.iter().flat_map(|check| &check.decisions);
            let of = decisions.filter(|of| of.outcome == outcome && (!observed || of.mode == Mode::Observe));
            of.map(|of| of.findings).sum()
        };
        totals.effects = Effects {
            suppress_decided: decided("suppress", false),
            suppress_observed: decided("suppress", true),
            mitigate_decided: decided("mitigate", false),
            mitigate_observed: decided("mitigate", true),
            mitigated: self.confirmed.map(|confirmed| confirmed.succeeded),
            mitigate_failed: self.confirmed.map(|confirmed| confirmed.failed),
        };
        self.totals = totals;
    }

    /// The report as Markdown.
    pub fn markdown(&self) -> String {
        markdown::render(&Page::of(self))
    }

    /// The report as a page of HTML, which asks for nothing from elsewhere and runs no script.
    pub fn html(&self) -> String {
        html::render(&Page::of(self))
    }

    fn verdict(&self) -> Verdict {
        if self.checks.iter().any(CheckReport::counts_against) {
            Verdict::NonCompliant
        } else if self.task_status == "IN_PROGRESS" {
            Verdict::InProgress
        } else if self.task_status == "COMPLETED"
            && !self.checks.is_empty()
            && self.checks.iter().all(CheckReport::is_done)
        {
            Verdict::Compliant
        } else {
            Verdict::Incomplete
        }
    }
}

/// Puts beside each check that does not comply how to make it comply.
fn advised<S: Serializer>(checks: &[CheckReport], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Advised<'a> {
        #[serde(flatten)]
        check: &'a CheckReport,
        #[serde(skip_serializing_if = "Option::is_none")]
        advice: Option<&'static Advice>,
    }
    serializer.collect_seq(checks.iter().map(|check| {
        let advice = check.check.advice().filter(|_| check.counts_against());
        Advised { check, advice }
    }))
}

impl CheckReport {
    /// Whether the check does not comply, by more than what is suppressed.
    pub fn counts_against(&self) -> bool {
        self.status == Status::NonCompliant && !self.only_hidden()
    }

    /// Whether the service says that it does not comply though all that it found is suppressed.
    fn only_hidden(&self) -> bool {
        self.status == Status::NonCompliant && self.non_compliant == 0 && self.suppressed > 0
    }

    /// Whether it is known if the check complies.
    fn is_done(&self) -> bool {
        matches!(self.status, Status::NonCompliant | Status::Compliant)
    }

    /// What the checks are sorted by: how they ended, then how many resources of each severity, then the name.
    fn rank(&self) -> (Status, [Reverse<u64>; 5], CheckName) {
        let count = |severity| Reverse(self.severities.get(&severity).copied().unwrap_or_default());
        (self.status, Severity::ALL.map(count), self.check.clone())
    }
}

impl Status {
    /// The API's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::NonCompliant => "NON_COMPLIANT",
            Self::Canceled => "CANCELED",
            Self::WaitingForDataCollection => "WAITING_FOR_DATA_COLLECTION",
            Self::InProgress => "IN_PROGRESS",
            Self::Compliant => "COMPLIANT",
        }
    }
}
