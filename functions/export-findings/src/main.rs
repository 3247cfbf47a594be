//! Wires the function `export-findings` to its environment.

use export_findings::FindingsLog;
use export_findings::Handler;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings;
use fleetwarden_aws::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let (aws, common, clock) = (Shared::from_env()?, settings::Common::from_env()?, Clock::system());
    let log_group = settings::required("FINDINGS_LOG_GROUP")?;
    let ledger = Ledger::new(aws.dynamodb(), common.ledger_table);
    let handler = &Handler {
        account: common.account,
        log: FindingsLog::new(aws.logs(), log_group, ledger.clone(), clock.clone()),
        archive: Archive::new(aws.s3(), settings::required("ARCHIVE_BUCKET")?),
        alerts: Alerts::new(aws.sns(), common.alert_topic, ledger.clone(), clock.clone()),
        parking: Queue::new(aws.sqs(), common.dead_letter_queue),
        emit: telemetry::emit,
        ledger,
        clock,
    };
    lambda_runtime::run(lambda_runtime::service_fn(async |event| handler.handle(event).await)).await
}
