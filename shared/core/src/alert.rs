//! What people are told: an alert in the form of an Amazon Q Developer custom notification, which Slack and
//! Microsoft Teams render without code.
//!
//! Source: the Amazon Q Developer in chat applications administrator guide, "Custom notifications".

use serde::Deserialize;
use serde::Serialize;
use serde_json::json;

use crate::digest::Digest;
use crate::finding::Severity;
use crate::untrusted::Text;

/// The most characters of a title and of a description.
const TITLE: usize = 250;
const DESCRIPTION: usize = 8000;

/// One alert: what happened, to what, why, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What the alert is about, in one word for filters.
    pub kind: Kind,
    /// How soon somebody should look.
    pub severity: AlertSeverity,
    /// What is the same when the same thing is told again; makes the alert's id.
    pub about: String,
    /// The thread that the alert belongs to: one for each audit.
    pub thread: String,
    /// What happened, in one line of at most 250 characters.
    pub title: Text,
    /// To what and why.
    pub description: Text,
    /// What to do next, most important first.
    pub next_steps: Vec<Text>,
}

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
    /// A check has findings that a rule, or no rule, reports.
    FindingsReported,
    /// A mitigation task failed, or could not be started or followed.
    MitigationFailed,
    /// Mitigations wait for longer than a day, because the policy's windows say so.
    MitigationHeld,
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

/// How soon somebody should look. Its word is the message attribute `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AlertSeverity {
    /// Now.
    Critical,
    /// Today.
    High,
    /// This week.
    Medium,
    /// When convenient.
    Low,
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
            Self::FindingsReported => "findings-reported",
            Self::MitigationFailed => "mitigation-failed",
            Self::MitigationHeld => "mitigation-held",
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
}

impl AlertSeverity {
    /// The word for filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

impl From<Severity> for AlertSeverity {
    fn from(finding: Severity) -> Self {
        match finding {
            Severity::Critical => Self::Critical,
            Severity::High => Self::High,
            // What has no severity is not known to be harmless.
            Severity::Medium | Severity::Unknown => Self::Medium,
            Severity::Low => Self::Low,
        }
    }
}

impl Alert {
    /// The alert's id: the same for the same thing told again.
    pub fn id(&self) -> String {
        Digest::new("alert").part(self.kind.as_str()).part(&self.thread).part(&self.about).hex()
    }

    /// The message to publish.
    pub fn message(&self) -> String {
        json!({
            "version": "1.0",
            "source": "custom",
            "id": self.id(),
            "content": {
                "textType": "client-markdown",
                "title": self.title.markdown_within(TITLE),
                "description": self.description.markdown_within(DESCRIPTION),
                "nextSteps": self.next_steps.iter().map(Text::markdown).collect::<Vec<_>>(),
                "keywords": ["Fleetwarden", self.kind.as_str(), self.severity.as_str()],
            },
            "metadata": {
                "threadId": self.thread,
                "summary": self.title.plain_within(TITLE),
                "eventType": self.kind.as_str(),
                "additionalContext": {"severity": self.severity.as_str()},
            },
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    fn alert() -> Alert {
        Alert {
            kind: Kind::AuditFailed,
            severity: AlertSeverity::High,
            about: "LOGGING_DISABLED_CHECK".into(),
            thread: "audit 4e2b".into(),
            title: "1 of 3 checks failed".into(),
            description: text!("**{}**: {}", "LOGGING_DISABLED_CHECK", "INSUFFICIENT_PERMISSIONS"),
            next_steps: vec!["Give the audit role the managed policy AWSIoTDeviceDefenderAudit.".into()],
        }
    }

    #[test]
    fn is_a_custom_notification() {
        let message: serde_json::Value = serde_json::from_str(&alert().message()).unwrap();
        insta::assert_json_snapshot!(message);
    }

    #[test]
    fn the_same_thing_told_again_has_the_same_id() {
        let again = Alert { title: "2 of 3 checks failed".into(), ..alert() };
        assert_eq!(alert().id(), again.id());
        assert_ne!(alert().id(), Alert { about: "X".into(), ..alert() }.id());
    }
}
