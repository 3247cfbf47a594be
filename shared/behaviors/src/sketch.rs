//! A sketch of many values: any percentile within 1 % of its value, whatever was merged in which order.
//!
//! `DDSketch` counts values in bins whose width grows with them. Merging adds counts, so it is associative and
//! commutative; the smallest and the largest value are exact.

use serde::{Deserialize, Serialize};
use sketches_ddsketch::DDSketch;

/// How far a percentile is off at most, as a share of its value.
pub const RELATIVE_ERROR: f64 = 0.01;

/// The sketch. One exists from its first value on: an empty one has nothing to say.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sketch(DDSketch);

impl Sketch {
    /// Of a first value.
    pub fn of(value: f64) -> Self {
        let mut sketch = DDSketch::default();
        sketch.add(value);
        Self(sketch)
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.0.add(value);
    }

    /// Adds all values of another.
    pub fn merge(&mut self, other: &Self) {
        // All sketches here have the one configuration, so a merge cannot fail.
        let _ = self.0.merge(&other.0);
    }

    /// How many values it has.
    pub fn count(&self) -> u64 {
        self.0.count() as u64
    }

    /// The smallest value.
    pub fn least(&self) -> Option<f64> {
        self.0.min()
    }

    /// The value at a share of all, by nearest rank: the smallest value that as many are at or below.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2⁵³")]
    pub fn percentile(&self, ten_thousandths: u64) -> Option<f64> {
        let count = self.count();
        let rank = (count.saturating_mul(ten_thousandths)).div_ceil(10_000).clamp(1, count.max(1)) - 1;
        // The library takes a share of the last rank and rounds down; the half keeps it off the edge.
        let share = if rank + 1 >= count {
            1.0
        } else if rank == 0 {
            0.0
        } else {
            (rank as f64 + 0.5) / (count as f64 - 1.0)
        };
        self.0.quantile(share).ok().flatten()
    }
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sketch").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// Equal when merged from equal values: by count, extremes and the percentiles between.
impl PartialEq for Sketch {
    fn eq(&self, other: &Self) -> bool {
        self.count() == other.count()
            && (0..=100).all(|at| self.percentile(at * 100) == other.percentile(at * 100))
    }
}
