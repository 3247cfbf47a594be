//! An invocation by the schedule, done once for each of its times, or by somebody who wants to know now.

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::invocation;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::schedule::Schedule;
use fleetwarden_aws::schedule::Span;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use fleetwarden_aws::topic::Topic;
use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use serde_json::Value;

use crate::read::DESCRIBE_LIMIT;
use crate::watch::Watch;

const FUNCTION: &str = "audit-watch";
/// No audit task is described when less than this is left of the invocation: enough to wait for notifications on their
/// way, to publish, and to alert. Of a short invocation it is a quarter.
const MARGIN: Duration = Duration::from_mins(2);

/// The function with all that it talks to.
pub struct Handler {
    /// The account whose audits are watched: 12 digits.
    pub account: String,
    /// Its region.
    pub region: String,
    /// The topic to which Device Defender should publish the notifications of audits.
    pub topic: Topic,
    /// AWS IoT.
    pub iot: IotApi,
    /// How fast it is called.
    pub pace: Pace,
    /// The audits that were handled, and the state of the watch.
    pub ledger: Ledger,
    /// The alert topic.
    pub alerts: Alerts,
    /// The time.
    pub clock: Clock,
    /// How many audit tasks one run describes.
    pub describe_limit: usize,
    /// Takes a metric line.
    pub emit: fn(&str),
}

/// The event of a schedule or of a person.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Event {
    /// The time of the schedule, in RFC 3339: a repeated delivery has the same.
    scheduled_at: Option<String>,
    /// Whether to report what is wrong without publishing, alerting or writing anything.
    dry_run: bool,
}

impl Handler {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing.
    pub fn from_env() -> Result<Self, Error> {
        let (aws, common, clock) = (Shared::from_env()?, Common::from_env()?, Clock::system());
        let ledger = Ledger::new(aws.dynamodb(), common.ledger_table);
        Ok(Self {
            topic: Topic::new(aws.sns(), required("AUDIT_TOPIC_ARN")?),
            iot: aws.iot_api(),
            pace: Pace::from_env()?,
            alerts: Alerts::new(aws.sns(), common.alert_topic, ledger.clone(), clock.clone()),
            account: common.account,
            region: common.region,
            describe_limit: DESCRIBE_LIMIT,
            emit: telemetry::emit,
            ledger,
            clock,
        })
    }

    /// Handles one invocation and returns what it saw.
    ///
    /// # Errors
    /// What is wrong with the event, or that the ledger or the alert topic does not answer. A call that AWS IoT refuses
    /// is a problem in the answer.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        let LambdaEvent { payload, context } = event;
        let event: Event = invocation::wish(payload, "{\"dryRun\": true}")?;
        let scheduled_at = event.scheduled_at.as_deref();
        let Self { ledger, clock, emit, .. } = self;
        let schedule = Schedule { function: FUNCTION, margin: MARGIN, ledger, clock, emit: *emit };
        let watch = |Span { now, stop_at }| Watch { handler: self, now, stop_at };
        if event.dry_run {
            return schedule
                .rehearse(scheduled_at, &context, async |span| Box::pin(watch(span).dry_run()).await)
                .await;
        }
        schedule.run(scheduled_at, &context, async |span| Box::pin(watch(span).run()).await).await
    }
}
