//! How many devices alarm on a behavior: counters in buckets of five minutes, each spread over shards.

use std::time::Duration;

use fleetwarden_core::model::alarm::BehaviorKey;
use fleetwarden_core::model::alarm::Bucket;
use fleetwarden_core::model::alarm::SeriesKey;
use fleetwarden_core::timestamp::Millis;

use super::Alarms;
use super::item::attribute;
use super::item::shard;
use crate::Error;
use crate::ledger::Item;
use crate::ledger::Range;
use crate::ledger::Transaction;
use crate::ledger::keys;

/// How long a counter stays after its bucket: longer than any window, and than most incidents.
const RETENTION: Duration = Duration::from_hours(31 * 24);

/// Devices of a behavior in a row of buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DeviceCount {
    /// How many devices.
    pub(super) devices: u64,
    /// The first bucket that has some.
    pub(super) first: Option<Bucket>,
    /// The last one.
    pub(super) last: Option<Bucket>,
}

/// Moves a device from the bucket that it was counted in to another.
pub(super) fn move_device(
    transaction: &mut Transaction<'_>,
    behavior: &BehaviorKey,
    series: &SeriesKey,
    (before, after): (Option<Bucket>, Option<Bucket>),
) {
    if before == after {
        return;
    }
    for (bucket, more) in [(before, -1), (after, 1)] {
        let Some(bucket) = bucket else { continue };
        let end = bucket.start().plus(RETENTION).seconds();
        let sk = format!("{}#{}", sort_key(bucket), shard(series));
        transaction.add(&keys::alarm_counts(behavior), &sk, (attribute::DEVICES, more), end);
    }
}

/// Buckets sort as their numbers do.
fn sort_key(bucket: Bucket) -> String {
    format!("{:012}", bucket.0.max(0))
}

impl Alarms {
    /// How many devices alarm on a behavior within the window that ends now, to five minutes: a bucket that the window
    /// touches counts as a whole. Each device counts once, at its latest raise.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn devices_in_alarm(
        &self,
        behavior: &BehaviorKey,
        window_seconds: i64,
        now: Millis,
    ) -> Result<u64, Error> {
        Ok(DeviceCount::of(&self.count(behavior, Bucket::window(window_seconds, now)).await?).devices)
    }

    /// How many devices alarm on a behavior within a window that has this moment in it: of all such windows, the one with
    /// the most. What is heard late was no less of an incident.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn devices_around(
        &self,
        behavior: &BehaviorKey,
        window_seconds: i64,
        at: Millis,
    ) -> Result<u64, Error> {
        Ok(self.densest(behavior, window_seconds, at).await?.devices)
    }

    /// The window around a moment that has the most devices.
    pub(super) async fn densest(
        &self,
        behavior: &BehaviorKey,
        window_seconds: i64,
        at: Millis,
    ) -> Result<DeviceCount, Error> {
        let (first, last) = (at.plus_seconds(-window_seconds), at.plus_seconds(window_seconds));
        let buckets = self.count(behavior, (Bucket::of(first), Bucket::of(last))).await?;
        let (span, around) = (Bucket::of(at).0 - Bucket::of(first).0, Bucket::of(at).0);
        let windows = (around - span..=around).map(|first| {
            let within = buckets.iter().filter(|(bucket, _)| (first..=first + span).contains(&bucket.0));
            DeviceCount::of(&within.copied().collect::<Vec<_>>())
        });
        // Of equals the earliest: it has the first alarm.
        Ok(windows.rev().max_by_key(|counted| counted.devices).unwrap_or_default())
    }

    /// The devices that are counted in a row of buckets, by bucket; those without any are left out.
    pub(super) async fn count(
        &self,
        behavior: &BehaviorKey,
        (first, last): (Bucket, Bucket),
    ) -> Result<Vec<(Bucket, u64)>, Error> {
        let (first, last) = (sort_key(first), format!("{}#~", sort_key(last)));
        let range = Range::Between(&first, &last);
        let items = self.ledger.query(&keys::alarm_counts(behavior), range).await?;
        let mut buckets: Vec<(Bucket, u64)> = Vec::new();
        for item in &items {
            let devices = item.get_number(attribute::DEVICES).and_then(|n| u64::try_from(n).ok());
            let Some((of, devices)) = bucket(item).zip(devices.filter(|devices| *devices > 0)) else {
                continue;
            };
            match buckets.last_mut() {
                Some((last, sum)) if *last == of => *sum = sum.saturating_add(devices),
                _ => buckets.push((of, devices)),
            }
        }
        Ok(buckets)
    }
}

impl DeviceCount {
    /// The sum of a row of buckets.
    pub(super) fn of(buckets: &[(Bucket, u64)]) -> Self {
        let devices = buckets.iter().fold(0_u64, |sum, (_, devices)| sum.saturating_add(*devices));
        let at = |of: Option<&(Bucket, u64)>| of.map(|(bucket, _)| *bucket);
        Self { devices, first: at(buckets.first()), last: at(buckets.last()) }
    }
}

fn bucket(item: &Item) -> Option<Bucket> {
    item.get_text("sk")?.split('#').next()?.parse().ok().map(Bucket)
}
