//! `suppression-review`: keeps standing suppressions, tells of suppressions that end, and watches the audits.
//!
//! Before it, a schedule invoked it, or somebody who wants to know now. After it, Device Defender holds the
//! suppressions that the policy has standing, people know of each that is about to end, has ended or hides nothing,
//! the debt of suppressions is counted, and audits that did not come or did not work are told.
//!
//! On the way: [`members`] (who is meant) → [`read`] (all suppressions there are, and what they hid) with [`plan`]
//! (what becomes of each) → [`compared`] with [`memory`] (what the review before knew) → [`change`] with [`look`] →
//! [`outcome`] → [`told`] with [`digest`]. What there is no time for goes on in the next invocation, by way of [`state`] and the
//! function's own queue; until it has ended, further reviews only look and tell.

mod audits;
mod calls;
mod change;
mod compared;
mod digest;
mod look;
mod members;
mod memory;
mod outcome;
mod owners;
mod plan;
mod read;
mod resources;
mod review;
mod state;
mod told;

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
use fleetwarden_aws::topic::Topic;
use fleetwarden_core::metrics;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::calls::Budget;
use crate::review::Resume;

const NAME: &str = "suppression-review";
/// What is left of an invocation when it puts the review aside: enough to write some 100 MB and to tell. Of a short
/// one, as on one machine, it is a quarter.
const MARGIN: Duration = Duration::from_mins(1);

/// The function with all that it needs from outside.
pub struct SuppressionReview {
    /// The account whose suppressions are reviewed: 12 digits.
    pub account: String,
    /// Its region.
    pub region: String,
    /// The topic that Device Defender should tell of audits.
    pub audit_topic: Topic,
    /// AWS IoT.
    pub iot: IotApi,
    /// How fast it is called.
    pub pace: Pace,
    /// What the operator wants.
    pub policy: Policy,
    /// What is known of audits.
    pub ledger: Ledger,
    /// What the last review knew, and reviews under way.
    pub archive: Archive,
    /// Its own queue: for what is left near the deadline.
    pub queue: Queue,
    /// Who is told.
    pub alerts: Alerts,
    /// Its clock.
    pub clock: Clock,
    /// How batches are taken.
    pub consumer: Consumer,
}

/// What woke the function, if it was not its queue.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Wish {
    /// The time of the schedule, in RFC 3339: a delivery that is repeated has the same.
    scheduled_at: Option<String>,
    /// Whether to say what would change, and change nothing.
    dry_run: bool,
}

impl SuppressionReview {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing, or what is wrong with the policy.
    pub async fn from_env() -> Result<Self, Error> {
        let common = Common::from_env()?;
        let shared = Shared::from_env()?;
        let clock = Clock::system();
        let ledger = Ledger::new(shared.dynamodb(), common.ledger_table);
        let alerts = Alerts::new(shared.sns(), common.alert_topic, ledger.clone(), clock.clone());
        let sqs = shared.sqs();
        let parking = Queue::new(sqs.clone(), common.dead_letter_queue);
        Ok(Self {
            account: common.account,
            region: common.region,
            audit_topic: Topic::new(shared.sns(), required("AUDIT_TOPIC_ARN")?),
            iot: shared.iot_api(),
            pace: Pace::from_env()?,
            policy: policy::load(&alerts).await?,
            ledger,
            archive: Archive::new(shared.s3(), required("ARCHIVE_BUCKET")?),
            queue: Queue::new(sqs, required("REVIEW_QUEUE_URL")?),
            alerts,
            consumer: Consumer { function: NAME, parking, clock: clock.clone(), parallel: 1 },
            clock,
        })
    }

    /// Takes an invocation: of a schedule, of somebody who wants to know, or of its own queue.
    ///
    /// # Errors
    /// What could not be done.
    pub async fn handle(&self, event: Value, context: &Context) -> Result<Value, Error> {
        let unreadable = |e: serde_json::Error| Error::Input(format!("the event: {e}"));
        if event.get("Records").is_some() {
            let event: SqsEvent = serde_json::from_value(event).map_err(unreadable)?;
            let response = self.consumer.consume(event, context, async |body, deadline| {
                let resume: Resume = batch::parse("message of a review", body)?;
                self.resume(&resume, deadline).await
            });
            return serde_json::to_value(response.await?).map_err(unreadable);
        }
        let wish: Wish = invocation::wish(event, "{\"dryRun\": true}")?;
        let done = self.wished(wish, context).await;
        let failed = u64::from(done.is_err());
        telemetry::emit(
            &metrics::invocation::Invocation {
                function: NAME,
                at: self.clock.now(),
                records: 1,
                failed,
                parked: 0,
            }
            .line(),
        );
        done
    }

    async fn wished(&self, wish: Wish, context: &Context) -> Result<Value, Error> {
        let slot = invocation::slot(wish.scheduled_at.as_deref(), context)?;
        // A dry run has a slot of its own: the review at that time is still to come.
        let slot = if wish.dry_run { context.request_id.clone() } else { slot };
        let deadline = invocation::deadline(context);
        let about = keys::review(&slot, 0);
        let review = async {
            let kept_by = if wish.dry_run { None } else { self.other_that_keeps(&slot).await? };
            let state = self.begin(slot.clone(), 0, wish.dry_run, kept_by);
            let watched = Box::pin(self.watch_audits(state.began, wish.dry_run)).await;
            let mut told = Box::pin(self.go_on(state, &self.budget(deadline))).await?;
            if let Some(members) = told.as_object_mut() {
                members.insert("audits".into(), json!(watched?));
            }
            Ok(told)
        };
        self.once(&about, deadline, review)
            .await
            .map(|told| told.unwrap_or_else(|| json!({"slot": slot, "repeated": true})))
    }

    async fn resume(&self, resume: &Resume, deadline: Millis) -> Result<(), Error> {
        let about = keys::review(&resume.slot, resume.step);
        let review = async {
            let state = Box::pin(self.take_up(resume)).await?;
            Box::pin(self.go_on(state, &self.budget(deadline))).await
        };
        self.once(&about, deadline, review).await.map(drop)
    }

    /// Does what is to be done once; none if it was done before.
    async fn once(
        &self,
        about: &str,
        deadline: Millis,
        work: impl Future<Output = Result<Value, Error>>,
    ) -> Result<Option<Value>, Error> {
        self.ledger.run_once(about, self.clock.now(), invocation::lease(deadline), work).await
    }

    fn budget(&self, deadline: Millis) -> Budget {
        let stop_at = invocation::stop_at(self.clock.now(), deadline, MARGIN);
        Budget { clock: self.clock.clone(), stop_at }
    }
}
