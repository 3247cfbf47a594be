//! How many devices alarm on a behavior: counters in buckets of five minutes, each spread over shards.

use fleetwarden_core::alarm::BehaviorKey;
use fleetwarden_core::alarm::Bucket;
use fleetwarden_core::alarm::SeriesKey;
use fleetwarden_core::timestamp::Millis;

use super::Alarms;
use super::item::attribute;
use super::item::shard;
use crate::Error;
use crate::ledger::Item;
use crate::ledger::Range;
use crate::ledger::Transaction;
use crate::ledger::about;

/// How long a counter stays after its bucket, in seconds: longer than any window, and than most incidents.
const KEPT_SECONDS: i64 = 31 * 86_400;

/// The devices of a behavior, bucket by bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
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
        let end = bucket.start().plus_seconds(KEPT_SECONDS).seconds();
        let sk = format!("{}#{}", sort_key(bucket), shard(series));
        transaction.add(&about::alarm_counts(behavior), &sk, (attribute::DEVICES, more), end);
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
        Ok(self.count(behavior, Bucket::window(window_seconds, now)).await?.devices)
    }

    /// The devices that are counted in a row of buckets.
    pub(super) async fn count(
        &self,
        behavior: &BehaviorKey,
        (first, last): (Bucket, Bucket),
    ) -> Result<Counted, Error> {
        let (first, last) = (sort_key(first), format!("{}#~", sort_key(last)));
        let range = Range::Between(&first, &last);
        let items = self.ledger.query(&about::alarm_counts(behavior), range).await?;
        let mut counted = Counted::default();
        for item in &items {
            let devices = item.get_number(attribute::DEVICES).and_then(|n| u64::try_from(n).ok());
            let Some(devices) = devices.filter(|devices| *devices > 0) else { continue };
            counted.devices = counted.devices.saturating_add(devices);
            counted.first = counted.first.or_else(|| bucket(item));
            counted.last = bucket(item);
        }
        Ok(counted)
    }
}

fn bucket(item: &Item) -> Option<Bucket> {
    item.get_text("sk")?.split('#').next()?.parse().ok().map(Bucket)
}
