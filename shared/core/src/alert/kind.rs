//! The kinds of alerts, and the section of the operator's guide that each leads to.

use serde::Deserialize;
use serde::Serialize;

use crate::model::ml::Problem;

/// The operator's guide, for those who have not said where they host it.
pub(super) const GUIDE: &str = "docs/operate.md";

/// What an alert is about. Its word is the message attribute `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A device and behavior raise alarms again and again.
    AlarmFlapping,
    /// Many devices alarm on one behavior at once.
    AlarmIncident,
    /// An incident is over.
    AlarmIncidentOver,
    /// A device is in alarm, or was.
    AlarmRaised,
    /// Alarms were raised or ended, and no message told of it.
    AlarmUnheard,
    /// The watch on alarms cannot see, or is behind.
    AlarmWatchBlind,
    /// Checks of an audit failed or were canceled.
    AuditFailed,
    /// The account's audits are not set up so that they tell of themselves.
    AuditMisconfigured,
    /// A scheduled audit did not begin when it was due.
    AuditMissing,
    /// An audit runs for longer than a day.
    AuditStuck,
    /// A notification of an audit does not agree with what Device Defender says of that audit.
    AuditUnconfirmed,
    /// An audit ended and its notification did not come.
    AuditUnheard,
    /// The watch on audits was refused a look.
    AuditWatchBlind,
    /// The first few of what a rule mitigates did no harm, and the rest follows.
    CanaryPassed,
    /// The first few of what a rule mitigates are stopped, and no more starts.
    CanaryStopped,
    /// A check has findings that a rule, or no rule, reports.
    FindingsReported,
    /// A mitigation waits for the approval of a person.
    MitigationApproval,
    /// A mitigation task failed, or could not be started or followed.
    MitigationFailed,
    /// Mitigations wait for longer than a day, because the policy's windows say so.
    MitigationHeld,
    /// No task of a rule can start: the stack may not start any, or an action is missing.
    MitigationRefused,
    /// Findings are still there at the audit after their mitigation.
    MitigationNotVerified,
    /// A device was taken out of the groups that its mitigation had put it into.
    MitigationReleased,
    /// A model alarms for a large share of its devices.
    ModelAlarmsOften,
    /// A model expires soon.
    ModelExpiring,
    /// A model has expired.
    ModelExpired,
    /// A model is not built in time.
    ModelNotBuilt,
    /// A model is not refreshed.
    ModelNotRefreshed,
    /// What was wrong with a model or its profile is over.
    ModelRecovered,
    /// The status of the models cannot be seen.
    ModelWatchBlind,
    /// The policy file cannot be used: nothing is acted on.
    PolicyRefused,
    /// A security profile has no targets.
    ProfileWithoutTargets,
    /// People made suppressions by hand.
    SuppressionByHand,
    /// Suppressions end soon.
    SuppressionEnding,
    /// Suppressions have ended, and whether what they hid is found again.
    SuppressionEnded,
    /// What is suppressed, by whom and for how long: once a week.
    SuppressionDebt,
    /// Somebody changed or deleted suppressions that were made here.
    SuppressionDrift,
    /// Nothing is suppressed any more by what the policy has, or had, standing.
    SuppressionDropped,
    /// A standing suppression could not be kept.
    SuppressionNotKept,
}

