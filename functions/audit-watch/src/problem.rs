//! What can be wrong with audits, and how grave it is; [`alerts`](crate::alerts) has the texts.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::metrics::audit_watch::AuditWatch;
use fleetwarden_core::model::schedule::Rhythm;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::account::Run;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "problem", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Problem {
    /// The account never configured audits.
    NotSetUp { schedules: usize },
    /// No check is enabled.
    NoChecks { schedules: usize },
    /// The audit configuration has no SNS target.
    NoTarget,
    /// The target is another topic than the stack's.
    OtherTarget { target: String },
    /// The target is disabled.
    TargetDisabled,
    /// The target has no role to publish with.
    TargetWithoutRole,
    /// A scheduled audit has checks that are not enabled.
    DisabledChecks { schedule: String, checks: BTreeSet<CheckName> },
    /// A scheduled audit did not start.
    Missing {
        schedule: String,
        rhythm: Rhythm,
        due: String,
        /// Whether that is when its earlier runs started. Otherwise its day is over everywhere.
        usual: bool,
        last: Option<Millis>,
        first_seen: Millis,
    },
    /// Audits ended and no notification of them was handled. It was published again.
    Unheard { audits: Vec<Lost> },
    /// The last run published these notifications, and they were not handled.
    Undelivered { audits: Vec<Lost> },
    /// These notifications could not be published.
    Unsent { why: String, audits: Vec<Lost> },
    /// An audit has been running for too long.
    Stuck {
        task_id: String,
        schedule: Option<String>,
        started: Millis,
        waiting: BTreeSet<CheckName>,
        running: BTreeSet<CheckName>,
    },
    /// A call was refused.
    Blind { operation: String, code: String, message: String },
}

/// An audit whose notification was lost.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lost {
    pub(crate) task_id: String,
    pub(crate) schedule: Option<String>,
    pub(crate) started: Millis,
    pub(crate) status: String,
    pub(crate) failed: BTreeMap<CheckName, String>,
}

impl From<&Run> for Lost {
    fn from(run: &Run) -> Self {
        Self {
            task_id: run.task_id.clone(),
            schedule: run.schedule.clone(),
            started: run.started,
            status: run.status.clone(),
            failed: run.failures(),
        }
    }
}

/// How many problems there are of each kind.
pub(crate) fn counts(problems: &[Problem], checks_failed: u64) -> AuditWatch {
    let mut counts = AuditWatch { checks_failed, ..AuditWatch::default() };
    for problem in problems {
        match problem.kind() {
            Kind::AuditMissing => counts.audits_missing += 1,
            Kind::AuditUnheard => counts.audits_unheard += problem.audits(),
            Kind::AuditStuck => counts.audits_stuck += 1,
            Kind::AuditMisconfigured => counts.target_misconfigured += 1,
            _ => counts.looks_refused += 1,
        }
    }
    counts
}

impl Problem {
    /// A call that was refused.
    pub(crate) fn blind(error: &Error) -> Self {
        let (operation, code) = match error {
            Error::Aws { operation, code, .. } => ((*operation).to_owned(), code.clone()),
            _ => ("its work".to_owned(), error.name().to_owned()),
        };
        Self::Blind { operation, code, message: error.to_string() }
    }

    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Missing { .. } => Kind::AuditMissing,
            Self::Unheard { .. } | Self::Undelivered { .. } | Self::Unsent { .. } => Kind::AuditUnheard,
            Self::Stuck { .. } => Kind::AuditStuck,
            Self::Blind { .. } => Kind::AuditWatchBlind,
            _ => Kind::AuditMisconfigured,
        }
    }

    /// How many audits it is about, where it can be several.
    const fn audits(&self) -> u64 {
        match self {
            Self::Unheard { audits } | Self::Undelivered { audits } | Self::Unsent { audits, .. } => {
                audits.len() as u64
            }
            _ => 0,
        }
    }

    /// What it is known by while it lasts. None for what raises one alert.
    pub(crate) fn key(&self) -> Option<String> {
        Some(match self {
            Self::Missing { .. } | Self::Stuck { .. } => return None,
            Self::NotSetUp { .. } => "not set up".to_owned(),
            Self::NoChecks { .. } => "no checks".to_owned(),
            Self::NoTarget => "no target".to_owned(),
            Self::OtherTarget { target } => format!("other target {target}"),
            Self::TargetDisabled => "target disabled".to_owned(),
            Self::TargetWithoutRole => "target without role".to_owned(),
            Self::DisabledChecks { schedule, checks } => {
                format!("disabled in {schedule}: {}", listed(checks))
            }
            Self::Unheard { .. } => "unheard".to_owned(),
            Self::Undelivered { .. } => "undelivered".to_owned(),
            Self::Unsent { .. } => "unsent".to_owned(),
            Self::Blind { operation, code, .. } => format!("blind {operation} {code}"),
        })
    }

    pub(crate) const fn severity(&self) -> AlertSeverity {
        match self {
            Self::NotSetUp { schedules: 0 } => AlertSeverity::Low,
            // What was published again is not lost, but the next one will be as late.
            Self::Unheard { .. }
            | Self::OtherTarget { .. }
            | Self::DisabledChecks { .. }
            | Self::Stuck { .. }
            | Self::Blind { .. } => AlertSeverity::Medium,
            _ => AlertSeverity::High,
        }
    }
}

fn listed(checks: &BTreeSet<CheckName>) -> String {
    checks.iter().map(CheckName::as_str).collect::<Vec<_>>().join(", ")
}
