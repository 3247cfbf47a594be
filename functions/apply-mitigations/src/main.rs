//! Wires the function `apply-mitigations` to its environment.

use apply_mitigations::ApplyMitigations;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::telemetry;
use lambda_runtime::LambdaEvent;
use lambda_runtime::service_fn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let function = &ApplyMitigations::from_env().await?;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<SqsEvent>| {
        function.handle(event.payload, &event.context).await
    }))
    .await
}
