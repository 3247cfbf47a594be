//! What the devices of the fleet measure, stream by stream, between two moments.
//!
//! Cloud-side metrics have a datapoint for each 300 seconds (UTC) in which a device is connected, also where
//! nothing happened; `aws:disconnect-duration` has one each hour and whenever a connection begins or ends. The
//! others come with a report each 300 seconds. Nothing is stored: [`rhythm`](crate::detect::rhythm) says what a
//! device does by itself, [`scenario`](crate::detect::scenario) what has been scripted.

use std::net::IpAddr;

use fleetwarden_behaviors::{
    BuiltIn, CustomMetricType, Datapoint, DimensionOperator, Finite, Kind, Measured, Metric, Stream,
};
use fleetwarden_core::timestamp::Millis;

use crate::detect::reports;
use crate::detect::rhythm::{HOUR_MS, PERIOD_MS, Rhythm, number};
use crate::detect::scenario::{Scenario, Scenarios, apply, offline_since};
use crate::detect::targets::Device;
use crate::detect::topic::share;
use crate::random::{fingerprint, mix};

/// What the devices of the fleet do.
#[derive(Debug)]
pub(crate) struct Simulation {
    rhythm: Rhythm,
    pub(crate) scenarios: Scenarios,
}

/// A stream with what its values depend on beside the device.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) stream: Stream,
    /// The topic filters of its dimension.
    pub(crate) filters: Vec<String>,
}

impl Source {
    /// The stream's metric as a number.
    fn number(&self) -> u64 {
        match &self.stream.metric {
            Metric::BuiltIn(metric) => *metric as u64,
            Metric::Custom { name, .. } => fingerprint(name.as_bytes()),
        }
    }

    /// Whether AWS IoT measures it, and not the device.
    pub(crate) fn is_cloud_side(&self) -> bool {
        use BuiltIn::{
            AuthorizationFailures, ConnectionAttempts, DisconnectDuration, Disconnects, MessageByteSize,
            MessagesReceived, MessagesSent, SourceIpAddress,
        };
        let cloud = [
            AuthorizationFailures,
            ConnectionAttempts,
            DisconnectDuration,
            Disconnects,
            MessageByteSize,
            MessagesReceived,
            MessagesSent,
            SourceIpAddress,
        ];
        matches!(&self.stream.metric, Metric::BuiltIn(metric) if cloud.contains(metric))
    }
}

impl Simulation {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rhythm: Rhythm::new(seed), scenarios: Scenarios::default() }
    }

    /// Adds the datapoints of a device and a stream after one moment, up to another, in the order of time.
    pub(crate) fn measure(
        &self,
        (device, client_id): (Device, &str),
        source: &Source,
        (after, until): (i64, i64),
        datapoints: &mut Vec<Datapoint>,
    ) {
        let id = number(device);
        if after >= until {
            return;
        }
        // The connection of the period before shows in the first one.
        let scenarios = self.scenarios.of(device, after.saturating_sub(PERIOD_MS), until);
        let mut one = One {
            rhythm: &self.rhythm,
            device: id,
            scenarios: &scenarios,
            metric: source.number(),
            hour: i64::MIN,
            busy: 1.0,
        };
        let share = (!source.filters.is_empty()).then(|| share(&source.filters, client_id));
        let mut add = |at: i64, span: i64| {
            let value = one.value(&source.stream.metric, at).map(|value| of_span(value, source, span));
            let value = value.and_then(|value| narrow(value, source, share));
            let made = value.map(|value| Datapoint::new(source.stream.clone(), Millis(at), value));
            datapoints.extend(made.and_then(Result::ok));
        };
        if source.is_cloud_side() {
            let periods = after.div_euclid(PERIOD_MS) + 1..=until.div_euclid(PERIOD_MS);
            periods.for_each(|period| add(period * PERIOD_MS, PERIOD_MS));
        } else {
            let phase = self.rhythm.report_phase(id);
            let chatty = self.scenarios.chatty(device, until);
            reports::accepted(phase, &chatty, (after, until), add);
        }
    }
}

