//! The life of a model: collected for 14 days, built, refreshed daily, expired after 30 days without a refresh.
//!
//! From the developer guide, ML Detect: a model needs 14 days and 25,000 datapoints in the trailing 14 days, over
//! all devices; a day without them is tried again for 30 days; an expired model does not come back. Nothing of it
//! is stored as a status: what is known of the past says it for any moment.

use std::collections::BTreeMap;

use fleetwarden_core::timestamp::Millis;
use serde::{Deserialize, Serialize};

use crate::criteria::Confidence;
use crate::event::Band;
use crate::model::{Model, hour_of};
use crate::sketch::Sketch;
use crate::value::Quantity;

/// Datapoints in the trailing 14 days that a model needs.
pub const FEWEST_DATAPOINTS: u64 = 25_000;
/// Days of which a model is trained.
pub const TRAINING_DAYS: i64 = 14;
/// Days for which a model, and the wait for a first one, lasts.
pub const RETENTION_DAYS: i64 = 30;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// `modelStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the service's names say it")]
pub enum ModelStatus {
    PendingBuild,
    Active,
    Expired,
}

/// What `GetBehaviorModelTrainingSummaries` says of a behavior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// When the first datapoint came, to the hour.
    pub collection_started_at: Option<Millis>,
    /// The status.
    pub status: ModelStatus,
    /// Datapoints of the trailing 14 days, as a share of 25,000 and at most 100.
    pub datapoints_percentage: f64,
    /// When the model was built last.
    pub refreshed_at: Option<Millis>,
}

/// What is collected for a model, and the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Training {
    /// Values by hour since the epoch.
    hours: BTreeMap<i64, Sketch>,
    /// If a value was not a count.
    has_fractions: bool,
    started_at: Option<Millis>,
    /// When a build was last due, whether it had enough or not.
    tried_at: Option<Millis>,
    built: Option<Built>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Built {
    at: Millis,
    model: Model,
}

impl Training {
    pub(crate) fn learn(&mut self, at: Millis, quantity: Quantity) {
        let (hour, value) = (hour_of(at), quantity.as_number());
        self.has_fractions |= matches!(quantity, Quantity::Number(_));
        let started_at = Millis(hour.saturating_mul(HOUR));
        self.started_at = Some(self.started_at.map_or(started_at, |known| known.min(started_at)));
        match self.hours.entry(hour) {
            std::collections::btree_map::Entry::Occupied(mut sketch) => sketch.get_mut().add(value),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(Sketch::of(value));
            }
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (hour, theirs) in &other.hours {
            match self.hours.get_mut(hour) {
                Some(sketch) => sketch.merge(theirs),
                None => {
                    self.hours.insert(*hour, theirs.clone());
                }
            }
        }
        self.has_fractions |= other.has_fractions;
        self.started_at = [self.started_at, other.started_at].into_iter().flatten().min();
        self.tried_at = self.tried_at.max(other.tried_at);
        if other.built.as_ref().map(|built| built.at) > self.built.as_ref().map(|built| built.at) {
            self.built.clone_from(&other.built);
        }
    }

    /// Forgets what is older than 14 days, and builds or refreshes the model if it is due.
    pub(crate) fn advance(&mut self, now: Millis) {
        let oldest = hour_of(Millis(now.0.saturating_sub(TRAINING_DAYS * DAY))) + 1;
        self.hours = self.hours.split_off(&oldest);
        if !self.is_due(now) || self.status(now) == ModelStatus::Expired {
            return;
        }
        self.tried_at = Some(now);
        if self.datapoints(now) >= FEWEST_DATAPOINTS {
            let model = Model::train(&self.hours, !self.has_fractions);
            self.built = model.map(|model| Built { at: now, model }).or(self.built.take());
        }
    }

    /// Once a day, at the hour at which the collection began.
    fn is_due(&self, now: Millis) -> bool {
        let Some(started_at) = self.started_at else { return false };
        let day = |at: Millis| (at.0.saturating_sub(started_at.0)).div_euclid(DAY);
        day(now) >= TRAINING_DAYS && self.tried_at.is_none_or(|tried_at| day(now) > day(tried_at))
    }

    fn datapoints(&self, now: Millis) -> u64 {
        let oldest = hour_of(Millis(now.0.saturating_sub(TRAINING_DAYS * DAY))) + 1;
        self.hours.range(oldest..=hour_of(now)).map(|(_, sketch)| sketch.count()).sum()
    }

