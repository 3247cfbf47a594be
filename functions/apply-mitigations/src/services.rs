//! What the function needs from outside, besides its policy and how it takes batches.

use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;

/// Clients and settings.
pub struct Services {
    /// The account whose findings and alarms may be mitigated: 12 digits.
    pub account: String,
    /// The region of the function.
    pub region: String,
    /// AWS IoT.
    pub iot: aws_sdk_iot::Client,
    /// AWS IoT, for what the policy asks of the registry.
    pub registry: RegistryClient,
    /// What is known of alarms and mitigations.
    pub ledger: Ledger,
    /// Its own queue: for what is followed and for what has to wait.
    pub queue: Queue,
    /// Where people are alerted.
    pub alerts: Alerts,
    /// How long a message waits first, in seconds; then twice as long, and so on.
    pub follow_up_seconds: u32,
    /// Takes a metric line.
    pub emit: fn(&str),
}
