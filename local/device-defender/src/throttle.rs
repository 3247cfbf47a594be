//! AWS's calls per second, one bucket for each operation.
//!
//! A bucket holds one second's worth, so a burst of that size passes and then the published rate holds. Time
//! comes from the endpoint's clock: on a manual clock a bucket fills only when the clock is advanced.

use std::collections::HashMap;

/// One bucket.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at_ms: i64,
}

/// The buckets of all operations.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    scale: Option<f64>,
    buckets: HashMap<&'static str, Bucket>,
}

impl Throttle {
    /// Rates are AWS's times `scale`; None or nothing above zero means no limit.
    pub(crate) fn new(scale: Option<f64>) -> Self {
        Self { scale: scale.filter(|scale| *scale > 0.0), buckets: HashMap::new() }
    }

    /// Whether a call may pass now.
    pub(crate) fn admit(&mut self, operation: &'static str, per_second: u32, now_ms: i64) -> bool {
        let Some(scale) = self.scale else { return true };
        let rate = f64::from(per_second) * scale;
        let capacity = rate.max(1.0);
        let bucket = self.buckets.entry(operation).or_insert(Bucket { tokens: capacity, at_ms: now_ms });
        let passed = crate::clock::seconds(now_ms.saturating_sub(bucket.at_ms).max(0));
        bucket.tokens = passed.mul_add(rate, bucket.tokens).min(capacity);
        bucket.at_ms = now_ms;
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_rate_holds() {
        let mut throttle = Throttle::new(Some(1.0));
        let admitted =
            |throttle: &mut Throttle, at| (0..30).filter(|_| throttle.admit("List", 10, at)).count();
        assert_eq!(admitted(&mut throttle, 0), 10);
        assert_eq!(admitted(&mut throttle, 500), 5);
        assert_eq!(admitted(&mut throttle, 60_000), 10);
        assert!(throttle.admit("Other", 10, 60_000));
        let mut free = Throttle::new(None);
        assert_eq!(admitted(&mut free, 0), 30);
    }
}
