//! The endpoint alone, for the contract tests and for a look with the AWS CLI.
//!
//! `serve [--port N] [--findings N] [--seed N] [--rate-scale X] [--audit-ms N] [--mitigation-ms N]
//! [--sns-endpoint-url http://host:port]` prints its URL on one line and runs until it is killed.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use device_defender::{Endpoint, HttpPublisher, NoPublisher, Publisher, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut settings = Settings::default();
    let mut publisher: Arc<dyn Publisher> = Arc::new(NoPublisher);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--port" => settings.port = value.parse()?,
            "--findings" => settings.fleet.findings = value.parse()?,
            "--seed" => settings.fleet.seed = value.parse()?,
            "--rate-scale" => settings.rate_scale = Some(value.parse()?),
            "--audit-ms" => settings.audit_duration = Duration::from_millis(value.parse()?),
            "--mitigation-ms" => settings.mitigation_duration = Duration::from_millis(value.parse()?),
            "--sns-endpoint-url" => publisher = Arc::new(HttpPublisher::new(&value)?),
            _ => return Err(format!("there is no {name}").into()),
        }
    }
    let endpoint = Endpoint::start(settings, publisher).await?;
    writeln!(std::io::stdout(), "{}", endpoint.url())?;
    std::future::pending::<()>().await;
    endpoint.shutdown().await;
    Ok(())
}
