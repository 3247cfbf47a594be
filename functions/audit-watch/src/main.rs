//! Wires the function `audit-watch` to its environment.

use audit_watch::Handler;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use fleetwarden_aws::topic::Topic;
use lambda_runtime::service_fn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let (aws, common, clock) = (Shared::from_env()?, Common::from_env()?, Clock::system());
    let ledger = Ledger::new(aws.dynamodb(), common.ledger_table);
    let handler = &Handler {
        topic: Topic::new(aws.sns(), required("AUDIT_TOPIC_ARN")?),
        iot: aws.iot_api(),
        pace: Pace::from_env()?,
        alerts: Alerts::new(aws.sns(), common.alert_topic, ledger.clone(), clock.clone()),
        account: common.account,
        region: common.region,
        describe_limit: audit_watch::DESCRIBE_LIMIT,
        emit: telemetry::emit,
        ledger,
        clock,
    };
    lambda_runtime::run(service_fn(async |event| handler.handle(event).await)).await
}
