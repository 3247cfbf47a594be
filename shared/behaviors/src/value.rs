//! Values: as the service writes them, as they are measured, as they are compared.

use std::cmp::Ordering;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::metric::{Kind, Metric};
use crate::set::Finite;

/// The service's `MetricValue`: one member is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetricValue {
    /// Of built-in metrics with a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Networks in a criterion, addresses in a measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cidrs: Option<Vec<String>>,
    /// Ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<u16>>,
    /// Of custom metrics of the type `number`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
    /// Of custom metrics of the type `number-list`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Vec<f64>>,
    /// Of custom metrics of the type `string-list`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strings: Option<Vec<String>>,
}

impl MetricValue {
    /// The names of the members that are there.
    pub(crate) fn members(&self) -> impl Iterator<Item = &'static str> + use<> {
        let there = [
            ("count", self.count.is_some()),
            ("cidrs", self.cidrs.is_some()),
            ("ports", self.ports.is_some()),
            ("number", self.number.is_some()),
            ("numbers", self.numbers.is_some()),
            ("strings", self.strings.is_some()),
        ];
        there.into_iter().filter_map(|(name, is_there)| is_there.then_some(name))
    }

    /// How many elements it has for the quota of a security profile.
    pub(crate) fn elements(&self) -> usize {
        let lists = [
            self.cidrs.as_ref().map(Vec::len),
            self.ports.as_ref().map(Vec::len),
            self.numbers.as_ref().map(Vec::len),
            self.strings.as_ref().map(Vec::len),
        ];
        lists.into_iter().flatten().sum::<usize>()
            + usize::from(self.count.is_some())
            + usize::from(self.number.is_some())
    }
}

/// The member of `MetricValue` that values of the kind have.
pub(crate) const fn member(kind: Kind) -> &'static str {
    match kind {
        Kind::Flow | Kind::Level | Kind::Sizes | Kind::Disconnected => "count",
        Kind::Number => "number",
        Kind::Addresses => "cidrs",
        Kind::Ports => "ports",
        Kind::Numbers => "numbers",
        Kind::Strings => "strings",
    }
}

/// What a device sent, by the kind of its metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// A count; of `aws:disconnect-duration` the seconds.
    Count(u64),
    /// The smallest and the largest message of the period, in bytes.
    Sizes {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// A number.
    Number(Finite),
    /// Addresses.
    Addresses(Vec<IpAddr>),
    /// Ports.
    Ports(Vec<u16>),
    /// Numbers.
    Numbers(Vec<Finite>),
    /// Strings.
    Strings(Vec<String>),
}

impl Measured {
    /// Reads what `ListMetricValues` or a report gives for the metric.
    ///
    /// # Errors
    /// The path of the member and what is wrong with it.
    pub fn read(metric: &Metric, value: &MetricValue) -> Result<Self, (String, String)> {
        let kind = metric.kind();
        let wanted = member(kind);
        let mut members = value.members();
        if members.next() != Some(wanted) || members.next().is_some() {
            return Err((wanted.into(), format!("{wanted} is the only member for this metric")));
        }
        let read = match kind {
            Kind::Flow | Kind::Level | Kind::Disconnected => value.count.map(Self::Count),
            Kind::Sizes => value.count.map(|size| Self::Sizes { least: size, most: size }),
            Kind::Number => value.number.and_then(Finite::new).map(Self::Number),
            Kind::Ports => value.ports.clone().map(Self::Ports),
            Kind::Numbers => value
                .numbers
                .as_ref()
                .and_then(|numbers| numbers.iter().map(|number| Finite::new(*number)).collect())
                .map(Self::Numbers),
            Kind::Strings => value.strings.clone().map(Self::Strings),
            Kind::Addresses => {
                let mut addresses = Vec::new();
                for (at, text) in value.cidrs.iter().flatten().enumerate() {
                    let Ok(address) = text.parse() else {
                        return Err((format!("cidrs[{at}]"), "cidrs has an invalid address".into()));
                    };
                    addresses.push(address);
                }
                Some(Self::Addresses(addresses))
            }
        };
        read.ok_or_else(|| (wanted.into(), format!("{wanted} is not finite")))
    }

    /// If a metric of that kind has such values.
    pub fn is_of(&self, kind: Kind) -> bool {
        match self {
            Self::Count(_) => matches!(kind, Kind::Flow | Kind::Level | Kind::Disconnected),
            Self::Sizes { .. } => kind == Kind::Sizes,
            Self::Number(_) => kind == Kind::Number,
            Self::Addresses(_) => kind == Kind::Addresses,
            Self::Ports(_) => kind == Kind::Ports,
            Self::Numbers(_) => kind == Kind::Numbers,
            Self::Strings(_) => kind == Kind::Strings,
        }
    }
}

/// A value that has a place in an order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Quantity {
    /// A count, exact.
    Count(u64),
    /// A finite number.
    Number(f64),
}

impl Quantity {
    /// As a number; counts above 2⁵³ lose their last digits.
    #[expect(clippy::cast_precision_loss, reason = "a sketch and a model round more than that")]
    pub const fn as_number(self) -> f64 {
        match self {
            Self::Count(count) => count as f64,
            Self::Number(number) => number,
        }
    }

    /// The order of two values: of two counts exactly.
    pub fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Count(one), Self::Count(other)) => one.cmp(&other),
            // Zero has one sign, so that -0.0 is not less than 0.
            (one, other) => (one.as_number() + 0.0).total_cmp(&(other.as_number() + 0.0)),
        }
    }

    /// The sum of two periods.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Count(one), Self::Count(other)) => Self::Count(one.saturating_add(other)),
            (one, other) => Self::Number(one.as_number() + other.as_number()),
        }
    }

    /// As the service writes it.
    pub fn to_value(self) -> MetricValue {
        match self {
            Self::Count(count) => MetricValue { count: Some(count), ..MetricValue::default() },
            Self::Number(number) => MetricValue { number: Some(number), ..MetricValue::default() },
        }
    }
}
