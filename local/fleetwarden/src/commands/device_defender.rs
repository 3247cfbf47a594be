//! `fleetwarden device-defender`: the endpoint alone, for any client of Device Defender's audit API.

use crate::exit::Exit;
use crate::output::{self, line, note};
use crate::shell;
use ::device_defender::{Endpoint, FleetSpec, HttpPublisher, NoPublisher, Publisher, Settings};
use anyhow::{Context as _, Result};
use clap::Args;
use std::sync::Arc;
use std::time::Duration;

/// The simulated fleet and how the service over it behaves.
#[derive(Debug, Args)]
pub(crate) struct Fleet {
    /// How many findings the first audit of all checks has
    #[arg(long, env = "FINDINGS", default_value_t = 1_000)]
    pub(crate) findings: u32,
    /// What the fleet is made from: the same seed makes the same fleet
    #[arg(long, env = "SEED", default_value_t = 1)]
    pub(crate) seed: u64,
    /// AWS's limits of calls a second times this; 0 for no limits
    #[arg(long, default_value_t = 10.0)]
    rate_scale: f64,
    /// How long an audit takes, in milliseconds
    #[arg(long, default_value_t = 1_000)]
    audit_ms: u64,
    /// How long a mitigation task takes, in milliseconds
    #[arg(long, default_value_t = 500)]
    mitigation_ms: u64,
}

impl Fleet {
    /// The endpoint's settings, on a port of this machine or, with 0, on a free one.
    pub(crate) fn settings(&self, port: u16) -> Settings {
        Settings {
            port,
            fleet: FleetSpec { findings: self.findings, seed: self.seed },
            rate_scale: (self.rate_scale > 0.0).then_some(self.rate_scale),
            audit_duration: Duration::from_millis(self.audit_ms),
            mitigation_duration: Duration::from_millis(self.mitigation_ms),
            ..Settings::default()
        }
    }
}

/// Arguments of `device-defender`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden device-defender --port 4567 --findings 500
  fleetwarden device-defender --sns-endpoint-url http://127.0.0.1:4566")]
pub(crate) struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 4567)]
    port: u16,
    /// Account id: 12 digits
    #[arg(long, default_value = crate::cloud::ACCOUNT)]
    account: String,
    /// Region
    #[arg(long, default_value = crate::cloud::REGION)]
    region: String,
    /// Where SNS is, as `http://127.0.0.1:4566`; without it nothing is published
    #[arg(long)]
    sns_endpoint_url: Option<String>,
    #[command(flatten)]
    fleet: Fleet,
}

/// Answers until it is stopped.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    let publisher: Arc<dyn Publisher> = match &arguments.sns_endpoint_url {
        Some(url) => Arc::new(HttpPublisher::new(url)?),
        None => Arc::new(NoPublisher),
    };
    let settings = Settings {
        account: arguments.account,
        region: arguments.region,
        ..arguments.fleet.settings(arguments.port)
    };
    let endpoint = Endpoint::start(settings, publisher)
        .await
        .with_context(|| format!("cannot listen on port {}", arguments.port))?;
    line(shell::export("AWS_ENDPOINT_URL_IOT", &endpoint.url()));
    // Nobody who could not read where the endpoint is has a use for it.
    output::finish()?;
    note(format!("what has happened to the fleet: {}/_control/state", endpoint.url()));
    std::future::pending().await
}
