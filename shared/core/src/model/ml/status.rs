//! The status of all models, as `ml-model-status` answers and keeps it.

use serde::Deserialize;
use serde::Serialize;

use super::Model;
use super::ModelStatus;
use super::Problem;
use crate::timestamp::Millis;

/// What is to be said wherever people read a number of datapoints.
pub const NOTE: &str = "Datapoints are datapointsCollectionPercentage × 25,000 ÷ 100. AWS does not document what the \
                        percentage is of; this reading is inferred from its samples.";

/// The status of all models of an account and region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelsStatus {
    /// When they were looked at.
    pub at: Millis,
    /// How many security profiles there are.
    pub profiles: usize,
    /// How many of them have behaviors that a model judges.
    pub ml_profiles: usize,
    /// How many of these were not looked at for want of time: their status is that of an earlier look.
    pub not_seen: usize,
    /// The first of those that were not looked at.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub not_seen_names: Vec<String>,
    /// Whether there was no time for all training summaries: then there are models that are not named.
    #[serde(default)]
    pub incomplete: bool,
    /// What was refused: what it would have shown is not known.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub refused: Vec<String>,
    /// How many models there are of each status.
    pub counts: Counts,
    /// The share of devices in alarm from which a model is taken to be bad, 0 to 1.
    pub limit: f64,
    /// The profiles that have no targets, and how many each had before.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub without_targets: Vec<WithoutTargets>,
    /// The models, worst first.
    pub models: Vec<Model>,
    /// How many models are not named, because the status would be too large.
    #[serde(default)]
    pub left_out: usize,
    /// How datapoints are counted: [`NOTE`].
    pub note: String,
}

/// A profile without targets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WithoutTargets {
    /// The security profile.
    pub profile: String,
    /// How many targets it had when it was last seen with any.
    pub had: u64,
}

/// How many models there are of each status, and how many with something wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Not built yet.
    pub pending_build: u64,
    /// In use.
    pub active: u64,
    /// Expired.
    pub expired: u64,
    /// Of another status.
    pub unknown: u64,
    /// With something wrong.
    pub with_problems: u64,
    /// Which will not have enough datapoints.
    pub starving: u64,
}

impl Counts {
    /// Counts a model.
    pub fn count(&mut self, model: &Model) {
        *match model.status {
            ModelStatus::PendingBuild => &mut self.pending_build,
            ModelStatus::Active => &mut self.active,
            ModelStatus::Expired => &mut self.expired,
            ModelStatus::Unknown(_) => &mut self.unknown,
        } += 1;
        self.with_problems += u64::from(!model.problems.is_empty());
        self.starving += u64::from(!model.forecast.is_good());
    }
}

impl ModelsStatus {
    /// Puts the worst models first.
    pub fn sort(&mut self) {
        let rank = |model: &Model| model.problems.iter().map(Problem::rank).min().unwrap_or(u8::MAX);
        self.models.sort_by(|one, other| {
            let key = |model: &Model| (rank(model), model.forecast.is_good());
            let names = |model: &Model| (model.profile.clone(), model.behavior.clone());
            key(one).cmp(&key(other)).then_with(|| names(one).cmp(&names(other)))
        });
        self.without_targets.sort();
    }

    /// Leaves out models from the end until the status has no more than so many bytes as JSON.
    pub fn fit(&mut self, bytes: usize) {
        let size = |model: &Model| serde_json::to_string(model).map_or(0, |text| text.len() + 1);
        let models = std::mem::take(&mut self.models);
        let own = serde_json::to_string(self).map_or(0, |text| text.len() + 32);
        let mut left = bytes.saturating_sub(own);
        let fits = models.iter().take_while(|model| {
            let size = size(model);
            let fits = size <= left;
            left = left.saturating_sub(size);
            fits
        });
        let fits = fits.count();
        self.left_out = self.left_out.saturating_add(models.len().saturating_sub(fits));
        self.models = models;
        self.models.truncate(fits);
    }
}
