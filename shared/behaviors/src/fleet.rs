//! What is learned of a fleet for the behaviors of a profile, and what they are compared with.
//!
//! Learned from what the evaluation of each thing measured, by one worker or by several that merge. To be exact for
//! percentiles, evaluate all things up to a moment, learn, [`Fleet::advance`] to that moment, and go on.

use fleetwarden_core::timestamp::Millis;
use serde::{Deserialize, Serialize};

use crate::behavior::{Behavior, Behaviors};
use crate::criteria::{Confidence, Expectation};
use crate::event::{Band, Measurement};
use crate::statistical::Population;
use crate::training::{Summary, Training};

/// What is learned, in the order of the behaviors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fleet {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    subject: u32,
    learned: Learned,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Learned {
    Nothing,
    Population(Population),
    Model(Box<Training>),
}

impl Learned {
    fn nothing_yet(behavior: &Behavior) -> Self {
        match behavior.criteria().map(|criteria| &criteria.expectation) {
            Some(Expectation::Percentile { .. }) => Self::Population(Population::default()),
            Some(Expectation::Model { .. }) => Self::Model(Box::default()),
            _ => Self::Nothing,
        }
    }
}

impl Fleet {
    /// A fleet of which nothing is known yet.
    pub fn new(behaviors: &Behaviors) -> Self {
        Self::default().of(behaviors)
    }

    /// What is known, for other behaviors: what is learned of a behavior is kept while its name, metric and
    /// dimension stay; another confidence level or count of datapoints needs no new training.
    #[must_use]
    pub fn of(mut self, behaviors: &Behaviors) -> Self {
        let parts = behaviors.iter().map(|behavior| {
            let known = self.parts.iter().position(|part| part.subject == behavior.subject);
            match known {
                Some(at) => self.parts.swap_remove(at),
                None => Part { subject: behavior.subject, learned: Learned::nothing_yet(behavior) },
            }
        });
        Self { parts: parts.collect() }
    }

    /// Learns from an evaluation.
    pub fn learn(&mut self, measurements: &[Measurement]) {
        for measurement in measurements {
            match self.parts.get_mut(measurement.behavior).map(|part| &mut part.learned) {
                Some(Learned::Population(population)) => {
                    population.learn(measurement.at, measurement.quantity);
                }
                Some(Learned::Model(training)) => training.learn(measurement.at, measurement.quantity),
                Some(Learned::Nothing) | None => {}
            }
        }
    }

    /// Adds what was learned elsewhere of other things under the same behaviors. What both have is counted twice.
    pub fn merge(&mut self, other: &Self) {
        for (part, theirs) in self.parts.iter_mut().zip(&other.parts) {
            match (&mut part.learned, &theirs.learned) {
                (Learned::Population(own), Learned::Population(theirs)) => own.merge(theirs),
                (Learned::Model(own), Learned::Model(theirs)) => own.merge(theirs),
                _ => {}
            }
        }
    }

    /// Makes thresholds of the windows that have ended, forgets what is too old, builds the models that are due.
    pub fn advance(&mut self, behaviors: &Behaviors, until: Millis) {
        for (part, behavior) in self.parts.iter_mut().zip(behaviors.iter()) {
            let Some(criteria) = behavior.criteria() else { continue };
            match (&mut part.learned, &criteria.expectation, criteria.duration) {
                (
                    Learned::Population(population),
                    Expectation::Percentile { statistic, .. },
                    Some(duration),
                ) => {
                    population.advance(*statistic, duration, until);
                }
                (Learned::Model(training), ..) => training.advance(until),
                _ => {}
            }
        }
    }

    /// The state of a behavior's model, if it has one.
    pub fn summary(&self, behavior: usize, now: Millis) -> Option<Summary> {
        match &self.parts.get(behavior)?.learned {
            Learned::Model(training) => Some(training.summary(now)),
            _ => None,
        }
    }

    /// What the percentile is for a behavior's window that ends then.
    pub fn threshold(&self, behavior: usize, end: Millis) -> Option<f64> {
        match &self.parts.get(behavior)?.learned {
            Learned::Population(population) => population.threshold(end),
            _ => None,
        }
    }

    /// What the model expects of a behavior's datapoint of then.
    pub fn band(&self, behavior: usize, confidence: Confidence, end: Millis) -> Option<Band> {
        match &self.parts.get(behavior)?.learned {
            Learned::Model(training) => training.band(confidence, end),
            _ => None,
        }
    }
}
