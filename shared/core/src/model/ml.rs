//! The models of ML Detect: how each is trained, what comes of it, and what is wrong with it.
//!
//! Device Defender announces no change of a model. `ml-model-status` looks once a day at the training summaries
//! (`GetBehaviorModelTrainingSummaries`), keeps a [`Sample`] of each, and makes a [`Model`] with its [`Forecast`] and
//! its [`Problem`]s. The answer of the function, the alarm report and the alerts say the same words.
//!
//! A model is built 14 days after collection began, of at least 25,000 datapoints of the metric within the trailing 14
//! days; it is refreshed daily under the same condition, and expires 30 days after its last refresh (AWS IoT Device
//! Defender developer guide, "ML Detect"; quota "ML model retention").

mod forecast;
mod problem;
mod status;

pub use forecast::Forecast;
pub use forecast::forecast;
pub use problem::Problem;
pub use problem::Subject;
pub use problem::problems;
pub use status::Counts;
pub use status::ModelsStatus;
pub use status::NOTE;
pub use status::WithoutTargets;

use serde::Deserialize;
use serde::Serialize;

use crate::model::alarm::Confidence;
use crate::timestamp::Millis;

/// How many datapoints of the trailing [`DAYS`] a model is made of at least.
pub const NEEDED: u32 = 25_000;
/// Over how many trailing days datapoints count, and how long collection takes before the first model.
pub const DAYS: i64 = 14;
/// How long a model is kept after its last refresh, in days.
pub const KEPT_DAYS: i64 = 30;

pub(crate) const DAY_SECONDS: i64 = 86_400;

/// Where a model stands (`modelStatus`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ModelStatus {
    /// There is none yet: datapoints are collected.
    PendingBuild,
    /// It judges devices.
    Active,
    /// It was not refreshed for 30 days, and judges no more.
    Expired,
    /// A word that is new here.
    #[serde(untagged)]
    Unknown(String),
}

/// What was collected at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was looked at.
    pub at: Millis,
    /// How many datapoints of the trailing 14 days there were.
    pub collected: u32,
}

/// The model of one behavior, as one look saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// The security profile.
    pub profile: String,
    /// The behavior.
    pub behavior: String,
    /// The metric, such as `aws:num-messages-sent`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metric: Option<String>,
    /// How sure the model has to be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confidence: Option<Confidence>,
    /// Where it stands.
    pub status: ModelStatus,
    /// `datapointsCollectionPercentage`: 0 to 100.
    pub percentage: f64,
    /// How many datapoints that is, of [`NEEDED`]: see [`NOTE`].
    pub collected: u32,
    /// `trainingDataCollectionStartDate`. None: nothing was collected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub collecting_since: Option<Millis>,
    /// `lastModelRefreshDate`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refreshed_at: Option<Millis>,
    /// How many devices the profile watches, if that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub devices: Option<u64>,
    /// How many devices are in alarm by this behavior.
    #[serde(default)]
    pub in_alarm: u64,
    /// Whether there will be enough datapoints.
    pub forecast: Forecast,
    /// The forecast in words.
    pub outlook: String,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl ModelStatus {
    /// From the API's word.
    pub fn read(word: &str) -> Self {
        match word {
            "PENDING_BUILD" => Self::PendingBuild,
            "ACTIVE" => Self::Active,
            "EXPIRED" => Self::Expired,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// The API's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::PendingBuild => "PENDING_BUILD",
            Self::Active => "ACTIVE",
            Self::Expired => "EXPIRED",
            Self::Unknown(word) => word,
        }
    }
}

impl Model {
    /// The share of its devices that are in alarm, 0 to 1, if it is known how many it has.
    pub fn share_in_alarm(&self) -> Option<f64> {
        let devices = self.devices.filter(|devices| *devices > 0)?;
        #[expect(clippy::cast_precision_loss, reason = "a share of devices needs no more than 52 bits")]
        Some(self.in_alarm as f64 / devices as f64)
    }

    /// When it expires, if it is not refreshed before.
    pub fn expires_at(&self) -> Option<Millis> {
        self.refreshed_at.map(|at| at.plus_seconds(KEPT_DAYS * DAY_SECONDS))
    }
}

/// How many datapoints a percentage of the training summary is. AWS does not say what the percentage is of.
pub fn datapoints(percentage: f64) -> u32 {
    let all = (percentage.clamp(0.0, 100.0) * f64::from(NEEDED) / 100.0).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 25,000")]
    if all.is_finite() { all as u32 } else { 0 }
}

/// Adds a sample to those of the days before: one a day is kept, the latest, of the last 40 days.
pub fn add_sample(samples: &mut Vec<Sample>, sample: Sample) {
    const DAYS_KEPT: i64 = 40;
    let from = sample.at.plus_seconds(-DAYS_KEPT * DAY_SECONDS);
    let day = |at: Millis| at.seconds().div_euclid(DAY_SECONDS);
    samples.retain(|old| old.at >= from && (day(old.at) != day(sample.at) || old.at > sample.at));
    if samples.iter().all(|old| day(old.at) != day(sample.at)) {
        samples.push(sample);
    }
    samples.sort_by_key(|sample| sample.at);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_of_25000_datapoints() {
        let shown = [29.408, 35.464, 29.332, 0.0, 100.0, 250.0, -1.0, f64::NAN];
        assert_eq!(shown.map(datapoints), [7_352, 8_866, 7_333, 0, 25_000, 25_000, 0, 0]);
    }

    #[test]
    fn one_sample_a_day_is_kept_and_the_latest_wins_in_any_order() {
        let at = |hours: i64| Millis(1_795_392_000_000).plus_seconds(hours * 3_600);
        let sample = |hours, collected| Sample { at: at(hours), collected };
        let (mut one, mut other) = (vec![], vec![]);
        let all = [sample(6, 1), sample(20, 2), sample(30, 3), sample(25, 4)];
        for (first, last) in all.iter().zip(all.iter().rev()) {
            add_sample(&mut one, *first);
            add_sample(&mut other, *last);
        }
        assert_eq!(one, [sample(20, 2), sample(30, 3)]);
        assert_eq!(one, other);
        add_sample(&mut one, sample(30 + 40 * 24, 9));
        assert_eq!(one.len(), 2);
    }
}
