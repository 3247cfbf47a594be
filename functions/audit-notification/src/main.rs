//! Wires the function `audit-notification` to its environment.

#![recursion_limit = "256"] // the futures of one invocation nest deeper than the compiler's default

use audit_notification::Handler;
use fleetwarden_aws::telemetry;
use lambda_runtime::service_fn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let handler = &Handler::from_env()?;
    lambda_runtime::run(service_fn(async |event| handler.handle(event).await)).await
}
