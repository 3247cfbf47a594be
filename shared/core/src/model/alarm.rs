//! An alarm: one device, or none, that behaves as it should not, and when it behaves again.
//!
//! Device Defender Detect, CloudWatch and tools of the operator's own tell of alarms, each in its own shape. All of
//! them become an [`AlarmEvent`] here. The events of one violation, in whatever order and however often they come, make
//! its [`Life`]. [`Policy::decide_alarm`](crate::policy::Policy::decide_alarm) decides on it.

mod life;
mod parse;
mod series;

pub use life::Action;
pub use life::Life;
pub use life::State;
pub use parse::AlarmError;
pub use parse::SCHEMA;
pub use series::Bucket;
pub use series::Series;

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::digest::Digest;
use crate::timestamp::Millis;

/// What is told of an alarm at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmEvent {
    /// What the alarm is, whatever happens to it.
    #[serde(flatten)]
    pub alarm: Alarm,
    /// What happened.
    pub event: EventType,
    /// When (`violationEventTime`).
    pub at: Millis,
    /// What was measured (`MetricValue`), where the source says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<Value>,
    /// What people said of it, where the source says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verification: Option<Verification>,
}

/// What an alarm is about: the same in all events of a violation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alarm {
    /// Who tells of it.
    pub source: Source,
    /// 12 digits.
    pub account: String,
    /// As `us-east-1`.
    pub region: String,
    /// `violationId`: `[a-zA-Z0-9-]{1,128}`. Of other sources a digest, so that a repeat has it again.
    pub violation_id: String,
    /// The security profile; of other sources a name that stands for one.
    pub profile: String,
    /// The behavior; of a CloudWatch alarm its name.
    pub behavior: String,
    /// The metric, such as `aws:num-messages-sent`. A behavior may have none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metric: Option<String>,
    /// The thing's name, or the client id of a device that is not registered: any text. None: the alarm is about no
    /// device.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub thing: Option<String>,
    /// How the behavior is judged.
    pub criteria: CriteriaType,
    /// Of a behavior that a model judges, how sure it has to be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confidence: Option<Confidence>,
    /// `behavior.criteria` as it came, for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<Value>,
    /// Whether the behavior's alarms are suppressed at the source (`suppressAlerts`).
    #[serde(default)]
    pub suppressed: bool,
}

/// The source of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// Device Defender Detect. Only its alarms can be mitigated and verified.
    DeviceDefender,
    /// A CloudWatch alarm.
    CloudWatch,
    /// A tool of the operator's own, in our plain shape.
    Other,
}

/// What happened to an alarm (`violationEventType`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventType {
    /// It began.
    InAlarm,
    /// It ended: the device behaves as expected.
    AlarmCleared,
    /// It ended: nothing is known of the device any more.
    AlarmInvalidated,
    /// A word that is new here. It is recorded and changes nothing.
    #[serde(untagged)]
    Unknown(String),
}

/// How a behavior is judged (`behaviorCriteriaType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CriteriaType {
    /// By a value that the profile has.
    Static,
    /// By a percentile of the fleet.
    Statistical,
    /// By a model.
    MachineLearning,
    /// By something that is new here, or by nothing.
    #[serde(other)]
    Unknown,
}

/// The confidence of a model (`confidenceLevel`), least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Confidence {
    /// Most alarms.
    Low,
    /// In between.
    Medium,
    /// Fewest alarms.
    High,
}

/// What people said of an alarm (`verificationState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Verification {
    /// The alarm was false.
    FalsePositive,
    /// The alarm was right, and nothing bad had happened.
    BenignPositive,
    /// The alarm was right.
    TruePositive,
    /// Nobody said anything.
    #[serde(other)]
    Unknown,
}

/// What stays the same from alarm to alarm of one device and behavior: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesKey(pub String);

/// A behavior of a profile of an account and region, whatever the device: 32 hexadecimal digits. Incidents are counted
/// by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BehaviorKey(pub String);

impl Alarm {
    /// Of which device and behavior it is.
    pub fn series(&self) -> SeriesKey {
        let thing = self.thing.as_deref().unwrap_or_default();
        SeriesKey::new((&self.account, &self.region), &self.profile, &self.behavior, thing)
    }

    /// Of which behavior it is.
    pub fn behavior_key(&self) -> BehaviorKey {
        BehaviorKey::new(&self.account, &self.region, &self.profile, &self.behavior)
    }
}

impl SeriesKey {
    /// Of a device and behavior of an account and region by their names; the device is empty for an alarm about none.
    pub fn new((account, region): (&str, &str), profile: &str, behavior: &str, thing: &str) -> Self {
        let digest = Digest::new("alarm series").part(account).part(region).part(profile).part(behavior);
        Self(digest.part(thing).hex())
    }
}

impl BehaviorKey {
    /// Of a behavior by its names.
    pub fn new(account: &str, region: &str, profile: &str, behavior: &str) -> Self {
        Self(Digest::new("alarm behavior").part(account).part(region).part(profile).part(behavior).hex())
    }
}

impl EventType {
    /// The API's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::InAlarm => "in-alarm",
            Self::AlarmCleared => "alarm-cleared",
            Self::AlarmInvalidated => "alarm-invalidated",
            Self::Unknown(word) => word,
        }
    }
}

impl CriteriaType {
    /// The API's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::Statistical => "STATISTICAL",
            Self::MachineLearning => "MACHINE_LEARNING",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl Confidence {
    /// The API's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }
}

impl Verification {
    /// The API's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FalsePositive => "FALSE_POSITIVE",
            Self::BenignPositive => "BENIGN_POSITIVE",
            Self::TruePositive => "TRUE_POSITIVE",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BehaviorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
