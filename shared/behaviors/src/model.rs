//! A model of a fleet: which values are to be expected at an hour, at three levels of confidence.
//!
//! The hours of a working day and of a weekend (UTC) have a middle and a spread of their own, so that a fleet's
//! rhythm is learned. How far out values lie beyond that spread is taken from all hours together: one hour has too
//! few values for its tail. Only percentiles between 2.5 and 97.5 are used, so that devices that are broken while
//! the model is trained do not widen it. All of it happens on a scale that is linear near zero and logarithmic
//! far from it, on which a count of ten and one of ten thousand vary alike.

use std::collections::BTreeMap;

use fleetwarden_core::timestamp::Millis;
use serde::{Deserialize, Serialize};

use crate::criteria::Confidence;
use crate::event::Band;
use crate::sketch::Sketch;

const HOUR: i64 = 3_600_000;
const HOURS: usize = 48;
/// Values that an hour needs for a middle and a spread of its own.
const FEWEST: u64 = 100;

/// Of how many expected values one is outside of the band, on either side, at a level. Chosen on simulated fleets
/// of other seeds than those that the quality is measured on.
const fn rarity(confidence: Confidence) -> f64 {
    match confidence {
        Confidence::Low => 700.0,
        Confidence::Medium => 2_500.0,
        Confidence::High => 12_000.0,
    }
}

/// The model: for each hour of a working day and then of a weekend three bands, the narrowest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Model(Vec<[Band; 3]>);

/// The hour since the epoch that a window is of, by its end.
pub(crate) fn hour_of(end: Millis) -> i64 {
    end.0.saturating_sub(1).div_euclid(HOUR)
}

/// Which of the model's hours that is.
fn place_of(hour: i64) -> usize {
    // The epoch was on a Thursday.
    let weekday = (hour.div_euclid(24) + 3).rem_euclid(7);
    let place = hour.rem_euclid(24) + if weekday >= 5 { 24 } else { 0 };
    usize::try_from(place).unwrap_or_default()
}

impl Model {
    /// Trains a model on what a fleet measured, by hour since the epoch. `is_whole` if all values are counts.
    pub(crate) fn train(hours: &BTreeMap<i64, Sketch>, is_whole: bool) -> Option<Self> {
        let mut places: Vec<Option<Sketch>> = vec![None; HOURS];
        let mut whole: Option<Sketch> = None;
        for (hour, sketch) in hours {
            if let Some(place) = places.get_mut(place_of(*hour)) {
                add(place, sketch);
            }
            add(&mut whole, sketch);
        }
        let whole = Shape::of(&whole?, is_whole)?;
        let shapes: Vec<Shape> = places
            .iter()
            .map(|sketch| sketch.as_ref().filter(|sketch| sketch.count() >= FEWEST))
            .map(|sketch| sketch.and_then(|sketch| Shape::of(sketch, is_whole)).unwrap_or(whole))
            .collect();
        let up = median(shapes.iter().map(|shape| shape.up.tail).collect());
        let down = median(shapes.iter().map(|shape| shape.down.tail).collect());
        let bands =
            shapes.iter().map(|shape| Confidence::ALL.map(|level| shape.band(up, down, rarity(level))));
        Some(Self(bands.collect()))
    }

    /// What is expected of a window that ends then.
    pub(crate) fn band(&self, confidence: Confidence, end: Millis) -> Option<Band> {
        let [low, medium, high] = self.0.get(place_of(hour_of(end)))?;
        Some(match confidence {
            Confidence::Low => *low,
            Confidence::Medium => *medium,
            Confidence::High => *high,
        })
    }
}

fn add(to: &mut Option<Sketch>, sketch: &Sketch) {
    match to {
        Some(own) => own.merge(sketch),
        None => *to = Some(sketch.clone()),
    }
}

/// What one hour's values are like.
#[derive(Clone, Copy, Debug)]
struct Shape {
    middle: f64,
    up: Side,
    down: Side,
}

/// Values above or below the middle.
#[derive(Clone, Copy, Debug)]
struct Side {
    /// How far from the middle one in ten lies.
    spread: f64,
    /// How much further out, in spreads, values are that are rarer by a factor of e.
    tail: f64,
}

