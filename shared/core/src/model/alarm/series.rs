//! The alarms of one device and behavior, and the bucket of time in which the device is counted.
//!
//! Incidents are told by how many devices alarmed on a behavior within a window. The ledger counts them in buckets of
//! five minutes. A device counts once: in the bucket of its latest raise. So when it raises again it moves from its
//! bucket to a later one, and the sum of the buckets of a window is a number of devices.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;

use crate::timestamp::Millis;

/// How long a bucket is, in seconds.
const BUCKET_SECONDS: i64 = 300;
/// How long raises are remembered, in seconds: 30 days, for which Device Defender keeps its events.
const KEPT_SECONDS: i64 = 30 * 86_400;
/// A raise that is further ahead of the clock is not counted: it would hide the device from every window until then.
const AHEAD_SECONDS: i64 = 900;

/// A stretch of five minutes, by its number since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket(pub i64);

/// The alarms of one device and behavior.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// When they began: the latest of the last days.
    pub raises: BTreeSet<Millis>,
    /// Where the device is counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub counted: Option<Bucket>,
}

impl Bucket {
    /// The one that a moment is in.
    pub const fn of(at: Millis) -> Self {
        Self(at.seconds().div_euclid(BUCKET_SECONDS))
    }

    /// When it begins.
    pub const fn start(self) -> Millis {
        Millis::from_seconds(self.0.saturating_mul(BUCKET_SECONDS))
    }

    /// The first and the last of those that a window touches which ends now. Raises that are a little ahead count.
    pub const fn window(seconds: i64, now: Millis) -> (Self, Self) {
        (Self::of(now.plus_seconds(-seconds)), Self::of(now.plus_seconds(AHEAD_SECONDS)))
    }
}

impl Series {
    /// How many raises are remembered.
    pub const KEPT: usize = 64;

    /// Adds a raise, and counts the device where it belongs then.
    pub fn raise(&mut self, at: Millis, now: Millis) {
        if !self.raises.insert(at) {
            return;
        }
        self.raises.retain(|raise| *raise >= now.plus_seconds(-KEPT_SECONDS));
        while self.raises.len() > Self::KEPT {
            self.raises.pop_first();
        }
        let latest = self.raises.range(..=now.plus_seconds(AHEAD_SECONDS)).next_back();
        self.counted = self.counted.max(latest.map(|latest| Bucket::of(*latest)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Millis = Millis(1_795_392_000_000);

    fn series(raises: &[Millis]) -> Series {
        let mut series = Series::default();
        for at in raises {
            series.raise(*at, NOW);
        }
        series
    }

    #[test]
    fn a_device_is_counted_at_its_latest_raise_and_not_in_the_future() {
        let early = NOW.plus_seconds(-1_000);
        assert_eq!(series(&[NOW, early]).counted, Some(Bucket::of(NOW)));
        assert_eq!(series(&[NOW.plus_seconds(86_400), early]).counted, Some(Bucket::of(early)));
        let old = series(&[NOW.plus_seconds(-60 * 86_400)]);
        assert_eq!((old.raises.len(), old.counted), (0, None));
        assert_eq!(Bucket::of(Bucket::of(early).start()), Bucket::of(early));
    }

    #[test]
    fn a_window_has_the_buckets_that_it_touches() {
        let (first, last) = Bucket::window(900, NOW.plus_seconds(1));
        assert_eq!((Bucket::of(NOW).0 - first.0, last.0 - first.0), (3, 6));
        let _ = Bucket::window(i64::MAX, Millis(i64::MIN));
    }

    proptest! {
        #[test]
        fn no_order_and_no_repeat_changes_a_series(
            (raises, shuffled) in proptest::collection::vec(-90_000..90_000_i64, 1..100)
                .prop_flat_map(|raises| (Just(raises.clone()), Just(raises).prop_shuffle())),
        ) {
            let at = |seconds: &[i64]| seconds.iter().map(|s| NOW.plus_seconds(*s * 40)).collect::<Vec<_>>();
            let told = series(&at(&raises));
            prop_assert_eq!(&told, &series(&at(&shuffled)));
            prop_assert!(told.raises.len() <= Series::KEPT);
            let mut again = told.clone();
            for raise in at(&raises) {
                again.raise(raise, NOW);
            }
            prop_assert_eq!(told, again);
        }
    }
}
