//! What a device was measured to do, at a time, and what of it a behavior compares.

use std::net::IpAddr;

use fleetwarden_core::timestamp::Millis;
use serde::{Deserialize, Serialize};

use crate::criteria::{ElementSet, Expectation};
use crate::error::Invalid;
use crate::metric::Stream;
use crate::set::Finite;
use crate::value::{Measured, MetricValue, Quantity, member};

/// How many of the offending elements of a list an alarm shows.
pub const MOST_SHOWN: usize = 8;

/// A measurement of a stream. The time is the end of what was measured: a cloud-side metric of 12:00 to 12:05 is a
/// datapoint of 12:05, a report's metrics are of its arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct Datapoint {
    stream: Stream,
    at: Millis,
    value: Measured,
}

impl Datapoint {
    /// A datapoint whose value is of the kind of its metric.
    ///
    /// # Errors
    /// The value is of another kind.
    pub fn new(stream: Stream, at: Millis, value: Measured) -> Result<Self, Invalid> {
        let kind = stream.metric.kind();
        if value.is_of(kind) {
            return Ok(Self { stream, at, value });
        }
        let member = member(kind);
        let reason = format!("{member} is the only member for this metric");
        Err(Invalid { path: format!("value.{member}"), behavior: None, reason })
    }

    /// The stream that it belongs to.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// When the measurement ended.
    pub fn at(&self) -> Millis {
        self.at
    }

    /// What was measured.
    pub fn value(&self) -> &Measured {
        &self.value
    }
}

/// What a behavior compares of a datapoint. A list is reduced to what offends, so that a state stays small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Reading {
    Amount(Quantity),
    Offending(Option<MetricValue>),
}

impl Reading {
    /// Of a datapoint of the behavior's stream.
    pub(crate) fn of(expectation: &Expectation, value: &Measured) -> Self {
        match (expectation, value) {
            (Expectation::Members { membership, set, .. }, value) => {
                Self::Offending(offending(value, set, |is_in_set| membership.holds(is_in_set)))
            }
            (_, Measured::Count(count)) => Self::Amount(Quantity::Count(*count)),
            (_, Measured::Number(number)) => Self::Amount(Quantity::Number(number.get())),
            (expectation, Measured::Sizes { least, most }) => {
                Self::Amount(Quantity::Count(if expectation.prefers_most() { *most } else { *least }))
            }
            // Neither side lets a list meet a limit: a stream has one metric, and a metric one kind.
            _ => Self::Offending(None),
        }
    }

    /// Which of two readings for one moment counts: the larger one, and any that offends.
    pub(crate) fn outranks(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Amount(own), Self::Amount(other)) => own.order(*other).is_gt(),
            (Self::Offending(Some(own)), Self::Offending(Some(other))) => {
                format!("{own:?}") > format!("{other:?}")
            }
            (Self::Offending(Some(_)), _) => true,
            _ => false,
        }
    }
}

fn offending(value: &Measured, set: &ElementSet, is_expected: impl Fn(bool) -> bool) -> Option<MetricValue> {
    let none = MetricValue::default();
    let found = match (value, set) {
        (Measured::Addresses(addresses), ElementSet::Addresses(set)) => {
            let found = first(addresses, |address| !is_expected(set.contains(**address)), IpAddr::to_string);
            MetricValue { cidrs: found, ..none }
        }
        (Measured::Ports(ports), ElementSet::Ports(set)) => MetricValue {
            ports: first(ports, |port| !is_expected(set.contains(*port)), |port| *port),
            ..none
        },
        (Measured::Numbers(numbers), ElementSet::Numbers(set)) => {
            let found =
                first(numbers, |number| !is_expected(set.contains(*number)), |number: &Finite| number.get());
            MetricValue { numbers: found, ..none }
        }
        (Measured::Strings(strings), ElementSet::Strings(set)) => {
            let found = first(strings, |text| !is_expected(set.contains(*text)), String::clone);
            MetricValue { strings: found, ..none }
        }
        _ => none,
    };
    found.members().next().is_some().then_some(found)
}

/// The first elements that offend, if any.
fn first<T, R>(elements: &[T], offends: impl Fn(&&T) -> bool, to_shown: impl Fn(&T) -> R) -> Option<Vec<R>> {
    let found: Vec<R> = elements.iter().filter(offends).take(MOST_SHOWN).map(to_shown).collect();
    (!found.is_empty()).then_some(found)
}
