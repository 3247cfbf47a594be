//! Wires the function `suppression-review` to its environment.

use fleetwarden_aws::telemetry;
use lambda_runtime::service_fn;
use suppression_review::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let handler = &Handler::from_env().await?;
    lambda_runtime::run(service_fn(async |event| handler.handle(event).await)).await
}
