//! Wires the function `apply-mitigations` to its environment.

use apply_mitigations::ApplyMitigations;
use apply_mitigations::Services;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Pace;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::telemetry;
use lambda_runtime::LambdaEvent;
use lambda_runtime::service_fn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let (aws, common, clock) = (Shared::from_env()?, Common::from_env()?, Clock::system());
    let ledger = Ledger::new(aws.dynamodb(), common.ledger_table);
    let alerts = Alerts::new(aws.sns(), common.alert_topic, ledger.clone(), clock.clone());
    let parking = Queue::new(aws.sqs(), common.dead_letter_queue);
    let policy = policy::load_with_windows(&alerts).await?;
    // One record at a time: the account has ten calls a second for this, and ten tasks at once.
    let consumer = Consumer { function: "apply-mitigations", parking, clock, parallel: 1 };
    let services = Services {
        account: common.account,
        region: common.region,
        iot: aws.iot(),
        registry: aws.registry(Pace::Patient),
        queue: Queue::new(aws.sqs(), settings::required("MITIGATION_QUEUE_URL")?),
        follow_up_seconds: settings::seconds("FOLLOW_UP_SECONDS", 60)?,
        emit: telemetry::emit,
        ledger,
        alerts,
    };
    let function = &ApplyMitigations::new(services, policy, consumer);
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<SqsEvent>| {
        function.handle(event.payload, &event.context).await
    }))
    .await
}
