//! Scripted scenarios: from when until when which devices measure something else than they would.
//!
//! A scenario begins now or later and is never taken away, only ended: what it did to values that were evaluated
//! stays as it was, since those values are computed again whenever they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use fleetwarden_behaviors::{BuiltIn, Finite, Measured, Metric};
use serde::{Deserialize, Serialize};

use crate::detect::targets::Device;

/// What a scenario is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Traffic, ports and addresses of a device that somebody else uses.
    Compromised,
    /// Many devices lose their connections and come back again and again.
    ReconnectStorm,
    /// On and off: compromised, or one metric, for some minutes each.
    Flap,
    /// Devices are offline: they send nothing and report nothing.
    Starve,
    /// One metric is multiplied, set, or added to.
    Metric,
    /// One metric has no datapoints.
    Silence,
    /// Devices report more often than every 300 seconds. Reports that come sooner are dropped without an answer.
    Chatty,
}

/// What happens to the values of a metric.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Multiplied.
    Scale(f64),
    /// This instead.
    Set(Measured),
    /// This as well: lists are joined, counts and numbers added up.
    Add(Measured),
    /// A count between two, drawn for each datapoint.
    Between(u64, u64),
    /// No datapoint.
    Nothing,
}

/// What happens to a metric.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub(crate) metric: Metric,
    pub(crate) change: Change,
}

/// A scenario.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) kind: Kind,
    pub(crate) devices: BTreeSet<Device>,
    /// It acts on what is measured after `from`, up to `to`.
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// It acts for so long and then rests for so long, by turns.
    pub(crate) turns: Option<(i64, i64)>,
    pub(crate) effects: Vec<Effect>,
    /// How often chatty devices report.
    pub(crate) report_ms: i64,
}

impl Scenario {
    /// Whether it acts on what was measured until `at`.
    fn acts(&self, at: i64) -> bool {
        let is_on = |(on, off): (i64, i64)| (at - self.from - 1).rem_euclid((on + off).max(1)) < on;
        at > self.from && at <= self.to && self.turns.is_none_or(is_on)
    }
}

/// Every scenario that there was.
#[derive(Debug, Default)]
pub(crate) struct Scenarios {
    pub(crate) all: Vec<Scenario>,
    of_device: BTreeMap<Device, Vec<usize>>,
}

impl Scenarios {
    /// Adds a scenario and gives its number.
    pub(crate) fn add(&mut self, scenario: Scenario) -> usize {
        let number = self.all.len();
        for device in &scenario.devices {
            self.of_device.entry(*device).or_default().push(number);
        }
        self.all.push(scenario);
        number
    }

    /// Ends a scenario that has not ended. Whether there is such a one.
    pub(crate) fn end(&mut self, number: usize, now: i64) -> bool {
        let scenario = self.all.get_mut(number);
        scenario.is_some_and(|scenario| {
            scenario.to = scenario.to.min(now);
            true
        })
    }

    /// The scenarios that a device is part of at any time between two moments.
    pub(crate) fn of(&self, device: Device, after: i64, until: i64) -> Vec<&Scenario> {
        let numbers = self.of_device.get(&device).map_or(&[][..], Vec::as_slice);
        let all = numbers.iter().filter_map(|number| self.all.get(*number));
        all.filter(|scenario| scenario.from < until && scenario.to > after).collect()
    }
}

impl Scenarios {
    /// The scenarios that have a device report too often, up to a moment, in the order of their beginnings.
    pub(crate) fn chatty(&self, device: Device, until: i64) -> Vec<&Scenario> {
        let all = self.of(device, i64::MIN, until).into_iter();
        let mut chatty: Vec<&Scenario> = all.filter(|scenario| scenario.kind == Kind::Chatty).collect();
        chatty.sort_by_key(|scenario| scenario.from);
        chatty
    }
}

/// Since when a scenario has a device offline at a moment.
pub(crate) fn offline_since(scenarios: &[&Scenario], at: i64) -> Option<i64> {
    let offline = scenarios.iter().filter(|scenario| scenario.kind == Kind::Starve && scenario.acts(at));
    offline.map(|scenario| scenario.from).min()
}

/// A value as the scenarios leave it. `drawn` is random.
pub(crate) fn apply(
    scenarios: &[&Scenario],
    metric: &Metric,
    at: i64,
    value: Measured,
    drawn: u64,
) -> Option<Measured> {
    let acting = scenarios.iter().filter(|scenario| scenario.acts(at));
    let mut effects = acting.flat_map(|scenario| &scenario.effects).filter(|effect| effect.metric == *metric);
    effects.try_fold(value, |value, effect| changed(value, &effect.change, drawn))
}

