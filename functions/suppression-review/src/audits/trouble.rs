//! What can be wrong with audits, and when people are told of it; [`words`](super::words) has what.
//!
//! Each trouble is told once: an audit task's under its id, a late schedule's for as long as its last run is the same.
//! What stands until it is mended (it is set up wrongly, notifications do not come, a look is refused) is told when it
//! begins, and every 30 days while it stays so.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::metrics::AuditWatch;
use fleetwarden_core::model::schedule::Rhythm;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::audits::account::Run;

/// After how long what is not mended is told again.
const MONTH_SECONDS: i64 = 30 * 86_400;

/// Something that is wrong.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "trouble", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Trouble {
    /// The account never configured audits.
    NotSetUp { schedules: usize },
    /// No check is enabled.
    NoChecks { schedules: usize },
    /// Nobody is to be told of audits.
    NoTarget,
    /// Another topic than that of the stack is.
    OtherTarget { target: String },
    /// The stack's topic is, but not now.
    TargetDisabled,
    /// The stack's topic is, and nobody may publish to it.
    TargetWithoutRole,
    /// A scheduled audit has checks that are not enabled.
    DisabledChecks { schedule: String, checks: BTreeSet<CheckName> },
    /// A scheduled audit did not begin.
    Missing {
        schedule: String,
        rhythm: Rhythm,
        due: String,
        /// Whether that is when its earlier runs began. Else its day is over everywhere.
        usual: bool,
        last: Option<Millis>,
        first_seen: Millis,
    },
    /// Audits ended, and their notifications did not come. They were sent through.
    Unheard { audits: Vec<Lost> },
    /// The last look sent these through, and nobody heard of them all the same.
    Undelivered { audits: Vec<Lost> },
    /// These could not even be sent through.
    Unsent { why: String, audits: Vec<Lost> },
    /// An audit runs for too long.
    Stuck {
        task_id: String,
        schedule: Option<String>,
        started: Millis,
        waiting: BTreeSet<CheckName>,
        running: BTreeSet<CheckName>,
    },
    /// A look was refused.
    Blind { operation: String, code: String, message: String },
}

/// An audit that nobody heard of.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lost {
    pub(super) task_id: String,
    pub(super) schedule: Option<String>,
    pub(super) started: Millis,
    pub(super) status: String,
    pub(super) failed: BTreeMap<CheckName, String>,
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

/// Where and when an alert is raised.
pub(crate) struct Place<'p> {
    pub(crate) account: &'p str,
    pub(crate) region: &'p str,
    pub(crate) topic: &'p str,
    /// Since when it is so, of what stands until it is mended.
    pub(crate) since: Millis,
    pub(crate) now: Millis,
}

/// How many troubles there are of each kind.
pub(crate) fn counts(troubles: &[Trouble], checks_failed: u64) -> AuditWatch {
    let mut counts = AuditWatch { checks_failed, ..AuditWatch::default() };
    for trouble in troubles {
        match trouble.kind() {
            Kind::AuditMissing => counts.audits_missing += 1,
            Kind::AuditUnheard => counts.audits_unheard += trouble.audits(),
            Kind::AuditStuck => counts.audits_stuck += 1,
            Kind::AuditMisconfigured => counts.target_misconfigured += 1,
            _ => counts.looks_refused += 1,
        }
    }
    counts
}

impl Trouble {
    pub(crate) fn blind(error: &Error) -> Self {
        let (operation, code) = match error {
            Error::Aws { operation, code, .. } => ((*operation).to_owned(), code.clone()),
            _ => ("its work".to_owned(), error.name().to_owned()),
        };
        Self::Blind { operation, code, message: error.to_string() }
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::Missing { .. } => Kind::AuditMissing,
            Self::Unheard { .. } | Self::Undelivered { .. } | Self::Unsent { .. } => Kind::AuditUnheard,
            Self::Stuck { .. } => Kind::AuditStuck,
            Self::Blind { .. } => Kind::AuditWatchBlind,
            _ => Kind::AuditMisconfigured,
        }
    }

    /// Of how many audits it tells, where it tells of several.
    const fn audits(&self) -> u64 {
        match self {
            Self::Unheard { audits } | Self::Undelivered { audits } | Self::Unsent { audits, .. } => {
                audits.len() as u64
            }
            _ => 0,
        }
    }

    /// What it is known by while it is not mended. None of what has an end of its own.
    pub(super) fn standing(&self) -> Option<String> {
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

    const fn severity(&self) -> AlertSeverity {
        match self {
            Self::NotSetUp { schedules: 0 } => AlertSeverity::Low,
            // What was sent through is not lost, but the next one will be as late as this.
            Self::Unheard { .. }
            | Self::OtherTarget { .. }
            | Self::DisabledChecks { .. }
            | Self::Stuck { .. }
            | Self::Blind { .. } => AlertSeverity::Medium,
            _ => AlertSeverity::High,
        }
    }

    /// The alert that tells it.
    pub(crate) fn alert(&self, place: &Place<'_>) -> Alert {
        let (title, description, next_steps) = self.words(place);
        let about = match self {
            Self::Missing { last, first_seen, .. } => format!("late since {}", last.unwrap_or(*first_seen).0),
            Self::Stuck { .. } => "stuck".to_owned(),
            _ => {
                let months = place.now.seconds().saturating_sub(place.since.seconds()) / MONTH_SECONDS;
                format!("{} since {}, month {months}", self.standing().unwrap_or_default(), place.since.0)
            }
        };
        let thread = match self {
            Self::Stuck { task_id, .. } => format!("audit {task_id}"),
            Self::Missing { schedule, .. } | Self::DisabledChecks { schedule, .. } => {
                format!("scheduled audit {schedule}")
            }
            _ => "audit watch".to_owned(),
        };
        let subject = match self {
            Self::Stuck { task_id, .. } => Subject::Audit { task_id: task_id.clone() },
            _ => Subject::Log,
        };
        let Place { account, region, .. } = place;
        Alert {
            kind: self.kind(),
            severity: self.severity(),
            about,
            thread,
            title,
            description: text!("Account {} in {}. {}", account, region, description),
            next_steps,
            subject,
        }
    }
}

pub(super) fn listed(checks: &BTreeSet<CheckName>) -> String {
    checks.iter().map(CheckName::as_str).collect::<Vec<_>>().join(", ")
}
