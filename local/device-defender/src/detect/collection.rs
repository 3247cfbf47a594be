//! Which metric values are kept: of which devices and streams, from when until when.
//!
//! The values themselves are not stored, since they can be computed again. A profile collects its streams from its
//! devices while both are with it; what it collected is there for 14 days, also after it has gone.

use std::collections::{BTreeMap, BTreeSet};

use fleetwarden_behaviors::Stream;

use crate::detect::targets::Device;

/// How long metric values are kept (Device Defender quotas: 14 days).
pub(crate) const RETENTION_MS: i64 = 14 * 86_400_000;

/// After one moment, up to another.
type Span = (i64, i64);

/// When something was there: spans in the order of time; the last is open while it is.
#[derive(Debug, Default, Clone)]
struct Spans(Vec<Span>);

impl Spans {
    fn open(&mut self, now: i64) {
        if self.0.last().is_none_or(|(_, to)| *to != i64::MAX) {
            self.0.push((now, i64::MAX));
        }
    }

    fn close(&mut self, now: i64) {
        if let Some((_, to)) = self.0.last_mut() {
            *to = (*to).min(now);
        }
    }

    /// Drops what ended before. Whether anything is left.
    fn forget(&mut self, limit: i64) -> bool {
        self.0.retain(|(_, to)| *to >= limit);
        !self.0.is_empty()
    }
}

/// What one profile collects.
#[derive(Debug, Default)]
struct Collection {
    streams: Vec<(Stream, Spans)>,
    devices: BTreeMap<Device, Spans>,
}

/// What all profiles collect and have collected.
#[derive(Debug, Default)]
pub(crate) struct Collections(BTreeMap<String, Collection>);

impl Collections {
    /// From now on a profile collects these streams from these devices, and no others.
    pub(crate) fn set<'a>(
        &mut self,
        profile: &str,
        streams: impl Iterator<Item = &'a Stream> + Clone,
        devices: &BTreeSet<Device>,
        now: i64,
    ) {
        let collection = self.0.entry(profile.to_owned()).or_default();
        for (own, spans) in &mut collection.streams {
            if !streams.clone().any(|stream| stream == own) {
                spans.close(now);
            }
        }
        for stream in streams {
            if let Some((_, spans)) = collection.streams.iter_mut().find(|(own, _)| own == stream) {
                spans.open(now);
            } else {
                collection.streams.push((stream.clone(), Spans(vec![(now, i64::MAX)])));
            }
        }
        for (device, spans) in &mut collection.devices {
            if !devices.contains(device) {
                spans.close(now);
            }
        }
        for device in devices {
            collection.devices.entry(*device).or_default().open(now);
        }
    }

    /// The spans in which a stream was collected from a device, in the order of time and apart from each other.
    pub(crate) fn spans(&self, device: Device, stream: &Stream) -> Vec<Span> {
        let mut all = Vec::new();
        for collection in self.0.values() {
            let of_stream = collection.streams.iter().find(|(own, _)| own == stream);
            let (Some((_, one)), Some(other)) = (of_stream, collection.devices.get(&device)) else {
                continue;
            };
            for (from, to) in &one.0 {
                let both = other.0.iter().map(|(since, until)| (*from.max(since), *to.min(until)));
                all.extend(both.filter(|(from, to)| from < to));
            }
        }
        all.sort_unstable();
        let mut merged: Vec<Span> = Vec::new();
        for (from, to) in all {
            match merged.last_mut() {
                Some((_, last)) if from <= *last => *last = to.max(*last),
                _ => merged.push((from, to)),
            }
        }
        merged
    }

    /// Drops what is past its retention.
    pub(crate) fn forget(&mut self, now: i64) {
        let limit = now.saturating_sub(RETENTION_MS);
        self.0.retain(|_, collection| {
            collection.streams.retain_mut(|(_, spans)| spans.forget(limit));
            collection.devices.retain(|_, spans| spans.forget(limit));
            !collection.streams.is_empty() && !collection.devices.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use fleetwarden_behaviors::{BuiltIn, Metric};

    use super::*;

    #[test]
    fn a_stream_is_collected_while_the_profile_has_it_and_the_device() {
        let stream = |metric| Stream { metric: Metric::BuiltIn(metric), dimension: None };
        let (sent, size) = (stream(BuiltIn::MessagesSent), stream(BuiltIn::MessageByteSize));
        let (one, other) = (Device::Client(1), Device::Client(2));
        let mut all = Collections::default();
        let mut collect = |profile: &str, streams: &[&Stream], devices: &[Device], now| {
            all.set(profile, streams.iter().copied(), &devices.iter().copied().collect(), now);
        };
        collect("a", &[&sent], &[one], 100);
        collect("a", &[&sent, &size], &[one, other], 200);
        collect("a", &[&size], &[one], 300);
        collect("b", &[&sent], &[one], 250);
        collect("b", &[&sent], &[], 400);
        collect("b", &[&sent], &[one], 500);
        assert_eq!(all.spans(one, &sent), [(100, 400), (500, i64::MAX)]);
        assert_eq!(all.spans(other, &sent), [(200, 300)]);
        assert_eq!(all.spans(other, &size), [(200, 300)]);
        assert_eq!(all.spans(one, &size), [(200, i64::MAX)]);
        all.forget(RETENTION_MS + 301);
        assert!(all.spans(other, &sent).is_empty());
        assert_eq!(all.spans(one, &sent), [(250, 400), (500, i64::MAX)]);
    }
}
