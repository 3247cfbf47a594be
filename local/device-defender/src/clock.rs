//! The one source of time, so that a test can hold it still and an operator can push it forward.
//!
//! Audits, mitigation tasks, expiries and call rates all read this clock and no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock in epoch milliseconds. Clones share the time.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Added to the system's time, or the time itself when `still`.
    offset_ms: Arc<AtomicI64>,
    still: bool,
}

impl Clock {
    /// The system's clock, which [`Clock::advance`] can push forward.
    pub fn system() -> Self {
        Self { offset_ms: Arc::new(AtomicI64::new(0)), still: false }
    }

    /// A clock that stands at `epoch_ms` until it is advanced.
    pub fn manual(epoch_ms: i64) -> Self {
        Self { offset_ms: Arc::new(AtomicI64::new(epoch_ms)), still: true }
    }

    /// The system's clock, but this much behind it. [`Clock::advance`] makes up for it.
    pub fn behind(by: Duration) -> Self {
        Self { offset_ms: Arc::new(AtomicI64::new(millis(by).saturating_neg())), still: false }
    }

    /// Epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        let offset = self.offset_ms.load(Ordering::SeqCst);
        if self.still {
            return offset;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        offset.saturating_add(millis(since))
    }

    /// Moves the clock forward. A clock never goes back: half the state would be from the future.
    pub fn advance(&self, by: Duration) {
        self.offset_ms.fetch_add(millis(by), Ordering::SeqCst);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

/// Whole milliseconds, or the greatest number when there are more.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Epoch seconds with a fraction, as the API writes every timestamp in JSON.
#[expect(clippy::cast_precision_loss, reason = "epoch milliseconds stay far below 2^53")]
pub(crate) fn seconds(epoch_ms: i64) -> f64 {
    epoch_ms as f64 / 1000.0
}

/// Epoch milliseconds of a timestamp from a request. Absurd numbers saturate.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what is wanted here")]
pub(crate) fn from_seconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(1_000);
        let other = clock.clone();
        clock.advance(Duration::from_secs(2));
        assert_eq!(other.now_ms(), 3_000);
        assert!((seconds(3_250) - 3.25).abs() < f64::EPSILON);
        assert_eq!(from_seconds(3.25), 3_250);
    }

    #[test]
    fn a_clock_that_is_behind_runs_and_catches_up() {
        let (clock, system) = (Clock::behind(Duration::from_hours(2)), Clock::system());
        let behind = || system.now_ms() - clock.now_ms();
        assert!((7_199_000..=7_201_000).contains(&behind()), "{}", behind());
        clock.advance(Duration::from_hours(2));
        assert!((-1_000..=1_000).contains(&behind()), "{}", behind());
    }
}
