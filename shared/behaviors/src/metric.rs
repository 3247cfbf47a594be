//! The metrics that Device Defender Detect knows, and what each can be asked.
//!
//! From the developer guide's pages on cloud-side, device-side and custom metrics. A metric that exists here has
//! a [`Kind`], so that a behavior or a datapoint of the wrong value type cannot be made.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A built-in metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the service's names say it")]
pub enum BuiltIn {
    #[serde(rename = "aws:message-byte-size")]
    MessageByteSize,
    #[serde(rename = "aws:num-messages-sent")]
    MessagesSent,
    #[serde(rename = "aws:num-messages-received")]
    MessagesReceived,
    #[serde(rename = "aws:num-authorization-failures")]
    AuthorizationFailures,
    #[serde(rename = "aws:num-connection-attempts")]
    ConnectionAttempts,
    #[serde(rename = "aws:num-disconnects")]
    Disconnects,
    #[serde(rename = "aws:source-ip-address")]
    SourceIpAddress,
    #[serde(rename = "aws:disconnect-duration")]
    DisconnectDuration,
    #[serde(rename = "aws:all-bytes-out")]
    BytesOut,
    #[serde(rename = "aws:all-bytes-in")]
    BytesIn,
    #[serde(rename = "aws:all-packets-out")]
    PacketsOut,
    #[serde(rename = "aws:all-packets-in")]
    PacketsIn,
    #[serde(rename = "aws:num-listening-tcp-ports")]
    ListeningTcpPortCount,
    #[serde(rename = "aws:num-listening-udp-ports")]
    ListeningUdpPortCount,
    #[serde(rename = "aws:num-established-tcp-connections")]
    EstablishedTcpConnections,
    #[serde(rename = "aws:destination-ip-addresses")]
    DestinationIpAddresses,
    #[serde(rename = "aws:listening-tcp-ports")]
    ListeningTcpPorts,
    #[serde(rename = "aws:listening-udp-ports")]
    ListeningUdpPorts,
}

/// The type of a custom metric, as `CreateCustomMetric` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the service's names say it")]
pub enum CustomMetricType {
    StringList,
    IpAddressList,
    NumberList,
    Number,
}

/// A metric that exists: built in, or defined in the account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Of AWS, named `aws:…`.
    BuiltIn(BuiltIn),
    /// Of the account.
    Custom {
        /// Its name.
        name: Arc<str>,
        /// Its type, which never changes.
        kind: CustomMetricType,
    },
}

/// What a datapoint of a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A count of what happened in the period; two periods add up.
    Flow,
    /// A count of what is there at the moment; of two moments, one is compared.
    Level,
    /// The sizes of the period's messages.
    Sizes,
    /// Seconds without a connection.
    Disconnected,
    /// One number of a custom metric, which may be negative.
    Number,
    /// Addresses.
    Addresses,
    /// Ports.
    Ports,
    /// Numbers of a custom metric.
    Numbers,
    /// Strings of a custom metric.
    Strings,
}

impl Kind {
    /// If its values are ordered, so that `less-than` and its like apply.
    pub const fn is_numeric(self) -> bool {
        matches!(self, Self::Flow | Self::Level | Self::Sizes | Self::Disconnected | Self::Number)
    }
}

/// What a behavior on the metric has to say about `durationSeconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationRule {
    /// Each behavior of a static or statistical criterion must have it.
    Required,
    /// It may.
    Optional,
    /// It must not.
    Refused,
}

impl Metric {
    /// The metric of a name. `custom` gives the type of each custom metric that is defined.
    pub fn named(name: &str, custom: impl Fn(&str) -> Option<CustomMetricType>) -> Option<Self> {
        if name.starts_with("aws:") {
            let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name);
            return BuiltIn::deserialize(name).ok().map(Self::BuiltIn);
        }
        custom(name).map(|kind| Self::Custom { name: name.into(), kind })
    }

    /// What its datapoints are.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Custom { kind: CustomMetricType::Number, .. } => Kind::Number,
            Self::Custom { kind: CustomMetricType::NumberList, .. } => Kind::Numbers,
            Self::Custom { kind: CustomMetricType::StringList, .. } => Kind::Strings,
            Self::Custom { kind: CustomMetricType::IpAddressList, .. } => Kind::Addresses,
            Self::BuiltIn(metric) => metric.kind(),
        }
    }

    /// Its rule for `durationSeconds`.
    pub fn duration(&self) -> DurationRule {
        match (self, self.kind()) {
            (Self::BuiltIn(BuiltIn::EstablishedTcpConnections), _) | (_, Kind::Sizes | Kind::Number) => {
                DurationRule::Optional
            }
            (_, Kind::Flow | Kind::Level) => DurationRule::Required,
            _ => DurationRule::Refused,
        }
    }

    /// If a topic filter can narrow it.
    pub fn takes_dimension(&self) -> bool {
        use BuiltIn::{
            AuthorizationFailures, MessageByteSize, MessagesReceived, MessagesSent, SourceIpAddress,
        };
        let topics =
            [AuthorizationFailures, MessageByteSize, MessagesReceived, MessagesSent, SourceIpAddress];
        matches!(self, Self::BuiltIn(metric) if topics.contains(metric))
    }

    /// If a percentile of the fleet or a model can be its threshold.
    pub fn takes_fleet_threshold(&self) -> bool {
        matches!(self.kind(), Kind::Flow | Kind::Level | Kind::Sizes | Kind::Number)
    }
}

impl BuiltIn {
    const fn kind(self) -> Kind {
        match self {
            Self::MessageByteSize => Kind::Sizes,
            Self::MessagesSent
            | Self::MessagesReceived
            | Self::AuthorizationFailures
            | Self::ConnectionAttempts
            | Self::Disconnects
            | Self::BytesOut
            | Self::BytesIn
            | Self::PacketsOut
            | Self::PacketsIn => Kind::Flow,
            Self::ListeningTcpPortCount | Self::ListeningUdpPortCount | Self::EstablishedTcpConnections => {
                Kind::Level
            }
            Self::DisconnectDuration => Kind::Disconnected,
            Self::SourceIpAddress | Self::DestinationIpAddresses => Kind::Addresses,
            Self::ListeningTcpPorts | Self::ListeningUdpPorts => Kind::Ports,
        }
    }
}

/// `IN` counts the messages whose topic matches the dimension, `NOT_IN` the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the service's names say it")]
pub enum DimensionOperator {
    #[default]
    #[serde(rename = "IN")]
    In,
    #[serde(rename = "NOT_IN")]
    NotIn,
}

/// What narrows a metric. Each makes a stream of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dimension {
    /// The dimension's name.
    pub name: Arc<str>,
    /// Which side of it is counted.
    pub operator: DimensionOperator,
}

/// What datapoints belong to: a metric, narrowed or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream {
    /// The metric.
    pub metric: Metric,
    /// What narrows it.
    pub dimension: Option<Dimension>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_metric_or_not() {
        let custom = |name: &str| (name == "battery").then_some(CustomMetricType::Number);
        let bytes = Metric::named("aws:all-bytes-out", custom);
        assert_eq!(bytes, Some(Metric::BuiltIn(BuiltIn::BytesOut)));
        assert_eq!(Metric::named("battery", custom).map(|metric| metric.kind()), Some(Kind::Number));
        assert_eq!(Metric::named("aws:destination-ip-address", custom), None, "a misprint of AWS's guide");
        assert_eq!(Metric::named("unknown", custom), None);
    }
}
