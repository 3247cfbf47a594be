//! Wires the function `suppression-review` to its environment.

use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use lambda_runtime::service_fn;
use suppression_review::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let (aws, common, clock) = (Shared::from_env()?, Common::from_env()?, Clock::system());
    let ledger = Ledger::new(aws.dynamodb(), common.ledger_table);
    let alerts = Alerts::new(aws.sns(), common.alert_topic, ledger.clone(), clock.clone());
    let handler = &Handler {
        iot: aws.iot_api(),
        pace: Pace::from_env()?,
        policy: policy::load(&alerts).await?,
        archive: Archive::new(aws.s3(), required("ARCHIVE_BUCKET")?),
        queue: Queue::new(aws.sqs(), required("REVIEW_QUEUE_URL")?),
        parking: Queue::new(aws.sqs(), common.dead_letter_queue),
        account: common.account,
        region: common.region,
        emit: telemetry::emit,
        ledger,
        alerts,
        clock,
    };
    lambda_runtime::run(service_fn(async |event| handler.handle(event).await)).await
}
