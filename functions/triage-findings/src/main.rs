//! Wires `triage-findings` to Lambda.

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::LambdaEvent;
use lambda_runtime::service_fn;
use triage_findings::Triage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    fleetwarden_aws::telemetry::init();
    let triage = &Triage::from_env()
        .await
        .inspect_err(|error| tracing::error!(%error, "the function does not start"))?;
    let handle = async |event: LambdaEvent<SqsEvent>| triage.handle(event.payload, &event.context).await;
    lambda_runtime::run(service_fn(handle)).await
}
