//! The time, as an argument: handlers are given a clock, so that a test can give them its own.

use std::sync::Arc;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use aws_sdk_iot::primitives::DateTime;
use fleetwarden_core::timestamp::Millis;

/// A time of the service, which is in seconds with a fraction, to the nearest millisecond.
#[must_use]
pub fn millis(at: &DateTime) -> Millis {
    let fraction = i64::from(at.subsec_nanos()).saturating_add(500_000) / 1_000_000;
    Millis(at.secs().saturating_mul(1_000).saturating_add(fraction))
}

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        #[cfg(any(test, feature = "testing"))]
        if let Some(of_test) = crate::testing::environment::clock() {
            return of_test;
        }
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// A clock that says what a function returns.
    pub fn new(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> Millis {
        (self.0)()
    }
}
