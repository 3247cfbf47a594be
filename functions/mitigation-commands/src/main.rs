//! The binary of `mitigation-commands`: the library with the clients and settings of the environment.

use fleetwarden_aws::telemetry;
use lambda_runtime::LambdaEvent;
use lambda_runtime::service_fn;
use mitigation_commands::MitigationCommands;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let function = &MitigationCommands::from_env()?;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Value>| {
        function.handle(event.payload, &event.context).await
    }))
    .await
}
