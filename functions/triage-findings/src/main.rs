//! Wires the function `triage-findings` to its environment.

use fleetwarden_aws::telemetry;
use lambda_runtime::service_fn;
use triage_findings::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let handler = &Handler::from_env()
        .await
        .inspect_err(|error| tracing::error!(%error, "the function does not start"))?;
    lambda_runtime::run(service_fn(async |event| handler.handle(event).await)).await
}