fn changed(value: Measured, change: &Change, drawn: u64) -> Option<Measured> {
    Some(match (value, change) {
        (_, Change::Nothing) => return None,
        (_, Change::Set(value)) => value.clone(),
        (Measured::Count(_), Change::Between(least, most)) => {
            Measured::Count(least + drawn % (most.saturating_sub(*least) + 1))
        }
        (Measured::Count(count), Change::Scale(factor)) => Measured::Count(scaled(count, *factor)),
        (Measured::Sizes { least, most }, Change::Scale(factor)) => {
            Measured::Sizes { least: scaled(least, *factor), most: scaled(most, *factor) }
        }
        (Measured::Number(number), Change::Scale(factor)) => {
            Measured::Number(Finite::new(number.get() * factor).unwrap_or(number))
        }
        (Measured::Count(count), Change::Add(Measured::Count(more))) => {
            Measured::Count(count.saturating_add(*more))
        }
        (Measured::Number(number), Change::Add(Measured::Number(more))) => {
            Measured::Number(Finite::new(number.get() + more.get()).unwrap_or(number))
        }
        (Measured::Ports(mut own), Change::Add(Measured::Ports(more))) => {
            own.extend(more);
            Measured::Ports(own)
        }
        (Measured::Addresses(mut own), Change::Add(Measured::Addresses(more))) => {
            own.extend(more);
            Measured::Addresses(own)
        }
        (Measured::Strings(mut own), Change::Add(Measured::Strings(more))) => {
            own.extend(more.iter().cloned());
            Measured::Strings(own)
        }
        (Measured::Numbers(mut own), Change::Add(Measured::Numbers(more))) => {
            own.extend(more);
            Measured::Numbers(own)
        }
        (value, _) => value,
    })
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, as wanted"
)]
fn scaled(count: u64, factor: f64) -> u64 {
    (count as f64 * factor).round() as u64
}

fn effect(metric: BuiltIn, change: Change) -> Effect {
    Effect { metric: Metric::BuiltIn(metric), change }
}

/// What somebody else does with a device: floods, listens on a back door, talks to a stranger.
pub(crate) fn compromised(factor: f64) -> Vec<Effect> {
    let stranger = IpAddr::from([198, 51, 100, 66]);
    vec![
        effect(BuiltIn::BytesOut, Change::Scale(factor)),
        effect(BuiltIn::PacketsOut, Change::Scale(factor)),
        effect(BuiltIn::MessagesSent, Change::Scale(factor)),
        effect(BuiltIn::MessageByteSize, Change::Scale(4.0)),
        effect(BuiltIn::AuthorizationFailures, Change::Between(6, 30)),
        effect(BuiltIn::ListeningTcpPorts, Change::Add(Measured::Ports(vec![4_444, 31_337]))),
        effect(BuiltIn::ListeningTcpPortCount, Change::Add(Measured::Count(2))),
        effect(BuiltIn::EstablishedTcpConnections, Change::Add(Measured::Count(12))),
        effect(BuiltIn::DestinationIpAddresses, Change::Add(Measured::Addresses(vec![stranger]))),
    ]
}

/// Connections that come and go all the time.
pub(crate) fn reconnect_storm() -> Vec<Effect> {
    let many = || Change::Between(12, 40);
    vec![effect(BuiltIn::ConnectionAttempts, many()), effect(BuiltIn::Disconnects, many())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(kind: Kind, turns: Option<(i64, i64)>, effects: Vec<Effect>) -> Scenario {
        Scenario {
            kind,
            devices: BTreeSet::from([Device::Client(1)]),
            from: 1_000,
            to: 9_000,
            turns,
            effects,
            report_ms: 20_000,
        }
    }

    #[test]
    fn it_acts_between_its_ends_and_by_turns() {
        let always = scenario(Kind::Metric, None, Vec::new());
        assert_eq!([1_000, 1_001, 9_000, 9_001].map(|at| always.acts(at)), [false, true, true, false]);
        let turns = scenario(Kind::Flap, Some((600, 400)), Vec::new());
        assert_eq!(
            [1_001, 1_600, 1_601, 2_000, 2_001].map(|at| turns.acts(at)),
            [true, true, false, false, true]
        );
    }

    #[test]
    fn values_change_as_scripted() {
        let bytes = Metric::BuiltIn(BuiltIn::BytesOut);
        let of = |change| scenario(Kind::Metric, None, vec![Effect { metric: bytes.clone(), change }]);
        let after = |change, value| apply(&[&of(change)], &bytes, 2_000, value, 7);
        let count = Measured::Count;
        assert_eq!(after(Change::Scale(2.5), count(10)), Some(count(25)));
        assert_eq!(after(Change::Scale(1e300), count(10)), Some(count(u64::MAX)));
        assert_eq!(after(Change::Set(count(3)), count(10)), Some(count(3)));
        assert_eq!(after(Change::Between(5, 6), count(10)), Some(count(6)));
        assert_eq!(after(Change::Nothing, count(10)), None);
        let other = Metric::BuiltIn(BuiltIn::BytesIn);
        assert_eq!(apply(&[&of(Change::Nothing)], &other, 2_000, count(10), 7), Some(count(10)));
        assert_eq!(apply(&[&of(Change::Nothing)], &bytes, 9_001, count(10), 7), Some(count(10)));
        let ports = |ports: &[u16]| Measured::Ports(ports.to_vec());
        assert_eq!(after(Change::Add(ports(&[4_444])), ports(&[22])), Some(ports(&[22, 4_444])));
    }

    #[test]
    fn a_scenario_that_is_ended_keeps_what_it_did() {
        let mut scenarios = Scenarios::default();
        let number = scenarios.add(scenario(Kind::Starve, None, Vec::new()));
        assert!(scenarios.end(number, 5_000) && !scenarios.end(9, 5_000));
        let of = |at: i64| offline_since(&scenarios.of(Device::Client(1), at - 1, at), at);
        assert_eq!([of(4_000), of(5_000), of(5_001)], [Some(1_000), Some(1_000), None]);
        assert!(scenarios.of(Device::Client(2), 0, 10_000).is_empty());
    }
}
