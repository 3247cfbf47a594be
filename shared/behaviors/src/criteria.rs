//! What a behavior expects: a value, a percentile of the fleet, or what a model of the fleet says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::operator::{Comparison, Membership};
use crate::set::{AddressSet, Finite, Set};
use crate::value::{MetricValue, Quantity};

/// Criteria that are valid for the behavior's metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Criteria {
    /// What is expected.
    pub expectation: Expectation,
    /// The window over which measurements are accumulated; without one each datapoint is compared.
    pub duration: Option<Duration>,
    /// Violating datapoints in a row until the alarm, 1 to 10.
    pub to_alarm: u8,
    /// Conforming datapoints in a row until it is cleared, 1 to 10.
    pub to_clear: u8,
}

/// What is expected of a datapoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// A comparison with a value.
    Limit {
        /// How the datapoint relates to it.
        comparison: Comparison,
        /// The value as the profile has it.
        value: Quantity,
        /// The value in the unit of the measurements: `aws:disconnect-duration` has minutes in the profile.
        limit: Quantity,
    },
    /// Elements inside or outside of a set.
    Members {
        /// On which side.
        membership: Membership,
        /// The set.
        set: ElementSet,
        /// The set as the profile has it.
        value: MetricValue,
    },
    /// A comparison with a percentile of the fleet in the window before.
    Percentile {
        /// How the datapoint relates to it.
        comparison: Comparison,
        /// Which percentile.
        statistic: Statistic,
    },
    /// What the model of the fleet expects at the time.
    Model {
        /// How sure an anomaly must be.
        confidence: Confidence,
    },
}

impl Expectation {
    /// If the largest of several values is nearest to violating. A model is asked for the largest, since what
    /// leaves a device is what an attacker adds.
    pub(crate) fn prefers_most(&self) -> bool {
        match self {
            Self::Limit { comparison, .. } | Self::Percentile { comparison, .. } => comparison.is_maximum(),
            Self::Members { .. } | Self::Model { .. } => true,
        }
    }

    /// If a model of the fleet says what is expected.
    pub const fn is_model(&self) -> bool {
        matches!(self, Self::Model { .. })
    }

    /// The kind of criteria as `behaviorCriteriaType` names it.
    pub const fn criteria_type(&self) -> &'static str {
        match self {
            Self::Limit { .. } | Self::Members { .. } => "STATIC",
            Self::Percentile { .. } => "STATISTICAL",
            Self::Model { .. } => "MACHINE_LEARNING",
        }
    }
}

/// A set by the kind of its elements.
#[derive(Clone, Debug, PartialEq)]
pub enum ElementSet {
    /// Networks.
    Addresses(AddressSet),
    /// Ports.
    Ports(Set<u16>),
    /// Numbers.
    Numbers(Set<Finite>),
    /// Strings.
    Strings(Set<String>),
}

/// `confidenceLevel`: at `HIGH` only what is most surely an anomaly alarms, at `LOW` most of what is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the service's names say it")]
pub enum Confidence {
    Low,
    Medium,
    High,
}

impl Confidence {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];
}

/// The percentiles that a statistical threshold can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the service's names say it")]
pub enum Statistic {
    #[serde(rename = "p0")]
    P0,
    #[serde(rename = "p0.1")]
    P0_1,
    #[serde(rename = "p0.01")]
    P0_01,
    #[serde(rename = "p1")]
    P1,
    #[serde(rename = "p10")]
    P10,
    #[serde(rename = "p50")]
    P50,
    #[serde(rename = "p90")]
    P90,
    #[serde(rename = "p99")]
    P99,
    #[serde(rename = "p99.9")]
    P99_9,
    #[serde(rename = "p99.99")]
    P99_99,
    #[serde(rename = "p100")]
    P100,
}

impl Statistic {
    /// The share of measurements at or below the value, in ten-thousandths.
    pub const fn ten_thousandths(self) -> u64 {
        match self {
            Self::P0 => 0,
            Self::P0_01 => 1,
            Self::P0_1 => 10,
            Self::P1 => 100,
            Self::P10 => 1000,
            Self::P50 => 5000,
            Self::P90 => 9000,
            Self::P99 => 9900,
            Self::P99_9 => 9990,
            Self::P99_99 => 9999,
            Self::P100 => 10_000,
        }
    }
}