    fn status(&self, now: Millis) -> ModelStatus {
        let is_over = |since: Millis, days: i64| now.0 > since.0.saturating_add(days * DAY);
        match (&self.built, self.started_at) {
            (Some(built), _) if is_over(built.at, RETENTION_DAYS) => ModelStatus::Expired,
            (Some(_), _) => ModelStatus::Active,
            (None, Some(started_at)) if is_over(started_at, TRAINING_DAYS + RETENTION_DAYS) => {
                ModelStatus::Expired
            }
            (None, _) => ModelStatus::PendingBuild,
        }
    }

    pub(crate) fn summary(&self, now: Millis) -> Summary {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2⁵³")]
        let share = self.datapoints(now) as f64 / FEWEST_DATAPOINTS as f64;
        Summary {
            collection_started_at: self.started_at,
            status: self.status(now),
            datapoints_percentage: (share * 100.0).min(100.0),
            refreshed_at: self.built.as_ref().map(|built| built.at),
        }
    }

    /// What the model expects of a window that ends then, while there is a model.
    pub(crate) fn band(&self, confidence: Confidence, end: Millis) -> Option<Band> {
        let built = self.built.as_ref()?;
        let is_valid = end.0 <= built.at.0.saturating_add(RETENTION_DAYS * DAY);
        is_valid.then(|| built.model.band(confidence, end))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Datapoints of some devices, one each 5 minutes, over days.
    fn collect(training: &mut Training, devices: u64, days: std::ops::Range<i64>) {
        for at in (days.start * 288)..(days.end * 288) {
            for device in 0..devices {
                training.learn(Millis((at + 1) * 300_000), Quantity::Count(10 + device));
            }
        }
    }

    fn day(days: i64) -> Millis {
        Millis(days * DAY)
    }

    #[test]
    fn seven_devices_train_and_six_do_not() {
        for (devices, status) in [(6, ModelStatus::PendingBuild), (7, ModelStatus::Active)] {
            let mut training = Training::default();
            collect(&mut training, devices, 0..14);
            training.advance(day(14));
            let summary = training.summary(day(14));
            assert_eq!(summary.status, status, "{devices} devices: {summary:?}");
            assert_eq!(training.band(Confidence::Low, day(14)).is_some(), status == ModelStatus::Active);
        }
    }

    #[test]
    fn a_model_needs_fourteen_days_however_many_datapoints() {
        let mut training = Training::default();
        collect(&mut training, 20, 0..13);
        training.advance(day(13));
        let summary = training.summary(day(13));
        assert_eq!(summary.status, ModelStatus::PendingBuild);
        assert!((summary.datapoints_percentage - 100.0).abs() < 1e-9);
        assert_eq!(summary.collection_started_at, Some(day(0)));
    }

    #[test]
    fn a_model_is_refreshed_daily_and_expires_after_thirty_days_without() {
        let mut training = Training::default();
        collect(&mut training, 7, 0..15);
        training.advance(day(14));
        training.advance(Millis(day(15).0 - 1));
        assert_eq!(training.summary(day(15)).refreshed_at, Some(day(14)), "not twice a day");
        training.advance(day(15));
        assert_eq!(training.summary(day(15)).refreshed_at, Some(day(15)));
        training.advance(day(20));
        assert_eq!(training.summary(day(45)).status, ModelStatus::Active);
        assert!(training.band(Confidence::Low, day(45)).is_some());
        let after = Millis(day(45).0 + 1);
        assert_eq!(training.summary(after).status, ModelStatus::Expired);
        assert_eq!(training.band(Confidence::Low, after), None);
        collect(&mut training, 7, 46..61);
        training.advance(day(61));
        assert_eq!(training.summary(day(61)).status, ModelStatus::Expired, "it does not come back");
    }

    #[test]
    fn the_wait_for_a_first_model_ends() {
        let mut training = Training::default();
        collect(&mut training, 1, 0..2);
        assert_eq!(training.summary(day(44)).status, ModelStatus::PendingBuild);
        assert_eq!(training.summary(Millis(day(44).0 + 1)).status, ModelStatus::Expired);
        assert_eq!(Training::default().summary(day(100)).status, ModelStatus::PendingBuild);
    }
}
