//! Audit tasks: what runs, what it found, and the message that says so.
//!
//! An audit looks at the fleet when it ends, not when it starts, and its findings are a snapshot of that
//! moment: a resource that is fixed later stays in them. A finding costs eight bytes.
//!
//! `nonCompliantResourcesCount` leaves suppressed resources out, and a check whose findings are all suppressed
//! is compliant: the guide says that suppressed findings "won't be considered when we evaluate whether an
//! audit check is compliant or not". AWS does not say which way the count goes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::checks::Check;
use crate::fleet::examine::Entry;

/// The status of an audit task or of a mitigation task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    InProgress,
    Completed,
    Failed,
    Canceled,
}

impl Status {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
        }
    }
}

/// The status of one check of an audit (`AuditCheckRunStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunStatus {
    InProgress,
    Canceled,
    Compliant,
    NonCompliant,
    Failed(Trouble),
}

/// Why a check failed: the two error codes of the audit notification's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    InsufficientPermissions,
    CheckDisabled,
}

impl Trouble {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::InsufficientPermissions => (
                "INSUFFICIENT_PERMISSIONS",
                "The audit role does not allow reading what this check looks at.",
            ),
            Self::CheckDisabled => ("AUDIT_CHECK_DISABLED", "The check is disabled for the account."),
        }
    }
}

impl RunStatus {
    const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Canceled => "CANCELED",
            Self::Compliant => "COMPLETED_COMPLIANT",
            Self::NonCompliant => "COMPLETED_NON_COMPLIANT",
            Self::Failed(_) => "FAILED",
        }
    }
}

/// One check of an audit. A finding's position counts through `open` and on into `suppressed`.
#[derive(Debug)]
pub(crate) struct CheckRun {
    pub(crate) status: RunStatus,
    pub(crate) total: u64,
    pub(crate) open: Vec<Entry>,
    pub(crate) suppressed: Vec<Entry>,
    /// Whether its findings were deleted, as they are when the check is disabled. What was counted stays.
    pub(crate) deleted: bool,
}

impl CheckRun {
    pub(crate) const fn new() -> Self {
        Self {
            status: RunStatus::InProgress,
            total: 0,
            open: Vec::new(),
            suppressed: Vec::new(),
            deleted: false,
        }
    }

    /// The finding at a position, and whether it was suppressed.
    pub(crate) fn finding(&self, position: u32) -> Option<(Entry, bool)> {
        let position = usize::try_from(position).ok().filter(|_| !self.deleted)?;
        if let Some(entry) = self.open.get(position) {
            return Some((*entry, false));
        }
        self.suppressed.get(position - self.open.len()).map(|entry| (*entry, true))
    }

    /// The positions of suppressed findings, of the others, or of all.
    pub(crate) fn positions(&self, suppressed: Option<bool>) -> std::ops::Range<u32> {
        let count = |entries: &[Entry]| u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let (open, all) = (count(&self.open), count(&self.open).saturating_add(count(&self.suppressed)));
        match suppressed {
            _ if self.deleted => 0..0,
            None => 0..all,
            Some(false) => 0..open,
            Some(true) => open..all,
        }
    }

    /// The position of the finding on a resource.
    pub(crate) fn position_of(&self, resource: u32) -> Option<u32> {
        let place = |entries: &[Entry]| {
            let found = entries.binary_search_by_key(&resource, |entry| entry.resource).ok()?;
            u32::try_from(found).ok()
        };
        place(&self.open)
            .or_else(|| place(&self.suppressed)?.checked_add(u32::try_from(self.open.len()).ok()?))
    }
}

/// An audit task.
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) id: String,
    /// The scheduled audit that it is a run of.
    pub(crate) schedule: Option<String>,
    pub(crate) started: i64,
    /// When it ends, or when it ended.
    pub(crate) ends: i64,
    pub(crate) status: Status,
    pub(crate) checks: BTreeMap<Check, CheckRun>,
}

impl Audit {
    /// The value of `taskType`.
    pub(crate) const fn kind(&self) -> &'static str {
        if self.schedule.is_some() { "SCHEDULED_AUDIT_TASK" } else { "ON_DEMAND_AUDIT_TASK" }
    }

    pub(crate) fn count(&self, wanted: impl Fn(RunStatus) -> bool) -> usize {
        self.checks.values().filter(|run| wanted(run.status)).count()
    }

    /// Ends the audit: FAILED when no check could run.
    pub(crate) fn conclude(&mut self) {
        let failed = self.count(|status| matches!(status, RunStatus::Failed(_)));
        self.status = if failed == self.checks.len() { Status::Failed } else { Status::Completed };
    }

    /// Stops the audit. Checks that were running have no findings.
    pub(crate) fn cancel(&mut self, now: i64) {
        self.status = Status::Canceled;
        self.ends = now;
        for run in self.checks.values_mut() {
            run.status = RunStatus::Canceled;
        }
    }

    /// `auditDetails` of one check as `DescribeAuditTask` and the notification both have it.
    pub(crate) fn details(run: &CheckRun) -> Value {
        let mut details = json!({
            "checkRunStatus": run.status.name(),
            "totalResourcesCount": run.total,
            "nonCompliantResourcesCount": run.open.len(),
            "suppressedNonCompliantResourcesCount": run.suppressed.len(),
        });
        if let (RunStatus::Failed(trouble), Some(details)) = (run.status, details.as_object_mut()) {
            let (code, message) = trouble.words();
            details.insert("errorCode".to_owned(), code.into());
            details.insert("message".to_owned(), message.into());
        }
        details
    }

    /// The message that AWS publishes when an audit has ended, after the JSON schema
    /// `arn:aws:iot:::schema:auditnotification/1.0` of the Device Defender guide: times in milliseconds.
    pub(crate) fn notification(&self, account: &str) -> String {
        let details: Vec<Value> = self
            .checks
            .iter()
            .map(|(check, run)| {
                let mut details = Self::details(run);
                if let Some(details) = details.as_object_mut() {
                    details.insert("checkName".to_owned(), check.name().into());
                }
                details
            })
            .collect();
        let mut message = json!({
            "accountId": account,
            "taskId": self.id,
            "taskStatus": self.status.name(),
            "taskType": self.kind(),
            "failedChecksCount": self.count(|status| matches!(status, RunStatus::Failed(_))),
            "canceledChecksCount": self.count(|status| status == RunStatus::Canceled),
            "nonCompliantChecksCount": self.count(|status| status == RunStatus::NonCompliant),
            "compliantChecksCount": self.count(|status| status == RunStatus::Compliant),
            "totalChecksCount": self.checks.len(),
            "taskStartTime": self.started,
            "auditDetails": details,
        });
        if let (Some(schedule), Some(message)) = (&self.schedule, message.as_object_mut()) {
            message.insert("scheduledAuditName".to_owned(), schedule.as_str().into());
        }
        message.to_string()
    }
}
