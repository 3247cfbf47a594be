//! Wires the function `audit-watch` to its environment.

use audit_watch::Handler;
use fleetwarden_aws::telemetry;
use lambda_runtime::service_fn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let handler = &Handler::from_env()?;
    lambda_runtime::run(service_fn(async |event| handler.handle(event).await)).await
}
