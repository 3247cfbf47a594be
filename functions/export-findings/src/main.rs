//! Wires the function `export-findings` to its environment.

use export_findings::FindingsLog;
use export_findings::Handler;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::archive::Archive;
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
    let alerts = Alerts::new(aws.sns(), common.alert_topic, ledger.clone(), clock.clone());
    let log = FindingsLog::new(aws.logs(), required("FINDINGS_LOG_GROUP")?, clock.clone());
    let archive = Archive::new(aws.s3(), required("ARCHIVE_BUCKET")?);
    let parking = Queue::new(aws.sqs(), common.dead_letter_queue);
    let handler =
        &Handler::new(common.account, log, archive, ledger, alerts, parking, clock, telemetry::emit);
    lambda_runtime::run(service_fn(async |event| handler.handle(event).await)).await
}
