//! What is measured, one file each.

pub(crate) mod answer;
pub(crate) mod behaviors;
pub(crate) mod burst;
pub(crate) mod calls;
pub(crate) mod decide;
pub(crate) mod decide_alarm;
pub(crate) mod memory;
pub(crate) mod mitigation;
pub(crate) mod replay;
pub(crate) mod review;
pub(crate) mod size;
pub(crate) mod start;
pub(crate) mod throughput;

use anyhow::Result;
use indicatif::ProgressBar;

use crate::cloud::Cloud;
use crate::environment::Places;
use crate::report::Report;

/// What every measurement works with.
pub(crate) struct Bench {
    pub(crate) places: Places,
    pub(crate) cloud: Cloud,
    /// A folder that is gone at the end.
    pub(crate) folder: tempfile::TempDir,
    pub(crate) report: Report,
}

impl Bench {
    /// A progress bar that goes away when it is dropped.
    pub(crate) fn bar(what: &'static str, length: usize) -> Result<ProgressBar> {
        let style = indicatif::ProgressStyle::with_template("{msg:<34} {wide_bar} {pos}/{len}")?;
        Ok(ProgressBar::new(length as u64).with_style(style).with_message(what))
    }
}

/// The median, of an odd or even number of values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len().is_multiple_of(2) {
        f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
    } else {
        at(middle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "the values are exact")]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