/// What of a value belongs to a report that came sooner after the one before, whether that was accepted or not.
fn of_span(value: Measured, source: &Source, span: i64) -> Measured {
    match value {
        Measured::Count(count) if span < PERIOD_MS && source.stream.metric.kind() == Kind::Flow => {
            let part =
                u128::from(count) * u128::from(span.unsigned_abs()) / u128::from(PERIOD_MS.unsigned_abs());
            Measured::Count(u64::try_from(part).unwrap_or(count))
        }
        other => other,
    }
}

/// The part of a value that is on the stream's side of its dimension. The two sides add up.
fn narrow(value: Measured, source: &Source, share: Option<u64>) -> Option<Measured> {
    let (Some(dimension), Some(share)) = (&source.stream.dimension, share) else { return Some(value) };
    let is_in = dimension.operator == DimensionOperator::In;
    let some = if is_in { share > 0 } else { share < 100 };
    Some(match value {
        Measured::Count(count) => {
            let inside = count.saturating_mul(share) / 100;
            Measured::Count(if is_in { inside } else { count - inside })
        }
        Measured::Addresses(_) if !some => Measured::Addresses(Vec::new()),
        // Where there was no message, there is no size.
        Measured::Sizes { .. } if !some => return None,
        other => other,
    })
}

/// One device and one metric.
struct One<'a> {
    rhythm: &'a Rhythm,
    device: u64,
    scenarios: &'a [&'a Scenario],
    metric: u64,
    /// The hour that `busy` is of.
    hour: i64,
    busy: f64,
}

