//! What travels on the queues about alarms. All of it is JSON.

mod mitigation;

use serde::Deserialize;
use serde::Serialize;

use super::mitigation::Held;
use super::mitigation::Origin;
use super::mitigation::Round;
use crate::ids::AccountId;
use crate::ids::Region;
use crate::ids::ThingName;
use crate::ids::ViolationId;
use crate::ids::valid;
use crate::model::alarm::AlarmEvent;
use crate::policy::Mode;
use crate::timestamp::Millis;

/// Alarm queue: what Fleetwarden's own functions put there, beside what comes by SNS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AlarmMessage {
    /// An event that no message told of: the watch found it at the service.
    Found(AlarmEvent),
    /// A violation has settled, or an incident that held it is over: decide on it.
    Settle(Settle),
}

/// A violation to decide on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settle {
    /// Which violation.
    pub violation_id: String,
    /// Which of its raises, should the service use an id again.
    pub raised_at: Millis,
    /// Not before this moment: a longer wait than one message's delay takes several messages.
    pub not_before: Millis,
    /// Which message of its chain this is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub round: Option<Round>,
    /// How many devices were in alarm on the behavior when the decision was last put off because of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub devices: Option<u64>,
}

/// Mitigation queue: violations to mitigate, told from a [`MitigationMessage`](crate::message::MitigationMessage) by its
/// member `alarms`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmMitigationMessage {
    /// What is to be mitigated, and how.
    pub alarms: AlarmMitigationRequest,
    /// What comes next.
    pub step: AlarmStep,
    /// How often this step has been put off.
    #[serde(default)]
    pub waits: u32,
    /// Since when this step is put off. None: it has not been.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Millis>,
    /// Which message of its chain this is, if the step sent it to itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub round: Option<Round>,
}

impl AlarmMitigationMessage {
    /// A message that nothing has put off.
    pub const fn new(alarms: AlarmMitigationRequest, step: AlarmStep) -> Self {
        Self { alarms, step, waits: 0, since: None, round: None }
    }
}

/// A mitigation of violations of one behavior.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmMitigationRequest {
    /// 12 digits.
    #[serde(deserialize_with = "valid::<AccountId, _>")]
    pub account: String,
    /// As `us-east-1`.
    #[serde(deserialize_with = "valid::<Region, _>")]
    pub region: String,
    /// The security profile.
    #[serde(deserialize_with = "valid::<ThingName, _>")]
    pub profile: String,
    /// The behavior.
    #[serde(deserialize_with = "valid::<ThingName, _>")]
    pub behavior: String,
    /// Who asks for it: a member of its own, `rule` or `command`.
    #[serde(flatten)]
    pub origin: Origin,
    /// The policy's mode when it was decided.
    pub mode: Mode,
    /// The hash of the policy by which a rule decided. None of a command.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// One to five mitigation actions, in order.
    pub actions: Vec<String>,
    /// Of which violations, 1 to 25.
    pub violations: Vec<ViolationRef>,
    /// Release what was added to a group when the alarm has been clear for so many seconds. None: never.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub release_after_seconds: Option<i64>,
}

/// A violation and its device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ViolationRef {
    /// Its id.
    #[serde(deserialize_with = "valid::<ViolationId, _>")]
    pub violation_id: String,
    /// The thing's name, or a client id.
    pub thing: String,
    /// Which of its raises.
    pub raised_at: Millis,
}

/// What is to be done with a mitigation of alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AlarmStep {
    /// Start the task.
    Start,
    /// Start the task: a guard has held it.
    Held(Held),
    /// See whether the task has ended.
    Follow,
    /// See whether things can be released that the task has put into groups.
    Release,
}
