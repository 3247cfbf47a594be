//! How an endpoint is set up. Everything has a default that behaves as AWS does, only faster.

use std::time::Duration;

use crate::clock::Clock;
use crate::fleet::Place;

/// The simulated fleet: how much is wrong with it, and the seed that everything is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetSpec {
    /// How many non-compliant resources the first audit of all 17 checks finds, exactly.
    pub findings: u32,
    /// Two fleets with one seed are the same in every byte.
    pub seed: u64,
}

impl Default for FleetSpec {
    fn default() -> Self {
        Self { findings: 1_000, seed: 1 }
    }
}

/// How an endpoint is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The account id: 12 digits.
    pub account: String,
    /// The region.
    pub region: String,
    /// The partition: `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The simulated fleet.
    pub fleet: FleetSpec,
    /// AWS's published calls per second ("Device Defender endpoints and quotas") times this.
    /// None: no limit.
    pub rate_scale: Option<f64>,
    /// How long an audit takes.
    pub audit_duration: Duration,
    /// How long a mitigation task takes. Its findings are dealt with one after the other over that time.
    pub mitigation_duration: Duration,
    /// Thing groups that exist beside the fleet's own, empty. None: a mitigation action makes the group that
    /// it adds things to.
    pub thing_groups: Option<Vec<String>>,
    /// The most suppressions. AWS publishes no quota for them.
    pub most_suppressions: Option<usize>,
    /// Whether a suppression that has ended is still listed. AWS does not say; both must do.
    pub lapsed_stay: bool,
    /// The time.
    pub clock: Clock,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            account: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
            partition: "aws".to_owned(),
            fleet: FleetSpec::default(),
            rate_scale: Some(1.0),
            audit_duration: Duration::from_secs(2),
            mitigation_duration: Duration::from_secs(1),
            thing_groups: None,
            most_suppressions: None,
            lapsed_stay: true,
            clock: Clock::system(),
        }
    }
}

impl Settings {
    pub(crate) fn place(&self) -> Place {
        Place {
            partition: self.partition.clone(),
            region: self.region.clone(),
            account: self.account.clone(),
        }
    }

    /// An ARN of the service in this account and region.
    pub(crate) fn arn(&self, resource: &str) -> String {
        format!("arn:{}:iot:{}:{}:{resource}", self.partition, self.region, self.account)
    }
}