impl Kind {
    /// The word for filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlarmFlapping => "alarm-flapping",
            Self::AlarmIncident => "alarm-incident",
            Self::AlarmIncidentOver => "alarm-incident-over",
            Self::AlarmRaised => "alarm-raised",
            Self::AlarmUnheard => "alarm-unheard",
            Self::AlarmWatchBlind => "alarm-watch-blind",
            Self::AuditFailed => "audit-failed",
            Self::AuditMisconfigured => "audit-misconfigured",
            Self::AuditMissing => "audit-missing",
            Self::AuditStuck => "audit-stuck",
            Self::AuditUnconfirmed => "audit-unconfirmed",
            Self::AuditUnheard => "audit-unheard",
            Self::AuditWatchBlind => "audit-watch-blind",
            Self::CanaryPassed => "canary-passed",
            Self::CanaryStopped => "canary-stopped",
            Self::FindingsReported => "findings-reported",
            Self::MitigationApproval => "mitigation-approval",
            Self::MitigationFailed => "mitigation-failed",
            Self::MitigationHeld => "mitigation-held",
            Self::MitigationNotVerified => "mitigation-not-verified",
            Self::MitigationRefused => "mitigation-refused",
            Self::MitigationReleased => "mitigation-released",
            Self::ModelAlarmsOften => "model-alarms-often",
            Self::ModelExpiring => "model-expiring",
            Self::ModelExpired => "model-expired",
            Self::ModelNotBuilt => "model-not-built",
            Self::ModelNotRefreshed => "model-not-refreshed",
            Self::ModelRecovered => "model-recovered",
            Self::ModelWatchBlind => "model-watch-blind",
            Self::PolicyRefused => "policy-refused",
            Self::ProfileWithoutTargets => "profile-without-targets",
            Self::SuppressionByHand => "suppression-by-hand",
            Self::SuppressionEnding => "suppression-ending",
            Self::SuppressionEnded => "suppression-ended",
            Self::SuppressionDebt => "suppression-debt",
            Self::SuppressionDrift => "suppression-drift",
            Self::SuppressionDropped => "suppression-dropped",
            Self::SuppressionNotKept => "suppression-not-kept",
        }
    }

    /// The heading of the section of the operator's guide (docs/operate.md) that says what to do.
    pub const fn section(self) -> &'static str {
        match self {
            Self::AlarmFlapping | Self::AlarmRaised => "When a device alarms",
            Self::AlarmIncident | Self::AlarmIncidentOver => "When many devices alarm at once",
            Self::AlarmUnheard | Self::AlarmWatchBlind => "When device alarms do not come",
            Self::AuditFailed | Self::FindingsReported => "When an alert comes",
            Self::AuditUnconfirmed => "When a notification is not confirmed",
            Self::AuditMisconfigured
            | Self::AuditMissing
            | Self::AuditStuck
            | Self::AuditUnheard
            | Self::AuditWatchBlind => "When audits do not come",
            Self::MitigationFailed => "What was done, and to what",
            Self::MitigationApproval => "When a mitigation needs approval",
            Self::CanaryPassed | Self::CanaryStopped => "Canaries",
            Self::MitigationHeld => "When mitigations wait",
            Self::MitigationNotVerified => "When a mitigated finding is still there",
            Self::MitigationRefused => "When a rule cannot mitigate",
            Self::MitigationReleased => "Quarantine, and release from it",
            Self::ModelAlarmsOften
            | Self::ModelExpiring
            | Self::ModelExpired
            | Self::ModelNotBuilt
            | Self::ModelNotRefreshed
            | Self::ModelRecovered
            | Self::ModelWatchBlind
            | Self::ProfileWithoutTargets => "When a model is late or bad",
            Self::PolicyRefused => "When the policy is refused",
            Self::SuppressionByHand
            | Self::SuppressionEnding
            | Self::SuppressionEnded
            | Self::SuppressionDebt
            | Self::SuppressionDrift
            | Self::SuppressionDropped
            | Self::SuppressionNotKept => "Suppressions: what the daily review does",
        }
    }
}

impl Problem {
    /// The kind of the alert on it.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::NotBuilt { .. } => Kind::ModelNotBuilt,
            Self::NotRefreshed { .. } => Kind::ModelNotRefreshed,
            Self::ExpiresSoon { .. } => Kind::ModelExpiring,
            Self::Expired { .. } => Kind::ModelExpired,
            Self::AlarmsOften { .. } => Kind::ModelAlarmsOften,
            Self::NoTargets { .. } => Kind::ProfileWithoutTargets,
        }
    }
}

/// The anchor of a heading, as GitHub and most Markdown renderers make it.
pub(super) fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}