impl Side {
    /// One value in ten is beyond `tenth`, one in forty beyond `fortieth`.
    fn of(middle: f64, tenth: f64, fortieth: f64, least: f64) -> Self {
        let spread = (tenth - middle).abs().max(least);
        Self { spread, tail: (fortieth - tenth).abs() / spread / 4.0_f64.ln() }
    }

    /// How far from the middle a value of that rarity lies, for tails that fall exponentially.
    fn reach(&self, tail: f64, rarity: f64) -> f64 {
        self.spread * (1.0 + tail * (rarity / 10.0).ln())
    }
}

impl Shape {
    fn of(values: &Sketch, is_whole: bool) -> Option<Self> {
        let at = |ten_thousandths| values.percentile(ten_thousandths).map(asinh);
        let middle = at(5000)?;
        // Counts vary by their square root at least, and no percentile is finer than the sketch.
        let count = middle.sinh().max(0.0);
        let chance = asinh(count + (count + 1.0).sqrt()) - middle;
        let least = if is_whole { chance } else { 2.0 * crate::sketch::RELATIVE_ERROR };
        let up = Side::of(middle, at(9000)?, at(9750)?, least);
        let down = Side::of(middle, at(1000)?, at(250)?, least);
        Some(Self { middle, up, down })
    }

    fn band(&self, up: f64, down: f64, rarity: f64) -> Band {
        Band {
            low: Some((self.middle - self.down.reach(down, rarity)).sinh()),
            high: Some((self.middle + self.up.reach(up, rarity)).sinh()),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The inverse hyperbolic sine. That of the standard library asks for a function that Lambda's C library does not have.
fn asinh(x: f64) -> f64 {
    let size = x.abs();
    let grown = if size > 1e8 {
        size.ln() + std::f64::consts::LN_2
    } else {
        (size + size * size / (1.0 + (size * size + 1.0).sqrt())).ln_1p()
    };
    grown.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_of_a_weekend_are_apart() {
        // 2026-11-28 was a Saturday.
        let saturday = Millis::parse("2026-11-28T13:00:00Z").unwrap();
        assert_eq!(place_of(hour_of(saturday)), 24 + 12, "a window has its end, not its beginning");
        let monday = Millis::parse("2026-11-30T00:05:00Z").unwrap();
        assert_eq!(place_of(hour_of(monday)), 0);
    }

    #[test]
    fn bands_lie_within_one_another_and_know_the_hour() {
        let mut hours = BTreeMap::new();
        for hour in 0..336_i64 {
            let middle = if (8..20).contains(&hour.rem_euclid(24)) { 400 } else { 20 };
            for value in 0..100_i64 {
                let value = f64::from(i32::try_from(middle * (50 + value) / 100).unwrap());
                hours.entry(hour).or_insert_with(|| Sketch::of(value)).add(value);
            }
        }
        let model = Model::train(&hours, true).unwrap();
        for hour in 0..24 {
            let end = Millis(hour * HOUR + 1);
            let [low, medium, high] = Confidence::ALL.map(|confidence| model.band(confidence, end).unwrap());
            assert!(high.low <= medium.low && medium.low <= low.low, "{hour}: {high:?} {medium:?} {low:?}");
            assert!(
                high.high >= medium.high && medium.high >= low.high,
                "{hour}: {high:?} {medium:?} {low:?}"
            );
        }
        let night = model.band(Confidence::High, Millis(3 * HOUR)).unwrap();
        assert!(night.high.unwrap() < 400.0, "the day's value is none of the night: {night:?}");
        let day = model.band(Confidence::Low, Millis(12 * HOUR)).unwrap();
        assert!(day.low.unwrap() > 20.0 && day.high.unwrap() > 600.0, "{day:?}");
    }

    #[test]
    fn a_metric_that_is_always_zero_expects_a_few() {
        let hours = (0..336).map(|hour| {
            let mut sketch = Sketch::of(0.0);
            (0..99).for_each(|_| sketch.add(0.0));
            (hour, sketch)
        });
        let model = Model::train(&hours.collect(), true).unwrap();
        let band = model.band(Confidence::High, Millis(1)).unwrap();
        assert!((1.0..30.0).contains(&band.high.unwrap()), "{band:?}");
    }
}