impl One<'_> {
    fn value(&mut self, metric: &Metric, at: i64) -> Option<Measured> {
        let own = match metric {
            Metric::BuiltIn(BuiltIn::DisconnectDuration) => self.disconnected(at)?,
            _ if self.offline_since(at).is_some() => return None,
            Metric::BuiltIn(metric) => self.built_in(*metric, at),
            Metric::Custom { kind, .. } => self.custom(*kind, at)?,
        };
        if self.scenarios.is_empty() {
            return Some(own);
        }
        let drawn = mix(self.rhythm.draw(self.device, self.metric, at));
        apply(self.scenarios, metric, at, own, drawn)
    }

    /// Since when the device has been offline at a moment, if it is.
    fn offline_since(&self, at: i64) -> Option<i64> {
        let by_itself = self.rhythm.offline(self.device, at - 1).filter(|range| range.contains(&(at - 1)));
        let since = by_itself.map(|range| range.start);
        since.into_iter().chain(offline_since(self.scenarios, at)).min()
    }

    fn busy(&mut self, at: i64) -> f64 {
        let hour = (at - 1).div_euclid(HOUR_MS);
        if hour != self.hour {
            (self.hour, self.busy) = (hour, self.rhythm.busy(self.device, at - 1));
        }
        self.busy
    }

    /// Connections that a period begins or ends with.
    fn connects(&self, end: i64) -> bool {
        self.rhythm.reconnects(self.device, end) || self.offline_since(end - PERIOD_MS).is_some()
    }

    fn disconnects(&self, end: i64) -> bool {
        let goes = |at| self.rhythm.offline(self.device, at).is_some_and(|range| range.start == end);
        self.rhythm.reconnects(self.device, end) || goes(end)
    }

    /// Seconds without a connection: each hour, and 0 when one begins or ends.
    fn disconnected(&self, at: i64) -> Option<Measured> {
        let since = self.offline_since(at);
        let seconds = since.map_or(0, |since| u64::try_from((at - since) / 1_000).unwrap_or(0));
        let is_due =
            at.rem_euclid(HOUR_MS) == 0 || (since.is_none() && (self.connects(at) || self.disconnects(at)));
        is_due.then_some(Measured::Count(seconds))
    }

    fn built_in(&mut self, metric: BuiltIn, at: i64) -> Measured {
        let drawn = || self.rhythm.draw(self.device, self.metric, at);
        match metric {
            BuiltIn::ConnectionAttempts => Measured::Count(self.connects(at).into()),
            BuiltIn::Disconnects => Measured::Count(self.disconnects(at).into()),
            BuiltIn::MessageByteSize => {
                let drawn = drawn();
                Measured::Sizes {
                    least: 48 + drawn % 16,
                    most: 240 + (drawn >> 8) % 200 + (drawn >> 32) % 160,
                }
            }
            BuiltIn::SourceIpAddress => Measured::Addresses(vec![self.address(at)]),
            BuiltIn::DestinationIpAddresses => {
                let broker = 10 + u8::try_from(drawn() % 4).unwrap_or(0);
                Measured::Addresses(vec![IpAddr::from([192, 0, 2, broker])])
            }
            BuiltIn::ListeningTcpPorts => Measured::Ports(vec![22, 443]),
            BuiltIn::ListeningUdpPorts => Measured::Ports(vec![68, 123]),
            BuiltIn::ListeningTcpPortCount | BuiltIn::ListeningUdpPortCount => Measured::Count(2),
            BuiltIn::EstablishedTcpConnections => Measured::Count(1 + drawn() % 3),
            other => {
                let busy = self.busy(at);
                Measured::Count(self.rhythm.count(other, self.device, at, busy))
            }
        }
    }

    /// The address that a device connects from. It is another on one day in a hundred.
    fn address(&self, at: i64) -> IpAddr {
        let day = (at - 1).div_euclid(24 * HOUR_MS);
        let drawn = self.rhythm.draw(self.device, self.metric, day);
        let host = if drawn.is_multiple_of(100) { drawn >> 32 } else { mix(self.device) };
        IpAddr::from([203, 0, 113, u8::try_from(1 + host % 250).unwrap_or(1)])
    }

    fn custom(&mut self, kind: CustomMetricType, at: i64) -> Option<Measured> {
        let drawn = self.rhythm.draw(self.device, self.metric, at);
        Some(match kind {
            CustomMetricType::Number => {
                let busy = self.busy(at);
                Measured::Number(Finite::new(self.rhythm.number(self.metric, self.device, at, busy))?)
            }
            CustomMetricType::NumberList => {
                let last = 2 + u32::try_from(drawn % 3).unwrap_or(0);
                Measured::Numbers((1..=last).filter_map(|number| Finite::new(number.into())).collect())
            }
            CustomMetricType::StringList => {
                let more = drawn.is_multiple_of(2).then_some("update");
                Measured::Strings(["sensor", "shadow"].into_iter().chain(more).map(str::to_owned).collect())
            }
            CustomMetricType::IpAddressList => {
                let host = u8::try_from(2 + mix(self.device) % 200).unwrap_or(2);
                Measured::Addresses(vec![IpAddr::from([192, 168, 1, host])])
            }
        })
    }
}

/// A datapoint's value as `ListMetricValues` gives it: of sizes the largest, as the console's graph shows.
pub(crate) fn listed(value: &Measured, kind: Kind) -> serde_json::Value {
    use serde_json::json;
    match value {
        Measured::Count(count) => json!({ "count": count }),
        Measured::Sizes { most, .. } => json!({ "count": most }),
        Measured::Number(number) => json!({ "number": number.get() }),
        Measured::Addresses(addresses) => json!({ "cidrs": addresses }),
        Measured::Ports(ports) => json!({ "ports": ports }),
        Measured::Numbers(numbers) if kind == Kind::Numbers => {
            json!({ "numbers": numbers.iter().map(|number| number.get()).collect::<Vec<_>>() })
        }
        Measured::Numbers(_) => json!({ "numbers": [] }),
        Measured::Strings(strings) => json!({ "strings": strings }),
    }
}
