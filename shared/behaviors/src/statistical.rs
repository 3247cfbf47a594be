//! Statistical thresholds: a percentile of what the fleet's devices measured in the window before.
//!
//! AWS words the population and the windows in three ways. Here the population is the devices that report for the
//! behavior, the percentile of one window is the threshold of the next, and one device alone has no threshold.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwarden_core::timestamp::Millis;
use serde::{Deserialize, Serialize};

use crate::criteria::Statistic;
use crate::sketch::Sketch;
use crate::value::Quantity;

/// Devices that a percentile needs at least.
pub const FEWEST_DEVICES: u64 = 2;

/// What the fleet measured, by window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Population {
    /// Windows that are collected, by their end.
    open: BTreeMap<Millis, Window>,
    /// The threshold for the window that ends then. Two are kept: of now, and of what comes late.
    thresholds: BTreeMap<Millis, f64>,
    /// Windows up to here have their thresholds: what comes later does not change them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settled: Option<Millis>,
}

/// One window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Window {
    values: Sketch,
    is_whole: bool,
}

impl Population {
    pub(crate) fn learn(&mut self, at: Millis, quantity: Quantity) {
        if self.settled.is_some_and(|settled| at <= settled) {
            return;
        }
        let value = quantity.as_number();
        let is_whole = matches!(quantity, Quantity::Count(_));
        match self.open.entry(at) {
            std::collections::btree_map::Entry::Occupied(mut window) => {
                let window = window.get_mut();
                window.values.add(value);
                window.is_whole &= is_whole;
            }
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(Window { values: Sketch::of(value), is_whole });
            }
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.settled = self.settled.max(other.settled);
        self.open.retain(|at, _| Some(*at) > other.settled);
        for (at, theirs) in other.open.iter().filter(|(at, _)| Some(**at) > self.settled) {
            match self.open.get_mut(at) {
                Some(window) => {
                    window.values.merge(&theirs.values);
                    window.is_whole &= theirs.is_whole;
                }
                None => {
                    self.open.insert(*at, theirs.clone());
                }
            }
        }
        for (at, threshold) in &other.thresholds {
            self.thresholds.entry(*at).or_insert(*threshold);
        }
    }

    /// Makes thresholds of the windows that have ended.
    pub(crate) fn advance(&mut self, statistic: Statistic, duration: Duration, until: Millis) {
        let length = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        while let Some(window) = self.open.first_entry().filter(|window| *window.key() <= until) {
            let (end, window) = window.remove_entry();
            self.settled = Some(end);
            if let Some(threshold) = window.threshold(statistic) {
                self.thresholds.insert(Millis(end.0.saturating_add(length)), threshold);
            }
        }
        while self.thresholds.len() > 2 {
            self.thresholds.pop_first();
        }
    }

    pub(crate) fn threshold(&self, end: Millis) -> Option<f64> {
        self.thresholds.get(&end).copied()
    }
}

impl Window {
    /// Percentiles are not for metrics with negative values (developer guide, custom metrics). A percentile of
    /// counts is a count: below 50 that takes the sketch's error away.
    fn threshold(&self, statistic: Statistic) -> Option<f64> {
        let is_usable = self.values.count() >= FEWEST_DEVICES && self.values.least()? >= 0.0;
        let value = self.values.percentile(statistic.ten_thousandths()).filter(|_| is_usable)?;
        Some(if self.is_whole { value.round() } else { value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_mins(5);

    fn population(values: &[u64]) -> Population {
        let mut population = Population::default();
        for value in values {
            population.learn(Millis(300_000), Quantity::Count(*value));
        }
        population
    }

    #[test]
    fn a_window_is_the_threshold_of_the_next() {
        let mut one = population(&[1, 2, 3, 4, 5]);
        one.merge(&population(&[6, 7, 8, 9, 10]));
        one.advance(Statistic::P90, WINDOW, Millis(299_999));
        assert_eq!(one.threshold(Millis(600_000)), None, "the window has not ended");
        one.advance(Statistic::P90, WINDOW, Millis(300_000));
        assert_eq!(one.threshold(Millis(600_000)), Some(9.0));
        assert_eq!(one.threshold(Millis(300_000)), None);
        one.learn(Millis(300_000), Quantity::Count(1000));
        one.advance(Statistic::P90, WINDOW, Millis(300_000));
        assert_eq!(one.threshold(Millis(600_000)), Some(9.0), "what comes later does not change it");
    }

    #[test]
    fn one_device_or_a_negative_value_has_none() {
        let mut one = population(&[7]);
        one.advance(Statistic::P50, WINDOW, Millis(300_000));
        let mut negative = population(&[7, 8]);
        negative.learn(Millis(300_000), Quantity::Number(-1.0));
        negative.advance(Statistic::P50, WINDOW, Millis(300_000));
        assert_eq!((one.threshold(Millis(600_000)), negative.threshold(Millis(600_000))), (None, None));
    }
}
