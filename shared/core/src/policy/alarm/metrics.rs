//! The metrics that Device Defender has itself, and which of them a model can judge.
//!
//! Source: the AWS IoT Device Defender developer guide, "Cloud-side metrics", "Device-side metrics" and "ML Detect".

/// The metrics of AWS. Metrics of the account have other names: none begins with `aws:`.
pub(in crate::policy) const METRICS: [&str; 18] = [
    "aws:all-bytes-in",
    "aws:all-bytes-out",
    "aws:all-packets-in",
    "aws:all-packets-out",
    "aws:destination-ip-addresses",
    "aws:disconnect-duration",
    "aws:listening-tcp-ports",
    "aws:listening-udp-ports",
    "aws:message-byte-size",
    "aws:num-authorization-failures",
    "aws:num-connection-attempts",
    "aws:num-disconnects",
    "aws:num-established-tcp-connections",
    "aws:num-listening-tcp-ports",
    "aws:num-listening-udp-ports",
    "aws:num-messages-received",
    "aws:num-messages-sent",
    "aws:source-ip-address",
];

/// Whether a model can judge a metric: not those of AWS that are lists, nor the duration of a disconnect. A metric of the
/// account may be a number.
pub(in crate::policy) fn takes_models(metric: &str) -> bool {
    !matches!(
        metric,
        "aws:destination-ip-addresses"
            | "aws:disconnect-duration"
            | "aws:listening-tcp-ports"
            | "aws:listening-udp-ports"
            | "aws:source-ip-address"
    )
}
