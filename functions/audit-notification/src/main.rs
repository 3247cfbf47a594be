//! Wires the function `audit-notification` to its environment.

#![recursion_limit = "256"] // the futures of one invocation nest deeper than the compiler's default

use audit_notification::Handler;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use lambda_runtime::service_fn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let (aws, common, clock) = (Shared::from_env()?, Common::from_env()?, Clock::system());
    let ledger = Ledger::new(aws.dynamodb(), common.ledger_table);
    let handler = &Handler {
        checks: Queue::new(aws.sqs(), required("CHECK_QUEUE_URL")?),
        iot: aws.iot_api(),
        parking: Queue::new(aws.sqs(), common.dead_letter_queue),
        alerts: Alerts::new(aws.sns(), common.alert_topic, ledger.clone(), clock.clone()),
        account: common.account,
        region: common.region,
        emit: telemetry::emit,
        ledger,
        clock,
    };
    lambda_runtime::run(service_fn(async |event| handler.handle(event).await)).await
}
