//! What the function needs from outside.

use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;
use fleetwarden_core::policy::Policy;

/// Clients, clock and settings.
pub struct Services {
    /// The account whose findings and alarms may be mitigated: 12 digits.
    pub account: String,
    /// The region of the function.
    pub region: String,
    /// AWS IoT.
    pub iot: aws_sdk_iot::Client,
    /// AWS IoT, for what the policy asks of the registry.
    pub registry: IotApi,
    /// What is known of alarms and mitigations.
    pub ledger: Ledger,
    /// Its own queue: for what is followed and for what has to wait.
    pub queue: Queue,
    /// Where people are alerted.
    pub alerts: Alerts,
    /// What the operator allows now; a message was decided under the policy of its time.
    pub policy: Policy,
    /// How long a message waits first, in seconds; then twice as long, and so on.
    pub follow_up_seconds: u32,
    /// How batches are taken.
    pub consumer: Consumer,
    /// Takes a metric line.
    pub emit: fn(&str),
}
