//! What the policy decides on an alarm: rules with `alarm` instead of `match`, and the settings in `alarms`.
//!
//! `read` makes the rules from the file, `matcher` says whether one holds, `decide` asks them in order, and `explain`
//! writes what came out and why.

mod decide;
mod explain;
pub(super) mod length;
pub(super) mod matcher;
pub(super) mod metrics;

use serde::Serialize;

use super::Approval;
use super::DeviceLimits;
use super::Place;
use super::Policy;
use super::Report;
use super::Windows;
use super::protect::Protection;
use crate::model::alarm::Life;
use crate::model::alarm::Verification;
use crate::model::thing::Things;
use crate::model::thing::Wanted;
use crate::timestamp::Millis;
use matcher::AlarmMatcher;

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
    /// How long an alarm settles before it is decided on, in seconds; 0 for not at all. At most
    /// [`MAX_SETTLE_SECONDS`](Self::MAX_SETTLE_SECONDS).
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

impl AlarmSettings {
    /// The longest time that an alarm settles: it is the delay of one SQS message, which has at most 15 minutes.
    pub const MAX_SETTLE_SECONDS: i64 = 15 * 60;
    /// The longest time that a device has to be quiet, and that a rule looks back for raises: the ledger keeps the raises
    /// of a device and behavior for so long.
    pub const MAX_QUIET_SECONDS: i64 = 7 * 86_400;
    /// The longest window of an incident.
    pub const MAX_WINDOW_SECONDS: i64 = 86_400;
    /// The most raises that a rule or the settings can ask for.
    pub const MAX_RAISES: u32 = 50;
    /// From how many devices on a share of the fleet counts.
    pub const SHARE_FROM: u64 = 5;

    /// Whether so many devices that alarm at once are an incident. An unknown number of devices that could alarm leaves
    /// the absolute limit.
    pub fn is_incident(&self, devices: u64, population: Option<u64>) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "no fleet has more than 2^52 devices")]
        let is_share = |all: u64| devices as f64 > self.incident_share * all as f64;
        devices > u64::from(self.incident_devices)
            || (devices >= Self::SHARE_FROM && population.is_some_and(is_share))
    }

    /// Whether alarms that began at these moments, in the order of time or against it, flap: so many of them within the
    /// quiet time.
    pub fn do_flap(&self, raises: &[Millis]) -> bool {
        let after = usize::try_from(self.flaps_after.max(2)).unwrap_or(usize::MAX);
        let quiet = self.quiet_seconds.saturating_mul(1000).unsigned_abs();
        let is_quick = |(one, other): (&Millis, &Millis)| one.0.abs_diff(other.0) < quiet;
        raises.windows(after).any(|row| row.first().zip(row.last()).is_some_and(is_quick))
    }
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

/// A rule on alarms: what it matches and what then happens.
#[derive(Debug)]
pub struct AlarmRule {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) live: bool,
    pub(super) matcher: AlarmMatcher,
    pub(super) except: Option<Box<AlarmMatcher>>,
    pub(super) effect: AlarmEffect,
    /// Where each action of a mitigation stands, or the state of a verification.
    pub(super) places: Box<[Place]>,
}

/// What a rule does with an alarm that it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlarmEffect {
    /// Add the thing to a group.
    Mitigate(AlarmMitigate),
    /// Set its verification state.
    Verify(Verify),
    /// Say it and do nothing.
    Report(Report),
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
    /// How many devices may stand behind an alarm.
    pub devices: DeviceLimits,
    /// Release what was added when the alarm has been clear for so many seconds. None: never.
    pub release_after_seconds: Option<i64>,
    /// When it waits for the approval of a person.
    pub approval: Option<Approval>,
    /// When it may start, within the policy's windows.
    pub windows: Option<Box<Windows>>,
}

/// How to verify an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    /// The state: not `Unknown`.
    pub state: Verification,
    /// `verificationStateDescription`: 1 to 1000 characters, no control characters.
    pub description: String,
}

/// Why a rule that would mitigate or verify does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AlarmHold<'p> {
    /// The thing is protected from mitigation.
    ProtectedBy(Protection<'p>),
    /// Things or groups are protected, and nobody could say what is behind the name.
    ProtectionUnknown,
    /// Nobody could say whether a thing of that name is registered.
    RegistrationUnknown,
    /// Nobody could say whether this earlier rule matches.
    RuleUnknown(&'p str),
    /// The alarm has ended: there is nothing to mitigate.
    Ended,
    /// The alarm is not Device Defender's, or is about no registered thing: no mitigation can be started for it.
    NothingToMitigate,
    /// The alarm is not Device Defender's: it has no verification state.
    NothingToVerify,
    /// The alarm has this verification state already. A false or benign alarm is not mitigated, and what was said of an
    /// alarm is not replaced by another state.
    Verified(Verification),
}

/// A rule in shadow that would have decided on an alarm.
#[derive(Clone, Copy, Debug)]
pub struct AlarmShadow<'p> {
    /// The rule.
    pub rule: &'p AlarmRule,
    /// What would have kept it from acting.
    pub held: Option<AlarmHold<'p>>,
}

/// A decision on an alarm. Making one allocates nothing; its explanation is worked out when it is written.
///
/// Written as JSON it is the same object everywhere: `outcome`, `rule`, what the outcome needs (`actions`, `when` and
/// `releaseAfterSeconds`; `state` and `description`; `alert`), `thing`, `held`, `shadow`, `againAt`, `passedOver` (the
/// earlier rules on alarms, each with the first condition that it failed on and the value seen), `mode` and the hash of
/// the `policy`.
#[derive(Clone, Copy, Debug)]
pub struct AlarmDecision<'p, 's> {
    /// What happens.
    pub outcome: AlarmOutcome<'p>,
    /// The rule that decided, if one matched.
    pub rule: Option<&'p str>,
    /// What keeps the rule from acting, if something does: then the outcome is a report.
    pub held: Option<AlarmHold<'p>>,
    /// The first rule in shadow that would have decided.
    pub shadow: Option<AlarmShadow<'p>>,
    /// What has to be looked up before this decision is final.
    pub wanted: Wanted,
    /// The rule that wants it: the first live one that nobody can say whether it matches, or else the first in shadow;
    /// or the one that decides, if nobody can say whether the thing is registered or protected.
    pub asks: Option<&'p AlarmRule>,
    /// When a rule that asks for a longer alarm would match, if the alarm lasts: decide again then.
    pub again_at: Option<Millis>,
    pub(super) brief: bool,
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

impl<'p> From<&'p AlarmEffect> for AlarmOutcome<'p> {
    fn from(effect: &'p AlarmEffect) -> Self {
        match effect {
            AlarmEffect::Mitigate(mitigate) => Self::Mitigate(mitigate),
            AlarmEffect::Verify(verify) => Self::Verify(verify),
            AlarmEffect::Report(report) => Self::Report(*report),
        }
    }
}

impl AlarmRule {
    /// Its name, which no other rule of the policy has.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands in the file.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Whether it decides, or is in shadow.
    pub const fn is_live(&self) -> bool {
        self.live
    }

    /// What it does.
    pub const fn effect(&self) -> &AlarmEffect {
        &self.effect
    }
}
