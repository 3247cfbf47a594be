//! An invocation: by the schedule, once for each of its times, by somebody who wants to know now, or by the function's
//! own queue, which continues a review.

use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::batch;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::invocation;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use fleetwarden_core::metrics;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::iot::Budget;
use crate::review::Review;
use crate::store::Continuation;

const FUNCTION: &str = "suppression-review";
/// What is left of an invocation when it stores the review: enough to write some 100 MB and to alert. Of a short
/// invocation, as on one machine, it is a quarter.
const MARGIN: Duration = Duration::from_mins(1);

/// The function with all that it talks to.
pub struct Handler {
    /// The account whose suppressions are reviewed: 12 digits.
    pub account: String,
    /// Its region.
    pub region: String,
    /// AWS IoT.
    pub iot: IotApi,
    /// How fast it is called.
    pub pace: Pace,
    /// The policy with the standing suppressions.
    pub policy: Policy,
    /// Claims, the lease of a review, the debt, and the operator's original words.
    pub ledger: Ledger,
    /// The snapshot of the last review, and reviews that are continued.
    pub archive: Archive,
    /// Its own queue: for reviews that are continued.
    pub queue: Queue,
    /// Where messages go that can never be handled.
    pub parking: Queue,
    /// The alert topic.
    pub alerts: Alerts,
    /// The time.
    pub clock: Clock,
    /// Takes a metric line.
    pub emit: fn(&str),
}

/// The event of a schedule or of a person.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Event {
    /// The time of the schedule, in RFC 3339: a repeated delivery has the same.
    scheduled_at: Option<String>,
    /// Whether to report what would change, and change nothing.
    dry_run: bool,
}

impl Handler {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing, or what is wrong with the policy.
    pub async fn from_env() -> Result<Self, Error> {
        let (aws, common, clock) = (Shared::from_env()?, Common::from_env()?, Clock::system());
        let ledger = Ledger::new(aws.dynamodb(), common.ledger_table);
        let alerts = Alerts::new(aws.sns(), common.alert_topic, ledger.clone(), clock.clone());
        Ok(Self {
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
        })
    }

    /// Handles one invocation and returns the answer of its review, or the failed records of its batch.
    ///
    /// # Errors
    /// What is wrong with the event, or why the review failed.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        let LambdaEvent { payload, context } = event;
        if payload.get("Records").is_some() {
            return self.take(payload, &context).await;
        }
        let event: Event = invocation::wish(payload, "{\"dryRun\": true}")?;
        let done = self.begin(event, &context).await;
        (self.emit)(
            &metrics::invocation::Invocation::of_one(FUNCTION, self.clock.now(), done.is_err()).line(),
        );
        done
    }

    /// Takes messages of the function's queue.
    async fn take(&self, event: Value, context: &Context) -> Result<Value, Error> {
        let unreadable = |e: serde_json::Error| Error::Input(format!("the event: {e}"));
        let event: SqsEvent = serde_json::from_value(event).map_err(unreadable)?;
        let consumer = Consumer {
            function: FUNCTION,
            parking: self.parking.clone(),
            clock: self.clock.clone(),
            parallel: 1,
        };
        let response = consumer.consume(event, context, async |body, deadline| {
            let message: Continuation = batch::parse("message of a review", body)?;
            self.resume(&message, deadline).await
        });
        serde_json::to_value(response.await?).map_err(unreadable)
    }

    async fn begin(&self, event: Event, context: &Context) -> Result<Value, Error> {
        let slot = invocation::slot(event.scheduled_at.as_deref(), context)?;
        // A dry run has a slot of its own: the review at that time is still to come.
        let slot = if event.dry_run { context.request_id.clone() } else { slot };
        let deadline = invocation::deadline(context);
        let review = self.review(deadline).begin(slot.clone(), event.dry_run);
        let answer = self.once(&keys::review(&slot, 0), deadline, Box::pin(review)).await?;
        Ok(answer.unwrap_or_else(|| json!({"slot": slot, "repeated": true})))
    }

    async fn resume(&self, message: &Continuation, deadline: Millis) -> Result<(), Error> {
        let about = keys::review(&message.slot, message.step);
        let review = self.review(deadline).resume(message);
        self.once(&about, deadline, Box::pin(review)).await.map(drop)
    }

    /// Does work once; none if it was done before.
    async fn once(
        &self,
        about: &str,
        deadline: Millis,
        work: impl Future<Output = Result<Value, Error>>,
    ) -> Result<Option<Value>, Error> {
        self.ledger.run_once(about, self.clock.now(), invocation::lease(deadline), work).await
    }

    fn review(&self, deadline: Millis) -> Review<'_> {
        let stop_at = invocation::stop_at(self.clock.now(), deadline, MARGIN);
        Review { handler: self, budget: Budget { clock: &self.clock, stop_at } }
    }
}
