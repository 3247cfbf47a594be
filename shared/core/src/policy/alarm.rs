//! What the policy decides on an alarm: rules with `alarm` instead of `match`, and the settings in `alarms`.

use serde::Serialize;

use super::Mode;
use super::Policy;
use super::Report;
use super::protect::Protection;
use crate::alarm::Life;
use crate::alarm::Verification;
use crate::thing::Things;
use crate::thing::Wanted;
use crate::timestamp::Millis;

/// Everything that a decision on an alarm depends on besides the policy.
#[derive(Clone, Debug)]
pub struct AlarmSubject<'s> {
    /// The violation, with its alarm.
    pub life: &'s Life,
    /// The time of the decision.
    pub at: Millis,
    /// When the alarms of this device and behavior began, this one included, oldest first: those that the ledger has.
    pub raises: &'s [Millis],
    /// The thing of that name: one, or none if the device is not registered. `NotAsked` until a rule asks.
    pub things: &'s Things,
}

/// How alarms are handled before a rule decides (`alarms` in the policy).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlarmSettings {
    /// How long an alarm settles before it is decided on, in seconds; 0 for not at all.
    pub settle_seconds: i64,
    /// From how many raises of a device and behavior within [`quiet_seconds`](Self::quiet_seconds) it flaps.
    pub flaps_after: u32,
    /// How long a device and behavior that flap have to be quiet before they are told of again, in seconds.
    pub quiet_seconds: i64,
    /// Within how many seconds the devices of an incident have to alarm.
    pub incident_window_seconds: i64,
    /// More than so many devices are an incident, whatever the size of the fleet.
    pub incident_devices: u32,
    /// More than this share of the devices that the profile watches are an incident: 0 to 1.
    pub incident_share: f64,
}

impl Default for AlarmSettings {
    fn default() -> Self {
        Self {
            settle_seconds: 120,
            flaps_after: 3,
            quiet_seconds: 3_600,
            incident_window_seconds: 900,
            incident_devices: 20,
            incident_share: 0.1,
        }
    }
}

/// What happens with an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmOutcome<'p> {
    /// Add the thing to a group.
    Mitigate(&'p AlarmMitigate),
    /// Set its verification state.
    Verify(&'p Verify),
    /// Say it.
    Report(Report),
}

/// How to mitigate an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmMitigate {
    /// One to five names of mitigation actions of the type `ADD_THINGS_TO_THING_GROUP`.
    pub actions: Vec<String>,
    /// Release what was added when the alarm has been clear for so many seconds. None: never.
    pub release_after_seconds: Option<i64>,
}

/// How to verify an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    /// The state.
    pub state: Verification,
    /// `verificationStateDescription`.
    pub description: String,
}

/// Why a rule that would mitigate or verify does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AlarmHeld<'p> {
    /// The thing is protected from mitigation.
    ProtectedBy(Protection<'p>),
    /// Things or groups are protected, and nobody could say what is behind the name.
    ProtectionUnknown,
    /// Nobody could say whether this earlier rule matches.
    RuleUnknown(&'p str),
    /// The alarm has ended: there is nothing to mitigate.
    Ended,
    /// The alarm is not Device Defender's, or is about no registered thing: no mitigation can be started for it.
    NothingToMitigate,
}

/// A decision on an alarm.
#[derive(Clone, Copy, Debug)]
pub struct AlarmDecision<'p, 's> {
    /// What happens.
    pub outcome: AlarmOutcome<'p>,
    /// The rule that decided, if one matched.
    pub rule: Option<&'p str>,
    /// What keeps the rule from acting, if something does: then the outcome is a report.
    pub held: Option<AlarmHeld<'p>>,
    /// What has to be looked up before this decision is final.
    pub wanted: Wanted,
    /// When a rule that asks for a longer alarm would match, if the alarm lasts: decide again then.
    pub again_at: Option<Millis>,
    pub(super) policy: &'p Policy,
    pub(super) subject: &'s AlarmSubject<'s>,
}

impl AlarmOutcome<'_> {
    /// The outcome's word, as it stands in records and logs.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Mitigate(_) => "mitigate",
            Self::Verify(_) => "verify",
            Self::Report(_) => "report",
        }
    }
}

impl Policy {
    /// How alarms are handled before a rule decides.
    pub fn alarms(&self) -> AlarmSettings {
        AlarmSettings::default()
    }

    /// Decides on one alarm.
    pub fn decide_alarm<'p, 's>(&'p self, subject: &'s AlarmSubject<'s>) -> AlarmDecision<'p, 's> {
        AlarmDecision {
            outcome: AlarmOutcome::Report(Report::Alert(None)),
            rule: None,
            held: None,
            wanted: Wanted::default(),
            again_at: None,
            policy: self,
            subject,
        }
    }
}

impl AlarmDecision<'_, '_> {
    /// The mode of the policy that decided.
    pub const fn mode(&self) -> Mode {
        self.policy.mode
    }

    /// The time of the decision.
    pub const fn at(&self) -> Millis {
        self.subject.at
    }
}

impl Serialize for AlarmDecision<'_, '_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("outcome", self.outcome.word())?;
        out.serialize_entry("rule", &self.rule)?;
        out.serialize_entry("mode", &self.policy.mode)?;
        out.serialize_entry("policy", &self.policy.hash)?;
        out.end()
    }
}
